"""Batch normalisation."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import DY, GRADIENTS, X, Y, filled, through
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead

NORM_WEIGHT = Argument("weight", "float (C,): the scale, gamma")
EPS = Argument("eps", "float: added to the variance", 1e-5)
MODE = Argument("mode",
    '"train", "eval" or "probe": statistics of the batch, the running ones, or those of the batch without touching the '
    "running ones", "train")  # fmt: skip
IOFFE = "Ioffe and Szegedy, 2015"
_AXES = (0, 2, 3)
_CLAMPED = "the variance limited from below by eps instead of eps added"
#: The layer refuses an eps of 0.
_EPS_LEFT_OUT = instead("eps left out", eps=1e-300)
_EPS_FIXED = instead("eps fixed at 1e-5 in the code", eps=1e-5)


def norm(weight, bias, running_mean, running_var, eps, momentum=0.1) -> layers.BatchNorm2d:
    """A batch normalisation with the given parameters and running statistics; None leaves what a new one has."""
    layer = layers.BatchNorm2d(len(weight), eps=eps, momentum=momentum, dtype=weight.dtype)
    if running_mean is not None:
        layer.running_mean[...] = running_mean
    if running_var is not None:
        layer.running_var[...] = running_var
    return filled(layer, weight, bias, None)


def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode, momentum, eps):
    layer = norm(weight, bias, running_mean, running_var, eps, momentum)
    return layer.forward(x, mode=mode), layer.running_mean, layer.running_var


def batchnorm2d_backward(dy, x, weight, running_mean, running_var, mode, eps):
    layer = norm(weight, None, running_mean, running_var, eps)
    return through(layer, x, dy, mode), layer.weight.grad, layer.bias.grad


def _per_channel(values):
    return np.asarray(values)[:, None, None]


def _normalised(x, weight, bias, mean, variance, eps, inside=True):
    scale = np.sqrt(variance + eps) if inside else np.sqrt(variance) + eps
    return _per_channel(weight) * (x - _per_channel(mean)) / _per_channel(scale) + _per_channel(bias)


def _clamped_y(x, weight, bias, running_mean, running_var, mode, eps, **_):
    mean, variance = (running_mean, running_var) if mode == "eval" else (x.mean(_AXES), x.var(_AXES))
    return {"y": _normalised(x, weight, bias, mean, np.maximum(variance, eps), 0.0)}


def _unbiased_y(x, weight, bias, mode, eps, **_):
    return {} if mode == "eval" else {"y": _normalised(x, weight, bias, x.mean(_AXES), x.var(_AXES, ddof=1), eps)}


def _eps_outside(x, weight, bias, mode, eps, **_):
    found = {"y": _normalised(x, weight, bias, x.mean(_AXES), x.var(_AXES), eps, inside=False)}
    return {} if mode == "eval" else found


def _eps_outside_in_eval(x, weight, bias, running_mean, running_var, mode, eps, **_):
    found = {"y": _normalised(x, weight, bias, running_mean, running_var, eps, inside=False)}
    return found if mode == "eval" else {}


def _moved_in(wrong_mode, right, mode, **given):
    return {} if mode != wrong_mode else right(mode="train", **given) | {"y": right(mode=mode, **given)["y"]}


def _by_new_running(right, mode, **given):
    moved = right(mode=mode, **given)
    moved.pop("y")
    return {} if mode != "train" else {"y": right(mode="eval", **given | moved)["y"]}


def _biased_running(x, running_var, mode, momentum, **_):
    return {} if mode != "train" else {"running_var": (1 - momentum) * running_var + momentum * x.var(axis=_AXES)}


def _clamped_gradients(dy, x, weight, running_mean, running_var, mode, eps):
    """Gradients with a variance that is limited from below by eps, as if this were no limit."""
    fixed = mode == "eval"
    mean, variance = (running_mean, running_var) if fixed else (x.mean(_AXES), x.var(_AXES))
    r = 1 / np.sqrt(np.maximum(variance, eps))
    xhat = (x - _per_channel(mean)) * _per_channel(r)
    inner = dy - (0 if fixed else _per_channel(dy.mean(_AXES)) + xhat * _per_channel((dy * xhat).mean(_AXES)))
    return {"dx": _per_channel(weight * r) * inner, "dweight": (dy * xhat).sum(axis=_AXES)}


def _gradient(dy, x, weight, mode, eps, *, ddof=0, through_mean=True, through_var=True, **_):
    """The gradient of a normalised batch, with another variance or without some of its terms."""
    r = 1 / np.sqrt(x.var(_AXES, ddof=ddof) + eps)
    xhat = (x - _per_channel(x.mean(_AXES))) * _per_channel(r)
    inner = dy - through_mean * _per_channel(dy.mean(_AXES))
    inner -= through_var * xhat * _per_channel((dy * xhat).mean(_AXES))
    return {} if mode == "eval" else {"dx": _per_channel(weight * r) * inner}


def _raw_dweight(dy, x, running_mean, mode, **_):
    mean = running_mean if mode == "eval" else x.mean(axis=_AXES)
    return {"dweight": (dy * (x - _per_channel(mean))).sum(axis=_AXES)}


FUNCTIONS = (
    specify("batchnorm2d_forward", "layers", batchnorm2d_forward, IOFFE,
        "y = weight * (x - mean) / sqrt(var + eps) + bias per channel; train and probe take mean and biased "
        "variance of the batch, eval the running ones; train alone moves running = (1 - momentum) * running + "
        "momentum * batch, the variance unbiased",
        X, NORM_WEIGHT, Argument("bias", "float (C,): the offset, beta"),
        Argument("running_mean", "float (C,): before the call"),
        Argument("running_var", "float (C,): before the call"), MODE,
        Argument("momentum", "float: weight of the newest batch in the running estimates", 0.1), EPS,
        Y, Output("running_mean", "float (C,): after the call"), Output("running_var", "float (C,): after the call"),
        Mistake("variance is unbiased where the batch is normalised", _unbiased_y),
        Mistake("variance is biased where the running estimate moves", _biased_running),
        instead("momentum the other way round: running = momentum * running + (1 - momentum) * batch",
            momentum=lambda given: 1 - given["momentum"]),
        *(Mistake("eps added to the standard deviation instead of the variance", outputs)
            for outputs in (_eps_outside, _eps_outside_in_eval)),
        Mistake(_CLAMPED, _clamped_y),
        _EPS_FIXED,
        _EPS_LEFT_OUT,
        instead("momentum fixed at 0.1 in the code", momentum=0.1),
        instead("momentum = 0 taken for the default", momentum=lambda given: given["momentum"] or 0.1),
        Mistake("the batch normalised with the running statistics that it has just moved",
            _by_new_running, of_right=True),
        instead("running statistics where those of the batch are asked for", "y", mode="eval"),
        instead("statistics of the batch where the running ones are asked for", "y", mode="probe"),
        *(Mistake(f"running statistics moved in {mode} mode, which must not move them",
            partial(_moved_in, mode), of_right=True) for mode in ("probe", "eval")),
        instead("running statistics not moved in train mode", mode="probe"),
    ),
    specify("batchnorm2d_backward", "layers", batchnorm2d_backward, IOFFE,
        "with xhat = (x - mean) / sqrt(var + eps): dbias = sum of dy, dweight = sum of dy * xhat, and in train and "
        "probe mode dx = weight / sqrt(var + eps) * (dy - mean(dy) - xhat * mean(dy * xhat)), because mean and "
        "variance depend on x; in eval mode they are constants and dx = weight / sqrt(var + eps) * dy",
        DY, X, NORM_WEIGHT, Argument("running_mean", "float (C,), or None outside eval mode", None),
        Argument("running_var", "float (C,), or None outside eval mode", None), MODE, EPS,
        *GRADIENTS,
        Mistake("mean and variance taken for constants, as in eval mode",
            partial(_gradient, through_mean=False, through_var=False)),
        Mistake("the term through the variance is missing", partial(_gradient, through_var=False)),
        Mistake("the term through the mean is missing", partial(_gradient, through_mean=False)),
        Mistake("variance is unbiased", partial(_gradient, ddof=1)),
        Mistake(_CLAMPED, _clamped_gradients),
        _EPS_FIXED,
        _EPS_LEFT_OUT,
        Mistake("dweight without the division by the standard deviation", _raw_dweight),
        instead("eval mode differentiated through the batch's statistics", mode="train"),
    ),
)  # fmt: skip
