"""Means, paired differences, intervals and frontiers, against SciPy and definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from sparcl_ref.config import Config
from sparcl_ref.sweep.results import Found
from sparcl_ref.sweep.statistics import class_il, entries, frontier, named, newest_task, paired, seen_so_far
from tests.helpers import assert_close

UNIT = st.floats(0, 1, allow_subnormal=False)
SEEDED = st.dictionaries(st.integers(0, 12), UNIT, max_size=8)


@given(ours=SEEDED, theirs=SEEDED)
def test_differences_are_of_the_same_seed(ours, theirs) -> None:
    found, common = paired(ours, theirs), sorted(ours.keys() & theirs.keys())
    if not common:
        assert found is None
        return
    assert found.seeds == len(common)
    assert_close(found.mean, np.mean([ours[s] - theirs[s] for s in common]), call="paired", atol=1e-12)
    assert (found.low is None) == (len(common) == 1)
    if found.low is not None:
        assert found.low - 1e-12 <= found.mean <= found.high + 1e-12
        back = paired(theirs, ours)
        assert_close(back.low, -found.high, call="the other way round", atol=1e-12)


def test_the_interval_is_the_percentile_bootstraps() -> None:
    """SciPy draws other resamples: with 9,999 of them ends differ by about a hundredth of the spread."""
    values = np.random.default_rng(3).normal(0.03, 0.02, size=9)
    found = paired(dict(enumerate(values)), dict.fromkeys(range(9), 0.0))
    expected = bootstrap((values,), np.mean, confidence_level=0.95, n_resamples=9999, method="percentile")
    interval = expected.confidence_interval
    assert_close([found.low, found.high], [interval.low, interval.high], call="bootstrap", rtol=0, atol=1e-3)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_frontier_is_what_nothing_beats(points) -> None:
    found = frontier(points)
    for index, (cost, good) in enumerate(points):
        beaten = [(c, g) for c, g in points if (c < cost and g >= good) or (c <= cost and g > good)]
        assert (index in found) == (not beaten)


def run(seed: int, matrix, **settings) -> Found:
    record = {"class_il_matrix": matrix, "class_il_accuracy": float(np.mean(matrix[-1]))}
    return Found(Config(seed=seed, **settings), record, "", {}, None)


def test_entries_gather_seeds_and_the_most_accurate_comes_first() -> None:
    low, high = [[0.1, 0.1], [0.9, 0.0], [0.2, 0.6]], [[0.1, 0.1], [0.9, 0.0], [0.8, 0.4]]
    failed = Found(Config(method="er", seed=2), None, "diverged", {}, None)
    made = entries([run(0, low, method="er"), failed, run(1, low, method="er"), run(0, high, method="sgd")])
    assert [(entry.label, sorted(entry.runs)) for entry in made] == [("SGD", [0]), ("ER", [0, 1, 2])]
    assert made[1].values(class_il) == {0: 0.4, 1: 0.4}
    assert made[1].values(newest_task) == {0: 0.6, 1: 0.6}
    assert_close(seen_so_far(made[0].runs[0]), [0.9, 0.6], call="seen so far")
    assert named(made, "ER") is made[1]
    with pytest.raises(ValueError, match="did you mean 'ER'"):
        named(made, "er")
