"""Batch normalisation: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    spread = floats("norm x", (3, 4, 3, 2))
    #: name, kind, note, x, further arguments
    variants: list[tuple[str, str, str, np.ndarray, dict[str, Any]]] = [
        ("train", "regular", "statistics over the wrong axes; biased running variance; momentum reversed", spread, {}),
        ("eval", "regular", "batch statistics used, or running ones moved, in eval mode", spread, {"mode": "eval"}),
        ("probe", "regular", "running statistics used or moved by the probe of importances", spread, {"mode": "probe"}),
        ("one-sample", "edge", "statistics over samples alone: one sample of several pixels has a variance",
         floats("norm one", (1, 4, 2, 3)), {}),
        ("two-values", "edge",
         "biased running variance: with two values per channel the unbiased one is twice as large",
         np.concatenate([floats("norm low", (1, 4, 1, 1), high=-1.0), floats("norm high", (1, 4, 1, 1), low=1.0)]), {}),
        ("silent-channel", "edge",
         "a division by zero where a channel is 0 everywhere: y is the bias, and only eps keeps dx finite",
         np.concatenate([np.zeros((2, 1, 2, 2)), floats("norm silent", (2, 3, 2, 2))], axis=1), {}),
        ("tiny-variance", "edge",
         "eps added to the standard deviation, or left out: here it is as large as the variance",
         floats("norm tiny", (2, 4, 2, 3), low=-(2.0**-8), high=2.0**-8), {}),
        ("large-eps", "edge", "an eps that is fixed in the code", spread, {"eps": 0.25}),
        ("large-offset", "adversarial",
         "variance as mean of squares minus squared mean, which cancels when the mean is large",
         floats("norm offset", (2, 4, 1, 3)) // 2.0**-8 * 2.0**-8 + 2.0**12, {}),
    ]  # fmt: skip
    affine = {
        "weight": np.array([1.5, -0.75, 0.0, 0.3125]),
        "bias": np.array([0.5, -1.25, 2.0, 0.0]),
        "running_mean": np.array([0.25, -0.5, 1.0, -2.0]),
        "running_var": np.array([1.75, 0.5, 3.0, 0.0625]),
    }
    untrained = {key: np.full(4, value) for key, value in zip(affine, (1.0, 0.0, 0.0, 1.0), strict=True)}
    for name, kind, note, x, options in variants:
        state = untrained if name in ("one-sample", "large-eps") else affine
        yield CaseSpec("batchnorm2d_forward", name, kind, note, {"x": x, **state, **options})
        running = {k: affine[k] if name == "eval" else None for k in ("running_mean", "running_var")}
        arguments = {"dy": floats(f"norm dy {name}", x.shape), "x": x, "weight": state["weight"], **running, **options}
        yield CaseSpec("batchnorm2d_backward", name, kind, note, arguments)
    other = {key: floats(f"norm other {key}", 4, low=0.25, high=2.0) for key in affine}
    few = floats("norm few", (2, 4, 1, 2))
    for name, kind, note, options in [
        ("eval-again", "regular", "batch statistics used, or running ones moved, in eval mode",
         {"mode": "eval", "eps": 2.0**-7, "momentum": 0.5}),
        ("probe-again", "regular", "running statistics used or moved by the probe of importances",
         {"mode": "probe", "eps": 2.0**-7, "momentum": 0.5}),
    ]:  # fmt: skip
        yield CaseSpec("batchnorm2d_forward", name, kind, note, {"x": few, **other, **options})
        running = {k: other[k] if name == "eval-again" else None for k in ("running_mean", "running_var")}
        del options["momentum"]
        arguments = {"dy": floats(f"norm dy {name}", few.shape), "x": few, "weight": other["weight"], **running}
        yield CaseSpec("batchnorm2d_backward", name, kind, note, arguments | options)
    far = floats("norm far", (3, 4, 2, 2)) // 2.0**-6 * 2.0**-6 - 2.0**14
    yield CaseSpec(
        "batchnorm2d_forward", "large-negative-offset", "adversarial",
        "variance as mean of squares minus squared mean, which cancels when the mean is large", {"x": far, **affine},
    )  # fmt: skip
    yield CaseSpec(
        "batchnorm2d_forward", "variance-beside-eps", "adversarial",
        "a variance that is at least eps, instead of eps added to it: alike where the variance is large",
        {"x": floats("norm beside", (2, 4, 3, 1), low=-(2.0**-6), high=2.0**-6), **affine, "eps": 2.0**-12},
    )  # fmt: skip
    yield CaseSpec(
        "batchnorm2d_forward", "momentum-zero-of-one-sample", "edge", "a momentum of 0 taken for none given",
        {"x": few[:1], **other, "momentum": 0.0},
    )  # fmt: skip
    for name, momentum in [("momentum-one", 1.0), ("momentum-zero", 0.0), ("momentum-quarter", 0.25)]:
        yield CaseSpec(
            "batchnorm2d_forward", name, "edge",
            "momentum taken as the weight of the old estimate, or fixed in the code",
            {"x": spread, **affine, "momentum": momentum},
        )  # fmt: skip
    yield CaseSpec(
        "batchnorm2d_backward", "constant-upstream", "adversarial",
        "mean and variance treated as constants: an upstream that is the same everywhere must leave dx at 0",
        {"dy": np.full(spread.shape, 1.25), "x": spread, "weight": affine["weight"]},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def _norm(
    a: Arguments, x: Tensor, weight: Tensor, bias: Tensor, running: tuple[Tensor | None, Tensor | None]
) -> Tensor:
    """batch_norm as PyTorch does it; running statistics, if given, are changed in place in train mode."""
    batch_statistics = a["mode"] != "eval"
    mean, var = (None, None) if a["mode"] == "probe" else running
    return functional.batch_norm(
        x, mean, var, weight, bias, training=batch_statistics, momentum=a.get("momentum", 0.0), eps=a["eps"]
    )


def _norm_magnitudes(a: Arguments, x: Tensor) -> dict[str, Tensor]:
    """Per channel: what rounding in x - mean and in var can reach in xhat, in units of eps, to first order.

    x - mean is off by |x| + mean |x|. So var is off by twice the mean of |x - mean| times that, and 1 / sqrt(var + eps)
    by half of this over var + eps, relatively.
    """

    def over(t: Tensor) -> Tensor:
        return t.mean(dim=(0, 2, 3), keepdim=True)

    if a["mode"] == "eval":
        mean, var = (tensor(a[key]).reshape(1, -1, 1, 1) for key in ("running_mean", "running_var"))
        off, off_var = x.abs() + mean.abs(), torch.zeros_like(var)
    else:
        mean = over(x)
        var = over((x - mean) ** 2)
        off = x.abs() + over(x.abs())
        off_var = 2 * over((x - mean).abs() * off) + var
    scale = (var + a["eps"]) ** -0.5
    xhat = ((x - mean) * scale).abs()
    off_scale = 1 + off_var * scale**2 / 2
    off_xhat = off * scale + xhat * off_scale
    return {"xhat": xhat, "off_xhat": off_xhat, "scale": scale, "off_scale": off_scale, "off_var": off_var}


def batchnorm2d_forward(a: Arguments) -> Result:
    """torch.nn.functional.batch_norm in float64."""
    x, weight, bias = (tensor(a[key]) for key in ("x", "weight", "bias"))
    running = tuple(tensor(a[key]).clone() for key in ("running_mean", "running_var"))
    y = _norm(a, x, weight, bias, running)
    count = x.numel() // x.shape[1]
    parts = _norm_magnitudes(a, x)
    reach = weight.abs().reshape(1, -1, 1, 1) * parts["off_xhat"] + bias.abs().reshape(1, -1, 1, 1)
    moved = {"running_mean": 0.0, "running_var": 0.0}
    if a["mode"] == "train":
        m = a["momentum"]
        means = x.abs().mean(dim=(0, 2, 3))
        variances = parts["off_var"].reshape(-1) * count / (count - 1)
        moved["running_mean"] = largest((1 - m) * tensor(a["running_mean"]).abs() + m * means)
        moved["running_var"] = largest((1 - m) * tensor(a["running_var"]) + m * variances)
    tolerances = {"y": Tolerance(count + 4, largest(reach), "mean and variance over samples and positions")}
    for name, magnitude in moved.items():
        reason = "batch statistic over samples and positions" if magnitude else "left as they are"
        tolerances[name] = Tolerance(count + 4 if magnitude else 0, magnitude, reason)
    return {"y": array(y), "running_mean": array(running[0]), "running_var": array(running[1])}, tolerances


def batchnorm2d_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.batch_norm in float64."""
    dy, x, weight = (tensor(a[key]) for key in ("dy", "x", "weight"))
    running = tuple(tensor(a[key]) for key in ("running_mean", "running_var"))
    bias = torch.zeros_like(weight)
    dx, dweight, dbias = gradients(lambda *leaves: _norm(a, *leaves, running), [x, weight, bias], dy)
    count = x.numel() // x.shape[1]
    parts = _norm_magnitudes(a, x)
    xhat, off_product = parts["xhat"], dy.abs() * parts["off_xhat"]

    def over(t: Tensor) -> Tensor:
        return t.mean(dim=(0, 2, 3), keepdim=True)

    inner = dy.abs() * parts["off_scale"]
    if a["mode"] != "eval":
        # The three terms of dx with a scale that is off, then the third with either factor off.
        inner = (dy.abs() + over(dy.abs()) + xhat * over(dy.abs() * xhat)) * parts["off_scale"]
        inner = inner + parts["off_xhat"] * over(dy.abs() * xhat) + xhat * over(off_product)
    reach = weight.abs().reshape(1, -1, 1, 1) * parts["scale"] * inner
    tolerances = {
        "dx": Tolerance(2 * count + 6, largest(reach), "two means over samples and positions, after those of forward"),
        "dweight": Tolerance(
            2 * count + 4, largest(off_product.sum(dim=(0, 2, 3))), "dy * xhat over samples and positions"
        ),
        "dbias": Tolerance(count, largest(dy.abs().sum(dim=(0, 2, 3))), "upstream over samples and positions"),
    }
    return {"dx": array(dx), "dweight": array(dweight), "dbias": array(dbias)}, tolerances


ORACLES: dict[str, Oracle] = {"batchnorm2d_forward": batchnorm2d_forward, "batchnorm2d_backward": batchnorm2d_backward}


# --- wrong implementations --------------------------------------------------------------------------------------------

AXES = (0, 2, 3)


def per_channel(array):
    return array.reshape(1, -1, 1, 1)


def forward(x, weight, bias, running_mean, running_var, mode, momentum, eps, *, fault):
    ddof = 1 if fault == "unbiased" and x[:, 0].size > 1 else 0
    mean, var = x.mean(axis=AXES), x.var(axis=AXES, ddof=ddof)
    momentum = {"momentum fixed": 0.1, "momentum or default": momentum or 0.1}.get(fault, momentum)
    if fault == "two moments":
        var = np.maximum((x**2).mean(axis=AXES) - mean**2, 0)
    new_mean, new_var = running_mean, running_var
    if mode == "train" or (mode == "probe" and fault == "probe moves"):
        count = x[:, 0].size
        kept = momentum if fault == "momentum" else 1 - momentum
        correction = 1 if fault == "biased running" else count / max(count - 1, 1)
        new_mean = kept * running_mean + (1 - kept) * mean
        new_var = kept * running_var + (1 - kept) * x.var(axis=AXES) * correction
        if fault == "eps stored":
            new_var = new_var + (1 - kept) * eps
    if mode == "eval" and fault != "eval by batch":
        mean, var = running_mean, running_var
    if fault == "new running" and mode == "train":
        mean, var = new_mean, new_var
    eps = {"eps fixed": 1e-5, "no eps": 0.0}.get(fault, eps)
    scale = np.sqrt(var) + eps if fault == "eps outside" else np.sqrt(var + eps)
    if fault == "clamped":
        scale = np.sqrt(np.maximum(var, eps))
    y = per_channel(weight) * (x - per_channel(mean)) / per_channel(scale) + per_channel(bias)
    return y, new_mean, new_var


def backward(dy, x, weight, running_mean, running_var, mode, eps, *, fault):
    frozen = mode == "eval"
    eps = {"eps fixed": 1e-5, "no eps": 0.0}.get(fault, eps)
    mean, var = (running_mean, running_var) if frozen else (x.mean(axis=AXES), x.var(axis=AXES))
    scale = np.sqrt(np.maximum(var, eps) if fault == "clamped" else var + eps)
    xhat = (x - per_channel(mean)) / per_channel(scale)
    dbias, dweight = dy.sum(axis=AXES), (dy * xhat).sum(axis=AXES)
    centred = dy
    if fault == "eval through statistics" or (not frozen and fault != "constant"):
        count = len(x) if fault == "samples counted" else x[:, 0].size
        centred = dy - per_channel(dbias) / count
        if fault != "variance constant":
            centred = centred - xhat * per_channel(dweight) / count
    dx = per_channel(weight / scale) * centred
    if fault == "raw dweight":
        dweight = (dy * (x - per_channel(mean))).sum(axis=AXES)
    return dx, dweight, dbias


WRONG = (
    Wrong("norm-unbiased", "batchnorm2d_forward", "the batch is normalised with the unbiased variance", forward,
        fault="unbiased", likely="variance is unbiased where the batch is normalised"),
    Wrong("norm-biased-running", "batchnorm2d_forward", "the running variance is biased", forward,
        fault="biased running", likely="variance is biased where the running estimate moves"),
    Wrong("norm-momentum", "batchnorm2d_forward", "momentum weighs the old estimate, not the new batch", forward,
        fault="momentum", likely="momentum the other way round: running = momentum * running + (1 - momentum) * batch"),
    Wrong("norm-eps-outside", "batchnorm2d_forward", "eps is added to the standard deviation", forward,
        fault="eps outside", likely="eps added to the standard deviation instead of the variance"),
    Wrong("norm-probe-moves", "batchnorm2d_forward", "a probe moves the running statistics", forward,
        fault="probe moves", likely="running statistics moved in probe mode, which must not move them"),
    Wrong("norm-eval-by-batch", "batchnorm2d_forward", "evaluation uses the batch's statistics", forward,
        fault="eval by batch", likely="statistics of the batch where the running ones are asked for"),
    Wrong("norm-new-running", "batchnorm2d_forward", "training normalises with running statistics", forward,
        fault="new running", likely="the batch normalised with the running statistics that it has just moved"),
    Wrong("norm-two-moments", "batchnorm2d_forward", "the variance is E[x^2] - E[x]^2, which cancels", forward,
        fault="two moments"),
    Wrong("norm-eps-stored", "batchnorm2d_forward", "eps goes into the running variance", forward, fault="eps stored"),
    Wrong("norm-clamped", "batchnorm2d_forward", "the variance is at least eps, and eps is not added", forward,
        fault="clamped", likely="the variance limited from below by eps instead of eps added"),
    Wrong("norm-eps-fixed", "batchnorm2d_forward", "eps is 1e-5 whatever is asked", forward, fault="eps fixed",
        likely="eps fixed at 1e-5 in the code"),
    Wrong("norm-no-eps", "batchnorm2d_forward", "eps is not added", forward, fault="no eps", likely="eps left out"),
    Wrong("norm-gradient-no-eps", "batchnorm2d_backward", "eps is not added", backward, fault="no eps",
        likely="eps left out"),
    Wrong("norm-momentum-fixed", "batchnorm2d_forward", "momentum is 0.1 whatever is asked", forward,
        fault="momentum fixed", likely="momentum fixed at 0.1 in the code"),
    Wrong("norm-momentum-or", "batchnorm2d_forward", "a momentum of 0 is taken for none given", forward,
        fault="momentum or default", likely="momentum = 0 taken for the default"),
    Wrong("norm-gradient-clamped", "batchnorm2d_backward", "the variance is at least eps, and eps is not added",
        backward, fault="clamped", likely="the variance limited from below by eps instead of eps added"),
    Wrong("norm-gradient-eps", "batchnorm2d_backward", "eps is 1e-5 whatever is asked", backward, fault="eps fixed",
        likely="eps fixed at 1e-5 in the code"),
    Wrong("norm-samples", "batchnorm2d_backward", "means are over samples without positions", backward,
        fault="samples counted"),
    Wrong("norm-constant", "batchnorm2d_backward", "mean and variance are taken for constants", backward,
        fault="constant", likely="mean and variance taken for constants, as in eval mode"),
    Wrong("norm-variance", "batchnorm2d_backward", "the variance is taken for a constant", backward,
        fault="variance constant", likely="the term through the variance is missing"),
    Wrong("norm-eval-gradient", "batchnorm2d_backward", "evaluation has training's gradient", backward,
        fault="eval through statistics"),
    Wrong("norm-raw-dweight", "batchnorm2d_backward", "dweight sums dy (x - mean), not normalised", backward,
        fault="raw dweight", likely="dweight without the division by the standard deviation"),
)  # fmt: skip
