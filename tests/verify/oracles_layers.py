"""Expected values of the layers: PyTorch's operators and their derivatives by autograd, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.spec import Arguments, Oracle, Tolerance

Result = tuple[dict[str, Any], dict[str, Tolerance]]


def tensor(value: Any) -> Any:
    """A float64, int64 or bool tensor of an array; everything else as it is."""
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def array(value: Tensor) -> np.ndarray:
    return value.detach().numpy()


def gradients(operation: Callable[..., Tensor], inputs: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """Derivatives of sum(operation(*inputs) * upstream)."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    return list(torch.autograd.grad(operation(*leaves), leaves, upstream))


def largest(value: Tensor) -> float:
    return float(value.abs().max()) if value.numel() else 0.0


# --- maps that are linear in the input and in the weight: the magnitudes are those of the map on absolute values ------


def _forward(operation: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None) -> Result:
    y = operation(x, weight, bias)
    absolute = operation(x.abs(), weight.abs(), None if bias is None else bias.abs())
    terms = weight[0].numel() + (bias is not None)
    return {"y": array(y)}, {"y": Tolerance(terms, largest(absolute), "products of inputs and weights, and the bias")}


def _backward(
    operation: Callable[..., Tensor], dy: Tensor, x: Tensor, weight: Tensor, grad_mask: Tensor | None
) -> Result:
    bias = torch.zeros(len(weight), dtype=dy.dtype)
    names = ("dx", "dweight", "dbias")
    values = dict(zip(names, gradients(operation, [x, weight, bias], dy), strict=True))
    absolute = dict(zip(names, gradients(operation, [x.abs(), weight.abs(), bias], dy.abs()), strict=True))
    zeros = None
    if grad_mask is not None:
        zeros = array(~grad_mask)
        values["dweight"][~grad_mask] = 0.0
        absolute["dweight"][~grad_mask] = 0.0
    positions = dy.numel() // dy.shape[1]
    tolerances = {
        "dx": Tolerance(weight[:, 0].numel(), largest(absolute["dx"]), "products of upstream and weights"),
        "dweight": Tolerance(
            positions, largest(absolute["dweight"]), "products of upstream and inputs over samples and positions", zeros
        ),
        "dbias": Tolerance(positions, largest(absolute["dbias"]), "upstream over samples and positions"),
    }
    return {name: array(value) for name, value in values.items()}, tolerances


def _convolution(arguments: Arguments) -> Callable[..., Tensor]:
    window = {key: arguments[key] for key in ("stride", "padding", "dilation", "groups")}
    return lambda x, weight, bias: functional.conv2d(x, weight, bias, **window)


def conv2d_forward(a: Arguments) -> Result:
    """torch.nn.functional.conv2d in float64."""
    return _forward(_convolution(a), *(tensor(a[key]) for key in ("x", "weight", "bias")))


def conv2d_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.conv2d in float64; dweight cleared outside grad_mask."""
    return _backward(_convolution(a), *(tensor(a[key]) for key in ("dy", "x", "weight", "grad_mask")))


def linear_forward(a: Arguments) -> Result:
    """torch.nn.functional.linear in float64."""
    return _forward(functional.linear, *(tensor(a[key]) for key in ("x", "weight", "bias")))


def linear_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.linear in float64; dweight cleared outside grad_mask."""
    return _backward(functional.linear, *(tensor(a[key]) for key in ("dy", "x", "weight", "grad_mask")))


# --- batch-norm -------------------------------------------------------------------------------------------------------


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


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle
    for oracle in (
        conv2d_forward,
        conv2d_backward,
        linear_forward,
        linear_backward,
        batchnorm2d_forward,
        batchnorm2d_backward,
    )
}
