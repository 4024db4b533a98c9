"""Data removal in the published code: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from tests import exact
from tests.verify import draws
from tests.verify.areas.released.weights import published
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _truncated_ddr_sizes()
    yield from _keep_with_unpresented()


def _truncated_ddr_sizes() -> Iterator[CaseSpec]:
    for name, kind, samples, rho, cutoff, note in (
        ("cifar", "regular", 10000, "0.3", 4, "10000, 9250, 8500, 7750, 7000, as in the paper"),
        ("truncated", "adversarial", 64, "0.3", 2, "19 are to go: 9 and 9, not 10 and 9"),
        ("digits", "regular", 359, "0.3", 4, "108 are to go: 27 in each stage"),
        ("three-quarters", "adversarial", 50, "0.3", 4, "15 are to go: 3.75 are 3 each, so 12 in all"),
        ("half-up-in-all", "adversarial", 65, "0.3", 2, "19.5 are 20 to go in all: 10 and 10"),
        ("decimal", "adversarial", 100, "0.145", 3, "14.5 are 15 to go; floating point is just below"),
        ("fewer-than-stages", "edge", 7, "0.3", 4, "2 to go in 4 stages: none ever goes"),
        ("no-removal", "edge", 100, "0", 4, "rho is 0"),
        ("remove-all", "edge", 7, "1", 2, "one of seven stays: 3 and 3"),
        ("one-stage", "edge", 9, "0.5", 1, "4.5 round up to 5"),
    ):
        yield published("truncated_ddr_sizes", name, kind, note, samples=samples, rho=rho, cutoff=cutoff)


def _keep_with_unpresented() -> Iterator[CaseSpec]:
    many = draws.integers("unpresented scores", 40, low=0, high=4).tolist()
    for name, kind, scores, unseen, keep, note in (
        ("all-presented", "regular", [3, 0, 5, 1, 4, 2], [], 4, "the lowest go"),
        ("one-skipped", "adversarial", [3, 0, 5, 1, 4, 2], [1], 4, "the lowest was never presented: the next two go"),
        ("ties", "adversarial", [1, 1, 1, 1, 1], [0, 2], 3, "of equals the lowest index that can go"),
        ("hardest-skipped", "regular", [2, 0, 9, 0, 1], [2], 3, "it would have stayed anyway"),
        ("fewer-can-go", "edge", [0, 0, 7, 1], [0, 3], 1, "three are to go, two can"),
        ("none-presented", "edge", [0, 1], [0, 1], 0, "nothing can go"),
        ("all-stay", "edge", [0, 2, 1], [1], 3, "nothing is to go"),
        ("many", "adversarial", many, [0, 3, 4, 17, 33, 39], 25, "an unstable sort"),
    ):
        arguments = {"scores": np.array(scores, np.int64), "keep": keep}
        presented = ~np.isin(np.arange(len(scores)), unseen)
        yield published("keep_with_unpresented", name, kind, note, **arguments, presented=presented)


# --- oracle -----------------------------------------------------------------------------------------------------------


def truncated_ddr_sizes(a: Arguments) -> Result:
    """Integer arithmetic on the decimal as written."""
    each = exact.gone(a["samples"], a["rho"], 1, 1) // a["cutoff"]
    return {"sizes": np.array([a["samples"] - each * stage for stage in range(a["cutoff"] + 1)], np.int64)}, {}


def keep_with_unpresented(a: Arguments) -> Result:
    """The samples that can go, sorted one by one."""
    ranked = sorted((int(a["scores"][i]), i) for i in np.flatnonzero(a["presented"]).tolist())
    gone = {i for _, i in ranked[: len(a["scores"]) - a["keep"]]}
    return {"positions": np.array([i for i in range(len(a["scores"])) if i not in gone], np.int64)}, {}


ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in (truncated_ddr_sizes, keep_with_unpresented)}


# --- wrong implementations --------------------------------------------------------------------------------------------


def sizes(samples, rho, cutoff, *, fault):
    share = Fraction(rho) * samples
    if fault == "cumulative":
        return [samples - math.floor(share * stage / cutoff + Fraction(1, 2)) for stage in range(cutoff + 1)]
    total = {"total down": math.floor(share), "floats": math.floor(float(rho) * samples + 0.5)}
    each = total.get(fault, math.floor(share + Fraction(1, 2))) / cutoff
    each = {"up": math.ceil(each), "nearest": round(each)}.get(fault, int(each))
    return [samples - stage * each for stage in range(cutoff + 1)]


def kept(scores, presented, keep, *, fault):
    order = np.argsort(scores, kind="stable")
    if fault == "all can go":
        return np.sort(order[len(scores) - keep :])
    able = order[presented[order]]
    stay = able[len(scores) - keep :]
    return np.sort(stay) if fault == "leave" else np.sort(np.concatenate([stay, np.flatnonzero(~presented)]))


WRONG = (
    Wrong("truncated-cumulative", "truncated_ddr_sizes", "the total is rounded, not each stage", sizes,
        fault="cumulative", likely="the paper's cumulative half-up counts instead of truncated ones"),
    Wrong("truncated-up", "truncated_ddr_sizes", "each stage is rounded up", sizes, fault="up",
        likely="each stage rounded up instead of truncated"),
    Wrong("truncated-nearest", "truncated_ddr_sizes", "each stage is rounded to the nearest", sizes, fault="nearest"),
    Wrong("truncated-total", "truncated_ddr_sizes", "what goes in all is rounded down", sizes, fault="total down"),
    Wrong("truncated-floats", "truncated_ddr_sizes", "rho is a binary number", sizes, fault="floats"),
    Wrong("unpresented-go", "keep_with_unpresented", "any sample can go", partial(kept, fault="all can go"),
        likely="samples that were never presented go, too"),
    Wrong("unpresented-leave", "keep_with_unpresented", "only presented samples stay", partial(kept, fault="leave")),
)  # fmt: skip
