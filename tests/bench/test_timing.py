"""How contenders are timed and compared; how fast anything is, is not tested."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from sparcl_ref.bench.timing import Contender, compared, interleaved, paired_ratio, spread


def test_contenders_take_turns_after_a_call_that_does_not_count():
    calls = []
    contenders = [Contender(name, lambda name=name: calls.append(name)) for name in "ab"]
    seconds = interleaved(contenders, rounds=3)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_each_call_runs_in_its_own_context():
    calls = []

    @contextmanager
    def around():
        calls.append("in")
        yield
        calls.append("out")

    interleaved([Contender("a", lambda: calls.append("a"), around=around)], rounds=1)
    assert calls == ["in", "a", "out"] * 2


def test_two_contenders_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different names"):
        interleaved([Contender("a", int), Contender("a", int)], rounds=1)


def test_the_better_baseline_counts():
    seconds = {"ours": [1.0, 2.0, 9.0], "slow": [8.0, 8.0, 8.0], "good": [6.0, 3.0, 9.0]}
    contenders = [Contender(name, int, useful_flops=4e9) for name in seconds]
    rows = compared(contenders, seconds, baseline=("slow", "good"), peak_flops=8e9)
    assert rows[0] == {
        "name": "ours",
        "median_seconds": 2.0,
        "min_seconds": 1.0,
        "max_seconds": 9.0,
        "times_faster": 3.0,
        "useful_gflops_per_second": 2.0,
        "fraction_of_peak": 0.25,
    }
    assert [row["times_faster"] for row in rows[1:]] == [0.75, 1.0]


def test_spread():
    assert spread([3.0, 1.0, 8.0]) == {"median_seconds": 3.0, "min_seconds": 1.0, "max_seconds": 8.0}


def test_ratios_are_of_one_round_each():
    # Medians of the two lists are equal; in three of five rounds the first was twice as slow.
    ratio = paired_ratio([2.0, 4.0, 8.0, 1.0, 3.0], [1.0, 2.0, 4.0, 4.0, 6.0])
    assert ratio == {"median": 2.0, "lower_quartile": 0.5, "upper_quartile": 2.0}
    assert paired_ratio([3.0], [2.0]) == {"median": 1.5, "lower_quartile": 1.5, "upper_quartile": 1.5}
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0], [1.0, 2.0])
