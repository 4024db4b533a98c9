"""The CSR layer computes what Conv2d computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.bench.csr import CSRConv2d, with_csr
from sparcl_ref.layers import Conv2d
from sparcl_ref.models import build_model
from tests import strategies


def assert_close(got: np.ndarray, expected: np.ndarray, terms: int, magnitude: float) -> None:
    """Two orders of one sum in float64 differ by at most terms * eps times the sum of magnitudes."""
    bound = 2 * (terms + 2) * np.finfo(np.float64).eps * magnitude
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound)


@given(st.data())
def test_the_csr_layer_is_conv2d_under_any_masks(data):
    geometry = data.draw(strategies.conv_geometries())
    rng = data.draw(strategies.generators())
    options = {
        "stride": geometry.stride,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
        "groups": geometry.groups,
        "bias": data.draw(st.booleans()),
        "dtype": np.float64,
    }
    layer = Conv2d(geometry.in_channels, geometry.out_channels, geometry.kernel_size, **options)
    for parameter in layer.own_parameters().values():
        parameter.value[...] = rng.standard_normal(parameter.value.shape)
    twin = CSRConv2d(geometry.in_channels, geometry.out_channels, geometry.kernel_size, **options)
    x = rng.standard_normal((geometry.batch, geometry.in_channels, geometry.height, geometry.width))
    need_dx = data.draw(st.booleans())
    for _ in range(2):  # the second time with other masks and values: what is compressed must follow
        mask, grad_mask = data.draw(strategies.nested_masks(layer.weight.value.shape))
        layer.weight.set_mask(None if data.draw(st.booleans()) else mask)
        layer.weight.set_grad_mask(data.draw(st.sampled_from([None, grad_mask])))
        layer.weight.value[...] *= 0.5
        twin.weight.set_mask(layer.weight.mask)
        twin.weight.set_grad_mask(layer.weight.grad_mask)
        for ours, theirs in zip(twin.own_parameters().values(), layer.own_parameters().values(), strict=True):
            ours.value[...] = theirs.value
        y, expected = twin.forward(x, mode="train"), layer.forward(x, mode="train")
        largest = max(1.0, np.abs(x).max()) * max(1.0, np.abs(layer.weight.value).max())
        terms = layer.weight.value[0].size
        assert_close(y, expected, terms, largest * (terms + 1))
        dy = rng.standard_normal(y.shape)
        largest = max(1.0, np.abs(dy).max()) * max(1.0, np.abs(x).max(), np.abs(layer.weight.value).max())
        dx, expected = twin.backward(dy, need_dx=need_dx), layer.backward(dy, need_dx=need_dx)
        terms = max(dy.size, layer.weight.value.size)
        if need_dx:
            assert_close(dx, expected, terms, largest * terms)
        else:
            assert dx is None
        for ours, theirs in zip(twin.own_parameters().values(), layer.own_parameters().values(), strict=True):
            assert_close(ours.grad, theirs.grad, terms, 2 * largest * terms)
        formed = layer.weight.effective_grad_mask
        if formed is not None:
            assert not twin.weight.grad[~formed].any()
            # add_grad would hide products that nobody needs; they must not be formed at all.
            np.testing.assert_array_equal(twin._learning.index, np.flatnonzero(formed))


def test_a_network_gets_csr_layers_where_weights_are_masked_and_shares_its_parameters():
    network = build_model("resnet20", input_shape=(3, 8, 8), classes=4, width=4, rng=np.random.default_rng(0))
    for parameter in network.sparsifiable():
        parameter.set_mask(np.random.default_rng(1).random(parameter.value.shape) < 0.3)
    x = np.random.default_rng(2).standard_normal((3, 3, 8, 8)).astype(np.float32)
    before = network.forward(x, mode="probe")
    parameters = network.parameters()
    with_csr(network)
    compressed = [layer for _, layer in network.named_layers() if isinstance(layer, CSRConv2d)]
    assert len(compressed) == len(network.sparsifiable()) == 18
    assert [id(p) for p in network.parameters()] == [id(p) for p in parameters]
    assert {id(layer.weight) for layer in compressed} == {id(p) for p in network.sparsifiable()}
    # Twenty layers of sums of at most 144 products in float32, whose roundings batch-norm does not amplify much.
    np.testing.assert_allclose(network.forward(x, mode="probe"), before, rtol=1e-3, atol=1e-4)


def test_the_csr_layer_checks_its_input_as_conv2d_does():
    layer = CSRConv2d(3, 4, 3)
    with pytest.raises(ValueError, match=r"Conv2d\(3->4, 3x3\)"):
        layer.forward(np.zeros((1, 2, 5, 5), np.float32), mode="train")
    with pytest.raises(TypeError):
        layer.forward(np.zeros((1, 3, 5, 5)), mode="train")
