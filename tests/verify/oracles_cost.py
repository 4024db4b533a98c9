"""Oracles of FLOPs and memory: counting in exact fractions, and PyTorch for output shapes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch

from tests import exact
from tests.verify.spec import Arguments, Oracle, Tolerance

Outcome = tuple[dict[str, Any], dict[str, Tolerance]]

OPERATIONS = 2  # a product and a sum
BYTES = 4
#: What a step computes beside the batch: nothing, one draw, two draws.
BATCHES = {"sgd": 1, "er": 2, "der": 2, "derpp": 3}


def conv2d_flops(a: Arguments) -> Outcome:
    """PyTorch runs the convolution without data for its output shape; the rest is integer arithmetic."""
    layer = torch.nn.Conv2d(
        a["in_channels"],
        a["out_channels"],
        a["kernel"],
        stride=a["stride"],
        padding=a["padding"],
        groups=a["groups"],
        device="meta",
    )
    image = torch.empty(1, a["in_channels"], *a["size"], device="meta")
    return passes(a, layer.weight.numel(), positions=layer(image)[0, 0].numel())


def linear_flops(a: Arguments) -> Outcome:
    """Integer arithmetic."""
    return passes(a, a["in_features"] * a["out_features"], positions=1)


def passes(a: Arguments, weights: int, *, positions: int) -> Outcome:
    visits = OPERATIONS * positions * a["batch"]
    living = weights if a["active"] is None else a["active"]
    trained = living if a["grad_active"] is None else a["grad_active"]
    return {"forward": visits * living, "dx": visits * living if a["need_dx"] else 0, "dw": visits * trained}, {}


def trained_samples(a: Arguments) -> Outcome:
    """Epoch after epoch, in integers on the decimal as written."""
    total, left = 0, a["samples"]
    for epoch in range(1, a["epochs"] + 1):
        total += left
        stage, rest = divmod(epoch, a["delta_k"])
        if rest == 0 and stage <= a["cutoff"]:
            left = a["samples"] - exact.gone(a["samples"], a["rho"], stage, a["cutoff"])
    return {"trained_samples": total}, {}


def density(sparsity: str | None, a: Arguments) -> Fraction:
    dead = Fraction(sparsity or 0) * a["prunable_macs"]
    return (a["forward_macs"] - dead) / a["forward_macs"]


def paper_density(a: Arguments) -> Outcome:
    """Exact fractions."""
    tolerance = Tolerance(3, 2.0, "a share of dense and one of prunable layers, each at most 1")
    return {"density": float(density(a["sparsity"], a))}, {"density": tolerance}


def paper_train_flops(a: Arguments) -> Outcome:
    """Exact fractions."""
    weights = density(a["sparsity"], a)
    dx = dw = weights
    if a["gradient_sparsity"] is not None:
        gradients = density(a["gradient_sparsity"], a)
        dx, dw = {
            "half_of_dw": (weights, weights / 2),
            "dw_at_gradient_density": (weights, gradients),
            "both_at_gradient_density": (gradients, gradients),
        }[a["reading"]]
    dense = OPERATIONS * a["forward_macs"] * a["trained_samples"]
    cost = dense * (BATCHES[a["method"]] * weights + dx + dw)
    # 1 - s dead is a difference of two numbers near 1, so what is off is off in units of the dense cost.
    magnitude = float(dense * (BATCHES[a["method"]] + 2))
    tolerance = Tolerance(6, magnitude, "forward passes and two backward products, in units of the dense cost")
    return {"train_flops": float(cost)}, {"train_flops": tolerance}


def paper_memory_bytes(a: Arguments) -> Outcome:
    """Exact fractions."""
    activations = 2 * a["conv_outputs"] * a["batch_size"]
    kept = [(1 - Fraction(a[name])) * a["parameters"] for name in ("sparsity", "gradient_sparsity")]
    found = BYTES * (activations + sum(kept))
    if found.denominator != 1:
        raise ValueError(f"choose inputs that give whole bytes, not {found}")
    magnitude = BYTES * (activations + 2 * a["parameters"])
    tolerance = Tolerance(4, float(magnitude), "activations, weights and gradients")
    return {"memory_bytes": float(found)}, {"memory_bytes": tolerance}


def sparse_weight_bytes(a: Arguments) -> Outcome:
    """Integer arithmetic."""
    return {"memory_bytes": a["living"] * (a["value_bytes"] + a["index_bytes"]) + a["dense"] * a["value_bytes"]}, {}


ORACLES: dict[str, Oracle] = {
    "conv2d_flops": conv2d_flops,
    "linear_flops": linear_flops,
    "trained_samples": trained_samples,
    "paper_density": paper_density,
    "paper_train_flops": paper_train_flops,
    "paper_memory_bytes": paper_memory_bytes,
    "sparse_weight_bytes": sparse_weight_bytes,
}
