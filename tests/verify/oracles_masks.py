"""Oracles of masks and importance: the PyTorch twin, and integer arithmetic for counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from tests import exact
from tests.torch_twin import importance, losses, masks
from tests.verify.spec import Arguments, Oracle, Tolerance

Outcome = tuple[dict[str, Any], dict[str, Tolerance]]


def tensor(array: np.ndarray) -> torch.Tensor:
    """A copy: frozen arrays are read-only."""
    return torch.from_numpy(np.array(array))


def budget(a: Arguments) -> Outcome:
    """Integer arithmetic on the decimal as written."""
    return {"active": exact.living(a["n"], a["sparsity"])}, {}


def named(shapes: list[list[int]]) -> dict[str, tuple[int, ...]]:
    return {f"layer{k}": tuple(shape) for k, shape in enumerate(shapes)}


def budgets(a: Arguments) -> Outcome:
    """The PyTorch twin, in exact fractions."""
    counts = masks.budgets(named(a["shapes"]), a["sparsity"], a["kind"])
    return {"active": np.array(list(counts.values()), dtype=np.int64)}, {}


def erk_densities(a: Arguments) -> Outcome:
    """The PyTorch twin, in exact fractions."""
    shapes = named(a["shapes"])
    densities = masks.erk_densities(shapes, a["sparsity"])
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    wanted = exact.living(sum(sizes.values()), a["sparsity"])
    # eps is a difference of weight counts over a sum of dimensions: what cancels there is at most all weights.
    free = sum(sum(shapes[name]) for name, density in densities.items() if density < 1) or sum(sizes.values())
    steepest = max(sum(shape) / sizes[name] for name, shape in shapes.items())
    magnitude = max(1.0, steepest * (wanted + sum(sizes.values())) / free)
    tolerance = Tolerance(len(shapes) + 4, magnitude, "weights less those of dense layers, over a sum of dimensions")
    return {"densities": np.array([float(density) for density in densities.values()])}, {"densities": tolerance}


def random_mask(a: Arguments) -> Outcome:
    """The PyTorch twin: growth from an empty mask."""
    empty = torch.zeros(math.prod(a["shape"]), dtype=torch.bool)
    return {"mask": masks.grow(empty, tensor(a["chosen"]), a["active"]).reshape(a["shape"]).numpy()}, {}


def shrink(a: Arguments) -> Outcome:
    """The PyTorch twin: a stable descending sort of the living."""
    kept, _ = masks.shrink(tensor(a["importance"]).reshape(-1), tensor(a["mask"]).reshape(-1), a["active"])
    return {"mask": kept.reshape(a["mask"].shape).numpy()}, {}


def grow(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    grown = masks.grow(tensor(a["mask"]).reshape(-1), tensor(a["joining"]), a["active"])
    return {"mask": grown.reshape(a["mask"].shape).numpy()}, {}


def cleared(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Entry by entry: the number where the mask is set, +0.0 elsewhere."""
    pairs = zip(array.reshape(-1).tolist(), mask.reshape(-1).tolist(), strict=True)
    return np.array([number if alive else 0.0 for number, alive in pairs]).reshape(array.shape)


def apply_mask(a: Arguments) -> Outcome:
    """Entry by entry: the number where the mask is set, +0.0 elsewhere."""
    return {name: cleared(a[name], a["mask"]) for name in ("value", "grad", "velocity")}, {}


def exchange(a: Arguments) -> Outcome:
    """The PyTorch twin for the masks; values live on where an entry lived throughout."""
    mask = tensor(a["mask"]).reshape(-1)
    kept, _ = masks.shrink(tensor(a["importance"]).reshape(-1), mask, a["keep"])
    grown = masks.grow(kept, tensor(a["joining"]), a["active"]).reshape(a["mask"].shape).numpy()
    stayed = kept.reshape(a["mask"].shape).numpy()
    return {"value": cleared(a["value"], stayed), "velocity": cleared(a["velocity"], stayed), "mask": grown}, {}


def _terms(values: torch.Tensor, terms: int) -> Outcome:
    tolerance = Tolerance(terms, float(values.max()), f"{terms} terms, none of them negative")
    return {"importance": values.numpy()}, {"importance": tolerance}


def cgi(a: Arguments) -> Outcome:
    """The PyTorch twin, equation (3) in float64."""
    parts = tensor(a["grad_current"]), tensor(a["grad_buffer"])
    return _terms(importance.cgi(*parts, alpha=a["alpha"], beta=a["beta"]), 2)


def cwi(a: Arguments) -> Outcome:
    """The PyTorch twin, equation (1) in float64."""
    parts = tensor(a["weight"]), tensor(a["grad_current"]), tensor(a["grad_buffer"])
    return _terms(importance.cwi(*parts, alpha=a["alpha"], beta=a["beta"]), 3)


def probe_gradient(a: Arguments) -> Outcome:
    """The PyTorch twin: autograd in float64, chunk by chunk."""
    channels, features = a["x"].shape[1], a["weight"].shape[1]
    norm, linear = nn.BatchNorm2d(channels, eps=a["eps"]), nn.Linear(features, len(a["bias"]))
    model = nn.Sequential(norm, nn.Flatten(), linear).double()
    values = {"0.weight": "gamma", "0.bias": "beta", "2.weight": "weight", "2.bias": "bias"}
    model.load_state_dict({name: tensor(a[given]) for name, given in values.items()}, strict=False)
    found = importance.probe_gradients(
        model,
        ["2.weight"],
        tensor(a["x"]),
        tensor(a["labels"]),
        chunk=a["batch_size"],
        loss=lambda logits, labels: losses.cross_entropy(logits, labels, a["classes"]),
    )
    return {"dweight": found["2.weight"].numpy()}, {"dweight": _probe_tolerance(a)}


def _probe_tolerance(a: Arguments) -> Tolerance:
    """Sums of softmax minus one-hot times normalised inputs, both of which are rounded sums themselves.

    A normalised input errs by gamma (|x| + |mean|) / spread + |beta|, a logit by the sum of |weight| times that, and
    softmax by p_k ((1 - p_k) error_k + the sum of p_j error_j over the other classes), all in units of rounding.
    """
    samples, size = len(a["x"]), a["batch_size"]
    columns = list(range(len(a["bias"]))) if a["classes"] is None else a["classes"]
    weight, bias = a["weight"][columns], a["bias"][columns]
    total = np.zeros(weight.shape)
    for start in range(0, samples, size):
        x = a["x"][start : start + size]
        mean, spread = x.mean(axis=(0, 2, 3)), np.sqrt(x.var(axis=(0, 2, 3)) + a["eps"])
        per_channel = [v.reshape(1, -1, 1, 1) for v in (a["gamma"] / spread, mean, a["beta"])]
        scale, mean, shift = per_channel
        y = (scale * (x - mean) + shift).reshape(len(x), -1)
        y_error = (scale * (np.abs(x) + np.abs(mean)) + np.abs(shift)).reshape(len(x), -1)
        logits, error = y @ weight.T + bias, y_error @ np.abs(weight).T + np.abs(bias)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        others = (p * error).sum(axis=1, keepdims=True) - p * error
        p_error = p * ((1 - p) * error + others)
        labels = a["labels"][start : start + size]
        dlogits = np.abs(p - (np.array(columns) == labels[:, None]))
        total += (dlogits.T @ y_error + (p + p_error).T @ np.abs(y)) / samples
    terms = a["weight"].shape[1] + samples + a["x"][:size, 0].size
    return Tolerance(
        terms, float(total.max()), "softmax minus one-hot times normalised inputs, with the errors of both"
    )


ORACLES: dict[str, Oracle] = {
    "budget": budget,
    "budgets": budgets,
    "erk_densities": erk_densities,
    "random_mask": random_mask,
    "shrink": shrink,
    "grow": grow,
    "apply_mask": apply_mask,
    "exchange": exchange,
    "cgi": cgi,
    "cwi": cwi,
    "probe_gradient": probe_gradient,
}
