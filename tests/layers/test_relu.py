from __future__ import annotations

import numpy as np
from hypothesis import given
from torch.nn import functional

from sparcl_ref.layers import ReLU
from tests import strategies as own
from tests.layers.common import check_against_torch, check_derivatives, spaced


@given(own.shapes(), own.generators())
def test_against_torch(shape, rng: np.random.Generator) -> None:
    """Small integers, so that zero itself, where the derivative is a convention, is among the inputs."""
    x = rng.integers(-2, 2, shape, endpoint=True).astype(np.float64)
    check_against_torch(ReLU(), functional.relu, x, rng.standard_normal(shape))


def test_derivatives() -> None:
    rng = np.random.default_rng(0)
    check_derivatives(ReLU(), spaced(rng, (4, 5)), rng.standard_normal((4, 5)))


def test_hands_on_not_a_number() -> None:
    np.testing.assert_array_equal(ReLU().forward(np.array([np.nan, -1, 2]), mode="eval"), [np.nan, 0, 2])
