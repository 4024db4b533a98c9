"""Masks by score: exact counts, ties, and gradients held against autograd and finite differences."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.methods.score_mask import (
    first_scores,
    product,
    score_gradient,
    score_mask,
    used_entries,
    weight_gradient,
)
from tests.helpers import assert_positive_zero

SHARES = st.one_of(st.sampled_from([0.5, 0.1, 0.3, 1.0, 0.05]), st.fractions(0, 1, max_denominator=50))
SHAPES = st.sampled_from([(1,), (7,), (3, 4), (2, 3, 3, 3), (5, 1)])


@st.composite
def arrays(draw: st.DrawFn, *, ties: bool = True) -> np.ndarray:
    """Scores, often with equal sizes and opposite signs."""
    shape, seed = draw(SHAPES), draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    if ties and draw(st.booleans()):
        return rng.integers(-2, 3, shape).astype(float)
    return rng.standard_normal(shape)


@given(st.integers(0, 10_000), SHARES)
def test_a_share_is_rounded_half_up_in_exact_decimals(n, share) -> None:
    counted = used_entries(n, share)
    exactly = (share if isinstance(share, Fraction) else Fraction(str(share))) * n
    assert counted - Fraction(1, 2) <= exactly < counted + Fraction(1, 2)
    assert used_entries(5, 0.1) == 1  # 0.1 * 5 + 0.5 is 0.9999... or 1.0 in floating point


@given(arrays(), SHARES)
def test_exactly_the_share_is_used_and_it_is_the_largest_in_size(scores, share) -> None:
    mask = score_mask(scores, share)
    assert (mask.dtype, mask.shape) == (np.dtype(bool), scores.shape)
    # Apart from the subject: sort by size, then by place.
    flat = np.abs(scores).reshape(-1)
    best = sorted(range(flat.size), key=lambda i: (-flat[i], i))[: used_entries(flat.size, share)]
    assert np.flatnonzero(mask).tolist() == sorted(best)
    assert np.array_equal(score_mask(-scores, share), mask)


@given(arrays(), SHARES, st.integers(0, 10_000))
def test_gradients_are_autograds_of_a_straight_through_mask(scores, share, seed) -> None:
    rng = np.random.default_rng(seed)
    weight, upstream = rng.standard_normal(scores.shape), rng.standard_normal(scores.shape)
    mask = score_mask(scores, share)

    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(ctx, sizes):
            return torch.tensor(mask, dtype=torch.float64)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    w, a = (torch.tensor(array, requires_grad=True) for array in (weight, scores))
    (Straight.apply(a.abs()) * w * torch.tensor(upstream)).sum().backward()
    np.testing.assert_array_equal(product(weight, mask), (torch.tensor(mask) * w).detach().numpy())
    np.testing.assert_array_equal(weight_gradient(upstream, mask), w.grad.numpy())
    np.testing.assert_allclose(score_gradient(upstream, weight, scores), a.grad.numpy(), rtol=1e-15, atol=0)
    if not mask.all():
        assert_positive_zero(product(weight, mask), call="unused", where=~mask)
        assert_positive_zero(weight_gradient(upstream, mask), call="unused", where=~mask)


@given(st.integers(0, 10_000))
def test_the_gradient_of_a_score_is_that_of_switching_its_entry_on(seed) -> None:
    # dL/dm of a loss that is linear in m w: exactly what it gains when an unused entry joins.
    rng = np.random.default_rng(seed)
    weight, scores, upstream = rng.standard_normal((3, 9))
    mask = score_mask(scores, 0.5)
    gradient = score_gradient(upstream, weight, scores)
    for place in np.flatnonzero(~mask):
        more = mask.copy()
        more[place] = True
        gain = np.sum(upstream * product(weight, more)) - np.sum(upstream * product(weight, mask))
        assert gradient[place] * np.sign(scores[place]) == pytest.approx(gain, rel=1e-9, abs=1e-12)


@given(SHAPES, st.integers(1, 500), st.sampled_from([np.float32, np.float64]))
def test_first_scores_are_uniform_within_one_over_the_root_of_the_fan_in(shape, fan_in, dtype) -> None:
    scores = first_scores(shape, fan_in, np.random.default_rng(fan_in), np.dtype(dtype))
    assert (scores.shape, scores.dtype) == (shape, np.dtype(dtype))
    assert np.abs(scores).max() <= 1 / np.sqrt(fan_in)


def test_first_scores_have_the_spread_of_pytorchs_draw() -> None:
    ours = first_scores((200, 50), 50, np.random.default_rng(1), np.dtype(np.float64))
    theirs = torch.empty(200, 50, dtype=torch.float64)
    torch.manual_seed(1)
    torch.nn.init.kaiming_uniform_(theirs, a=5**0.5)
    # The standard deviation of 10,000 uniform draws is known to half a per cent.
    assert ours.std() == pytest.approx(theirs.numpy().std(), rel=0.03)
    assert abs(ours.mean()) < 4 * ours.std() / 100
