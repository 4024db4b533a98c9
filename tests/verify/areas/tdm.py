"""The schedule of masks: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import numpy as np

from tests import exact
from tests.torch_twin import tdm
from tests.verify.areas.masks.budgets import count
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _tdm_actions()
    yield from _tdm_active_counts()
    yield from _other_settings()


SCHEDULE = {"sparsity": "0.9", "delta_k": 5, "p_inter": "0.01", "p_intra": "0.005"}


def _tdm_actions() -> Iterator[CaseSpec]:
    for name, kind, task, epoch, changes, note in (
        ("start-of-second-task", "regular", 2, 1, {}, "room for the new task"),
        ("start-of-first-task", "adversarial", 1, 1, {}, "nothing to make room for: the first task does not expand"),
        ("quiet-epoch", "regular", 2, 7, {}, "no multiple of delta_k"),
        ("first-adjustment", "adversarial", 2, 5, {}, "two rules meet: one action, not a shrink to s before it"),
        ("later-adjustment", "regular", 3, 20, {}, "within a task"),
        ("first-task-adjusts", "regular", 1, 10, {}, "exchanges happen in the first task too"),
        ("last-epoch", "edge", 1, 50, {}, "the last epoch adjusts like any other"),
        ("target-above-one", "edge", 2, 5, {"sparsity": "0.999", "p_intra": "0.01"}, "targets are limited to 1"),
        ("target-below-zero", "edge", 2, 1, {"sparsity": "0.005"}, "targets are limited to 0"),
        ("no-intra", "edge", 1, 5, {"p_intra": "0"}, "shrink and expand to the same sparsity"),
        ("other-steps", "adversarial", 2, 1, {"p_inter": "0.05", "p_intra": "0.02"}, "p_inter and p_intra mixed up"),
        ("other-steps-within", "adversarial", 2, 6, {"delta_k": 3, "p_inter": "0.05", "p_intra": "0.02"}, "the same"),
        ("epoch-before", "adversarial", 2, 4, {}, "epochs counted from 0 would adjust here"),
        ("epoch-after", "adversarial", 2, 6, {}, "epochs counted from 0 would adjust here"),
        ("start-of-third-task", "adversarial", 3, 1, {}, "every later task expands, and by as much as the second"),
        ("start-of-late-task", "adversarial", 9, 1, {"sparsity": "0.95", "p_inter": "0.02"}, "the same, long after"),
        ("start-of-first-task-again", "adversarial", 1, 1, {"sparsity": "0.75", "delta_k": 2, "p_inter": "0.1"},
         "whatever the settings, the first task does not expand"),
        ("first-adjustment-of-third-task", "regular", 3, 5, {}, "the expansion of any task is taken back so"),
    ):  # fmt: skip
        yield CaseSpec("tdm_actions", name, kind, note, {"task": task, "epoch": epoch} | SCHEDULE | changes, "paper")


def _tdm_active_counts() -> Iterator[CaseSpec]:
    for name, kind, n, task, epochs, changes, note in (
        ("first-task", "regular", 1000, 1, 12, {}, "the budget of s throughout"),
        ("second-task", "regular", 1000, 2, 12, {}, "more weights live until epoch delta_k"),
        ("decimal", "adversarial", 50, 2, 6, {"delta_k": 3}, "5.5 weights round up: 1 - (0.9 - 0.01) is not 0.11"),
        ("dense", "edge", 30, 2, 6, {"sparsity": "0", "delta_k": 2}, "all live; more than all cannot"),
        ("nearly-empty", "edge", 100, 2, 6, {"sparsity": "0.999", "delta_k": 2}, "no weight lives but at the start"),
        ("delta-k-is-epochs", "edge", 200, 3, 5, {}, "the expansion is taken back before the last epoch"),
        ("shrink-at-two", "edge", 200, 2, 4, {"delta_k": 2}, "one epoch only is expanded"),
        ("late-task", "adversarial", 1000, 7, 12, {}, "as many more live as in the second task, not six times as many"),
        ("first-task-again", "adversarial", 400, 1, 6, {"sparsity": "0.8", "p_inter": "0.1"}, "nothing is expanded"),
        (
            "decimal-again",
            "adversarial",
            50,
            3,
            6,
            {"sparsity": "0.8", "delta_k": 3, "p_inter": "0.21"},
            "20.5 weights round up: 1 - (0.8 - 0.21) is not 0.41",
        ),
    ):
        arguments = {"n": n, "task": task, "epochs": epochs} | SCHEDULE | changes
        yield CaseSpec("tdm_active_counts", name, kind, note, arguments, "paper")


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    yield CaseSpec(
        "tdm_active_counts", "other-steps", "adversarial", "p_inter and p_intra mixed up, or fixed in the code",
        {"n": 80, "task": 2, "epochs": 6, "sparsity": "0.8", "delta_k": 3, "p_inter": "0.1", "p_intra": "0.05"},
        "paper",
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------

#: s, its shift and their sum: three numbers in 0..1 that no binary fraction meets exactly.
DECIMALS = Tolerance(2, 2.0, "decimals added, each within 0..1")


def listed(actions: list[tdm.Action]) -> Result:
    """Actions of the twin as two arrays."""
    kinds = np.array([("shrink", "expand").index(action.kind) for action in actions], dtype=np.int64)
    targets = np.array([float(action.target) for action in actions], dtype=np.float64)
    return {"kinds": kinds, "targets": targets}, {"targets": DECIMALS}


def tdm_actions(a: Arguments) -> Result:
    """The PyTorch twin, in exact fractions."""
    return listed(tdm.actions(**a))


def tdm_active_counts(a: Arguments) -> Result:
    """Integer arithmetic on the decimals as written, from the epochs at which the sparsity changes."""
    expanded = a["delta_k"] - 1 if a["task"] > 1 else 0
    start = exact.living(a["n"], a["sparsity"], shift=-Decimal(a["p_inter"]))
    rest = exact.living(a["n"], a["sparsity"])
    return {"active": np.array([start if k < expanded else rest for k in range(a["epochs"])], dtype=np.int64)}, {}


ORACLES: dict[str, Oracle] = {"tdm_actions": tdm_actions, "tdm_active_counts": tdm_active_counts}


# --- wrong implementations --------------------------------------------------------------------------------------------

SHRINK, EXPAND = 0, 1


def limited(sparsity):
    return float(min(max(sparsity, 0), 1))


def actions(task, epoch, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, inter, intra = Fraction(sparsity), Fraction(p_inter), Fraction(p_intra)
    if fault == "mixed up":
        inter, intra = intra, inter
    if fault == "from zero":
        epoch -= 1
    found = []
    expands = task == 2 if fault == "second task" else task > 1 or fault == "first task"
    if epoch == (0 if fault == "from zero" else 1) and expands:
        found.append((EXPAND, s - inter * (task - 1 if fault == "more each task" else 1)))
    if epoch and epoch % delta_k == 0 and not (fault == "first delta" and task > 1 and epoch == delta_k):
        if fault == "shrink first" and task > 1 and epoch == delta_k:
            found.append((SHRINK, s))
        found += [(SHRINK, s + intra), (EXPAND, s)]
        if fault == "no regrowth":
            found.pop()
    elif fault == "first delta" and epoch == delta_k:
        found.append((SHRINK, s))
    if fault == "expand first":
        found = found[::-1]
    targets = [float(target) if fault == "unlimited" else limited(target) for _, target in found]
    return [kind for kind, _ in found], targets


def active_counts(n, task, epochs, sparsity, delta_k, p_inter, p_intra, *, fault):
    times = task - 1 if fault == "more each task" else 1
    s, start = Fraction(sparsity), Fraction(sparsity) - times * Fraction(p_inter)
    if fault == "floats":
        s, start = float(sparsity), float(sparsity) - float(p_inter)
        one = [math.floor((1 - max(number, 0.0)) * n + 0.5) for number in (start, s)]
    else:
        one = [count(n, start), count(n, s)]
    last = delta_k if fault == "one epoch more" else delta_k - 1
    if fault == "never back":
        last = epochs
    expanded = task == 2 if fault == "second task" else task > 1 or fault == "first task"
    return [one[0] if expanded and epoch <= last else one[1] for epoch in range(1, epochs + 1)]


WRONG = (
    Wrong("tdm-from-zero", "tdm_actions", "epochs are counted from 0", actions, fault="from zero",
        likely="epochs counted from 0"),
    Wrong("tdm-first-task", "tdm_actions", "the first task expands too", actions, fault="first task",
        likely="an expansion before the first task, too"),
    Wrong("tdm-mixed-up", "tdm_actions", "p_inter and p_intra are mixed up", actions, fault="mixed up",
        likely="p_inter and p_intra exchanged"),
    Wrong("tdm-shrink-first", "tdm_actions", "epoch delta_k shrinks to s before its action", actions,
        fault="shrink first"),
    Wrong("tdm-first-delta", "tdm_actions", "epoch delta_k only shrinks back to s", actions, fault="first delta"),
    Wrong("tdm-no-regrowth", "tdm_actions", "nothing joins after a shrink", actions, fault="no regrowth",
        likely="nothing joins after a shrink"),
    Wrong("tdm-expand-first", "tdm_actions", "weights join before others leave", actions, fault="expand first",
        likely="weights join before others leave"),
    Wrong("tdm-unlimited", "tdm_actions", "targets are not limited to 0..1", actions, fault="unlimited",
        likely="targets that are not limited to 0..1"),
    Wrong("tdm-second-task", "tdm_actions", "the second task alone expands", actions, fault="second task",
        likely="an expansion before the second task alone"),
    Wrong("tdm-more-each-task", "tdm_actions", "each task expands by p_inter more than the last", actions,
        fault="more each task", likely="an expansion that grows with the task"),
    Wrong("counts-second-task", "tdm_active_counts", "the second task alone is expanded", active_counts,
        fault="second task", likely="an expansion before the second task alone"),
    Wrong("counts-more-each-task", "tdm_active_counts", "each task is expanded further than the last", active_counts,
        fault="more each task", likely="an expansion that grows with the task"),
    Wrong("counts-floats", "tdm_active_counts", "targets are sums of floats", active_counts, fault="floats"),
    Wrong("counts-one-more", "tdm_active_counts", "expanded through epoch delta_k", active_counts,
        fault="one epoch more"),
    Wrong("counts-never-back", "tdm_active_counts", "the expansion stays", active_counts, fault="never back",
        likely="the expansion between tasks never taken back"),
    Wrong("counts-first-task", "tdm_active_counts", "the first task is expanded", active_counts, fault="first task",
        likely="an expansion before the first task, too"),
)  # fmt: skip
