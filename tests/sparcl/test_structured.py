from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl.structured import (
    PATTERNS,
    STRUCTURES,
    best_patterns,
    grow_column_blocks,
    grow_patterns,
    keep_column_blocks,
    keep_filters,
    keep_kernels_per_filter,
    kernel_sparsity,
    silent_filters,
)
from tests import strategies as own


def weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def norm(part: np.ndarray) -> float:
    return sum(w * w for w in part.ravel().tolist()) ** 0.5


def ranks_above(norms: list[float], s: float) -> set[int]:
    """Who is strictly above the percentile 100 s, where its rank (n - 1) s is no whole number."""
    order = sorted(range(len(norms)), key=lambda i: norms[i])
    return set(order[int((len(norms) - 1) * s) + 1 :])


def share_of_kernels(shape: tuple[int, ...], s: float | str) -> Fraction:
    """Kernels that have to go where every other 3x3 kernel loses five of nine entries to its pattern."""
    alive = 1 - Fraction(str(s))
    return 1 - alive * Fraction(9, 4) if len(shape) > 2 and shape[2] == 3 else 1 - alive


def cut_off(number: Fraction) -> set[int]:
    """int(number), and what it is if rounding has carried the number over an integer."""
    return {math.trunc(number + error) for error in (-Fraction(1, 10**9), 0, Fraction(1, 10**9))}


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(10, 3, 3, 3), (10, 4), (10, 2, 1, 1)])
@pytest.mark.parametrize("s", [0.25, 0.5, 0.75])  # 9 s is never whole
def test_filters_live_and_die_by_their_norm(shape, s) -> None:
    weight = weights(shape, 3)
    mask = keep_filters(weight, s)
    assert (mask.shape, mask.dtype) == (shape, bool)
    alive = ranks_above([norm(row) for row in weight], s)
    for channel in range(10):
        assert np.all(mask[channel] == (channel in alive))
    mask[0] = True  # an array of its own, not a view that repeats one row


# --- filter_balance ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "s", "kernels"),
    [
        ((4, 8, 3, 3), 0.75, 7 / 16),
        ((4, 8, 3, 3), 0.5, -1 / 8),
        ((4, 8, 3, 1), 0.5, -1 / 8),
        ((4, 8, 1, 3), 0.5, 0.5),
        ((4, 8, 1, 1), 0.75, 0.75),
        ((4, 8), "0.3", 0.3),
    ],
)
def test_patterns_already_take_five_ninths_of_3x3_kernels(shape, s, kernels) -> None:
    assert kernel_sparsity(np.ones(shape), s) == kernels
    assert float(share_of_kernels(shape, s)) == kernels


@given(
    st.sampled_from([(3, 8, 3, 3), (2, 16, 3, 3), (5, 6, 1, 1), (4, 7), (2, 9, 3, 1), (2, 9, 1, 3)]),
    own.seeds(),
    own.sparsities(max_value=1.0),
)
def test_every_channel_loses_the_kernels_that_the_published_slice_names(shape, seed, s) -> None:
    weight = weights(shape, seed)
    mask = keep_kernels_per_filter(weight, s)
    assert (mask.shape, mask.dtype) == (shape, bool)
    inputs = shape[1]
    fits = []
    for count in cut_off(share_of_kernels(shape, s) * inputs):
        gone = [sorted(range(inputs), key=lambda i: norm(row[i]))[:count] for row in weight]
        fits.append(
            all(np.all(mask[c, k] == (k not in gone[c])) for c, k in itertools.product(range(shape[0]), range(inputs)))
        )
    assert any(fits)
    mask[0] = True


@pytest.mark.parametrize("shape", [(1, 16, 3, 3), (1, 16, 3, 1)])
@pytest.mark.parametrize(
    ("s", "kept"), [("0.3", 9), ("0.5", 2), ("0.55", 16), ("0.56", 16), ("0.75", 9), ("0.999", 1), ("0.2", 12)]
)
def test_below_five_ninths_a_negative_count_is_sliced_with(shape, s, kept) -> None:
    weight = np.broadcast_to(np.arange(1.0, 17.0).reshape(1, 16, 1, 1), shape)
    alive = keep_kernels_per_filter(weight, s).reshape(16, -1)
    assert np.flatnonzero(alive.all(axis=1)).tolist() == list(range(16 - kept, 16))
    assert not alive[: 16 - kept].any()


def test_a_count_beyond_the_kernels_leaves_all() -> None:
    assert keep_kernels_per_filter(np.ones((2, 16, 3, 3)), "0.1").all()  # -16.4
    assert keep_kernels_per_filter(np.ones((2, 16, 3, 3)), "0.05").all()  # -18.2, where the published code crashes


def test_of_equal_kernels_the_higher_goes() -> None:
    mask = keep_kernels_per_filter(np.ones((2, 4, 1, 1)), 0.5)
    assert mask.reshape(2, 4).tolist() == [[True, True, False, False]] * 2


def test_a_vector_has_no_kernels() -> None:
    with pytest.raises(ValueError, match=r"filter_balance: weights must have shape \(out, in, \.\.\.\), got \(4,\)"):
        keep_kernels_per_filter(np.ones(4), 0.5)
    with pytest.raises(ValueError, match=r"pattern: weights must have shape"):
        grow_patterns(np.ones(4), 0.5, np.random.default_rng(0))


# --- patterns ---------------------------------------------------------------------------------------------------------


def test_the_eight_patterns() -> None:
    # Drawn, row by row, for the eye: four corners of 2x2, then the four of a T.
    pictures = [
        "... .xx .xx", "... xx. xx.", ".xx .xx ...", "xx. xx. ...",
        "... ..x xxx", "... xxx .x.", ".x. .xx .x.", ".x. xx. .x.",
    ]  # fmt: skip
    drawn = [tuple(i for i, mark in enumerate(picture.replace(" ", "")) if mark == "x") for picture in pictures]
    assert drawn[:4] == list(PATTERNS[:4])
    assert drawn[5:] == list(PATTERNS[5:])
    assert PATTERNS[4] == (5, 6, 7, 8)
    assert all(len(set(pattern)) == 4 for pattern in PATTERNS)
    assert len(set(PATTERNS)) == 8


@given(own.seeds())
def test_each_kernel_keeps_its_strongest_pattern(seed) -> None:
    weight = weights((3, 4, 3, 3), seed)
    mask = best_patterns(weight, 0.9)
    np.testing.assert_array_equal(mask, best_patterns(weight))  # the sparsity plays no part
    for out, fan_in in itertools.product(range(3), range(4)):
        kernel = weight[out, fan_in].ravel()
        best = max(PATTERNS, key=lambda pattern, kernel=kernel: norm(kernel[list(pattern)]))
        assert tuple(np.flatnonzero(mask[out, fan_in]).tolist()) == best


def test_the_first_of_equal_patterns_and_no_exact_zeros() -> None:
    assert np.flatnonzero(best_patterns(np.ones((1, 1, 3, 3)))).tolist() == [4, 5, 7, 8]
    kernel = np.ones((1, 1, 3, 3))
    kernel[0, 0, 1, 1] = 0
    assert np.flatnonzero(best_patterns(kernel)).tolist() == [5, 6, 7, 8]
    assert not best_patterns(np.zeros((1, 1, 3, 3))).any()
    flat = np.array([[1.0, 0.0], [0.0, -2.0]])
    np.testing.assert_array_equal(best_patterns(flat), flat != 0)


@given(st.sampled_from([(3, 6, 3, 3), (4, 5, 1, 1), (3, 7)]), own.generators(), own.sparsities(max_value=1.0))
def test_kernels_that_sum_to_zero_join_as_the_published_formula_counts_them(shape, rng, s) -> None:
    weight = np.rint(2 * rng.standard_normal(shape))  # +1 and -1 in one kernel are common
    weight[rng.random(shape[:2]) < 0.5] = 0
    inputs = shape[1]
    rows = weight.reshape(*shape[:2], -1)
    empty = [[i for i in range(inputs) if sum(row[i].tolist()) == 0] for row in rows]
    if s == 0:
        assert grow_patterns(weight, s, rng).all()
        return
    target = 1 - (1 - s) * 9 / 4 if shape[2:] == (3, 3) else s
    wanted = [int(len(found) - target * inputs) for found in empty]
    if not any(empty):
        np.testing.assert_array_equal(grow_patterns(weight, s, rng), weight != 0)
        return
    if any(not 0 <= number <= len(found) for number, found in zip(wanted, empty, strict=True)):
        with pytest.raises(ValueError, match=r"pattern: growth to .* of . units empty would let .* empty ones join"):
            grow_patterns(weight, s, rng)
        return
    grown = grow_patterns(weight, s, rng)
    for row, old, found, number in zip(grown.reshape(rows.shape), rows, empty, wanted, strict=True):
        changed = [i for i in range(inputs) if not np.array_equal(row[i], old[i] != 0)]
        assert set(changed) <= set(found)
        # One that was full of +1 and -1 may have drawn the very mask that it had.
        assert len(changed) <= number <= sum(row[i].any() for i in found)
        for i in changed:
            assert tuple(np.flatnonzero(row[i]).tolist()) in PATTERNS if shape[2:] == (3, 3) else row[i].all()


def test_what_sums_to_zero_is_empty_and_gets_a_new_pattern() -> None:
    weight = np.zeros((1, 4, 3, 3))
    weight[0, :, 0, 0] = weight[0, :2, 0, 1] = 1
    weight[0, 2:, 2, 2] = -1  # with a +1: the sum is 0
    grown = grow_patterns(weight, "0.56", np.random.default_rng(0)).reshape(4, 9)  # int(2 - 0.01 * 4) joins
    same = [np.array_equal(new, old != 0) for new, old in zip(grown, weight.reshape(4, 9), strict=True)]
    assert same.count(False) == 1
    assert same[:2] == [True, True]
    assert tuple(np.flatnonzero(grown[same.index(False)]).tolist()) in PATTERNS


def test_no_empty_kernel_anywhere_no_growth_but_one_in_another_channel_raises() -> None:
    weight, rng = np.ones((2, 4, 3, 3)), np.random.default_rng(0)
    assert grow_patterns(weight, 0.75, rng).all()
    weight[0, 0] = 0
    with pytest.raises(ValueError, match=r"pattern: growth to 0\.4375 of 4 units empty would let 0 .*|let -1 of the 0"):
        grow_patterns(weight, 0.75, rng)
    with pytest.raises(ValueError, match=r"let 1 of the 0 empty ones join; shrink first, or choose another sparsity"):
        grow_patterns(weight[::-1], 0.4, rng)  # a negative share: more than are empty


def test_growth_to_no_sparsity_at_all_makes_everything_live() -> None:
    weight, rng = np.zeros((4, 2, 3, 3)), np.random.default_rng(0)
    weight[0, 0] = 1
    assert grow_patterns(weight, 0, rng).all()
    assert grow_column_blocks(weight, 0, rng).all()


def test_all_patterns_come_up() -> None:
    grown = grow_patterns(np.zeros((8, 40, 3, 3)), "0.56", np.random.default_rng(0)).reshape(-1, 9)
    assert {tuple(np.flatnonzero(kernel).tolist()) for kernel in grown if kernel.any()} == set(PATTERNS)


# --- column blocks ----------------------------------------------------------------------------------------------------


@given(own.seeds())
def test_blocks_of_four_channels_live_and_die_together(seed) -> None:
    weight = weights((8, 3, 1, 2), seed)  # two rows of six blocks
    s = 0.7  # 11 * 0.7 is not whole
    mask = keep_column_blocks(weight, s)
    assert (mask.shape, mask.dtype) == (weight.shape, bool)
    flat, columns = weight.reshape(8, 6), mask.reshape(8, 6)
    places = list(itertools.product(range(2), range(6)))
    alive = ranks_above([norm(flat[4 * row : 4 * row + 4, column]) for row, column in places], s)
    for number, (row, column) in enumerate(places):
        assert np.all(columns[4 * row : 4 * row + 4, column] == (number in alive))


@given(own.generators(), own.sparsities(max_value=1.0))
def test_blocks_that_sum_to_zero_join_as_the_published_formula_counts_them(rng, s) -> None:
    weight = np.rint(rng.standard_normal((2, 4, 5))) * (rng.random((2, 1, 5)) < 0.6)
    empty = [[sum(column.tolist()) == 0 for column in rows.T] for rows in weight]
    flat = [number for number, found in enumerate(itertools.chain(*empty)) if found]
    joining = int(len(flat) - s * 10)
    if s == 0:
        assert grow_column_blocks(weight.reshape(8, 5), s, rng).all()
    elif joining < 0:
        with pytest.raises(ValueError, match=rf"column-block-4: .* would let {joining} of the {len(flat)} empty ones"):
            grow_column_blocks(weight.reshape(8, 5), s, rng)
    else:
        chosen = rng.choice(np.array(flat, dtype=np.int64), size=joining, replace=False)
        grown = grow_column_blocks(weight.reshape(8, 5), s, chosen).reshape(2, 4, 5)
        for number, (row, column) in enumerate(itertools.product(range(2), range(5))):
            expected = np.ones(4, bool) if number in chosen else weight[row, :, column] != 0
            np.testing.assert_array_equal(grown[row, :, column], expected)


def test_random_blocks_join_as_many_as_asked() -> None:
    weight = np.zeros((8, 5))
    weight[0, :2], weight[1, 1] = 1, -1  # the first is not empty, the second sums to 0
    for seed in range(5):
        grown = grow_column_blocks(weight, 0.5, np.random.default_rng(seed)).reshape(2, 4, 5)
        assert grown[0, :, 0].tolist() == [True, False, False, False]
        assert grown.all(axis=1).sum() == 4  # int(9 - 0.5 * 10)


def test_channels_must_divide_into_blocks() -> None:
    for call in (keep_column_blocks, lambda w, s: grow_column_blocks(w, s, np.random.default_rng(0))):
        with pytest.raises(ValueError, match=r"column-block-4: output channels must be a multiple of 4, got 6"):
            call(np.ones((6, 2)), 0.5)


# --- the batch-norm behind dead filters -------------------------------------------------------------------------------


def test_filters_that_sum_to_zero_are_silent() -> None:
    weight = weights((4, 2, 3, 3), 0)
    weight[1] = 0
    weight[3] = 0
    weight[3, 1, 0, :2] = [1, -1]
    assert silent_filters(weight).tolist() == [False, True, False, True]
    assert [name for name, kind in STRUCTURES.items() if kind.silences is silent_filters] == ["filter"]


def test_kinds_by_name() -> None:
    assert set(STRUCTURES) == {"filter", "filter_balance", "pattern", "column-block-4"}
    assert [name for name, kind in STRUCTURES.items() if kind.grow is None] == ["filter", "filter_balance"]
    assert STRUCTURES["pattern"].grow is grow_patterns
    assert STRUCTURES["column-block-4"].shrink is keep_column_blocks
    assert STRUCTURES["filter"].shrink is keep_filters
    assert STRUCTURES["filter_balance"].shrink is keep_kernels_per_filter
