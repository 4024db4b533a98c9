"""Inputs for the rules of the published code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.inputs_rules import presentations
from tests.verify.spec import CaseSpec

SCHEDULE = {"sparsity": "0.75", "delta_k": 5, "p_inter": "0.01", "p_intra": "0.01"}
#: Kept positions of the eight patterns, row-major, as the method lists them.
PATTERNS = (
    (4, 5, 7, 8),
    (3, 4, 6, 7),
    (1, 2, 4, 5),
    (0, 1, 3, 4),
    (5, 6, 7, 8),
    (3, 4, 5, 7),
    (1, 4, 5, 7),
    (1, 3, 4, 7),
)


def cases() -> Iterator[CaseSpec]:
    yield from _magnitude_initial_mask()
    yield from _schedule()
    yield from _shrink_above_percentile()
    yield from _last_gradient_importance()
    yield from _grow_by_value()
    yield from _percentile_gradient_mask()
    yield from _flips()
    yield from _frozen_zeros()
    yield from _best_patterns()


def case(function: str, name: str, kind: str, note: str, **arguments: object) -> CaseSpec:
    return CaseSpec(function, name, kind, note, arguments, "released")


def signed(label: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers whose sizes are well apart, half of them negative."""
    sizes = draws.distinct(label, shape)
    return np.where(draws.truths(f"{label} sign", shape, count=sizes.size // 2), -sizes, sizes)


def _magnitude_initial_mask() -> Iterator[CaseSpec]:
    function = "magnitude_initial_mask"
    weight = signed("initial", (3, 2, 3, 3))
    yield case(function, "conv", "regular", "sizes, not signs", weight=weight, sparsity="0.75")
    five = np.array([1.0, -2.0, 2.0, -2.0, 3.0])
    yield case(function, "ties", "adversarial", "strict: ties at the threshold die", weight=five, sparsity="0.5")
    yield case(function, "dense", "adversarial", "the smallest dies even at s = 0", weight=weight, sparsity="0")
    yield case(function, "empty", "edge", "nothing is above the largest", weight=weight, sparsity="1")
    yield case(function, "all-equal", "edge", "all are ties", weight=-np.ones((2, 3)), sparsity="0.5")
    yield case(function, "one-weight", "edge", "its own threshold", weight=np.ones((1, 1)), sparsity="0.5")
    row = signed("initial row", (11,))
    yield case(function, "on-an-entry", "adversarial", "the threshold is an entry: it dies", weight=row, sparsity="0.5")


def _schedule() -> Iterator[CaseSpec]:
    for name, kind, task, epoch, epochs, changes, note in (
        ("first-exchange", "regular", 1, 6, 50, {}, "counted from 0 this is epoch delta_k"),
        ("quiet-epoch", "regular", 2, 8, 50, {}, "nothing happens"),
        ("paper-epoch", "adversarial", 2, 5, 50, {}, "the paper would act here: it counts from 1"),
        ("last-exchange", "edge", 2, 41, 50, {}, "the last epoch after which weights join"),
        ("final-shrink", "adversarial", 2, 46, 50, {}, "shrink to s, nothing joins"),
        ("after-the-end", "edge", 1, 50, 50, {}, "the last epoch"),
        ("short-task", "edge", 1, 6, 10, {}, "with two stages the second is the last"),
        ("above-one", "edge", 1, 6, 50, {"sparsity": "0.995", "p_intra": "0.02"}, "targets are limited to 1"),
        (
            "other-steps",
            "adversarial",
            3,
            10,
            30,
            {"delta_k": 3, "p_inter": "0.05", "p_intra": "0.02"},
            "p_intra rules",
        ),
    ):
        arguments = {"task": task, "epoch": epoch, "epochs": epochs} | SCHEDULE | changes
        yield case("released_tdm_actions", name, kind, note, **arguments)
    for name, kind, task, epochs, changes, note in (
        ("first-task", "adversarial", 1, 50, {}, "weights join at the start of the first task too"),
        ("second-task", "regular", 2, 20, {}, "delta_k epochs are expanded: one more than in the paper"),
        ("other-steps", "regular", 2, 12, {"delta_k": 3, "p_inter": "0.05", "p_intra": "0.02"}, "p_inter rules"),
        ("dense", "edge", 1, 12, {"sparsity": "0"}, "limited to 0"),
        ("nearly-dense", "edge", 1, 12, {"sparsity": "0.005"}, "limited to 0 for a while"),
    ):
        arguments = {"task": task, "epochs": epochs} | SCHEDULE | changes
        yield case("released_sparsities", name, kind, note, **arguments)


def _shrink_above_percentile() -> Iterator[CaseSpec]:
    function = "shrink_above_percentile"
    alive = draws.truths("percentile", (4, 2, 3, 3), count=24)
    weight = np.where(alive, signed("percentile weight", alive.shape), 0.0)
    importance = np.where(alive, draws.distinct("percentile importance", alive.shape), 0.0)
    given = {"weight": weight, "importance": importance}
    yield case(
        function, "conv", "regular", "the percentile is over all entries, dead ones too", **given, sparsity="0.8"
    )
    yield case(function, "lower", "adversarial", "most entries are dead: the threshold is 0", **given, sparsity="0.5")
    loud = {"weight": weight, "importance": draws.distinct("percentile importance", alive.shape)}
    yield case(function, "dead-and-important", "adversarial", "a value of 0 is dead", **loud, sparsity="0.5")
    five = {"weight": np.ones(5), "importance": np.array([1.0, 2.0, 2.0, 2.0, 3.0])}
    yield case(function, "ties", "adversarial", "ties at the threshold all die", **five, sparsity="0.5")
    yield case(
        function,
        "all-equal",
        "edge",
        "all are ties",
        weight=np.ones((2, 3)),
        importance=np.ones((2, 3)),
        sparsity="0.5",
    )
    yield case(function, "empty", "edge", "nothing is above the largest", **given, sparsity="1")
    nothing = np.zeros((3, 3))
    yield case(function, "all-dead", "edge", "nothing to shrink", weight=nothing, importance=nothing, sparsity="0.75")


def _last_gradient_importance() -> Iterator[CaseSpec]:
    function = "last_gradient_importance"
    weight, grad = draws.floats("last weight", (4, 3, 3)), draws.floats("last grad", (4, 3, 3))
    masked = np.where(draws.truths("last mask", weight.shape, count=12), grad, 0.0)
    yield case(function, "conv", "regular", "one coefficient of 0.5", weight=weight, last_grad=grad)
    yield case(
        function, "masked", "adversarial", "silenced weights count by size alone", weight=weight, last_grad=masked
    )
    yield case(function, "first-update", "edge", "no gradient yet: |w|", weight=weight, last_grad=0 * grad)
    yield case(function, "zero-weights", "edge", "0.5 |g|", weight=0 * weight, last_grad=grad)


def _grow_by_value() -> Iterator[CaseSpec]:
    def zeros(count: int, *shape: int) -> np.ndarray:
        return np.where(draws.truths(f"zeros {count}", shape, count=count), 0.0, signed("values", shape))

    for name, kind, weight, sparsity, note in (
        ("conv", "regular", zeros(60, 4, 2, 3, 3), "0.75", "60 - 54 zeros join"),
        ("rounded-down", "adversarial", zeros(60, 4, 2, 3, 3), "0.8", "60 - 57.6: int cuts off"),
        ("product-below", "adversarial", zeros(30, 10, 10), "0.29", "0.29 * 100 is a little less than 29: still 1"),
        ("product-above", "adversarial", zeros(10, 10, 10), "0.07", "0.07 * 100 is a little more than 7: 2, not 3"),
        ("negative", "edge", zeros(3, 3, 4), "0.75", "fewer zeros than wanted: none joins"),
        ("all-zero", "edge", np.zeros((3, 4)), "0.5", "half of the layer joins"),
        ("to-dense", "edge", zeros(5, 3, 4), "0", "all zeros join"),
        ("negative-zero", "adversarial", -np.zeros(8), "0.5", "-0.0 is zero"),
        ("fraction-above-half", "regular", zeros(7, 10), "0.42", "a fraction of 0.8 is cut off, not rounded up"),
    ):
        yield case("grow_count_by_value", name, kind, note, weight=weight, sparsity=sparsity)
    for name, kind, weight, sparsity, joining, note in (
        ("conv", "regular", zeros(14, 3, 2, 3), "0.5", (9, 3, 7, 1, 12), "zeros join, in any order"),
        ("none", "edge", zeros(3, 3, 4), "0.75", (), "none joins: life is read from values"),
        ("all-zero", "edge", np.zeros((2, 4)), "0.5", (7, 0, 2, 5), "nothing lived before"),
        ("negative-zero", "adversarial", np.array([1.0, -0.0, 0.0, -2.0]), "0.25", (1,), "-0.0 is dead"),
        ("matrix", "adversarial", zeros(11, 3, 5), "0.6", (2, 10), "column-major indices join elsewhere"),
    ):
        places = np.flatnonzero(weight == 0)[list(joining)]
        yield case("grow_by_value", name, kind, note, weight=weight, sparsity=sparsity, joining=places)


def _percentile_gradient_mask() -> Iterator[CaseSpec]:
    function = "percentile_gradient_mask"
    alive = draws.truths("silence", (4, 3, 3), count=18)
    grad = np.where(alive, signed("silence grad", alive.shape), 0.0)
    yield case(function, "conv", "regular", "over all entries, not only the living", grad=grad, sparsity="0.85")
    yield case(
        function, "lower", "adversarial", "the threshold is 0, and zeros are not kept", grad=grad, sparsity="0.25"
    )
    yield case(function, "between", "adversarial", "interpolated: the lower goes", grad=grad, sparsity="0.7")
    five = np.array([1.0, -2.0, 2.0, -2.0, 3.0])
    yield case(function, "ties", "adversarial", "at the threshold: all are kept", grad=five, sparsity="0.5")
    yield case(function, "all-zero", "edge", "no gradient at all", grad=0 * five, sparsity="0.5")
    yield case(function, "top", "edge", "the largest is kept", grad=grad, sparsity="1")
    yield case(function, "dense", "edge", "all but zeros", grad=grad, sparsity="0")


def _flips() -> Iterator[CaseSpec]:
    function = "flip_counts"
    yield case(function, "stage", "regular", "right, then wrong", **presentations("flips", 12, 5, 2))
    back = {
        "samples": 3,
        "positions": np.array([0, 1, 2] * 4),
        "correct": np.array([1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0]) > 0,
    }
    yield case(function, "back-and-forth", "adversarial", "wrong, then right is no flip", **back)
    mixed = {"samples": 2, "positions": np.array([0, 1, 0, 1]), "correct": np.array([True, False, True, False])}
    yield case(function, "interleaved", "adversarial", "a flip is between presentations of one sample", **mixed)
    none = {"samples": 2, "positions": np.zeros(0, np.int64), "correct": np.zeros(0, bool)}
    yield case(function, "not-presented", "edge", "never correct", **none)
    function = "flip_score"
    flips, ever = np.array([0, 2, 0, 1, 0]), np.array([True, True, False, True, False])
    yield case(
        function, "mixed", "regular", "the epochs of a task, not of a stage", flips=flips, ever_correct=ever, epochs=50
    )
    yield case(function, "never", "edge", "never correct", flips=0 * flips, ever_correct=flips > 9, epochs=7)
    yield case(
        function,
        "always",
        "adversarial",
        "always correct is the easiest",
        flips=0 * flips,
        ever_correct=flips >= 0,
        epochs=50,
    )


def _frozen_zeros() -> Iterator[CaseSpec]:
    function = "frozen_zeros"
    few, tenth = signed("frozen", (4, 5)), signed("frozen", (4, 5))
    few[1, 2] = 0.0
    tenth[[0, 3], [1, 4]] = 0.0
    yield case(function, "bias", "regular", "a batch-norm bias never trains", value=np.zeros(8))
    yield case(function, "dense", "regular", "no zero, nothing frozen", value=signed("dense", (3, 3)))
    yield case(function, "few", "adversarial", "one in twenty: not even that one is frozen", value=few)
    yield case(function, "a-tenth", "adversarial", "exactly a tenth: those are frozen", value=tenth)
    yield case(function, "negative-zero", "edge", "-0.0 is zero", value=np.array([1.0, -0.0, 2.0]))


def _best_patterns() -> Iterator[CaseSpec]:
    function = "best_patterns"
    each = np.full((2, 4, 9), 0.125)
    for kernel, kept in zip(each.reshape(8, 9), PATTERNS, strict=True):
        kernel[list(kept)] = -2.0
    yield case(function, "each", "regular", "one kernel for each pattern", weight=each.reshape(2, 4, 3, 3))
    weight = draws.floats("patterns", (4, 5, 3, 3))
    yield case(function, "conv", "regular", "sizes, not signs", weight=weight)
    sums = np.array([3.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.5, 2.0, 2.0]).reshape(1, 1, 3, 3)
    yield case(function, "norm", "adversarial", "the sum of squares, not of sizes", weight=sums)
    holed = np.full((1, 1, 3, 3), 0.25)
    holed[0, 0, 1:, 1:] = [[2.0, 0.0], [2.0, 2.0]]
    yield case(function, "zero-inside", "edge", "a zero within the pattern is dead", weight=holed)
