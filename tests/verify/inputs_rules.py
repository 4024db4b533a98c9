"""Inputs for mask schedule, data removal and gradient masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.spec import CaseSpec

SCHEDULE = {"sparsity": "0.9", "delta_k": 5, "p_inter": "0.01", "p_intra": "0.005"}


def cases() -> Iterator[CaseSpec]:
    yield from _tdm_actions()
    yield from _tdm_active_counts()
    yield from _ddr_sizes()
    yield from _misclassification_counts()
    yield from _completed_stage()
    yield from _ddr_keep()
    yield from _gradient_sparsity()
    yield from _gradient_mask()
    yield from _is_refresh()
    yield from _dgm_step()


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
    ):
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
    ):
        arguments = {"n": n, "task": task, "epochs": epochs} | SCHEDULE | changes
        yield CaseSpec("tdm_active_counts", name, kind, note, arguments, "paper")


def _ddr_sizes() -> Iterator[CaseSpec]:
    for name, kind, samples, rho, cutoff, note in (
        ("cifar", "regular", 10000, "0.3", 4, "10000, 9250, 8500, 7750, 7000"),
        ("digits", "regular", 359, "0.3", 4, "no whole numbers: each stage rounds for itself"),
        ("half-up", "adversarial", 10, "0.25", 5, "0.5, 1.5, 2.5 are gone: halves round up, not to even"),
        ("not-of-the-rest", "adversarial", 1000, "0.6", 3, "a fraction of the task, not of what is left"),
        (
            "decimal",
            "adversarial",
            100,
            "0.58",
            4,
            "14.5 are gone; floating point is just below",
        ),
        ("no-removal", "edge", 100, "0", 4, "rho is 0"),
        ("remove-all", "edge", 7, "1", 2, "nothing is left"),
        ("one-stage", "edge", 9, "0.5", 1, "4.5 round up to 5"),
        ("no-samples", "edge", 0, "0.3", 4, "an empty task"),
    ):
        arguments = {"samples": samples, "rho": rho, "cutoff": cutoff}
        yield CaseSpec("ddr_sizes", name, kind, note, arguments, "paper")


def presentations(label: str, samples: int, rounds: int, wrong: int) -> dict:
    """Every sample once in each round, in a new order; one presentation in ``wrong`` is misclassified."""
    order = [draws.permutation(f"{label} {number}", samples) for number in range(rounds)]
    right = draws.integers(f"{label} outcome", samples * rounds, low=0, high=wrong) > 0
    return {"samples": samples, "positions": np.concatenate(order), "correct": right}


def _misclassification_counts() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, note: str, arguments: dict) -> CaseSpec:
        return CaseSpec("misclassification_counts", name, kind, note, arguments, "paper")

    yield case("one-epoch", "regular", "wrong ones are counted, not right ones", presentations("ddr one", 9, 1, 3))
    yield case("stage", "regular", "a stage of five epochs", presentations("ddr stage", 12, 5, 2))
    again = {
        "samples": 4,
        "positions": np.array([2, 2, 2, 0, 2]),
        "correct": np.array([False, False, True, False, False]),
    }
    yield case("repeated", "adversarial", "a fancy-indexed += counts a repeated sample once", again)
    flipping = {"samples": 2, "positions": np.array([0, 1] * 4), "correct": np.array([True, False] * 4)}
    yield case("always-wrong", "adversarial", "every misclassification counts, not only flips", flipping)
    none = {"samples": 3, "positions": np.zeros(0, np.int64), "correct": np.zeros(0, bool)}
    yield case("not-presented", "edge", "nothing is presented: all counts are 0", none)


def _completed_stage() -> Iterator[CaseSpec]:
    for name, kind, epoch, epochs, delta_k, cutoff, note in (
        ("first", "regular", 5, 50, 5, 4, "the first stage is number 1"),
        ("within", "regular", 7, 50, 5, 4, "the stage is not over"),
        ("cutoff", "edge", 20, 50, 5, 4, "the last stage that removes"),
        ("after-cutoff", "adversarial", 25, 50, 5, 4, "later stages remove nothing"),
        ("last-epoch", "adversarial", 10, 10, 5, 4, "no epoch follows"),
        ("before-last", "edge", 9, 10, 3, 4, "one epoch follows"),
        ("first-epoch", "adversarial", 1, 10, 5, 4, "epochs count from 1: nothing is over after epoch 1"),
        ("each-epoch", "edge", 3, 10, 1, 4, "stages of one epoch"),
    ):
        arguments = {"epoch": epoch, "epochs": epochs, "delta_k": delta_k, "cutoff": cutoff}
        yield CaseSpec("completed_stage", name, kind, note, arguments, "paper")


def _ddr_keep() -> Iterator[CaseSpec]:
    for name, kind, counts, keep, note in (
        ("few", "regular", [3, 0, 5, 1, 4, 2], 4, "the hardest stay, in ascending order"),
        ("ties", "adversarial", [1, 1, 1, 1, 1], 3, "the lowest index goes first"),
        ("tie-at-the-edge", "adversarial", [2, 0, 1, 3, 1, 1, 0, 2], 4, "of three equals two must go"),
        ("many-ties", "adversarial", draws.integers("ddr counts", 60, low=0, high=4).tolist(), 33, "an unstable sort"),
        ("all-stay", "edge", [0, 2, 1], 3, "nothing goes"),
        ("all-go", "edge", [0, 2, 1], 0, "nothing stays"),
        ("never-wrong", "edge", [0, 0, 0, 0], 2, "all were right: still the lowest indices go"),
    ):
        arguments = {"counts": np.array(counts, np.int64), "keep": keep}
        yield CaseSpec("ddr_keep", name, kind, note, arguments, "paper")


def _gradient_sparsity() -> Iterator[CaseSpec]:
    for name, kind, sparsity, q, note in (
        ("published", "regular", "0.75", None, ".80 at .75"),
        ("very-sparse", "adversarial", "0.95", None, ".96: q shrinks with 1 - s, it is not .05 everywhere"),
        ("given", "regular", "0.9", "0.05", "a q that is given is not scaled"),
        ("given-zero", "adversarial", "0.9", "0", "a q of 0 is not a missing q"),
        ("above-one", "edge", "0.9", "0.2", "limited to 1"),
        ("dense", "edge", "0", None, ".2 of a dense layer"),
        ("empty", "edge", "1", None, "nothing to mask"),
    ):
        yield CaseSpec("gradient_sparsity", name, kind, note, {"sparsity": sparsity, "q": q}, "paper")


def _gradient_mask() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask, importance, sparsity: str, note: str) -> CaseSpec:
        arguments = {"mask": mask, "importance": importance, "sparsity": sparsity}
        return CaseSpec("gradient_mask", name, kind, note, arguments, "paper")

    shape = (5, 2, 2, 2)
    mask = draws.truths("dgm", shape, count=20)
    apart = draws.distinct("dgm importance", shape)
    yield case("conv", "regular", mask, apart, "0.8", "a fraction of the layer, not of the living weights")
    loud = np.where(mask, apart, apart + 100)
    yield case("dead-and-important", "adversarial", mask, loud, "0.7", "ranked among the living only")
    yield case("ties", "adversarial", mask, np.ones(shape), "0.8", "the lower flat index is kept")
    yield case("half-up", "adversarial", mask, apart, "0.9625", "1.5 gradients round to 2")
    tied = draws.integers("dgm ties", shape, low=0, high=2).astype(np.float64)
    yield case("zeros-tie", "adversarial", mask, tied, "0.6", "gradients of 0 fill the number")
    yield case("fewer-live", "edge", mask, apart, "0.25", "30 wanted, 20 live: all keep their gradient")
    yield case("none", "edge", mask, apart, "1", "no gradient at all")
    yield case("all-dead", "edge", np.zeros(shape, bool), apart, "0.8", "nothing lives")


def _is_refresh() -> Iterator[CaseSpec]:
    for name, kind, iteration, interval, note in (
        ("first", "edge", 0, 30, "the first iteration of every epoch"),
        ("second", "regular", 30, 30, "the interval later"),
        ("before", "adversarial", 29, 30, "iterations counted from 1 would refresh here"),
        ("between", "regular", 45, 30, "no refresh"),
        ("each", "edge", 7, 1, "every iteration"),
        ("other-interval", "adversarial", 30, 7, "the interval is a parameter"),
    ):
        arguments = {"iteration": iteration, "interval": interval}
        yield CaseSpec("is_refresh", name, kind, note, arguments, "paper")


def _dgm_step() -> Iterator[CaseSpec]:
    shape = (4, 5)
    mask = draws.truths("dgm step", shape, count=12)
    current = draws.distinct("dgm current", shape) * np.where(draws.truths("dgm signs", shape, count=9), -1, 1)
    replay = draws.distinct("dgm replay", shape) * 32
    quiet = (np.abs(current) * 0.5 + np.abs(replay)).argsort(axis=None)
    old = np.zeros(mask.size, bool)
    old[[k for k in quiet if mask.reshape(-1)[k]][:3]] = True
    step = {"mask": mask, "grad_mask": old.reshape(shape), "grad_current": current, "grad_replay": replay}
    step |= {"sparsity": "0.8", "alpha": 0.5, "beta": 1.0, "interval": 30}
    poison = np.where(mask, current, np.nan)
    for name, kind, iteration, changes, note in (
        ("refresh", "adversarial", 30, {}, "gradients that the old mask silences would never come back"),
        ("reuse", "regular", 31, {}, "between refreshes the old mask stays"),
        ("start-of-epoch", "regular", 0, {"grad_mask": mask}, "after a mask change every living weight had a gradient"),
        ("cancelling", "adversarial", 0, {"grad_replay": -current}, "parts that cancel are important all the same"),
        ("coefficients", "adversarial", 60, {"alpha": 64.0, "beta": 0.25}, "alpha belongs to the current batch"),
        ("ties", "adversarial", 0, {"grad_current": np.ones(shape), "grad_replay": -np.ones(shape)}, "the lower index"),
        ("poison-where-dead", "adversarial", 0, {"grad_current": poison}, "a dead weight's gradient is not read"),
        ("empty-buffer", "edge", 0, {"grad_replay": np.zeros(shape)}, "nothing is replayed yet"),
        ("all-dead", "edge", 0, {"mask": np.zeros(shape, bool), "grad_mask": np.zeros(shape, bool)}, "no gradient"),
        ("dense", "edge", 0, {"mask": np.ones(shape, bool), "sparsity": "0"}, "every gradient"),
    ):
        yield CaseSpec("dgm_step", name, kind, note, {"iteration": iteration} | step | changes, "paper")
