"""ADMM's rules: projections are nearest, steps keep their identities, the pull is a gradient."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import Parameter
from sparcl_ref.masks import exact
from sparcl_ref.methods.admm import (
    Pulled,
    Split,
    above_percentile,
    dual_step,
    few_weights,
    is_due,
    kept_multipliers,
    kept_weights,
    ones_and_zeros,
    pull,
    rate,
)
from tests.helpers import assert_close, assert_positive_zero, finite_difference

SHARES = st.sampled_from([0.1, 0.25, Fraction(1, 3), 0.5, 0.9, 1.0])


@st.composite
def layers(draw: st.DrawFn, *, most: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Distinct weights, and which of them belong to earlier tasks."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n = draw(st.integers(1, most))
    return rng.standard_normal(n), rng.random(n) < draw(st.sampled_from([0.0, 0.3, 0.7]))


@given(layers(), SHARES, st.booleans())
def test_a_percentile_keeps_what_numpys_keeps(layer, share, ties) -> None:
    values = np.round(layer[0]) if ties else layer[0]
    kept = above_percentile(values, share)
    place = (1 - exact(share)) * (len(values) - 1)
    if place.denominator > 1:  # else NumPy's percentile is an entry, but for rounding
        np.testing.assert_array_equal(kept, values >= np.percentile(values, 100 * float(1 - exact(share))))
    else:
        np.testing.assert_array_equal(kept, values >= np.sort(values)[int(place)])
    if not ties:
        assert kept.sum() == math.floor(exact(share) * (len(values) - 1)) + 1
    assert kept.any()
    assert kept.all() or values[kept].min() > values[~kept].max()


def test_nothing_has_no_percentile() -> None:
    assert above_percentile(np.zeros(0), 0.5).shape == (0,)


@given(layers(most=9), SHARES)
def test_the_projection_is_the_nearest_array_with_as_few_weights(layer, share) -> None:
    weight, owned = layer
    projected, kept = few_weights(weight, owned, share), kept_weights(weight, owned, share)
    assert not (kept & owned).any()
    np.testing.assert_array_equal(projected[kept], weight[kept])
    if not kept.all():
        assert_positive_zero(projected, call="not kept", where=~kept)
    free = np.flatnonzero(~owned)
    distance = np.sum((projected - weight)[free] ** 2)
    for other in itertools.combinations(free, int(kept.sum())):
        assert distance <= sum(weight[i] ** 2 for i in free if i not in other) + 1e-12
    # Twice is once.
    if share == 1:
        np.testing.assert_array_equal(kept, ~owned)


@given(layers(), SHARES)
def test_owned_entries_count_as_zeros_in_the_percentile(layer, share) -> None:
    weight, owned = layer
    kept = kept_weights(weight, owned, share)
    np.testing.assert_array_equal(kept_weights(np.where(owned, 100.0, weight), owned, share), kept)
    free, wanted = int((~owned).sum()), above_percentile(np.arange(weight.size, dtype=float), share).sum()
    assert kept.sum() == min(free, wanted)


def test_weights_that_are_zero_are_not_kept() -> None:
    weight, owned = np.array([0.0, 0.0, 0.0, 2.0]), np.zeros(4, dtype=bool)
    assert kept_weights(weight, owned, 0.9).tolist() == [False, False, False, True]


@given(layers(), SHARES)
def test_multipliers_are_kept_among_owned_entries_alone(layer, share) -> None:
    multipliers, owned = layer
    kept = kept_multipliers(multipliers, owned, share)
    assert not (kept & ~owned).any()
    np.testing.assert_array_equal(kept[owned], above_percentile(multipliers[owned], share))
    # What the others are is of no account.
    np.testing.assert_array_equal(kept_multipliers(np.where(owned, multipliers, 99.0), owned, share), kept)
    projected = ones_and_zeros(multipliers, owned, share)
    np.testing.assert_array_equal(projected, kept.astype(float))
    # Of all arrays of as many ones on owned entries it is the nearest.
    places = np.flatnonzero(owned)
    if len(places) <= 9:
        distance = np.sum((projected - multipliers)[places] ** 2)
        for other in itertools.combinations(places, int(kept.sum())):
            ones = np.isin(places, other).astype(float)
            assert distance <= np.sum((ones - multipliers[places]) ** 2) + 1e-12


@given(layers(), SHARES, st.sampled_from([0.0, 0.01, 1.0]), st.integers(0, 1000))
def test_the_pull_is_a_gradient_and_nothing_where_the_variable_is_held(layer, share, rho, seed) -> None:
    value, owned = layer
    split = Split(few_weights(value, owned, share), np.random.default_rng(seed).standard_normal(value.shape))
    loss, gradient = pull(value, split, rho, ~owned)
    numerical = finite_difference(lambda: pull(value, split, rho, ~owned)[0], value)
    assert_close(gradient, numerical, call="pull", rtol=1e-6, atol=1e-8)
    assert loss == pytest.approx(rho / 2 * sum((value - split.z + split.u)[~owned] ** 2), rel=1e-12)
    if owned.any():
        assert_positive_zero(gradient, call="owned", where=owned)
    assert rho or (loss == 0 and not gradient.any())


@given(layers(), SHARES, st.integers(1, 4))
def test_u_collects_what_the_pull_has_not_achieved(layer, share, steps) -> None:
    value, owned = layer
    rng = np.random.default_rng(steps)
    split, gaps = Split(few_weights(value, owned, share), np.zeros_like(value)), np.zeros_like(value)
    for _ in range(steps):
        value = value + rng.standard_normal(value.shape)
        before = split
        split = dual_step(value, few_weights(value + split.u, owned, share), split)
        np.testing.assert_allclose(split.u - before.u, value - split.z, rtol=1e-12, atol=1e-12)
        gaps += value - split.z
    np.testing.assert_allclose(split.u, gaps, rtol=1e-10, atol=1e-12)
    # z is always in the set: on free entries v + u_before - z is what was cut off, and nothing that is kept was.
    kept = split.z != 0
    np.testing.assert_allclose(split.u[kept], 0, atol=1e-12)


@given(layers(), SHARES, st.integers(0, 1000))
def test_a_move_projects_what_is_and_what_has_been_collected(layer, share, seed) -> None:
    value, owned = layer
    pulled = Pulled(Parameter("weight", value.copy()), ~owned, lambda w: few_weights(w, owned, share))
    z, u = np.random.default_rng(seed).standard_normal((2, value.size))
    pulled.split = Split(z, u)
    pulled.move()
    np.testing.assert_array_equal(pulled.split.z, few_weights(value + u, owned, share))
    np.testing.assert_allclose(pulled.split.u, u + value - pulled.split.z, rtol=1e-12, atol=1e-12)


@given(layers(), SHARES)
def test_weights_that_are_pulled_end_in_the_set(layer, share) -> None:
    """For f(w) = ||w - a||^2 / 2 each minimum is known: the weights become those of a that are kept, the others 0."""
    a, owned = layer
    parameter, rho = Parameter("weight", a.copy()), 4.0
    pulled = Pulled(parameter, ~owned, lambda w: few_weights(w, owned, share))
    for _ in range(60):
        z, u = pulled.split
        parameter.value[...] = np.where(owned, a, (a + rho * (z - u)) / (1 + rho))
        parameter.grad = np.zeros_like(a)
        pulled.add(rho)
        # At a minimum the pull takes back what the loss asks for.
        np.testing.assert_allclose((parameter.value - a + parameter.grad)[~owned], 0, atol=1e-12)
        pulled.move()
    np.testing.assert_allclose(parameter.value[~owned], few_weights(a, owned, share)[~owned], atol=1e-9)
    np.testing.assert_array_equal(parameter.value[owned], a[owned])
    pulled.start()
    assert not pulled.split.u.any()
    np.testing.assert_array_equal(pulled.split.z, few_weights(parameter.value, owned, share))


def test_z_and_u_move_after_every_third_epoch_and_the_rate_restarts_one_before() -> None:
    assert [epoch for epoch in range(1, 11) if is_due(epoch, 3)] == [4, 7, 10]
    assert [epoch for epoch in range(1, 4) if is_due(epoch, 1)] == [2, 3]
    rates = [rate(epoch, highest=0.5, every=3) for epoch in range(1, 7)]
    np.testing.assert_allclose(rates, [0.05, 0.005, 0.5, 0.05, 0.005, 0.5], rtol=1e-12)
    nine = [rate(epoch, highest=1.0, every=9) for epoch in range(9)]
    np.testing.assert_allclose(nine, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01], rtol=1e-12)
    assert [rate(epoch, highest=0.5, every=1) for epoch in (1, 2, 3)] == [0.5] * 3


@given(st.integers(1, 40), st.integers(1, 12))
def test_the_rate_is_that_of_the_authors_formula(epoch, every) -> None:
    # lr * 0.1 ** ((epoch % E) // (E / 3)), where no broken third rounds the other way.
    assert rate(epoch, highest=1.0, every=every) == pytest.approx(0.1 ** ((epoch % every) * 3 // every))
    assert rate(epoch, highest=1.0, every=every) in (1.0, 0.1, 0.1**2)
