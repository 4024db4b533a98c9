"""Inputs for masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.spec import CaseSpec

#: A small network whose middle layers are small enough for ERK to make some of them dense.
SHAPES = [[8, 3, 3, 3], [8, 8, 3, 3], [16, 8, 3, 3], [16, 16, 3, 3], [4, 16]]


def cases() -> Iterator[CaseSpec]:
    yield from _budget()
    yield from _budgets()
    yield from _erk_densities()
    yield from _random_mask()
    yield from _shrink()
    yield from _grow()
    yield from _apply_mask()
    yield from _exchange()


def _budget() -> Iterator[CaseSpec]:
    for name, kind, n, sparsity, note in (
        ("resnet-layer", "regular", 147456, "0.75", "a layer of ResNet-18 at the published sparsity"),
        ("fraction-above-half", "regular", 7, "0.75", "1.75 weights: rounding down gives 1"),
        ("fraction-below-half", "regular", 9, "0.75", "2.25 weights: rounding up gives 3"),
        ("half-up", "adversarial", 10, "0.75", "2.5 weights: rounding half to even gives 2"),
        (
            "decimal",
            "adversarial",
            5,
            "0.9",
            "0.5 weights: in floating point (1 - 0.9) * 5 is below a half and gives 0",
        ),
        ("decimal-shifted", "adversarial", 100, "0.905", "9.5 weights: floating point is below a half"),
        ("large-odd", "adversarial", 33554433, "0.5", "float32 has no digit left for the half"),
        ("dense", "edge", 7, "0", "nothing is dead"),
        ("empty", "edge", 7, "1", "nothing lives"),
        ("no-weights", "edge", 0, "0.5", "a layer without weights"),
        ("almost-empty", "edge", 1000, "0.9995", "half a weight rounds up to one"),
        ("beyond-one", "edge", 1000, "1.005", "sparsity is limited to 1; a negative count is none"),
        ("below-zero", "edge", 1000, "-0.01", "sparsity is limited to 0; more than all cannot live"),
    ):
        yield CaseSpec("budget", name, kind, note, {"n": n, "sparsity": sparsity}, "paper")


def _budgets() -> Iterator[CaseSpec]:
    for name, kind, shapes, sparsity, budgets, note in (
        ("uniform", "regular", SHAPES, "0.75", "uniform", "each layer rounds for itself"),
        ("erk", "regular", SHAPES, "0.95", "erk", "densities differ between layers; no layer is dense"),
        (
            "erk-capped",
            "adversarial",
            SHAPES,
            "0.5",
            "erk",
            "without the cap a layer has more living weights than weights",
        ),
        (
            "erk-capped-twice",
            "adversarial",
            SHAPES,
            "0.25",
            "erk",
            "solving again after the cap makes another layer dense",
        ),
        ("global", "regular", SHAPES, "0.9", "global", "one number for all weights, rounded once"),
        (
            "global-half",
            "adversarial",
            [[2, 5], [3, 5]],
            "0.9",
            "global",
            "2.5 weights: rounded per layer there are 3 too",
        ),
        (
            "global-rounding",
            "adversarial",
            [[5], [5], [5]],
            "0.9",
            "global",
            "1.5 rounds to 2; layer by layer 3 would live",
        ),
        ("uniform-decimal", "adversarial", [[5], [5], [5]], "0.9", "uniform", "half a weight in each layer rounds up"),
        ("erk-dense", "edge", SHAPES, "0", "erk", "every layer is dense"),
        ("erk-empty", "edge", SHAPES, "1", "erk", "no layer has weights"),
        ("uniform-one-layer", "edge", [[10]], "0.75", "uniform", "one layer, 2.5 weights"),
    ):
        yield CaseSpec("budgets", name, kind, note, {"shapes": shapes, "sparsity": sparsity, "kind": budgets}, "paper")


def _erk_densities() -> Iterator[CaseSpec]:
    for name, kind, shapes, sparsity, note in (
        ("free", "regular", SHAPES, "0.95", "no layer reaches 1: one eps for all"),
        ("capped", "adversarial", SHAPES, "0.5", "densities above 1 without the cap"),
        ("capped-twice", "adversarial", SHAPES, "0.25", "one capping is not enough: eps is solved until none passes"),
        ("linear", "regular", [[100, 784], [10, 100]], "0.99", "linear layers have two dimensions"),
        ("dense", "edge", SHAPES, "0", "all 1"),
        ("one-layer", "edge", [[16, 16, 3, 3]], "0.75", "a single layer has the density asked for"),
    ):
        yield CaseSpec("erk_densities", name, kind, note, {"shapes": shapes, "sparsity": sparsity}, "paper")


def _random_mask() -> Iterator[CaseSpec]:
    for name, kind, shape, chosen, note in (
        ("conv", "regular", [2, 3, 2, 2], [7, 0, 23, 4, 11, 16], "indices are not sorted"),
        ("matrix", "adversarial", [3, 5], [1, 4, 7, 12], "column-major indices give another mask"),
        ("none", "edge", [3, 4], [], "nothing lives"),
        ("all", "edge", [2, 3], [5, 4, 3, 2, 1, 0], "everything lives"),
        ("vector", "edge", [6], [5], "the last index"),
    ):
        arguments = {"shape": shape, "active": len(chosen), "chosen": np.array(chosen, dtype=np.int64)}
        yield CaseSpec("random_mask", name, kind, note, arguments, "paper")


def _shrink() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask: np.ndarray, importance: np.ndarray, active: int, note: str) -> CaseSpec:
        return CaseSpec("shrink", name, kind, note, {"mask": mask, "importance": importance, "active": active}, "paper")

    shape = (4, 3, 3, 3)
    mask = draws.truths("shrink", shape, count=50)
    apart = draws.distinct("shrink importance", shape)
    yield case("conv", "regular", mask, apart, 20, "the most important of the living stay")
    loud = np.where(mask, apart, apart + 100)
    yield case("dead-and-important", "adversarial", mask, loud, 20, "an important dead weight must not return")
    poison = np.where(mask, apart, np.nan)
    yield case("nan-where-dead", "adversarial", mask, poison, 20, "importance of dead entries is not read")
    tied = draws.integers("shrink ties", shape, low=0, high=3).astype(np.float64)
    yield case("many-ties", "adversarial", mask, tied, 23, "an unstable sort keeps other entries among equals")
    flat = np.ones(12)
    yield case("all-equal", "adversarial", np.ones(12, bool), flat, 5, "ties broken from the other end keep the last")
    half = np.array([True, False] * 6)
    yield case("all-equal-half-dead", "adversarial", half, flat, 3, "dead entries take part in the tie")
    yield case("zero-importance", "edge", half, np.zeros(12), 2, "nothing matters; as many still stay")
    small = draws.truths("small", (3, 5), count=9)
    values = draws.distinct("small importance", (3, 5))
    yield case("to-none", "edge", small, values, 0, "all die")
    yield case("nothing-to-do", "edge", small, values, 9, "all living stay")
    yield case("all-dead", "edge", np.zeros((3, 5), bool), values, 0, "nothing lives to begin with")
    rows = small.copy()
    rows[1] = False
    yield case("dead-row", "edge", rows, values, int(rows.sum()) - 2, "a row of the layer is dead throughout")


def _grow() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask: np.ndarray, joining: list[int], note: str) -> CaseSpec:
        arguments = {"mask": mask, "active": int(mask.sum()) + len(joining), "joining": np.array(joining, np.int64)}
        return CaseSpec("grow", name, kind, note, arguments, "paper")

    mask = draws.truths("grow", (3, 2, 2, 2), count=10)
    dead = np.flatnonzero(~mask).tolist()
    yield case("conv", "regular", mask, [dead[k] for k in (9, 2, 5)], "drawn dead entries join, in any order")
    matrix = draws.truths("grow matrix", (3, 5), count=6)
    dead = np.flatnonzero(~matrix).tolist()
    yield case("matrix", "adversarial", matrix, dead[1:4], "column-major indices join elsewhere")
    yield case("none", "edge", matrix, [], "no entry joins")
    yield case("to-all", "edge", matrix, dead[::-1], "every entry lives afterwards")
    yield case("from-none", "edge", np.zeros((2, 4), bool), [6, 1], "nothing lived before")


def _apply_mask() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, value, grad, velocity, mask, note: str) -> CaseSpec:
        arguments = {"value": value, "grad": grad, "velocity": velocity, "mask": mask}
        return CaseSpec("apply_mask", name, kind, note, arguments)

    shape = (3, 4)
    arrays = [draws.floats(f"apply {what}", shape) for what in ("value", "grad", "velocity")]
    mask = draws.truths("apply", shape, count=7)
    yield case("matrix", "regular", *arrays, mask, "momentum of dead weights goes too")
    negative = [-np.abs(array) for array in arrays]
    yield case("negative", "adversarial", *negative, mask, "a product with the mask leaves -0.0")
    poison = [np.where(mask, array, bad) for array, bad in zip(arrays, (np.nan, np.inf, -np.inf), strict=True)]
    yield case("not-finite", "adversarial", *poison, mask, "a product with the mask leaves NaN")
    yield case("none-dead", "edge", *arrays, np.ones(shape, bool), "nothing changes")
    yield case("all-dead", "edge", *negative, np.zeros(shape, bool), "+0.0 everywhere")
    living_zero = arrays[0].copy()
    living_zero[mask] = 0.0
    yield case("living-zeros", "edge", living_zero, *arrays[1:], mask, "a weight of value 0 lives if its mask is set")


def _exchange() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask, importance, keep: int, joining: list[int], note: str) -> CaseSpec:
        value, velocity = (np.where(mask, draws.floats(f"exchange {what}", mask.shape), 0.0) for what in ("w", "v"))
        arguments = {"value": value, "velocity": velocity, "mask": mask, "importance": importance, "keep": keep}
        arguments |= {"active": keep + len(joining), "joining": np.array(joining, np.int64)}
        return CaseSpec("exchange", name, kind, note, arguments, "paper")

    mask = draws.truths("exchange", (4, 2, 3), count=12)
    importance = draws.distinct("exchange importance", (4, 2, 3))
    living, dead = np.flatnonzero(mask), np.flatnonzero(~mask).tolist()
    removed = living[np.argsort(importance.reshape(-1)[living])[:3]].tolist()
    yield case("conv", "regular", mask, importance, 9, dead[2:5], "new weights join, old ones keep value and velocity")
    redrawn = [removed[1], dead[0], removed[2]]
    yield case("redrawn", "adversarial", mask, importance, 9, redrawn, "a weight removed and drawn again restarts at 0")
    ties = np.ones((4, 2, 3))
    last = living[-3:].tolist()
    yield case("ties", "adversarial", mask, ties, 9, last, "the highest living indices go, and come back at 0")
    yield case("only-shrink", "edge", mask, importance, 9, [], "nothing joins")
    yield case("only-grow", "edge", mask, importance, 12, dead[:2], "nothing leaves")
    yield case("through-none", "edge", mask, importance, 0, [*removed, dead[1]], "all leave before some join")
