from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl.dgm import gradient_mask, gradient_sparsity, is_refresh
from tests import exact as oracle
from tests import strategies as own


@pytest.mark.parametrize(
    ("s", "masked"), [(0.75, "0.80"), (0.9, "0.92"), (0.95, "0.96"), (0, "0.2"), (1, "1"), ("0.5", "0.6")]
)
def test_a_fifth_of_the_living_are_silenced_by_default(s, masked) -> None:
    assert gradient_sparsity(s) == Fraction(masked)


@pytest.mark.parametrize(
    ("s", "q", "masked"), [(0.9, 0.01, "0.91"), (0.9, 0, "0.9"), (0.9, 0.2, "1"), (0, 0.0, "0"), (0.7, "0.1", "0.8")]
)
def test_q_is_added(s, q, masked) -> None:
    assert gradient_sparsity(s, q) == Fraction(masked)


@given(st.data(), own.shapes(max_side=8), own.sparsities(), own.dtypes())
def test_density_is_exact_and_the_most_important_of_the_living_are_kept(data, shape, masked, dtype) -> None:
    mask, importance = data.draw(own.masks(shape)), data.draw(own.importances(shape, dtype=dtype))
    chosen = gradient_mask(mask, importance, masked)
    wanted = min(int(mask.sum()), oracle.living(mask.size, masked))
    assert chosen.dtype == bool
    assert np.count_nonzero(chosen) == wanted
    living = [(-score, i) for i, score in enumerate(importance.ravel().tolist()) if mask.ravel()[i]]
    assert np.flatnonzero(chosen).tolist() == sorted(i for _, i in sorted(living)[:wanted])


@given(st.data(), own.sparsities(), st.none() | own.sparsities(max_value=0.3))
def test_density_over_a_layer_at_its_budget(data, s, q) -> None:
    n = data.draw(st.integers(0, 2000))
    mask = data.draw(own.masks((n,), count=oracle.living(n, s)))
    importance = np.random.default_rng(data.draw(own.seeds())).random(n)
    chosen = gradient_mask(mask, importance, gradient_sparsity(s, q))
    # With q unset (1 - s) / 5 more are silenced.
    more = (1 - Decimal(str(s))) / 5 if q is None else Decimal(str(q))
    assert np.count_nonzero(chosen) == oracle.living(n, s, shift=more)
    assert not (chosen & ~mask).any()


def test_a_layer_that_is_sparser_keeps_all_its_living() -> None:
    mask = np.array([True, False, False, True, False, False])
    np.testing.assert_array_equal(gradient_mask(mask, np.arange(6.0), 0.5), mask)
    np.testing.assert_array_equal(gradient_mask(mask, np.arange(6.0), "0.8"), np.arange(6) == 3)


def test_a_number_without_a_rank_is_refused_where_a_weight_lives() -> None:
    mask, score = np.array([True, True, False]), np.array([1.0, np.nan, np.inf])
    with pytest.raises(ValueError, match=r"finite, got nan at flat index 1"):
        gradient_mask(mask, score, 0.5)
    score[1] = 0.5
    assert gradient_mask(mask, score, 0.5).tolist() == [True, True, False]


@pytest.mark.parametrize(("interval", "refreshes"), [(30, [0, 30, 60, 90]), (1, list(range(100))), (99, [0, 99])])
def test_refreshes_of_an_epoch(interval, refreshes) -> None:
    assert [i for i in range(100) if is_refresh(i, interval)] == refreshes
