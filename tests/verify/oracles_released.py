"""Oracles of the published code's rules: the PyTorch twin, and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tests.torch_twin import masks, released
from tests.verify.oracles_masks import Outcome, tensor
from tests.verify.oracles_rules import DECIMALS, listed, presented
from tests.verify.spec import Arguments, Oracle, Tolerance

PATTERNS = ("4578", "3467", "1245", "0134", "5678", "3457", "1457", "1347")


def magnitude_initial_mask(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    return {"mask": released.initial_mask(tensor(a["weight"]), Fraction(a["sparsity"])).numpy()}, {}


def released_tdm_actions(a: Arguments) -> Outcome:
    """The PyTorch twin, in exact fractions."""
    names = ("epochs", "delta_k", "sparsity", "p_inter", "p_intra")
    return listed(released.mask_actions(a["epoch"] - 1, **{name: a[name] for name in names}))


def released_sparsities(a: Arguments) -> Outcome:
    """The PyTorch twin's actions, one epoch after the other: each epoch has the target of the last."""
    found = []
    for epoch in range(1, a["epochs"] + 1):
        outputs, _ = released_tdm_actions(a | {"epoch": epoch})
        found.append(outputs["targets"][-1] if len(outputs["targets"]) else found[-1])
    return {"sparsities": np.array(found)}, {"sparsities": DECIMALS}


def shrink_above_percentile(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    above = released.above_threshold(tensor(a["importance"]), float(a["sparsity"]))
    return {"mask": (above & released.alive(tensor(a["weight"]))).numpy()}, {}


def last_gradient_importance(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    values = released.importance(tensor(a["weight"]), tensor(a["last_grad"]), 0.5)
    return {"importance": values.numpy()}, {"importance": Tolerance(2, float(values.max()), "two terms, not negative")}


def grow_count_by_value(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    return {"count": released.growth_count(tensor(a["weight"]), float(a["sparsity"]))}, {}


def grow_by_value(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    alive = released.alive(tensor(a["weight"])).reshape(-1)
    count = int(alive.sum()) + grow_count_by_value(a)[0]["count"]
    return {"mask": masks.grow(alive, tensor(a["joining"]), count).reshape(a["weight"].shape).numpy()}, {}


def percentile_gradient_mask(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    return {"mask": released.gradient_mask(tensor(a["grad"]), float(a["sparsity"])).numpy()}, {}


def flip_counts(a: Arguments) -> Outcome:
    """The PyTorch twin, fed one presentation at a time."""
    statistics = presented(a)
    return {"flips": statistics.flips, "ever_correct": statistics.ever_correct}, {}


def flip_score(a: Arguments) -> Outcome:
    """The PyTorch twin."""
    return {"score": released.ddr_scores(a["flips"], a["ever_correct"], a["epochs"])}, {}


def frozen_zeros(a: Arguments) -> Outcome:
    """The PyTorch twin; where it freezes nothing all entries train."""
    entries = released.frozen_entries(tensor(a["value"]))
    return {"mask": np.ones(a["value"].shape, dtype=bool) if entries is None else entries.numpy()}, {}


def best_patterns(a: Arguments) -> Outcome:
    """Sums of squares in exact fractions, kernel by kernel."""
    found = []
    for kernel in a["weight"].reshape(-1, 9).tolist():
        energies = [sum(Fraction(kernel[int(k)]) ** 2 for k in pattern) for pattern in PATTERNS]
        if sorted(energies)[-1] == sorted(energies)[-2]:
            raise ValueError(f"choose kernels with one best pattern, not {kernel}")
        best = PATTERNS[energies.index(max(energies))]
        found.append([str(k) in best and kernel[k] != 0 for k in range(9)])
    return {"mask": np.array(found, dtype=bool).reshape(a["weight"].shape)}, {}


ORACLES: dict[str, Oracle] = {
    "magnitude_initial_mask": magnitude_initial_mask,
    "released_tdm_actions": released_tdm_actions,
    "released_sparsities": released_sparsities,
    "shrink_above_percentile": shrink_above_percentile,
    "last_gradient_importance": last_gradient_importance,
    "grow_count_by_value": grow_count_by_value,
    "grow_by_value": grow_by_value,
    "percentile_gradient_mask": percentile_gradient_mask,
    "flip_counts": flip_counts,
    "flip_score": flip_score,
    "frozen_zeros": frozen_zeros,
    "best_patterns": best_patterns,
}
