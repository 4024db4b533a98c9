"""The published code's rules, each against its sentence in the method or against plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl.released import (
    flip_score,
    frozen_zeros,
    grow_by_value,
    grow_count_by_value,
    last_gradient_importance,
    magnitude_initial_mask,
    percentile_gradient_mask,
    percentile_threshold,
    released_tdm_actions,
    shrink_above_percentile,
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


@given(own.shapes(), own.seeds(), own.sparsities())
def test_initial_mask_is_above_the_percentile_of_the_magnitude(shape, seed, s) -> None:
    weight = np.random.default_rng(seed).standard_normal(shape)
    threshold = interpolated(np.abs(weight), s)
    mask = magnitude_initial_mask(weight, s)
    assert (mask.shape, mask.dtype) == (shape, bool)
    sure = np.abs(np.abs(weight) - float(threshold)) > FAR
    np.testing.assert_array_equal(mask[sure], (np.abs(weight) > float(threshold))[sure])


def test_comparison_with_the_threshold_is_strict() -> None:
    weight = np.array([-1.0, 2.0, -3.0, 4.0, 5.0])
    assert magnitude_initial_mask(weight, 0.5).tolist() == [False, False, False, True, True]
    assert magnitude_initial_mask(np.ones(4), 0).tolist() == [False] * 4  # ties at the threshold die together
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


def test_targets_are_limited_and_a_dense_network_is_left_alone() -> None:
    assert released_tdm_actions(1, 1, epochs=4, sparsity=0.005, delta_k=2)[1] == Action("expand", Fraction(0))
    shrink = released_tdm_actions(1, 3, epochs=6, sparsity=0.99, delta_k=2, p_intra=0.05)[0]
    assert shrink == Action("shrink", Fraction(1))
    assert released_tdm_actions(1, 1, epochs=4, sparsity=0, delta_k=2) == ()


@pytest.mark.parametrize(("task", "epoch", "delta_k"), [(0, 1, 5), (1, 0, 5), (1, 1, 0)])
def test_counting_starts_at_one(task, epoch, delta_k) -> None:
    with pytest.raises(ValueError, match=rf"count from 1, got {task}, {epoch} and {delta_k}"):
        released_tdm_actions(task, epoch, epochs=9, sparsity=0.9, delta_k=delta_k)


# --- rules 7 and 8 ----------------------------------------------------------------------------------------------------


def test_a_sample_that_was_never_right_counts_as_hardest() -> None:
    scores = flip_score(np.array([0, 3, 0, 1]), np.array([True, True, False, True]), 50)
    assert scores.tolist() == [0, 3, 50, 1]


@pytest.mark.parametrize(("zeros", "n", "frozen"), [(1, 10, True), (1, 11, False), (0, 10, False), (8, 8, True)])
def test_a_tenth_of_zeros_freezes_them(zeros, n, frozen) -> None:
    value = np.ones(n)
    value[:zeros] = 0
    mask = frozen_zeros(value)
    assert (mask is not None) == frozen
    if frozen:
        np.testing.assert_array_equal(mask, value != 0)


@given(st.integers(1, 30))
def test_batchnorm_biases_stay_at_zero(channels) -> None:
    assert not frozen_zeros(np.zeros(channels)).any()
    assert frozen_zeros(np.ones(channels)) is None
