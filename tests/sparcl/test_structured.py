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
    return max(Fraction(0), 1 - alive * Fraction(9, 4)) if shape[2:] == (3, 3) else 1 - alive


def cut_off(number: Fraction) -> set[int]:
    """int(number), and what it is if rounding has carried the number over an integer."""
    return {max(0, math.floor(number + error)) for error in (-Fraction(1, 10**9), 0, Fraction(1, 10**9))}


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
    [((4, 8, 3, 3), 0.75, 7 / 16), ((4, 8, 3, 3), 0.5, 0), ((4, 8, 1, 1), 0.75, 0.75), ((4, 8), "0.3", 0.3)],
)
def test_patterns_already_take_five_ninths_of_3x3_kernels(shape, s, kernels) -> None:
    assert kernel_sparsity(np.ones(shape), s) == kernels
    assert float(share_of_kernels(shape, s)) == kernels


@given(st.sampled_from([(3, 8, 3, 3), (5, 6, 1, 1), (4, 7), (2, 9, 3, 1)]), own.seeds(), own.sparsities(max_value=1.0))
def test_every_channel_loses_as_many_kernels_those_of_least_norm(shape, seed, s) -> None:
    weight = weights(shape, seed)
    mask = keep_kernels_per_filter(weight, s)
    assert (mask.shape, mask.dtype) == (shape, bool)
    inputs = shape[1]
    removed = inputs - int(mask.reshape(*shape[:2], -1).any(axis=2)[0].sum())
    assert removed in cut_off(share_of_kernels(shape, s) * inputs)
    for channel in range(shape[0]):
        order = sorted(range(inputs), key=lambda i: norm(weight[channel, i]))
        for kernel in range(inputs):
            assert np.all(mask[channel, kernel] == (kernel not in order[:removed]))
    mask[0] = True


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
def test_empty_kernels_join_equally_many_per_channel(shape, rng, s) -> None:
    weight = rng.standard_normal(shape)
    weight[rng.random(shape[:2]) < 0.6] = 0
    grown = grow_patterns(weight, s, rng)
    assert grown[weight != 0].all()
    inputs = shape[1]
    for row, old in zip(grown.reshape(*shape[:2], -1), weight.reshape(*shape[:2], -1), strict=True):
        empty = [i for i in range(inputs) if not old[i].any()]
        joined = [i for i in empty if row[i].any()]
        assert len(joined) in cut_off(len(empty) - share_of_kernels(shape, s) * inputs)
        for i in range(inputs):
            if i in joined and shape[2:] == (3, 3):
                assert tuple(np.flatnonzero(row[i]).tolist()) in PATTERNS
            elif i in joined:
                assert row[i].all()
            else:
                np.testing.assert_array_equal(row[i], old[i] != 0)


def test_all_patterns_come_up() -> None:
    grown = grow_patterns(np.zeros((8, 40, 3, 3)), 0, np.random.default_rng(0)).reshape(-1, 9)
    assert {tuple(np.flatnonzero(kernel).tolist()) for kernel in grown} == set(PATTERNS)


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
def test_empty_blocks_join(rng, s) -> None:
    weight = rng.standard_normal((2, 4, 5)) * (rng.random((2, 1, 5)) < 0.4)
    grown = grow_column_blocks(weight.reshape(8, 5), s, rng).reshape(2, 4, 5)
    old = (weight != 0).any(axis=1)
    assert np.all(grown.all(axis=1) == grown.any(axis=1))
    new = grown.all(axis=1)
    assert new[old].all()
    assert int(new.sum() - old.sum()) in cut_off(int((~old).sum()) - Fraction(str(s)) * 10)


def test_a_block_with_some_zeros_is_not_empty_and_they_stay_dead() -> None:
    weight = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    grown = grow_column_blocks(weight, 0, np.random.default_rng(0))
    assert grown.tolist() == [[True, True], [False, True], [False, True], [False, True]]


def test_channels_must_divide_into_blocks() -> None:
    for call in (keep_column_blocks, lambda w, s: grow_column_blocks(w, s, np.random.default_rng(0))):
        with pytest.raises(ValueError, match=r"column-block-4: output channels must be a multiple of 4, got 6"):
            call(np.ones((6, 2)), 0.5)


def test_kinds_by_name() -> None:
    assert set(STRUCTURES) == {"filter", "filter_balance", "pattern", "column-block-4"}
    assert [name for name, kind in STRUCTURES.items() if kind.grow is None] == ["filter", "filter_balance"]
    assert STRUCTURES["pattern"].grow is grow_patterns
    assert STRUCTURES["column-block-4"].shrink is keep_column_blocks
    assert STRUCTURES["filter"].shrink is keep_filters
    assert STRUCTURES["filter_balance"].shrink is keep_kernels_per_filter
