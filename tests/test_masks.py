from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparcl_ref.masks import budget, choose, grow, random_mask, shrink
from tests import strategies as own
from tests.chance import uniform_inclusion

SHAPE = (3, 4)


# --- shrink -----------------------------------------------------------------------------------------------------------


def kept_by_hand(mask: np.ndarray, importance: np.ndarray, active: int) -> set[int]:
    """The flat indices that stay, by sorting Python tuples."""
    flat, scores = mask.ravel().tolist(), importance.ravel().tolist()
    ranked = sorted((-scores[i], i) for i in range(len(flat)) if flat[i])
    return {i for _, i in ranked[:active]}


@given(st.data(), own.shapes(), own.dtypes())
def test_shrink_keeps_the_most_important_and_of_equals_the_first(data, shape, dtype) -> None:
    mask = data.draw(own.masks(shape))
    importance = data.draw(own.importances(shape, dtype=dtype))
    active = data.draw(st.integers(0, int(mask.sum())))
    before = mask.copy(), importance.copy()
    kept = shrink(mask, importance, active)
    assert kept.shape == shape
    assert kept.dtype == bool
    assert set(np.flatnonzero(kept).tolist()) == kept_by_hand(mask, importance, active)
    np.testing.assert_array_equal(mask, before[0])
    np.testing.assert_array_equal(importance, before[1])
    assert not np.shares_memory(kept, mask)


@given(st.data(), own.shapes())
def test_shrinking_in_two_steps_is_shrinking_once(data, shape) -> None:
    mask, importance = data.draw(own.masks(shape)), data.draw(own.importances(shape))
    fewer, more = sorted(data.draw(st.integers(0, int(mask.sum()))) for _ in range(2))
    once = shrink(mask, importance, fewer)
    np.testing.assert_array_equal(shrink(shrink(mask, importance, more), importance, fewer), once)
    np.testing.assert_array_equal(shrink(once, importance, fewer), once)


def test_ties_go_to_the_lower_flat_index_in_c_order() -> None:
    equal = np.zeros((2, 3))
    equal[0, 0] = -0.0  # ranks with 0.0
    kept = shrink(np.ones((2, 3), dtype=bool), equal, 4)
    np.testing.assert_array_equal(kept, [[True, True, True], [True, False, False]])
    # Memory laid out by columns changes nothing.
    by_column = np.asfortranarray(np.ones((2, 3), dtype=bool))
    np.testing.assert_array_equal(shrink(by_column, np.asfortranarray(equal), 4), kept)
    np.testing.assert_array_equal(shrink(np.ones((3, 2), dtype=bool).T, np.zeros((3, 2)).T, 4), kept)


def test_many_ties_are_broken_by_index_too() -> None:
    # More entries than sorting algorithms handle by insertion, where an unstable one would show.
    rng = np.random.default_rng(3)
    importance, mask = rng.integers(0, 4, 2000).astype(float), rng.random(2000) < 0.8
    active = int(mask.sum()) // 2
    assert set(np.flatnonzero(shrink(mask, importance, active)).tolist()) == kept_by_hand(mask, importance, active)


@given(st.data(), own.shapes(), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_the_importance_of_the_dead_is_not_read(data, shape, wild) -> None:
    mask, importance = data.draw(own.masks(shape)), data.draw(own.importances(shape))
    active = data.draw(st.integers(0, int(mask.sum())))
    expected = shrink(mask, importance, active)
    np.testing.assert_array_equal(shrink(mask, np.where(mask, importance, wild), active), expected)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("active", [0, 1, 3])
def test_a_living_entry_that_has_no_rank_is_named(wild, active) -> None:
    mask = np.array([[False, True], [True, True]])
    importance = np.array([[np.nan, 1.0], [wild, 2.0]])
    with pytest.raises(ValueError, match=rf"finite, got {wild} at flat index 2"):
        shrink(mask, importance, active)


@pytest.mark.parametrize("active", [-1, 4])
def test_shrink_cannot_keep_more_than_live(active) -> None:
    with pytest.raises(ValueError, match=rf"shrink: cannot keep {active} of 3 living weights"):
        shrink(np.array([True, True, False, True]), np.zeros(4), active)


def test_shrink_refuses_importance_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"mask's shape \(2, 3\), got \(3, 2\)"):
        shrink(np.ones((2, 3), dtype=bool), np.zeros((3, 2)), 1)


# --- grow, random_mask, choose ----------------------------------------------------------------------------------------


@given(st.data(), own.shapes(), own.generators())
def test_grow_reaches_the_count_and_never_touches_the_living(data, shape, rng) -> None:
    mask = data.draw(own.masks(shape))
    before = mask.copy()
    active = data.draw(st.integers(int(mask.sum()), mask.size))
    grown = grow(mask, active, rng)
    assert grown.shape == shape
    assert grown.dtype == bool
    assert np.count_nonzero(grown) == active
    assert grown[before].all()
    np.testing.assert_array_equal(mask, before)
    assert not np.shares_memory(grown, mask)


@given(st.data(), own.shapes(), own.generators())
def test_shrink_then_grow_conserves_the_count(data, shape, rng) -> None:
    mask, importance = data.draw(own.masks(shape)), data.draw(own.importances(shape))
    active = int(mask.sum())
    fewer = data.draw(st.integers(0, active))
    kept = shrink(mask, importance, fewer)
    back = grow(kept, active, rng)
    assert np.count_nonzero(back) == active
    assert back[kept].all()


@given(st.data(), own.shapes())
def test_grow_takes_the_indices_it_is_given(data, shape) -> None:
    mask = data.draw(own.masks(shape))
    dead = np.flatnonzero(~mask)
    joining = data.draw(st.permutations(dead.tolist()))[: data.draw(st.integers(0, len(dead)))]
    active = int(mask.sum()) + len(joining)
    grown = grow(mask, active, np.array(joining, dtype=np.int64))
    assert set(np.flatnonzero(grown).tolist()) == {*np.flatnonzero(mask).tolist(), *joining}
    np.testing.assert_array_equal(grow(mask, active, joining), grown)  # a list does too


def test_grow_uses_c_order_whatever_the_memory_layout() -> None:
    mask = np.zeros((3, 2), dtype=bool).T
    np.testing.assert_array_equal(grow(mask, 2, np.array([1, 3])), [[False, True, False], [True, False, False]])


@pytest.mark.parametrize(
    ("indices", "why"),
    [
        ([0, 2], "alive already"),
        ([2, 2], "twice the same"),
        ([2], "too few"),
        ([2, 3, 5], "too many"),
        ([2, 3, 3], "two distinct ones, but three"),
        ([2, 6], "outside"),
        ([2, -1], "counted from the end"),
    ],
)
def test_grow_refuses_indices_that_do_not_fit(indices, why) -> None:
    mask = np.array([[True, False, False], [False, True, False]])
    with pytest.raises(ValueError, match=rf"must be 2 distinct candidates, got {len(indices)} indices"):
        grow(mask, 4, np.array(indices))


@pytest.mark.parametrize("indices", [[2.7, 3.2], [False, True], ["2", "3"]])
def test_indices_that_are_no_integers_are_refused_not_rounded(indices) -> None:
    with pytest.raises(TypeError, match=r"must be integers, got dtype"):
        choose(np.arange(6), 2, np.array(indices))


def test_grow_refuses_to_shrink_and_to_pass_the_size() -> None:
    mask = np.array([True, True, False])
    with pytest.raises(ValueError, match=r"grow: 2 weights live already, more than the 1 wanted; shrink instead"):
        grow(mask, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"cannot choose 2 of 1 weights"):
        grow(mask, 4, np.random.default_rng(0))


@pytest.mark.parametrize("call", [lambda m: grow(m, 3, np.array([1])), lambda m: shrink(m, np.zeros(4), 1)])
def test_a_mask_that_is_not_boolean_is_refused(call) -> None:
    # ~ of the integers 0 and 1 is -1 and -2, both true: every weight would count as dead.
    with pytest.raises(TypeError, match=r"mask must be an array of bool, got dtype int64"):
        call(np.array([1, 0, 0, 1]))


def test_choose_refuses_a_negative_count() -> None:
    with pytest.raises(ValueError, match=r"cannot choose -1 of 3 weights"):
        choose(np.arange(3), -1, np.random.default_rng(0))


def test_growth_is_uniform_over_the_dead() -> None:
    rng, trials = np.random.default_rng(20), 4000
    mask = np.zeros((4, 5), dtype=bool)
    mask.reshape(-1)[[0, 3, 7, 19]] = True
    joined = sum((grow(mask, 10, rng) & ~mask).astype(int) for _ in range(trials))
    counts = joined[~mask]
    assert 0.001 < uniform_inclusion(counts, trials, drawn=6) < 0.999


def test_pairs_join_equally_often() -> None:
    # Inclusion alone cannot tell independent choices from, say, neighbours that always join together.
    rng, trials = np.random.default_rng(21), 6000
    pairs = dict.fromkeys(itertools.combinations(range(5), 2), 0)
    for _ in range(trials):
        pairs[tuple(np.flatnonzero(random_mask((5,), 2, rng)).tolist())] += 1
    assert 0.001 < stats.chisquare(list(pairs.values())).pvalue < 0.999


@given(own.shapes(), own.generators(), own.sparsities(max_value=1.0))
def test_random_mask_has_exactly_the_budget(shape, rng, sparsity) -> None:
    active = budget(math.prod(shape), sparsity)
    mask = random_mask(shape, active, rng)
    assert (mask.shape, mask.dtype) == (shape, bool)
    assert np.count_nonzero(mask) == active


def test_random_mask_can_be_given() -> None:
    mask = random_mask(SHAPE, 3, np.array([0, 5, 11]))
    np.testing.assert_array_equal(np.flatnonzero(mask), [0, 5, 11])
    assert mask.shape == SHAPE
    with pytest.raises(ValueError, match=r"cannot choose 13 of 12 weights"):
        random_mask(SHAPE, 13, np.random.default_rng(0))


def test_the_same_generator_gives_the_same_mask_and_another_one_another() -> None:
    one, same, other = (random_mask((40, 5), 100, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
