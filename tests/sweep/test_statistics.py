"""Means, paired differences, intervals and frontiers, against SciPy and definitions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from sparcl_ref.config import Config
from sparcl_ref.history import History
from sparcl_ref.result import Result
from sparcl_ref.sweep.results import Found
from sparcl_ref.sweep.statistics import check_label, entries, frontier, interval, seen_so_far
from tests.helpers import assert_close

RESULT = Result("a run", Config(), (), History(), {}, {}, {}, {}, {}, [], steps=0, wall_seconds=0.0)


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), max_size=8))
def test_an_interval_holds_the_mean_and_turns_with_the_sign(differences) -> None:
    found = interval(differences)
    assert (found is None) == (len(differences) < 2)
    if found is not None:
        assert found[0] - 1e-12 <= np.mean(differences) <= found[1] + 1e-12
        back = interval([-each for each in differences])
        assert_close(back, [-found[1], -found[0]], call="the other way round", atol=1e-12)


def test_the_interval_is_the_percentile_bootstraps() -> None:
    """SciPy draws other resamples: with 9,999 of them ends differ by about a hundredth of the spread."""
    values = np.random.default_rng(3).normal(0.03, 0.02, size=9)
    expected = bootstrap((values,), np.mean, confidence_level=0.95, n_resamples=9999, method="percentile")
    ends = expected.confidence_interval
    assert_close(interval(values), [ends.low, ends.high], call="bootstrap", rtol=0, atol=1e-3)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_frontier_is_what_nothing_beats(points) -> None:
    found = frontier(points)
    for index, (cost, good) in enumerate(points):
        beaten = [(c, g) for c, g in points if (c < cost and g >= good) or (c <= cost and g > good)]
        assert (index in found) == (not beaten)


def run(seed: int, matrix, **settings) -> Found:
    config = Config(seed=seed, **settings)
    result = dataclasses.replace(RESULT, config=config, history=History(class_il_matrix=matrix))
    return Found(config, result, "", [])


def test_entries_gather_seeds_and_the_most_accurate_comes_first() -> None:
    low, high = [[0.1, 0.1], [0.9, 0.0], [0.2, 0.6]], [[0.1, 0.1], [0.9, 0.0], [0.8, 0.4]]
    failed = Found(Config(method="er", seed=2), None, "diverged", [])
    made = entries([run(1, low, method="er"), failed, run(0, low, method="er"), run(0, high, method="sgd")])
    assert [(entry.label, list(entry.runs)) for entry in made] == [("SGD", [0]), ("ER", [0, 1, 2])]
    assert [result.class_il_accuracy for result in made[1].results] == [0.4, 0.4]
    assert made[1].spread(lambda result: result.newest_task_accuracy) == (0.6, 0.0)
    assert_close(seen_so_far(made[0].results[0]), [0.9, 0.6], call="seen so far")
    with pytest.raises(ValueError, match="did you mean 'ER'"):
        check_label("er", [entry.label for entry in made])
