"""Values put in for a while: passes see them, parameters have their own back, engines and layers are told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sparcl_ref.layers import Linear, Parameter
from sparcl_ref.methods.substitute import substituted
from tests import strategies as own


@given(own.shapes(), own.generators())
def test_values_are_there_meanwhile_and_then_the_own_ones_to_the_bit(shape, rng) -> None:
    parameter, other = Parameter("weight", rng.standard_normal(shape)), rng.standard_normal(shape)
    parameter.value[rng.random(shape) < 0.3] = -0.0
    array, before = parameter.value, parameter.value.copy()

    def fail() -> None:
        with substituted({parameter: other}):
            np.testing.assert_array_equal(parameter.value, other)
            assert parameter.value is array  # engines share it
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert parameter.value is array
    assert parameter.value.tobytes() == before.tobytes()


def test_a_backward_pass_must_be_taken_before_the_values_go() -> None:
    layer = Linear(2, 1, dtype=np.float64)
    x = np.ones((3, 2))
    with substituted({layer.weight: np.full((1, 2), 5.0)}):
        y = layer.forward(x, mode="train")
        np.testing.assert_array_equal(y, np.full((3, 1), 10.0))
        dx = layer.backward(np.ones_like(y))
        layer.forward(x, mode="train")
    np.testing.assert_array_equal(dx, np.full((3, 2), 5.0))
    with pytest.raises(RuntimeError, match=r"parameter weight has changed since the forward pass"):
        layer.backward(np.ones_like(y))
