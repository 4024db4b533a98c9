"""Known mistakes in batch normalisation."""

from __future__ import annotations

import numpy as np

from sparcl_ref.verify.adapters import numpy_layers as right
from sparcl_ref.verify.causes.cause import Cause, instead

_GRADS = ("dx", "dweight", "dbias")
_NORM = ("y", "running_mean", "running_var")
_AXES = (0, 2, 3)


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
    def outputs(mode, **given):
        if mode != wrong_mode:
            raise ValueError("another mode")
        return instead(right.batchnorm2d_forward, *_NORM)(mode="train", **given) | right_y(mode=mode, **given)

    def right_y(**given):
        return {"y": instead(right.batchnorm2d_forward, *_NORM)(**given)["y"]}

    return outputs


def _by_new_running(mode, **given):
    if mode != "train":
        raise ValueError("moves nothing")
    moved = instead(right.batchnorm2d_forward, *_NORM)(mode=mode, **given)
    new = {name: moved[name] for name in _NORM[1:]}
    return {"y": instead(right.batchnorm2d_forward, *_NORM)(mode="eval", **given | new)["y"]}


def _biased_running(x, running_var, mode, momentum, **_):
    if mode != "train":
        raise ValueError("moves nothing")
    return {"running_var": (1 - momentum) * running_var + momentum * x.var(axis=_AXES)}


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


CAUSES = (
    Cause("batchnorm2d_forward", "variance is unbiased where the batch is normalised", _unbiased_y),
    Cause("batchnorm2d_forward", "variance is biased where the running estimate moves", _biased_running),
    Cause("batchnorm2d_forward", "momentum the other way round: running = momentum * running + (1 - momentum) * batch",
          instead(right.batchnorm2d_forward, *_NORM, momentum=lambda given: 1 - given["momentum"])),
    *(Cause("batchnorm2d_forward", "eps added to the standard deviation instead of the variance", outputs)
      for outputs in (_eps_outside, _eps_outside_in_eval)),
    Cause("batchnorm2d_forward", "the batch normalised with the running statistics that it has just moved",
          _by_new_running),
    Cause("batchnorm2d_forward", "running statistics where those of the batch are asked for",
          lambda **given: {"y": instead(right.batchnorm2d_forward, *_NORM, mode=lambda _: "eval")(**given)["y"]}),
    Cause("batchnorm2d_forward", "statistics of the batch where the running ones are asked for",
          lambda **given: {"y": instead(right.batchnorm2d_forward, *_NORM, mode=lambda _: "probe")(**given)["y"]}),
    *(Cause("batchnorm2d_forward", f"running statistics moved in {mode} mode, which must not move them",
            _moved_in(mode)) for mode in ("probe", "eval")),
    Cause("batchnorm2d_forward", "running statistics not moved in train mode",
          instead(right.batchnorm2d_forward, *_NORM, mode=lambda given: "probe")),
    Cause("batchnorm2d_backward", "mean and variance taken for constants, as in eval mode",
          _norm_gradient(through_mean=False, through_var=False)),
    Cause("batchnorm2d_backward", "the term through the variance is missing", _norm_gradient(through_var=False)),
    Cause("batchnorm2d_backward", "the term through the mean is missing", _norm_gradient(through_mean=False)),
    Cause("batchnorm2d_backward", "variance is unbiased", _norm_gradient(ddof=1)),
    Cause("batchnorm2d_backward", "dweight without the division by the standard deviation", _raw_dweight),
    Cause("batchnorm2d_backward", "eval mode differentiated through the batch's statistics",
          instead(right.batchnorm2d_backward, *_GRADS, mode=lambda given: "train")),
)  # fmt: skip
