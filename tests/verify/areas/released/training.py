"""Gradients, data and patterns in the published code: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from tests.torch_twin import released
from tests.verify import draws
from tests.verify.areas.ddr import presentations, presented
from tests.verify.areas.released.weights import percentile, published, signed
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong
from tests.verify.tensors import tensor


def cases() -> Iterator[CaseSpec]:
    yield from _percentile_gradient_mask()
    yield from _flips()
    yield from _frozen_zeros()
    yield from _best_patterns()


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


def _percentile_gradient_mask() -> Iterator[CaseSpec]:
    case = partial(published, "percentile_gradient_mask")
    alive = draws.truths("silence", (4, 3, 3), count=18)
    grad = np.where(alive, signed("silence grad", alive.shape), 0.0)
    yield case("conv", "regular", "over all entries, not only the living", grad=grad, sparsity="0.85")
    yield case("lower", "adversarial", "the threshold is 0, and zeros are not kept", grad=grad, sparsity="0.25")
    yield case("between", "adversarial", "interpolated: the lower goes", grad=grad, sparsity="0.7")
    five = np.array([1.0, -2.0, 2.0, -2.0, 3.0])
    yield case("ties", "adversarial", "at the threshold: all are kept", grad=five, sparsity="0.5")
    yield case("all-zero", "edge", "no gradient at all", grad=0 * five, sparsity="0.5")
    yield case("top", "edge", "the largest is kept", grad=grad, sparsity="1")
    yield case("dense", "edge", "all but zeros", grad=grad, sparsity="0")


def _flips() -> Iterator[CaseSpec]:
    case = partial(published, "flip_counts")
    yield case("stage", "regular", "right, then wrong", **presentations("flips", 12, 5, 2))
    back = {
        "samples": 3,
        "positions": np.array([0, 1, 2] * 4),
        "correct": np.array([1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0]) > 0,
    }
    yield case("back-and-forth", "adversarial", "wrong, then right is no flip", **back)
    mixed = {"samples": 2, "positions": np.array([0, 1, 0, 1]), "correct": np.array([True, False, True, False])}
    yield case("interleaved", "adversarial", "a flip is between presentations of one sample", **mixed)
    none = {"samples": 2, "positions": np.zeros(0, np.int64), "correct": np.zeros(0, bool)}
    yield case("not-presented", "edge", "never correct", **none)
    often = {"samples": 1, "positions": np.zeros(600, np.int64), "correct": np.arange(600) % 2 == 0}
    yield case("beyond-a-byte", "edge", "300 flips do not fit into 8 bits", **often)
    case = partial(published, "flip_score")
    flips, ever = np.array([0, 2, 0, 1, 0]), np.array([True, True, False, True, False])
    yield case("mixed", "regular", "the epochs of a task, not of a stage", flips=flips, ever_correct=ever, epochs=50)
    yield case("never", "edge", "never correct", flips=0 * flips, ever_correct=flips > 9, epochs=7)
    yield case(
        "always", "adversarial", "always correct is the easiest", flips=0 * flips, ever_correct=flips >= 0, epochs=50
    )
    many = np.array([300, 70000, 0], np.int64)
    yield case("large", "edge", "scores beyond 16 bits", flips=many, ever_correct=many > 0, epochs=66000)


def _frozen_zeros() -> Iterator[CaseSpec]:
    case = partial(published, "frozen_zeros")
    few, tenth = signed("frozen", (4, 5)), signed("frozen", (4, 5))
    few[1, 2] = 0.0
    tenth[[0, 3], [1, 4]] = 0.0
    yield case("bias", "regular", "a batch-norm bias never trains", value=np.zeros(8))
    yield case("dense", "regular", "no zero, nothing frozen", value=signed("dense", (3, 3)))
    yield case("few", "adversarial", "one in twenty: not even that one is frozen", value=few)
    yield case("a-tenth", "adversarial", "exactly a tenth: none is frozen, 1 - 0.9 is below 0.1", value=tenth)
    third, ten = tenth.copy(), signed("frozen", (10,))
    third[2, 2] = ten[7] = 0.0
    yield case("more-than-a-tenth", "adversarial", "three in twenty: those are frozen", value=third)
    yield case("one-in-ten", "adversarial", "exactly a tenth of ten: none is frozen", value=ten)
    nine = signed("frozen", (9,))
    nine[4] = 0.0
    yield case("one-in-nine", "edge", "a single zero may be more than a tenth", value=nine)
    yield case("negative-zero", "edge", "-0.0 is zero", value=np.array([1.0, -0.0, 2.0]))


def _best_patterns() -> Iterator[CaseSpec]:
    case = partial(published, "best_patterns")
    each = np.full((2, 4, 9), 0.125)
    for kernel, kept in zip(each.reshape(8, 9), PATTERNS, strict=True):
        kernel[list(kept)] = -2.0
    yield case("each", "regular", "one kernel for each pattern", weight=each.reshape(2, 4, 3, 3))
    weight = draws.floats("patterns", (4, 5, 3, 3))
    yield case("conv", "regular", "sizes, not signs", weight=weight)
    sums = np.array([3.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.5, 2.0, 2.0]).reshape(1, 1, 3, 3)
    yield case("norm", "adversarial", "the sum of squares, not of sizes", weight=sums)
    holed = np.full((1, 1, 3, 3), 0.25)
    holed[0, 0, 1:, 1:] = [[2.0, 0.0], [2.0, 2.0]]
    yield case("zero-inside", "edge", "a zero within the pattern is dead", weight=holed)


# --- oracle -----------------------------------------------------------------------------------------------------------

NUMBERED = ("4578", "3467", "1245", "0134", "5678", "3457", "1457", "1347")


def percentile_gradient_mask(a: Arguments) -> Result:
    """The PyTorch twin."""
    return {"mask": released.gradient_mask(tensor(a["grad"]), float(a["sparsity"])).numpy()}, {}


def flip_counts(a: Arguments) -> Result:
    """The PyTorch twin, fed one presentation at a time."""
    statistics = presented(a)
    return {"flips": statistics.flips, "ever_correct": statistics.ever_correct}, {}


def flip_score(a: Arguments) -> Result:
    """The PyTorch twin."""
    return {"score": released.ddr_scores(a["flips"], a["ever_correct"], a["epochs"])}, {}


def frozen_zeros(a: Arguments) -> Result:
    """The PyTorch twin; where it freezes nothing all entries train."""
    entries = released.frozen_entries(tensor(a["value"]))
    return {"mask": np.ones(a["value"].shape, dtype=bool) if entries is None else entries.numpy()}, {}


def best_patterns(a: Arguments) -> Result:
    """Sums of squares in exact fractions, kernel by kernel."""
    found = []
    for kernel in a["weight"].reshape(-1, 9).tolist():
        energies = [sum(Fraction(kernel[int(k)]) ** 2 for k in pattern) for pattern in NUMBERED]
        if sorted(energies)[-1] == sorted(energies)[-2]:
            raise ValueError(f"choose kernels with one best pattern, not {kernel}")
        best = NUMBERED[energies.index(max(energies))]
        found.append([str(k) in best and kernel[k] != 0 for k in range(9)])
    return {"mask": np.array(found, dtype=bool).reshape(a["weight"].shape)}, {}


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle
    for oracle in (percentile_gradient_mask, flip_counts, flip_score, frozen_zeros, best_patterns)
}


# --- wrong implementations --------------------------------------------------------------------------------------------


def silenced(grad, sparsity, *, fault):
    size = np.abs(grad)
    ranked = size[grad != 0] if fault == "of the nonzero" and grad.any() else size
    threshold = percentile(ranked, sparsity)
    if fault == "lower neighbour":
        threshold = np.percentile(size, 100 * float(sparsity), method="lower")
    above = size > threshold if fault == "strict" else size >= threshold
    return above if fault == "zeros kept" else above & (grad != 0)


def flips(samples, positions, correct, *, fault):
    count, ever = np.zeros(samples, np.int64), np.zeros(samples, bool)
    last: dict[int, bool] = {}
    before = None
    for position, right in zip(positions.tolist(), correct.tolist(), strict=True):
        was = before if fault == "interleaved" else last.get(position, fault == "starts correct")
        count[position] += was is not None and (bool(was) != right if fault == "both ways" else bool(was) and not right)
        ever[position] |= right
        last[position] = before = right
    return count, ever


def frozen(value, *, fault):
    zeros = int((value == 0).sum())
    due = {"a tenth": 10 * zeros >= value.size, "always": True, "never": False}
    due = due.get(fault, 10 * zeros > value.size)
    return value != 0 if due else np.ones(value.shape, bool)


def patterns(weight, *, power=2, table=NUMBERED, zeros_live=False):
    found = []
    for kernel in weight.reshape(-1, 9):
        energies = [sum(abs(kernel[int(k)]) ** power for k in pattern) for pattern in table]
        best = table[int(np.argmax(energies))]
        found.append([str(k) in best and (zeros_live or kernel[k] != 0) for k in range(9)])
    return np.array(found).reshape(weight.shape)


WRONG = (
    Wrong("silenced-strict", "percentile_gradient_mask", "ties at the threshold are silenced", silenced, fault="strict",
        likely="the gradient at the threshold masked: > instead of >="),
    Wrong("silenced-nonzero", "percentile_gradient_mask", "the percentile is over nonzeros", silenced,
        fault="of the nonzero", likely="percentile over the living entries instead of all"),
    Wrong("silenced-lower", "percentile_gradient_mask", "a percentile without interpolation", silenced,
        fault="lower neighbour"),
    Wrong("silenced-zeros", "percentile_gradient_mask", "zeros at the threshold are kept", silenced, fault="zeros kept",
        likely="gradients that are exactly 0 kept"),
    Wrong("flips-both-ways", "flip_counts", "flips to correct count too", flips, fault="both ways"),
    Wrong("flips-interleaved", "flip_counts", "flips between different samples", flips, fault="interleaved"),
    Wrong("flips-first", "flip_counts", "a wrong first presentation is a flip", flips, fault="starts correct"),
    Wrong("score-never-zero", "flip_score", "never correct scores 0", lambda flips, **_: flips,
        likely="no flips for a sample that was never correct"),
    Wrong("score-added", "flip_score", "never correct adds the epochs once too often",
        lambda flips, ever_correct, epochs: flips + np.where(ever_correct, 0, epochs + 1)),
    Wrong("frozen-a-tenth", "frozen_zeros", "exactly a tenth freezes", frozen, fault="a tenth",
        likely="exactly a tenth of zeros frozen"),
    Wrong("frozen-always", "frozen_zeros", "a single zero is frozen", frozen, fault="always",
        likely="zeros frozen however few"),
    Wrong("frozen-never", "frozen_zeros", "biases train", frozen, fault="never", likely="nothing frozen"),
    Wrong("pattern-sizes", "best_patterns", "sizes are added, not squares", partial(patterns, power=1),
        likely="the sum of absolute values instead of the norm"),
    Wrong("pattern-corners", "best_patterns", "only the four corner patterns", partial(patterns, table=NUMBERED[:4])),
    Wrong("pattern-zeros", "best_patterns", "zeros within a pattern live", partial(patterns, zeros_live=True)),
)  # fmt: skip
