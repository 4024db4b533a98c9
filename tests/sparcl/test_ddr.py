from __future__ import annotations

import itertools
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl.ddr import StageStatistics, completed_stage, ddr_keep, ddr_sizes
from tests import exact as oracle
from tests import strategies as own


def test_the_released_log() -> None:
    assert ddr_sizes(10000, rho=0.3, cutoff=4) == [10000, 9250, 8500, 7750, 7000]
    assert ddr_sizes(10000) == [10000, 9250, 8500, 7750, 7000]


@given(st.integers(0, 20000), own.sparsities(max_value=1.0), st.integers(1, 9))
def test_sizes_are_rounded_halves_up_of_what_is_gone(samples, rho, cutoff) -> None:
    sizes = ddr_sizes(samples, rho=rho, cutoff=cutoff)
    assert sizes == [samples - oracle.gone(samples, rho, stage, cutoff) for stage in range(cutoff + 1)]
    assert sizes[0] == samples
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == samples - oracle.nearest(int(Decimal(str(rho)) * 1000) * samples, 1000)


@pytest.mark.parametrize(
    ("samples", "rho", "cutoff", "sizes"),
    [
        (5, 0.3, 1, [5, 3]),  # 1.5 gone: the half goes
        (10, 0.3, 4, [10, 9, 8, 8, 7]),  # 0.75, 1.5, 2.25, 3 gone
        (3, 1, 3, [3, 2, 1, 0]),
        (3, 0, 2, [3, 3, 3]),
        (45, 0.7, 1, [45, 13]),  # 0.7 * 45 is 31.499999999999996 in floating point
        (1, "0.5", 1, [1, 0]),
    ],
)
def test_sizes_by_hand(samples, rho, cutoff, sizes) -> None:
    assert ddr_sizes(samples, rho=rho, cutoff=cutoff) == sizes


@pytest.mark.parametrize("rho", [-0.001, 1.001])
def test_a_fraction_outside_0_to_1_is_refused(rho) -> None:
    with pytest.raises(ValueError, match=rf"rho must lie in 0\.\.1, got {rho}"):
        ddr_sizes(10, rho=rho)


def test_a_cutoff_below_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cutoff must be at least 1, got 0"):
        ddr_sizes(10, cutoff=0)


@pytest.mark.parametrize("delta_k", range(1, 8))
@pytest.mark.parametrize("epochs", [1, 4, 6, 13])
@pytest.mark.parametrize("cutoff", [1, 2, 4])
def test_only_complete_stages_that_another_epoch_follows_remove(epochs, delta_k, cutoff) -> None:
    expected = dict.fromkeys(range(1, epochs + 1))
    for stage in range(1, cutoff + 1):
        if stage * delta_k < epochs:
            expected[stage * delta_k] = stage
    got = {epoch: completed_stage(epoch, epochs=epochs, delta_k=delta_k, cutoff=cutoff) for epoch in expected}
    assert got == expected


def test_mean_fraction_of_the_papers_run() -> None:
    sizes, left, trained = ddr_sizes(10000), 10000, 0
    for epoch in range(1, 51):
        trained += left
        stage = completed_stage(epoch, epochs=50, delta_k=5, cutoff=4)
        left = left if stage is None else sizes[stage]
    assert trained == 0.775 * 10000 * 50


@given(st.lists(st.integers(0, 4), max_size=40), st.data())
def test_the_least_misclassified_go_and_of_equals_the_lowest_index(counts, data) -> None:
    keep = data.draw(st.integers(0, len(counts)))
    ranked = sorted((count, position) for position, count in enumerate(counts))
    removed = {position for _, position in ranked[: len(counts) - keep]}
    kept = ddr_keep(np.array(counts, dtype=np.int64), keep)
    assert kept.tolist() == [position for position in range(len(counts)) if position not in removed]


def test_many_ties_are_broken_by_index_too() -> None:
    counts = np.random.default_rng(2).integers(0, 3, 3000)
    ranked = sorted((count, position) for position, count in enumerate(counts.tolist()))
    assert ddr_keep(counts, 1234).tolist() == sorted(position for _, position in ranked[-1234:])


def test_keeping_all_and_none() -> None:
    counts = np.array([3, 0, 3])
    assert ddr_keep(counts, 3).tolist() == [0, 1, 2]
    assert ddr_keep(counts, 0).tolist() == []
    assert ddr_keep(np.zeros(0, dtype=np.int64), 0).tolist() == []
    assert counts.tolist() == [3, 0, 3]


@pytest.mark.parametrize("keep", [-1, 4])
def test_more_than_there_are_cannot_be_kept(keep) -> None:
    with pytest.raises(ValueError, match=rf"cannot keep {keep} of 3 samples"):
        ddr_keep(np.zeros(3, dtype=np.int64), keep)


@given(
    st.integers(0, 60),
    st.integers(1, 5),
    st.integers(1, 4),
    own.sparsities(max_value=1.0),
    st.integers(0, 8),
    own.generators(),
)
def test_removed_samples_never_come_back(samples, delta_k, cutoff, rho, more, rng) -> None:
    epochs = delta_k * cutoff + more
    sizes = ddr_sizes(samples, rho=rho, cutoff=cutoff)
    remaining, gone = np.arange(samples) * 3 + 1, set()
    for epoch in range(1, epochs + 1):
        stage = completed_stage(epoch, epochs=epochs, delta_k=delta_k, cutoff=cutoff)
        if stage is None:
            continue
        left = remaining[ddr_keep(rng.integers(0, 4, len(remaining)), sizes[stage])]
        gone |= set(remaining.tolist()) - set(left.tolist())
        remaining = left
        assert not gone & set(remaining.tolist())
        assert remaining.tolist() == sorted(remaining.tolist())
        assert len(gone) == oracle.gone(samples, rho, stage, cutoff)
    last = min(cutoff, (epochs - 1) // delta_k)
    assert len(remaining) == samples - oracle.gone(samples, rho, last, cutoff)


# --- what is noted of each sample -------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.lists(own.generators(), max_size=8))
def test_statistics_of_a_stage_by_replaying_each_samples_history(samples, steps) -> None:
    statistics, history = StageStatistics(samples), [[] for _ in range(samples)]
    for rng in steps:
        positions = rng.permutation(samples)[: rng.integers(0, samples + 1)]
        correct = rng.random(len(positions)) < 0.5
        statistics.add(positions, correct)
        for position, right in zip(positions.tolist(), correct.tolist(), strict=True):
            history[position].append(right)
    assert statistics.wrong.tolist() == [h.count(False) for h in history]
    assert statistics.ever_correct.tolist() == [any(h) for h in history]
    assert statistics.last_correct.tolist() == [bool(h) and h[-1] for h in history]
    flips = [sum(a and not b for a, b in itertools.pairwise(h)) for h in history]
    assert statistics.flips.tolist() == flips
    assert statistics.presented.tolist() == [bool(h) for h in history]


@pytest.mark.parametrize("times", [300, 70_000])
def test_counts_beyond_8_and_16_bits(times) -> None:
    one, first = StageStatistics(1), np.array([0])
    for right in (np.array([True]), np.array([False])) * times:
        one.add(first, right)
    assert (one.wrong.tolist(), one.flips.tolist()) == ([times], [times])
    assert one.wrong.dtype == one.flips.dtype == np.int64


def test_statistics_state_round_trip() -> None:
    one = StageStatistics(4)
    one.add(np.array([0, 2]), np.array([True, False]))
    one.add(np.array([0, 1]), np.array([False, True]))
    state = one.state()
    other = StageStatistics(0)
    other.load_state(state)
    np.testing.assert_equal(other.state(), state)
    one.add(np.array([3]), np.array([False]))
    other.add(np.array([1]), np.array([False]))
    assert (state["wrong"].tolist(), state["flips"].tolist()) == ([1, 0, 1, 0], [1, 0, 0, 0])
    assert other.flips.tolist() == [1, 1, 0, 0]
