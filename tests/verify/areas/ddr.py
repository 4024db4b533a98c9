"""Data removal: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests import exact
from tests.torch_twin import ddr
from tests.torch_twin.config import Config
from tests.torch_twin.removal import Removal
from tests.verify import draws
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _ddr_sizes()
    yield from _misclassification_counts()
    yield from _completed_stage()
    yield from _ddr_keep()
    yield from _other_settings()


def _ddr_sizes() -> Iterator[CaseSpec]:
    for name, kind, samples, rho, cutoff, note in (
        ("cifar", "regular", 10000, "0.3", 4, "10000, 9250, 8500, 7750, 7000"),
        ("digits", "regular", 359, "0.3", 4, "no whole numbers: each stage rounds for itself"),
        ("half-up", "adversarial", 10, "0.25", 5, "0.5, 1.5, 2.5 are gone: halves round up, not to even"),
        ("not-of-the-rest", "adversarial", 1000, "0.6", 3, "a fraction of the task, not of what is left"),
        ("decimal", "adversarial", 100, "0.58", 4, "14.5 are gone; floating point is just below"),
        ("no-removal", "edge", 100, "0", 4, "rho is 0"),
        ("remove-all", "edge", 7, "1", 2, "nothing is left"),
        ("one-stage", "edge", 9, "0.5", 1, "4.5 round up to 5"),
        ("no-samples", "edge", 0, "0.3", 4, "an empty task"),
        ("below-half", "regular", 101, "0.3", 4, "15.15 and 30.3 are gone: rounding up gives more"),
        ("far-below-half", "regular", 61, "0.2", 6, "2.03, 4.07, 6.1 are gone: rounding up gives more"),
        ("decimal-again", "adversarial", 50, "0.29", 1, "14.5 are gone; floating point is just below"),
        ("large-odd", "adversarial", 33_554_435, "0.5", 2, "float32 has no digit left for one sample"),
        ("large-odd-again", "adversarial", 50_000_001, "0.3", 4, "float32 has no digit left for one sample"),
        ("halves-of-odd", "adversarial", 6, "0.75", 3, "1.5, 3 and 4.5 are gone: rounding to even agrees in the first"),
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
    many = {"samples": 3, "positions": np.tile([2, 0], 300), "correct": np.tile([False, True], 300)}
    yield case("wrong-300-times", "adversarial", "a count that 8 bits do not hold", many)
    most = {"samples": 2, "positions": np.ones(70_000, np.int64), "correct": np.zeros(70_000, bool)}
    yield case("wrong-70000-times", "adversarial", "a count that 16 bits do not hold", most)
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
        ("last-epoch-again", "adversarial", 20, 20, 10, 4, "no epoch follows the second stage"),
        ("cutoff-again", "edge", 6, 50, 3, 2, "the last of two stages"),
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
        ("all-equal-go", "edge", [1, 1, 1, 1], 0, "a slice from the end takes everything instead of nothing"),
        ("never-wrong", "edge", [0, 0, 0, 0], 2, "all were right: still the lowest indices go"),
        ("beyond-8-bits", "adversarial", [255, 256, 300, 12, 511, 100], 3, "counts that 8 bits do not hold"),
        ("beyond-16-bits", "adversarial", [65_535, 65_536, 70_000, 9, 131_073], 3, "counts that 16 bits do not hold"),
        ("beyond-16-bits-again", "adversarial", [131_072, 1, 65_537, 2], 2, "counts that 16 bits do not hold"),
    ):
        arguments = {"counts": np.array(counts, np.int64), "keep": keep}
        yield CaseSpec("ddr_keep", name, kind, note, arguments, "paper")


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    yield CaseSpec(
        "completed_stage", "other-cutoff", "edge",
        "a cutoff that is fixed in the code: the second stage removes nothing here",
        {"epoch": 10, "epochs": 50, "delta_k": 5, "cutoff": 1},
        "paper",
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def ddr_sizes(a: Arguments) -> Result:
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


def misclassification_counts(a: Arguments) -> Result:
    """The PyTorch twin, fed one presentation at a time."""
    return {"counts": presented(a).misclassified}, {}


def completed_stage(a: Arguments) -> Result:
    """The PyTorch twin."""
    stage = ddr.finished_stage(a["epoch"], delta_k=a["delta_k"], epochs=a["epochs"])
    return {"stage": stage if stage is not None and stage <= a["cutoff"] else -1}, {}


def ddr_keep(a: Arguments) -> Result:
    """The PyTorch twin."""
    counts = a["counts"]
    kept, _ = ddr.remove(np.arange(len(counts)), counts, len(counts) - a["keep"])
    return {"positions": kept}, {}


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle for oracle in (ddr_sizes, misclassification_counts, completed_stage, ddr_keep)
}


# --- wrong implementations --------------------------------------------------------------------------------------------


def sizes(samples, rho, cutoff, *, fault):
    share, left = Fraction(rho), [samples]
    for stage in range(1, cutoff + 1):
        gone = share * samples * stage / cutoff
        if fault == "floats":
            left.append(samples - math.floor(float(rho) * samples * stage / cutoff + 0.5))
        elif fault == "nearest in floats":
            left.append(samples - round(float(rho) * samples * stage / cutoff))
        elif fault == "up":
            left.append(samples - math.ceil(gone))
        elif fault == "down":
            left.append(samples - math.floor(gone))
        elif fault == "half to even":
            left.append(samples - round(gone))
        elif fault == "of the rest":
            left.append(left[-1] - math.floor(share / cutoff * left[-1] + Fraction(1, 2)))
        elif fault == "each stage":
            left.append(left[-1] - math.floor(share * samples / cutoff + Fraction(1, 2)))
        else:
            left.append(samples - math.floor(gone + Fraction(1, 2)))
    return left


def counts(samples, positions, correct, *, fault):
    wrong, before = np.zeros(samples, np.int64), np.zeros(samples, bool)
    if fault == "once":
        wrong[positions] += ~correct
        return wrong
    if fault in ("uint8", "uint16"):
        wrong = np.bincount(positions[~correct], minlength=samples)
        return wrong.astype(fault).astype(np.int64)
    for position, right in zip(positions, correct, strict=True):
        counted = {"right ones": right, "flips": before[position] and not right}
        wrong[position] += counted.get(fault, not right)
        before[position] = right
    return np.minimum(wrong, 1) if fault == "ever wrong" else wrong


def stage(epoch, epochs, delta_k, cutoff, *, fault):
    number, rest = divmod(epoch if fault != "from zero" else epoch - 1, delta_k)
    due = rest == 0 and (epoch < epochs or fault == "last epoch") and (number <= cutoff or fault == "cutoff")
    if fault == "before cutoff":
        due = due and number < cutoff
    return number if due else -1


def keep_samples(counts, keep, *, fault):
    n = len(counts)
    if fault == "from the end":
        return np.sort(np.argsort(counts, kind="stable")[-keep:])
    if fault in ("uint8", "uint16"):
        counts = counts.astype(fault)
    if fault == "easy stay":
        return np.sort(np.argsort(counts, kind="stable")[:keep])
    if fault == "highest first":
        return np.sort(np.argsort(-counts, kind="stable")[:keep])
    order = np.argsort(counts, kind="stable")[n - keep :]
    return order[::-1] if fault == "by count" else np.sort(order)


WRONG = (
    Wrong("ddr-floats", "ddr_sizes", "rho is a binary number", sizes, fault="floats",
        likely="binary floating point instead of the decimal as written"),
    Wrong("ddr-down", "ddr_sizes", "rounded down", sizes, fault="down", likely="floor without the half"),
    Wrong("ddr-up", "ddr_sizes", "rounded up", sizes, fault="up"),
    Wrong("ddr-half-even", "ddr_sizes", "halves are rounded to even", sizes, fault="half to even",
        likely="a half rounded to the even neighbour"),
    Wrong("ddr-float-even", "ddr_sizes", "Python's round of a product of floats", sizes, fault="nearest in floats",
        likely="rounded to the nearest in floating point: halves to even, decimals in binary"),
    Wrong("ddr-of-the-rest", "ddr_sizes", "each stage removes a fraction of what is left", sizes, fault="of the rest",
        likely="a fraction of what is left instead of the task's size"),
    Wrong("ddr-each-stage", "ddr_sizes", "each stage is rounded by itself", sizes, fault="each stage",
        likely="each stage rounded by itself instead of the total"),
    Wrong("ddr-counted-once", "misclassification_counts", "a repeated sample counts once", counts, fault="once",
        likely="a sample that comes again counted once: += through an index array"),
    Wrong("ddr-right-ones", "misclassification_counts", "correct presentations are counted", counts, fault="right ones",
        likely="correct presentations counted instead of wrong ones"),
    Wrong("ddr-flips", "misclassification_counts", "only flips from correct to wrong count", counts, fault="flips",
        likely="only wrong presentations right after a correct one counted"),
    Wrong("ddr-ever-wrong", "misclassification_counts", "ever wrong instead of how often", counts, fault="ever wrong",
        likely="a sample counted once at most"),
    Wrong("ddr-uint8", "misclassification_counts", "counts are bytes", counts, fault="uint8",
        likely="counts that wrap around at 256: kept in 8 bits"),
    Wrong("ddr-uint16", "misclassification_counts", "counts have 16 bits", counts, fault="uint16",
        likely="counts that wrap around at 65,536: kept in 16 bits"),
    Wrong("keep-uint8", "ddr_keep", "counts are bytes", keep_samples, fault="uint8",
        likely="counts that wrap around at 256: kept in 8 bits"),
    Wrong("keep-uint16", "ddr_keep", "counts have 16 bits", keep_samples, fault="uint16",
        likely="counts that wrap around at 65,536: kept in 16 bits"),
    Wrong("sizes-float32", "ddr_sizes", "samples are counted in float32",
        lambda samples, rho, cutoff: [int(np.float32(left)) for left in sizes(samples, rho, cutoff, fault="")]),
    Wrong("stage-last-epoch", "completed_stage", "data leave after the last epoch", stage, fault="last epoch",
        likely="a stage that the task ends with removes data, too"),
    Wrong("stage-cutoff", "completed_stage", "stages after the cutoff remove data", stage, fault="cutoff",
        likely="the cutoff ignored"),
    Wrong("stage-before-cutoff", "completed_stage", "the stage at the cutoff does not", stage, fault="before cutoff"),
    Wrong("stage-from-zero", "completed_stage", "epochs are counted from 0", stage, fault="from zero",
        likely="epochs counted from 0"),
    Wrong("keep-easy", "ddr_keep", "the easiest samples stay", keep_samples, fault="easy stay",
        likely="the samples misclassified least kept"),
    Wrong("keep-ties", "ddr_keep", "among equals the highest index goes first", keep_samples, fault="highest first",
        likely="ties broken from the other end"),
    Wrong("keep-from-the-end", "ddr_keep", "a slice [-keep:], which is everything for 0", keep_samples,
        fault="from the end", likely="a slice [-k:] that takes everything for k = 0"),
    Wrong("keep-order", "ddr_keep", "positions come by count, not ascending", keep_samples, fault="by count",
        likely="positions by count instead of ascending"),
)  # fmt: skip
