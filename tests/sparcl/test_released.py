"""The published code's rules, each against its sentence in the method or against plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparcl_ref.sparcl.released import (
    flip_score,
    frozen_zeros,
    grow_by_value,
    grow_count_by_value,
    keep_with_unpresented,
    last_gradient_importance,
    magnitude_initial_mask,
    percentile_gradient_mask,
    percentile_threshold,
    released_tdm_actions,
    shrink_above_percentile,
    truncated_ddr_sizes,
)
from sparcl_ref.sparcl.tdm import Action
from tests import strategies as own

FAR = 1e-9  # nearer than this to a threshold, which side a score falls on is a matter of rounding


def interpolated(scores: np.ndarray, fraction: str | float) -> Fraction:
    """The percentile by hand: rank (n - 1) p in exact arithmetic, linear between neighbours."""
    ordered = [Fraction(score) for score in sorted(scores.ravel().tolist())]
    rank = (len(ordered) - 1) * min(max(Fraction(str(fraction)), Fraction(0)), Fraction(1))
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


# --- rule 3's percentile ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("s", "threshold"), [(0.5, 2.5), (0.25, 1.75), ("0.75", 3.25), (0, 1), (1, 4), (-0.1, 1), (1.01, 4)]
)
def test_threshold_by_hand(s, threshold) -> None:
    assert percentile_threshold(np.array([[4.0, 1.0], [3.0, 2.0]]), s) == threshold


@given(own.shapes(), own.seeds(), own.sparsities(max_value=1.0))
def test_threshold_is_linearly_interpolated_over_all_entries(shape, seed, s) -> None:
    scores = np.random.default_rng(seed).random(shape)
    assert percentile_threshold(scores, s) == pytest.approx(float(interpolated(scores, s)), rel=1e-12)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_scores_without_a_rank_are_refused(wild) -> None:
    with pytest.raises(ValueError, match=r"scores must be finite"):
        percentile_threshold(np.array([0.0, wild, 1.0]), 0.5)


# --- rules 1, 3, 4, 5, 6: masks ---------------------------------------------------------------------------------------


@given(own.shapes(), own.seeds(), st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.998, 0.9989999, 0.999, 0.9995, 1.0]))
@example((2, 3), 0, 0.0)
@example((2, 3), 0, 0.9989999)
@example((2, 3), 0, 0.999)
def test_initial_mask_is_above_the_percentile_of_the_magnitude(shape, seed, s) -> None:
    weight = np.random.default_rng(seed).standard_normal(shape)
    if s == 0 or s >= 0.999:
        assert magnitude_initial_mask(weight, s).tolist() == np.full(shape, s == 0).tolist()
        return
    threshold = interpolated(np.abs(weight), s)
    mask = magnitude_initial_mask(weight, s)
    assert (mask.shape, mask.dtype) == (shape, bool)
    sure = np.abs(np.abs(weight) - float(threshold)) > FAR
    np.testing.assert_array_equal(mask[sure], (np.abs(weight) > float(threshold))[sure])


def test_comparison_with_the_threshold_is_strict() -> None:
    weight = np.array([-1.0, 2.0, -3.0, 4.0, 5.0])
    assert magnitude_initial_mask(weight, 0.5).tolist() == [False, False, False, True, True]
    assert magnitude_initial_mask(np.ones(4), "0.1").tolist() == [False] * 4  # ties at the threshold die together
    assert shrink_above_percentile(weight, np.abs(weight), 0.5).tolist() == [False, False, False, True, True]


@given(own.shapes(), own.seeds(), own.sparsities(max_value=1.0))
def test_shrinking_needs_importance_above_the_percentile_and_a_value(shape, seed, s) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal(shape) * (rng.random(shape) < 0.7)
    importance = np.abs(weight) + rng.random(shape)
    kept = shrink_above_percentile(weight, importance, s)
    threshold = interpolated(importance, s)
    sure = np.abs(importance - float(threshold)) > FAR
    assert not kept[weight == 0].any()
    alive = (importance > float(threshold)) & (weight != 0)
    np.testing.assert_array_equal(kept[sure], alive[sure])


def test_a_weight_that_grew_and_is_still_zero_counts_as_dead() -> None:
    weight, importance = np.array([0.0, 1.0, 2.0, 3.0]), np.array([9.0, 1.0, 2.0, 3.0])
    assert shrink_above_percentile(weight, importance, 0.5).tolist() == [False, False, False, True]


def test_importance_is_magnitude_and_half_the_last_gradient() -> None:
    weight, grad = np.array([-2.0, 0.0, 4.0]), np.array([0.0, -1.0, 4.0])
    assert last_gradient_importance(weight, grad).tolist() == [2, 0.5, 6]
    assert last_gradient_importance(weight, np.zeros(3)).tolist() == [2, 0, 4]


@pytest.mark.parametrize(
    ("zeros", "n", "target", "joining"),
    [
        (76, 100, 0.75, 1),
        (75, 100, 0.75, 0),
        (70, 100, 0.75, 0),  # too few zeros already: nothing leaves
        (8, 10, 0.75, 0),  # 0.5 is cut off
        (9, 10, 0.75, 1),  # 1.5
        (10, 10, 0, 10),
        (10, 10, "-0.01", 10),
        (3, 10, 1, 0),
        (5, 5, 0.9, 0),
        (8, 100, 0.07, 0),  # in floating point, as published: 0.07 * 100 is 7.000000000000001
    ],
)
def test_growth_counts_zeros_by_value(zeros, n, target, joining) -> None:
    weight = np.ones(n)
    weight[:zeros] = 0
    assert grow_count_by_value(weight, target) == joining


@given(own.shapes(max_side=5), own.generators(), own.sparsities(max_value=1.0))
def test_growth_adds_zeros_to_everything_that_is_not_zero(shape, rng, target) -> None:
    weight = rng.standard_normal(shape) * (rng.random(shape) < 0.4)
    grown = grow_by_value(weight, target, rng)
    assert (grown.shape, grown.dtype) == (shape, bool)
    assert grown[weight != 0].all()
    joined = np.count_nonzero(grown) - np.count_nonzero(weight)
    zeros = np.count_nonzero(weight == 0)
    assert joined == max(0, int(zeros - target * weight.size))


def test_without_growth_what_the_percentile_left_is_all_that_lives() -> None:
    weight = np.array([0.0] * 7 + [1, 2, 3])
    alive = shrink_above_percentile(weight, np.abs(weight), 0.5)
    for p_intra, living in (("0.01", 5), (0, 3)):
        actions = released_tdm_actions(2, 6, epochs=50, sparsity=0.5, p_intra=p_intra)
        mask = alive
        for action in actions:
            if action.kind == "expand":
                mask = grow_by_value(weight * alive, action.sparsity, np.random.default_rng(0))
        assert np.count_nonzero(mask) == living, p_intra


def test_growth_can_be_given() -> None:
    weight = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert grow_by_value(weight, 0.5, np.array([3])).tolist() == [[True, False], [False, True]]
    with pytest.raises(ValueError, match=r"1 distinct candidates"):
        grow_by_value(weight, 0.5, np.array([0]))


@given(own.shapes(), own.seeds(), own.sparsities(max_value=1.0))
def test_gradient_mask_is_at_or_above_the_percentile_and_not_zero(shape, seed, s) -> None:
    rng = np.random.default_rng(seed)
    grad = rng.standard_normal(shape) * (rng.random(shape) < 0.6)
    kept = percentile_gradient_mask(grad, s)
    threshold = interpolated(np.abs(grad), s)
    sure = np.abs(np.abs(grad) - float(threshold)) > FAR
    assert not kept[grad == 0].any()
    np.testing.assert_array_equal(kept[sure], ((np.abs(grad) >= float(threshold)) & (grad != 0))[sure])


def test_comparison_of_gradients_includes_the_threshold() -> None:
    assert percentile_gradient_mask(np.array([-1.0, 2.0, -3.0, 4.0, 5.0]), 0.5).tolist() == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert percentile_gradient_mask(np.array([0.0, 0.0, 0.0, 1.0]), 0.5).tolist() == [False, False, False, True]


# --- rule 2: schedule -------------------------------------------------------------------------------------------------


def table(epochs: int, delta_k: int) -> dict[int, tuple[Action, ...]]:
    """Epochs counted from 1, s = 0.75, both steps 0.01."""
    dense, sparse, to = Fraction("0.74"), Fraction("0.76"), Fraction("0.75")
    events = {1: (Action("shrink", to), Action("expand", dense))}
    for from_zero in range(delta_k, epochs, delta_k):
        exchange = (Action("shrink", sparse), Action("expand", to))
        events[from_zero + 1] = exchange if from_zero < epochs - delta_k else (Action("shrink", to),)
    return events


@pytest.mark.parametrize("task", [1, 2, 7])
@pytest.mark.parametrize(("epochs", "delta_k"), [(50, 5), (6, 2), (7, 2), (5, 5), (4, 1), (9, 4), (3, 5)])
def test_schedule_is_the_same_in_every_task(task, epochs, delta_k) -> None:
    events = table(epochs, delta_k)
    for epoch in range(1, epochs + 1):
        got = released_tdm_actions(task, epoch, epochs=epochs, sparsity=0.75, delta_k=delta_k)
        assert got == events.get(epoch, ()), epoch


def test_the_released_run_by_hand() -> None:
    events = table(50, 5)
    assert sorted(events) == [1, 6, 11, 16, 21, 26, 31, 36, 41, 46]
    assert [action.kind for action in events[46]] == ["shrink"]


def test_targets_below_zero_are_zero_and_a_dense_network_is_left_alone() -> None:
    assert released_tdm_actions(1, 1, epochs=4, sparsity=0.005, delta_k=2)[1] == Action("expand", Fraction(0))
    assert released_tdm_actions(1, 1, epochs=4, sparsity=0, delta_k=2) == ()
    assert released_tdm_actions(1, 3, epochs=9, sparsity=0, delta_k=2, p_intra=2) == ()


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 100), st.integers(0, 30), st.integers(0, 30), st.data())
def test_schedule_is_a_table_of_two_bounds(delta_k, epochs, s, inter, intra, data) -> None:
    """The published table, in hundredths: bounds to prune to and to grow to, and three spans of epochs."""
    epoch = data.draw(st.integers(1, epochs))
    now = epoch - 1
    if now < delta_k:
        prune, grow = s, max(0, s - inter)
    elif now < epochs - delta_k:
        prune, grow = s + intra, s
    else:
        prune, grow = s, s
    settings = {"sparsity": s / 100, "p_inter": inter / 100, "p_intra": intra / 100, "delta_k": delta_k}
    if s and s + intra > 100 and delta_k < epochs - delta_k:
        with pytest.raises(ValueError, match=r"sparsity \+ p_intra, which must not exceed 1, got .*; lower"):
            released_tdm_actions(2, epoch, epochs=epochs, **settings)
        return
    due = [] if s == 0 or now % delta_k else [("shrink", prune)] + [("expand", grow)] * (grow != prune)
    got = released_tdm_actions(2, epoch, epochs=epochs, **settings)
    assert [(action.kind, 100 * action.sparsity) for action in got] == due


def test_where_both_bounds_are_equal_nothing_grows() -> None:
    settings = {"epochs": 50, "sparsity": 0.75}
    for task in (1, 2):
        assert released_tdm_actions(task, 1, p_inter=0, **settings) == (Action("shrink", Fraction(3, 4)),)
        assert released_tdm_actions(task, 6, p_intra=0, **settings) == (Action("shrink", Fraction(3, 4)),)


def test_a_percentile_above_100_is_refused_where_it_would_be_asked_for() -> None:
    high = {"sparsity": 0.995, "p_intra": 0.02}
    with pytest.raises(ValueError, match=r"must not exceed 1, got 0\.995 \+ 0\.02; lower one of them"):
        released_tdm_actions(1, 1, epochs=50, **high)
    assert released_tdm_actions(1, 6, epochs=10, **high) == (Action("shrink", Fraction("0.995")),)  # no exchange at all
    assert released_tdm_actions(1, 6, epochs=50, sparsity=0.98, p_intra=0.02)[0] == Action("shrink", Fraction(1))


@pytest.mark.parametrize(("task", "epoch", "delta_k"), [(0, 1, 5), (1, 0, 5), (1, 1, 0)])
def test_counting_starts_at_one(task, epoch, delta_k) -> None:
    with pytest.raises(ValueError, match=rf"count from 1, got {task}, {epoch} and {delta_k}"):
        released_tdm_actions(task, epoch, epochs=9, sparsity=0.9, delta_k=delta_k)


# --- rules 7 and 8 ----------------------------------------------------------------------------------------------------


def test_a_sample_that_was_never_right_counts_as_hardest() -> None:
    scores = flip_score(np.array([0, 3, 0, 1]), np.array([True, True, False, True]), 50)
    assert scores.tolist() == [0, 3, 50, 1]


@given(st.integers(1, 10000), st.data())
def test_zeros_are_frozen_where_the_published_test_says_so(n, data) -> None:
    near = st.integers(max(0, n // 10 - 2), min(n, n // 10 + 2))
    zeros = data.draw(near | st.integers(0, n))
    value = np.ones(n)
    value[:zeros] = 0
    mask = frozen_zeros(value)
    assert (mask is None) == (1 - (n - zeros) * 1.0 / n < 0.1)
    if mask is not None:
        np.testing.assert_array_equal(mask, value != 0)


@pytest.mark.parametrize("n", [10 * k for k in range(1, 31)])
def test_exactly_a_tenth_of_zeros_freezes_nothing(n) -> None:
    value = np.ones(n)
    value[: n // 10] = 0
    assert frozen_zeros(value) is None
    value[n // 10] = 0
    assert np.count_nonzero(frozen_zeros(value)) == n - n // 10 - 1


# --- rule 7: what is removed ------------------------------------------------------------------------------------------


def test_removals_are_truncated_stage_by_stage() -> None:
    assert truncated_ddr_sizes(64, rho=0.3, cutoff=2) == [64, 55, 46]
    assert truncated_ddr_sizes(10000) == [10000, 9250, 8500, 7750, 7000]


@given(st.integers(0, 5000), st.integers(0, 100), st.integers(1, 12))
def test_each_stage_removes_the_truncated_share(samples, hundredths, cutoff) -> None:
    to_go = math.floor(Fraction(hundredths, 100) * samples + Fraction(1, 2))
    each = int(to_go / cutoff)
    sizes = truncated_ddr_sizes(samples, rho=hundredths / 100, cutoff=cutoff)
    assert sizes == [samples - stage * each for stage in range(cutoff + 1)]


@pytest.mark.parametrize(("settings", "message"), [({"rho": 1.1}, "rho must lie in 0..1"), ({"cutoff": 0}, "cutoff")])
def test_removals_are_checked(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        truncated_ddr_sizes(10, **settings)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40), st.data())
def test_only_the_presented_go(samples, data) -> None:
    keep = data.draw(st.integers(0, len(samples)))
    order = sorted((score, position) for position, (score, presented) in enumerate(samples) if presented)
    gone = [position for _, position in order][: len(samples) - keep]
    scores, presented = (np.array(column) for column in zip(*samples, strict=True)) if samples else ([], [])
    kept = keep_with_unpresented(np.array(scores, dtype=np.int64), np.array(presented, dtype=bool), keep)
    assert kept.tolist() == [position for position in range(len(samples)) if position not in gone]


def test_what_was_never_presented_stays_even_if_fewer_go() -> None:
    scores, presented = np.array([0, 0, 3, 1]), np.array([False, True, True, False])
    assert keep_with_unpresented(scores, presented, 3).tolist() == [0, 2, 3]
    assert keep_with_unpresented(scores, presented, 0).tolist() == [0, 3]
    with pytest.raises(ValueError, match=r"cannot keep 5 of 4 samples"):
        keep_with_unpresented(scores, presented, 5)


@given(st.integers(1, 30))
def test_batchnorm_biases_stay_at_zero(channels) -> None:
    assert not frozen_zeros(np.zeros(channels)).any()
    assert frozen_zeros(np.ones(channels)) is None
