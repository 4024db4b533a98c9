"""Oracles of mask schedule, data removal, gradient masks and buffer: the PyTorch twin, and integer arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch

from tests import exact
from tests.torch_twin import buffer, ddr, dgm, importance, tdm
from tests.torch_twin.config import Config
from tests.torch_twin.removal import Removal
from tests.verify.oracles_masks import Outcome, cleared, tensor
from tests.verify.spec import Arguments, Oracle, Tolerance

#: s, its shift and their sum: three numbers in 0..1 that no binary fraction meets exactly.
DECIMALS = Tolerance(2, 2.0, "decimals added, each within 0..1")
NOT_STORED = -1


def listed(actions: list[tdm.Action]) -> Outcome:
    """Actions of the twin as two arrays."""
    kinds = np.array([("shrink", "expand").index(action.kind) for action in actions], dtype=np.int64)
    targets = np.array([float(action.target) for action in actions], dtype=np.float64)
    return {"kinds": kinds, "targets": targets}, {"targets": DECIMALS}


def tdm_actions(a: Arguments) -> Outcome:
    """The PyTorch twin, in exact fractions."""
    return listed(tdm.actions(**a))


def tdm_active_counts(a: Arguments) -> Outcome:
    """Integer arithmetic on the decimals as written, from the epochs at which the sparsity changes."""
    expanded = a["delta_k"] - 1 if a["task"] > 1 else 0
    start = exact.living(a["n"], a["sparsity"], shift=-Decimal(a["p_inter"]))
    rest = exact.living(a["n"], a["sparsity"])
    return {"active": np.array([start if k < expanded else rest for k in range(a["epochs"])], dtype=np.int64)}, {}


def ddr_sizes(a: Arguments) -> Outcome:
    """Integer arithmetic on the decimal as written."""
    stages = range(a["cutoff"] + 1)
    left = [a["samples"] - exact.gone(a["samples"], a["rho"], stage, a["cutoff"]) for stage in stages]
    return {"sizes": np.array(left, dtype=np.int64)}, {}


def presented(a: Arguments) -> Removal:
    """The twin's statistics of one stage, fed one presentation at a time."""
    statistics = Removal(Config())
    statistics.begin(a["samples"])
    for position, right in zip(a["positions"], a["correct"], strict=True):
        statistics.count(np.array([position]), np.array([right]))
    return statistics


def misclassification_counts(a: Arguments) -> Outcome:
    """The PyTorch twin, fed one presentation at a time."""
    return {"counts": presented(a).misclassified}, {}


def completed_stage(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    stage = ddr.finished_stage(a["epoch"], delta_k=a["delta_k"], epochs=a["epochs"])
    return {"stage": stage if stage is not None and stage <= a["cutoff"] else -1}, {}


def ddr_keep(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    counts = a["counts"]
    kept, _ = ddr.remove(np.arange(len(counts)), counts, len(counts) - a["keep"])
    return {"positions": kept}, {}


def gradient_sparsity(a: Arguments) -> Outcome:
    """The PyTorch twin's settings, in exact fractions."""
    found = Config(sparsity=Fraction(a["sparsity"]), dgm_q=None if a["q"] is None else Fraction(a["q"]))
    return {"gradient_sparsity": float(found.gradient_sparsity)}, {"gradient_sparsity": DECIMALS}


def kept(values: torch.Tensor, mask: torch.Tensor, sparsity: str) -> torch.Tensor:
    count = exact.living(mask.numel(), sparsity)
    return dgm.gradient_mask(values, mask, count)[0]


def gradient_mask(a: Arguments) -> Outcome:
    """The PyTorch twin, with a count by integer arithmetic."""
    return {"mask": kept(tensor(a["importance"]), tensor(a["mask"]), a["sparsity"]).numpy()}, {}


def is_refresh(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    return {"refresh": dgm.refresh_due(a["iteration"], a["interval"])}, {}


def dgm_step(a: Arguments) -> Outcome:
    """The PyTorch twin's equation (3) and selection; the sum of the gradients entry by entry."""
    grad_mask = a["grad_mask"]
    if dgm.refresh_due(a["iteration"], a["interval"]):
        parts = tensor(a["grad_current"]), tensor(a["grad_replay"])
        values = importance.cgi(*parts, alpha=a["alpha"], beta=a["beta"])
        grad_mask = kept(values, tensor(a["mask"]), a["sparsity"]).numpy()
    total = cleared(a["grad_current"] + a["grad_replay"], grad_mask)
    sizes = cleared(np.abs(a["grad_current"]) + np.abs(a["grad_replay"]), grad_mask)
    tolerance = Tolerance(2, float(sizes.max()), "current and replay part", zeros=~grad_mask)
    return {"grad_mask": grad_mask, "grad": total}, {"grad": tolerance}


def reservoir_slot(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    slot = buffer.reservoir_slot(a["presented"], a["capacity"], a["draw"])
    return {"slot": NOT_STORED if slot is None else slot}, {}


def reservoir_add(a: Arguments) -> Outcome:
    """The PyTorch twin, sample by sample."""
    found = [buffer.reservoir_slot(a["presented"] + k, a["capacity"], int(j)) for k, j in enumerate(a["draws"])]
    slots = np.array([NOT_STORED if slot is None else slot for slot in found], dtype=np.int64)
    return {"slots": slots, "presented": a["presented"] + len(slots)}, {}


def reservoir_fill(a: Arguments) -> Outcome:
    """The PyTorch twin's buffer, given each sample's number for its label."""
    holds = buffer.Buffer(a["capacity"])
    for size in a["batch_sizes"]:
        start = holds.seen
        numbers = np.arange(start, start + size)
        blank = np.zeros((size, 1))
        drawn = [math.floor(Fraction(a["uniforms"][rank]) * (int(rank) + 1)) for rank in numbers]
        holds.add(blank, numbers, blank, 1, np.array(drawn, dtype=np.int64))
    holding = np.full(a["capacity"], NOT_STORED, dtype=np.int64)
    if len(holds):
        holding[: len(holds)] = holds.content()["labels"]
    return {"holding": holding}, {}


def replay_size(a: Arguments) -> Outcome:
    """The smallest of three numbers."""
    return {"count": sorted((a["batch_size"], a["presented"], a["capacity"]))[0]}, {}


ORACLES: dict[str, Oracle] = {
    "tdm_actions": tdm_actions,
    "tdm_active_counts": tdm_active_counts,
    "ddr_sizes": ddr_sizes,
    "misclassification_counts": misclassification_counts,
    "completed_stage": completed_stage,
    "ddr_keep": ddr_keep,
    "gradient_sparsity": gradient_sparsity,
    "gradient_mask": gradient_mask,
    "is_refresh": is_refresh,
    "dgm_step": dgm_step,
    "reservoir_slot": reservoir_slot,
    "reservoir_add": reservoir_add,
    "reservoir_fill": reservoir_fill,
    "replay_size": replay_size,
}
