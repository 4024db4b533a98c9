from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.masks import BUDGETS, budget, budgets, clamp, erk_densities, exact
from tests import exact as oracle
from tests import strategies as own

layer_shapes = st.lists(own.shapes(min_dims=2, max_dims=4, max_side=12), min_size=1, max_size=6)


# --- exact decimals and budgets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0.9, Fraction(9, 10)),
        ("0.9", Fraction(9, 10)),
        (np.float64(0.9), Fraction(9, 10)),
        (np.float32(0.9), Fraction(9, 10)),
        (1, Fraction(1)),
        (1e-05, Fraction(1, 100000)),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_exact_takes_the_decimal_that_was_written(written, meant) -> None:
    assert exact(written) == meant


@pytest.mark.parametrize(("given_", "limited"), [("-0.01", 0), (0, 0), ("0.3", Fraction(3, 10)), (1, 1), ("1.2", 1)])
def test_clamp(given_, limited) -> None:
    assert clamp(exact(given_)) == limited


@given(st.integers(0, 10**6), own.sparsities(max_value=1.0))
def test_budget_is_the_nearest_integer_halves_up(n: int, sparsity: float) -> None:
    assert budget(n, sparsity) == oracle.living(n, sparsity)


@given(st.integers(0, 40), own.sparsities(max_value=1.0))
def test_budget_of_tiny_layers(n: int, sparsity: float) -> None:
    assert budget(n, sparsity) == oracle.living(n, sparsity)
    assert 0 <= budget(n, sparsity) <= n


@pytest.mark.parametrize(
    ("n", "sparsity", "active"),
    [
        (5, 0.9, 1),  # (1 - 0.9) * 5 is 0.4999999999999999 in floating point
        (1, 0.5, 1),
        (2, 0.75, 1),
        (1, 0.501, 0),
        (500, 0.999, 1),
        (499, 0.999, 0),
        (500, 0.9990000001, 0),
        (1000, 0.0005, 1000),
        (1000, 0.00051, 999),
        (0, 0.5, 0),
        (7, 0, 7),
        (7, 1, 0),
        (10, -0.01, 10),
        (10, 1.2, 0),
        (3, Fraction(1, 3), 2),
        (36864, "0.75", 9216),
        # Where the exact number lies beside a half, or a whole number beside those that a float holds.
        (1, "0.50000000000000000001", 0),
        (1, "0.5", 1),
        (2**53 + 1, 0, 2**53 + 1),
        (2**60 + 2, "0.5", 2**59 + 1),
    ],
)
def test_budget_by_hand(n, sparsity, active) -> None:
    assert budget(n, sparsity) == active


def test_budget_is_right_where_floating_point_is_wrong() -> None:
    wrong = [
        (n, k)
        for n in range(1, 60)
        for k in range(1000)
        if math.floor((1 - k / 1000) * n + 0.5) != oracle.living(n, k / 1000)
    ]
    assert len(wrong) > 10
    for n, k in wrong:
        assert budget(n, k / 1000) == oracle.living(n, k / 1000)


@given(st.integers(0, 5000), own.sparsities(), own.sparsities(max_value=0.2), st.sampled_from([1, -1]))
def test_budget_of_a_moved_sparsity(n: int, sparsity: float, by: float, sign: int) -> None:
    moved = budget(n, exact(sparsity) + sign * exact(by))
    assert moved == oracle.living(n, sparsity, shift=sign * Decimal(str(by)))
    # Shrinking and expanding are always possible, because budgets follow the sparsity.
    assert (moved - budget(n, sparsity)) * sign <= 0


def test_budget_of_fewer_than_no_weights_is_refused() -> None:
    with pytest.raises(ValueError, match=r"budget: .* at least 0, got -1"):
        budget(-1, 0.5)


@given(layer_shapes, own.sparsities(max_value=1.0))
def test_uniform_and_global_budgets(shapes, sparsity) -> None:
    sizes = [math.prod(shape) for shape in shapes]
    assert budgets(shapes, sparsity) == [oracle.living(size, sparsity) for size in sizes]
    assert budgets(shapes, sparsity, "uniform") == budgets(shapes, sparsity)
    assert budgets(shapes, sparsity, "global") == [oracle.living(sum(sizes), sparsity)]


@given(layer_shapes, own.sparsities(max_value=1.0), st.booleans())
def test_erk_densities_share_one_factor_below_the_cap_and_fill_the_budget(shapes, sparsity, kernel) -> None:
    densities = erk_densities(shapes, sparsity, kernel=kernel)
    sizes = [math.prod(shape) for shape in shapes]
    assert all(0 <= density <= 1 for density in densities)
    assert sum(d * size for d, size in zip(densities, sizes, strict=True)) == (1 - exact(sparsity)) * sum(sizes)
    # There is one factor with density = min(1, factor * raw), and given the sum only one: this is the definition.
    sides = [shape if kernel else shape[:2] for shape in shapes]
    raw = [Fraction(sum(some), math.prod(some)) for some in sides]
    factors = {density / r for density, r in zip(densities, raw, strict=True) if density < 1}
    assert len(factors) <= 1
    for density, r in zip(densities, raw, strict=True):
        if density == 1 and factors:
            assert max(factors) * r >= 1


@given(layer_shapes, own.sparsities(max_value=1.0), st.booleans())
def test_erk_budgets_round_each_density(shapes, sparsity, kernel) -> None:
    active = budgets(shapes, sparsity, "erk" if kernel else "er")
    sizes = [math.prod(shape) for shape in shapes]
    densities = erk_densities(shapes, sparsity, kernel=kernel)
    for number, density, size in zip(active, densities, sizes, strict=True):
        assert number == oracle.nearest(density.numerator * size, density.denominator)
    partly = [density for density in densities if density < 1]
    assert abs(sum(active) - (1 - exact(sparsity)) * sum(sizes)) <= Fraction(len(partly), 2)


@given(layer_shapes, own.sparsities(max_value=1.0), own.sparsities(max_value=1.0))
def test_every_kind_of_budget_falls_with_the_sparsity(shapes, one, other) -> None:
    low, high = sorted((one, other))
    for kind in BUDGETS:
        more, fewer = budgets(shapes, low, kind), budgets(shapes, high, kind)
        assert all(a >= b for a, b in zip(more, fewer, strict=True))


@pytest.mark.parametrize("kind", ["uniform", "erk"])
def test_sums_can_be_off_by_half_a_weight_a_layer_and_no_more(kind) -> None:
    # 2.5 of the six weights of each layer round to 3.
    assert budgets([(2, 3)] * 4, Fraction(7, 12), kind) == [3] * 4
    shapes = [(16, 16, 3, 3)] * 6 + [(32, 16, 3, 3)] + [(32, 32, 3, 3)] * 5 + [(64, 32, 3, 3)] + [(64, 64, 3, 3)] * 5
    sizes = [math.prod(shape) for shape in shapes]  # those of ResNet-20
    assert sum(budgets(shapes, 0.955, "erk")) - budget(sum(sizes), 0.955) == 6


def test_largest_remainders_would_take_a_weight_where_the_sparsity_falls() -> None:
    def shared_out(shapes, sparsity):
        sizes = [math.prod(shape) for shape in shapes]
        wanted = [density * size for density, size in zip(erk_densities(shapes, sparsity), sizes, strict=True)]
        lives = [math.floor(number) for number in wanted]
        by_rest = sorted(range(len(lives)), key=lambda layer: (lives[layer] - wanted[layer], layer))
        for layer in by_rest[: budget(sum(sizes), sparsity) - sum(lives)]:
            lives[layer] += 1
        return lives

    shapes = [(1, 6), (5, 4), (3, 4), (1, 2)]
    assert [shared_out(shapes, sparsity) for sparsity in (0.21, 0.2)] == [[6, 13, 11, 2], [6, 14, 10, 2]]
    assert [budgets(shapes, sparsity, "erk") for sparsity in (0.21, 0.2)] == [[6, 13, 10, 2], [6, 14, 11, 2]]


def test_erk_by_hand() -> None:
    shapes = [(8, 4, 3, 3), (10, 8)]  # 288 and 80 weights; the dimensions of both sum to 18
    assert erk_densities(shapes, 0.75) == [Fraction(46, 288), Fraction(46, 80)]
    assert budgets(shapes, 0.75, "erk") == [46, 46]
    # Half of 368 is 184: 92 each would be more than the second holds, so it is dense and the first takes the rest.
    assert erk_densities(shapes, "0.5") == [Fraction(104, 288), Fraction(1)]
    assert budgets(shapes, 0.5, "erk") == [104, 80]
    assert budgets(shapes, 0, "erk") == [288, 80]
    assert budgets(shapes, 1, "erk") == [0, 0]


def test_plain_erdos_renyi_by_hand() -> None:
    # (8 + 4) / 32 and (4 + 4) / 16 of 288 and 16 weights make 108 eps and 8 eps: of 152 the second would take 10.5 of
    # its 16, kernel or not; with the kernel's sides it would be 18 / 288 and 8 / 16, and be full.
    shapes = [(8, 4, 3, 3), (4, 4)]
    assert budgets(shapes, 0.5, "er") == [142, 10]
    assert budgets(shapes, 0.5, "erk") == [136, 16]
    assert budgets([(6, 5), (4, 6)], 0.7, "er") == budgets([(6, 5), (4, 6)], 0.7, "erk")


def test_erk_caps_again_until_nobody_passes_one() -> None:
    # Of 142 weights 71 live; dimensions sum to 2, 9 and 22. The factor 71/33 gives densities 4.3, 0.968 and 0.39. With
    # the first dense the factor is 70/31 and the second passes 1 too (1.016), which leaves 50 for the third.
    assert erk_densities([(1, 1), (4, 5), (11, 11)], 0.5) == [1, 1, Fraction(50, 121)]


def test_a_network_without_layers_has_no_budgets() -> None:
    assert budgets([], 0.5) == budgets([], 0.5, "erk") == []
    assert budgets([], 0.5, "global") == [0]


def test_unknown_kind_of_budget_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown budgets 'lamp'; choose one of uniform, er, erk, global"):
        budgets([(2, 2)], 0.5, "lamp")
