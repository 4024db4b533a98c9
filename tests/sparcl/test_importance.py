from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.masks import shrink
from sparcl_ref.sparcl.importance import cgi, cwi
from tests import strategies as own
from tests.helpers import assert_close, assert_positive_zero

coefficients = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])
WILD = (np.nan, np.inf, -np.inf)


@st.composite
def triples(draw, dtype=np.float64):
    """A weight and two gradients of one shape."""
    shape = draw(own.shapes())
    return tuple(draw(own.normal_arrays(shape, dtype=dtype)) for _ in range(3))


@given(triples(), coefficients, coefficients)
def test_both_equations_entry_by_entry(arrays, alpha, beta) -> None:
    weight, current, memory = arrays
    gradient_part = [
        alpha * abs(c) + beta * abs(m) for c, m in zip(current.ravel().tolist(), memory.ravel().tolist(), strict=True)
    ]
    importance = [abs(w) + g for w, g in zip(weight.ravel().tolist(), gradient_part, strict=True)]
    # Three roundings of numbers of one sign: a few units in the last place.
    shape = weight.shape
    assert_close(cgi(current, memory, alpha=alpha, beta=beta), np.reshape(gradient_part, shape), call="cgi", rtol=1e-15)
    assert_close(
        cwi(weight, current, memory, alpha=alpha, beta=beta), np.reshape(importance, shape), call="cwi", rtol=1e-15
    )


def test_defaults_are_the_papers() -> None:
    one, two, four = np.array([-1.0]), np.array([2.0]), np.array([-4.0])
    assert cgi(two, four).tolist() == [5.0]
    assert cwi(one, two, four).tolist() == [6.0]


@given(triples(), own.seeds())
def test_permuting_the_weights_permutes_the_importance(arrays, seed) -> None:
    order = np.random.default_rng(seed).permutation(arrays[0].size)
    flat = [array.ravel() for array in arrays]
    np.testing.assert_array_equal(cwi(*(array[order] for array in flat)), cwi(*flat)[order])
    np.testing.assert_array_equal(cgi(*(array[order] for array in flat[1:])), cgi(*flat[1:])[order])


@given(triples(), st.integers(-20, 20), st.sampled_from([1.0, -1.0]))
def test_scaling_everything_scales_the_importance(arrays, power, sign) -> None:
    # A power of two, because then not a bit is lost; the sign of a gradient or a weight does not matter.
    factor = 2.0**power
    scaled = [sign * factor * array for array in arrays]
    np.testing.assert_array_equal(cwi(*scaled), factor * cwi(*arrays))
    np.testing.assert_array_equal(cgi(*scaled[1:]), factor * cgi(*arrays[1:]))


@given(triples(), st.lists(own.masks((1,)), min_size=3, max_size=3))
def test_signs_do_not_matter(arrays, flips) -> None:
    flipped = [array * (1.0 if flip[0] else -1.0) for array, flip in zip(arrays, flips, strict=True)]
    np.testing.assert_array_equal(cwi(*flipped), cwi(*arrays))


@given(triples(), coefficients, coefficients, st.sampled_from(WILD))
def test_a_coefficient_of_zero_removes_exactly_its_term(arrays, alpha, beta, wild) -> None:
    weight, current, memory = arrays
    zeros, broken = np.zeros_like(weight), np.full_like(weight, wild)
    for lost in (broken, memory):
        without_current = cgi(lost, memory, alpha=0, beta=beta)
        np.testing.assert_array_equal(without_current, cgi(zeros, memory, alpha=alpha, beta=beta))
        np.testing.assert_array_equal(
            cwi(weight, lost, memory, alpha=0.0, beta=beta), cwi(weight, zeros, memory, alpha=alpha, beta=beta)
        )
    for lost in (broken, current):
        without_memory = cgi(current, lost, alpha=alpha, beta=0)
        np.testing.assert_array_equal(without_memory, cgi(current, zeros, alpha=alpha, beta=beta))
        np.testing.assert_array_equal(
            cwi(weight, current, lost, alpha=alpha, beta=0.0), cwi(weight, current, zeros, alpha=alpha, beta=beta)
        )
    np.testing.assert_array_equal(cwi(weight, broken, broken, alpha=0, beta=0), np.abs(weight))
    assert_positive_zero(cgi(broken, broken, alpha=0, beta=0), call="cgi of nothing")


def test_an_empty_buffer_contributes_nothing() -> None:
    weight, current = np.array([[1.0, -2.0]]), np.array([[-3.0, 4.0]])
    assert cwi(weight, current, np.zeros_like(weight)).tolist() == [[2.5, 4.0]]


@pytest.mark.parametrize("wild", WILD)
def test_what_is_not_finite_is_passed_on_and_then_refused_not_ranked(wild) -> None:
    weight, fine = np.array([3.0, 2.0, 1.0]), np.zeros(3)
    broken = np.array([0.0, wild, 0.0])
    for score in (cwi(weight, broken, fine), cwi(weight, fine, broken), cgi(broken, fine), cgi(fine, broken)):
        with pytest.raises(ValueError, match=r"at flat index 1"):
            shrink(np.ones(3, dtype=bool), score, 2)


def test_gradients_change_the_ranking() -> None:
    # "|w| + alpha |w| + beta |w|", what the published code once computed, keeps the largest weights instead.
    weight, current, memory = np.array([3.0, 2.0, 1.0]), np.array([0.0, 3.0, 0.0]), np.array([0.0, 0.0, 3.0])
    kept = shrink(np.ones(3, dtype=bool), cwi(weight, current, memory), 1)
    assert kept.tolist() == [False, False, True]
    assert shrink(np.ones(3, dtype=bool), cwi(weight, current, memory, beta=0.25), 1).tolist() == [False, True, False]


@given(triples(dtype=own.dtypes()))
def test_dtype_stays_and_arguments_are_left_alone(arrays) -> None:
    arrays = [array.astype(arrays[0].dtype) for array in arrays]
    before = [array.copy() for array in arrays]
    assert cwi(*arrays).dtype == cgi(*arrays[1:]).dtype == arrays[0].dtype
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_shapes_must_agree_and_coefficients_not_be_negative() -> None:
    two, three = np.zeros(2), np.zeros(3)
    with pytest.raises(ValueError, match=r"cgi: .* got \(2,\) and \(3,\)"):
        cgi(two, three)
    with pytest.raises(ValueError, match=r"cwi: .* got \(3,\) and \(2,\)"):
        cwi(three, two, two)
    with pytest.raises(ValueError, match=r"cgi: .* got \(3,\) and \(2,\)"):
        cwi(three, three, two)
    with pytest.raises(ValueError, match=r"alpha and beta must be at least 0, got -0\.5 and 1\.0"):
        cgi(two, two, alpha=-0.5)
    with pytest.raises(ValueError, match=r"alpha and beta must be at least 0, got 0\.5 and -1"):
        cwi(two, two, two, beta=-1)
