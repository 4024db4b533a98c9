from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.layers import Linear
from tests import strategies as own
from tests.helpers import assert_close, assert_positive_zero
from tests.layers.common import check_against_torch, check_derivatives, randomise, upstream

sizes = st.integers(1, 7)


@given(sizes, sizes, sizes, st.booleans(), own.generators())
def test_against_torch(batch: int, fan_in: int, fan_out: int, bias: bool, rng: np.random.Generator) -> None:
    layer = randomise(Linear(fan_in, fan_out, bias=bias, dtype=np.float64), rng)
    x, dy = rng.standard_normal((batch, fan_in)), rng.standard_normal((batch, fan_out))
    check_against_torch(layer, functional.linear, x, dy)


def test_derivatives() -> None:
    rng = np.random.default_rng(0)
    layer = randomise(Linear(4, 3, dtype=np.float64), rng)
    check_derivatives(layer, rng.standard_normal((5, 4)), rng.standard_normal((5, 3)))


@given(own.nested_masks((3, 4)), own.nested_masks((3,)), own.generators())
def test_masks_hold(weight_masks, bias_masks, rng: np.random.Generator) -> None:
    layer = randomise(Linear(4, 3, dtype=np.float64, sparsifiable=True), rng)
    dense = Linear(4, 3, dtype=np.float64)
    for parameter, twin, masks in (
        (layer.weight, dense.weight, weight_masks),
        (layer.bias, dense.bias, bias_masks),
    ):
        parameter.set_mask(masks[0])
        parameter.set_grad_mask(masks[1])
        twin.value[...] = parameter.value
    x = rng.standard_normal((5, 4))
    y = layer.forward(x, mode="train")
    dy = upstream(rng, y)
    np.testing.assert_array_equal(y, dense.forward(x, mode="train"))
    np.testing.assert_array_equal(layer.backward(dy), dense.backward(dy))
    for parameter, twin in ((layer.weight, dense.weight), (layer.bias, dense.bias)):
        formed = parameter.grad_mask
        assert_positive_zero(parameter.value, call="dead values", where=~parameter.mask)
        assert_positive_zero(parameter.grad, call="masked gradients", where=~formed)
        np.testing.assert_array_equal(parameter.grad[formed], twin.grad[formed])


def test_parameters_start_at_zero_under_pytorchs_names() -> None:
    layer = Linear(4, 3, sparsifiable=True)
    assert {name: p.value.shape for name, p in layer.named_parameters()} == {"weight": (3, 4), "bias": (3,)}
    assert layer.weight.value.dtype == np.float32
    assert layer.weight.sparsifiable
    assert not layer.bias.sparsifiable
    assert not any(np.any(p.value) for _, p in layer.named_parameters())
    assert Linear(4, 3, bias=False).bias is None
    assert not Linear(4, 3).weight.sparsifiable


def test_one_hot_inputs_read_out_the_weight() -> None:
    layer = randomise(Linear(4, 3, bias=False, dtype=np.float64), np.random.default_rng(0))
    assert_close(layer.forward(np.eye(4), mode="eval"), layer.weight.value.T, call="Linear.forward", rtol=0)


@pytest.mark.parametrize("shape", [(5, 3), (4,), (5, 4, 1)])
def test_wrong_input_shapes(shape) -> None:
    with pytest.raises(ValueError, match=r"^Linear\(4->3\): input must have shape \(N, 4\), got \("):
        Linear(4, 3).forward(np.ones(shape, np.float32), mode="eval")


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"^Linear\(4->3\): input is float64 but the parameters are float32"):
        Linear(4, 3).forward(np.ones((5, 4)), mode="eval")
    with pytest.raises(ValueError, match=r"^Linear: in_features must be at least 1, got 0"):
        Linear(0, 3)
    with pytest.raises(ValueError, match=r"^Linear: out_features must be at least 1, got 0"):
        Linear(4, 0)
    with pytest.raises(TypeError, match=r"^Linear\(4->3\): dtype must be float32 or float64, got int32"):
        Linear(4, 3, dtype=np.int32)
