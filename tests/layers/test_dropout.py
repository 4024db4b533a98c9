from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import Dropout
from tests import strategies as own
from tests.helpers import assert_close, finite_difference

probabilities = st.floats(0, 0.99)


@given(probabilities, own.seeds(), own.generators())
def test_train_scales_what_it_keeps_and_backward_uses_the_same_draw(p: float, seed: int, rng) -> None:
    x, dy = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    layer = Dropout(p, rng=np.random.default_rng(seed))
    y, dx = layer.forward(x, mode="train"), layer.backward(dy)
    kept = y != 0  # normal entries are not 0 themselves
    assert_close(y, np.where(kept, x / (1 - p), 0), call="Dropout.forward", rtol=1e-14)
    assert_close(dx, np.where(kept, dy / (1 - p), 0), call="Dropout.backward", rtol=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_at_the_rate_it_is_told(p: float) -> None:
    n = 40_000
    y = Dropout(p, rng=np.random.default_rng(0)).forward(np.ones((n, 1)), mode="train")
    # Five standard deviations of a binomial count.
    assert abs(np.count_nonzero(y == 0) - n * p) < 5 * math.sqrt(n * p * (1 - p))


def test_derivatives() -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    layer = Dropout(0.4, rng=None)

    def loss() -> float:
        layer.rng = np.random.default_rng(3)  # the same draw every time: the loss is a function of x
        return float(np.sum(layer.forward(x, mode="train") * dy))

    loss()
    # The loss is linear in x: only rounding is left, epsilon / step times |L|.
    assert_close(layer.backward(dy), finite_difference(loss, x), call="Dropout dx", rtol=1e-8)


def test_each_forward_draws_anew_and_both_dtypes_draw_alike() -> None:
    layer = Dropout(0.5, rng=np.random.default_rng(0))
    first, second = (layer.forward(np.ones((8, 8)), mode="train") for _ in range(2))
    assert np.any(first != second)
    single = Dropout(0.5, rng=np.random.default_rng(0)).forward(np.ones((8, 8), np.float32), mode="train")
    np.testing.assert_array_equal(single, first)


@pytest.mark.parametrize("mode", ["eval", "probe"])
def test_is_off_in_eval_and_probe_and_draws_nothing(mode: str) -> None:
    rng, x = np.random.default_rng(0), np.random.default_rng(1).standard_normal((4, 5))
    layer = Dropout(0.5, rng=rng)
    before = rng.bit_generator.state
    np.testing.assert_array_equal(layer.forward(x, mode=mode), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    assert rng.bit_generator.state == before


def test_only_a_train_pass_that_drops_needs_a_generator() -> None:
    x = np.ones((4, 5))
    np.testing.assert_array_equal(Dropout(0, rng=None).forward(x, mode="train"), x)
    layer = Dropout(0.5, rng=None)
    np.testing.assert_array_equal(layer.forward(x, mode="eval"), x)
    with pytest.raises(ValueError, match=r"^Dropout\(0\.5\): train mode needs a random generator"):
        layer.forward(x, mode="train")


def test_wrong_arguments() -> None:
    for p in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"^Dropout: p must satisfy 0 <= p < 1"):
            Dropout(p, rng=None)
    with pytest.raises(TypeError, match=r"^Dropout: rng must be a numpy.random.Generator or None, got int"):
        Dropout(0.5, rng=3)
