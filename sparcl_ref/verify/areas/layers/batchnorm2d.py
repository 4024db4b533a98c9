"""Batch normalisation."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import DBIAS, DWEIGHT, DX, DY, X, Y, filled, through
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake, instead

NORM_WEIGHT = Argument("weight", "float (C,): the scale, gamma")
EPS = Argument("eps", "float: added to the variance", default=1e-5)
MODE = Argument(
    "mode",
    '"train", "eval" or "probe": statistics of the batch, the running ones, or those of the batch without touching the '
    "running ones",
    default="train",
)
IOFFE = "Ioffe and Szegedy, 2015"
_AXES = (0, 2, 3)


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


def _norm_forward(x, weight, bias, variance, eps, inside=True):
    mean = x.mean(axis=_AXES)
    scale = np.sqrt(variance + eps) if inside else np.sqrt(variance) + eps
    return _per_channel(weight) * (x - _per_channel(mean)) / _per_channel(scale) + _per_channel(bias)


def _in_batch_mode(mode):
    if mode == "eval":
        raise ValueError("not in eval mode")


def _unbiased_y(x, weight, bias, mode, eps, **_):
    _in_batch_mode(mode)
    return {"y": _norm_forward(x, weight, bias, x.var(axis=_AXES, ddof=1), eps)}


def _eps_outside(x, weight, bias, mode, eps, **_):
    _in_batch_mode(mode)
    return {"y": _norm_forward(x, weight, bias, x.var(axis=_AXES), eps, inside=False)}


def _eps_outside_in_eval(x, weight, bias, running_mean, running_var, mode, eps, **_):
    if mode != "eval":
        raise ValueError("only in eval mode")
    scale = _per_channel(weight / (np.sqrt(running_var) + eps))
    return {"y": scale * (x - _per_channel(running_mean)) + _per_channel(bias)}


def _moved_in(wrong_mode):
    def outputs(right, mode, **given):
        if mode != wrong_mode:
            raise ValueError("another mode")
        return right(mode="train", **given) | {"y": right(mode=mode, **given)["y"]}

    return outputs


def _by_new_running(right, mode, **given):
    if mode != "train":
        raise ValueError("moves nothing")
    moved = right(mode=mode, **given)
    new = {name: moved[name] for name in ("running_mean", "running_var")}
    return {"y": right(mode="eval", **given | new)["y"]}


def _biased_running(x, running_var, mode, momentum, **_):
    if mode != "train":
        raise ValueError("moves nothing")
    return {"running_var": (1 - momentum) * running_var + momentum * x.var(axis=_AXES)}


BATCHNORM2D_FORWARD = Function(
    "batchnorm2d_forward", "layers",
    (
        X, NORM_WEIGHT,
        Argument("bias", "float (C,): the offset, beta"),
        Argument("running_mean", "float (C,): before the call"),
        Argument("running_var", "float (C,): before the call"),
        MODE,
        Argument("momentum", "float: weight of the newest batch in the running estimates", default=0.1),
        EPS,
    ),
    (Y, Output("running_mean", "float (C,): after the call"), Output("running_var", "float (C,): after the call")),
    "y = weight * (x - mean) / sqrt(var + eps) + bias per channel; train and probe take mean and biased variance "
    "of the batch, eval the running ones; train alone moves running = (1 - momentum) * running + momentum * batch, "
    "the variance unbiased",
    IOFFE, batchnorm2d_forward,
    mistakes=(
        Mistake("variance is unbiased where the batch is normalised", _unbiased_y),
        Mistake("variance is biased where the running estimate moves", _biased_running),
        instead("momentum the other way round: running = momentum * running + (1 - momentum) * batch",
            momentum=lambda given: 1 - given["momentum"]),
        *(Mistake("eps added to the standard deviation instead of the variance", outputs)
            for outputs in (_eps_outside, _eps_outside_in_eval)),
        Mistake("the batch normalised with the running statistics that it has just moved",
            _by_new_running, of_right=True),
        instead("running statistics where those of the batch are asked for", "y", mode="eval"),
        instead("statistics of the batch where the running ones are asked for", "y", mode="probe"),
        *(Mistake(f"running statistics moved in {mode} mode, which must not move them", _moved_in(mode), of_right=True)
            for mode in ("probe", "eval")),
        instead("running statistics not moved in train mode", mode="probe"),
    ),
)  # fmt: skip


def _norm_backward(dy, x, weight, mode, eps, *, ddof=0, through_mean=True, through_var=True):
    _in_batch_mode(mode)
    r = 1 / np.sqrt(x.var(axis=_AXES, ddof=ddof) + eps)
    xhat = (x - _per_channel(x.mean(axis=_AXES))) * _per_channel(r)
    inner = dy.copy()
    if through_mean:
        inner -= _per_channel(dy.mean(axis=_AXES))
    if through_var:
        inner -= xhat * _per_channel((dy * xhat).mean(axis=_AXES))
    return {"dx": _per_channel(weight * r) * inner}


def _norm_gradient(**variant):
    def outputs(dy, x, weight, mode, eps, **_):
        return _norm_backward(dy, x, weight, mode, eps, **variant)

    return outputs


def _raw_dweight(dy, x, running_mean, mode, **_):
    mean = running_mean if mode == "eval" else x.mean(axis=_AXES)
    return {"dweight": (dy * (x - _per_channel(mean))).sum(axis=_AXES)}


BATCHNORM2D_BACKWARD = Function(
    "batchnorm2d_backward", "layers",
    (
        DY, X, NORM_WEIGHT,
        Argument("running_mean", "float (C,), or None outside eval mode", default=None),
        Argument("running_var", "float (C,), or None outside eval mode", default=None),
        MODE, EPS,
    ),
    (DX, DWEIGHT, DBIAS),
    "with xhat = (x - mean) / sqrt(var + eps): dbias = sum of dy, dweight = sum of dy * xhat, and in train and "
    "probe mode dx = weight / sqrt(var + eps) * (dy - mean(dy) - xhat * mean(dy * xhat)), because mean and "
    "variance depend on x; in eval mode they are constants and dx = weight / sqrt(var + eps) * dy",
    IOFFE, batchnorm2d_backward,
    mistakes=(
        Mistake("mean and variance taken for constants, as in eval mode",
            _norm_gradient(through_mean=False, through_var=False)),
        Mistake("the term through the variance is missing", _norm_gradient(through_var=False)),
        Mistake("the term through the mean is missing", _norm_gradient(through_mean=False)),
        Mistake("variance is unbiased", _norm_gradient(ddof=1)),
        Mistake("dweight without the division by the standard deviation", _raw_dweight),
        instead("eval mode differentiated through the batch's statistics", mode="train"),
    ),
)  # fmt: skip

FUNCTIONS = (BATCHNORM2D_FORWARD, BATCHNORM2D_BACKWARD)
