from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.layers import Conv2d, conv
from sparcl_ref.layers.windows import Window
from tests import strategies as own
from tests.helpers import assert_close, assert_positive_zero
from tests.layers.common import check_against_torch, check_derivatives, randomise, upstream


def _build(g: own.ConvGeometry, *, bias: bool = True, dtype=np.float64) -> Conv2d:
    return Conv2d(
        g.in_channels,
        g.out_channels,
        g.kernel_size,
        stride=g.stride,
        padding=g.padding,
        dilation=g.dilation,
        groups=g.groups,
        bias=bias,
        dtype=dtype,
    )


def _window(g: own.ConvGeometry) -> Window:
    return Window(g.kernel_size, g.stride, g.padding, g.dilation)


# One byte means one sample at a time, the default here all at once; 2,000 lies between, with a smaller last chunk.
@given(own.conv_geometries(), st.booleans(), st.sampled_from([1, 2_000, conv.COLUMN_BYTES]), own.generators())
def test_against_torch(g: own.ConvGeometry, bias: bool, column_bytes: int, rng: np.random.Generator) -> None:
    layer = randomise(_build(g, bias=bias), rng)
    x, dy = rng.standard_normal(g.input_shape), rng.standard_normal(g.output_shape)

    def twin(x, weight, bias=None):
        return functional.conv2d(x, weight, bias, g.stride, g.padding, g.dilation, g.groups)

    with patch.object(conv, "COLUMN_BYTES", column_bytes):
        check_against_torch(layer, twin, x, dy)


@pytest.mark.parametrize(
    "geometry",
    [
        own.ConvGeometry(2, 2, 3, 4, 5, (3, 2), (2, 1), (1, 0), (1, 2), 1),
        own.ConvGeometry(2, 4, 2, 3, 3, (2, 2), (1, 2), (0, 1), (1, 1), 2),
        own.ConvGeometry(2, 2, 2, 4, 3, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    ],
)
def test_derivatives(geometry: own.ConvGeometry) -> None:
    rng = np.random.default_rng(0)
    layer = randomise(_build(geometry), rng)
    check_derivatives(layer, rng.standard_normal(geometry.input_shape), rng.standard_normal(geometry.output_shape))


@given(own.conv_geometries(), own.generators())
def test_im2col_is_what_its_formula_says(g: own.ConvGeometry, rng: np.random.Generator) -> None:
    x, out = rng.standard_normal(g.input_shape), g.output_shape[2:]
    cols = conv.im2col(x, _window(g), out)
    assert cols.shape == (g.in_channels, *g.kernel_size, *out, g.batch)
    for c, i, j, h, w, n in np.ndindex(cols.shape):
        row = h * g.stride[0] - g.padding[0] + i * g.dilation[0]
        column = w * g.stride[1] - g.padding[1] + j * g.dilation[1]
        inside = 0 <= row < g.height and 0 <= column < g.width
        assert cols[c, i, j, h, w, n] == (x[n, c, row, column] if inside else 0)


@given(own.conv_geometries(), own.generators())
def test_col2im_is_the_transpose_of_im2col(g: own.ConvGeometry, rng: np.random.Generator) -> None:
    """<im2col(x), c> = <x, col2im(c)> for all x and c."""
    x, out = rng.standard_normal(g.input_shape), g.output_shape[2:]
    cols = conv.im2col(x, _window(g), out)
    c = rng.standard_normal(cols.shape)
    back = conv.col2im(c, _window(g), x.shape[2:])
    assert back.shape == x.shape
    # Both sides cancel: the scale of the rounding error is the sum of the terms' sizes.
    assert_close(np.sum(x * back), np.sum(cols * c), call="col2im", atol=1e-13 * np.sum(np.abs(cols * c)))


@given(own.conv_geometries(), st.data(), own.generators())
def test_masks_hold(g: own.ConvGeometry, data: st.DataObject, rng: np.random.Generator) -> None:
    layer, dense = randomise(_build(g, bias=False), rng), _build(g, bias=False)
    mask, grad_mask = data.draw(own.nested_masks(g.weight_shape))
    layer.weight.set_mask(mask)
    layer.weight.set_grad_mask(grad_mask)
    dense.weight.value[...] = layer.weight.value
    x = rng.standard_normal(g.input_shape)
    y = layer.forward(x, mode="train")
    dy = upstream(rng, y)
    np.testing.assert_array_equal(y, dense.forward(x, mode="train"))
    np.testing.assert_array_equal(layer.backward(dy), dense.backward(dy))
    assert_positive_zero(layer.weight.value, call="dead values", where=~mask)
    assert_positive_zero(layer.weight.grad, call="masked gradients", where=~grad_mask)
    np.testing.assert_array_equal(layer.weight.grad[grad_mask], dense.weight.grad[grad_mask])


def test_the_identity_kernel_copies_the_image() -> None:
    layer = Conv2d(2, 2, 3, padding=1, bias=False, dtype=np.float64)
    layer.weight.value[[0, 1], [0, 1], 1, 1] = 1
    x = np.random.default_rng(0).standard_normal((2, 2, 4, 5))
    np.testing.assert_array_equal(layer.forward(x, mode="eval"), x)


def test_a_chunk_respects_both_limits_and_holds_at_least_one_sample() -> None:
    layer = Conv2d(4, 8, 3, padding=1, dtype=np.float64)
    y = np.empty((10, 8, 6, 6))
    columns, output = 4 * 9 * 36 * 8, 8 * 36 * 8  # bytes of one sample
    for column_bytes, output_bytes, expected in [
        (3 * columns, 9 * output, [3, 3, 3, 1]),
        (9 * columns, 4 * output, [4, 4, 2]),
        (20 * columns, 20 * output, [10]),
        (columns - 1, 20 * output, [1] * 10),
        (20 * columns, output - 1, [1] * 10),
    ]:
        with patch.multiple(conv, COLUMN_BYTES=column_bytes, OUTPUT_BYTES=output_bytes):
            chunks = list(layer._chunks(y))
        assert [len(y[part]) for part in chunks] == expected
        assert np.concatenate([np.arange(10)[part] for part in chunks]).tolist() == list(range(10))


def test_an_input_that_is_not_contiguous() -> None:
    rng = np.random.default_rng(0)
    layer = randomise(Conv2d(2, 3, 3, padding=1, dtype=np.float64), rng)
    x = rng.standard_normal((3, 5, 4, 2)).transpose(0, 3, 1, 2)
    dy = rng.standard_normal((3, 5, 4, 3)).transpose(0, 3, 1, 2)
    y = layer.forward(x, mode="train")
    dx = layer.backward(dy)
    assert y.flags.c_contiguous
    assert dx.flags.c_contiguous
    assert_close(y, layer.forward(x.copy(order="C"), mode="train"), call="Conv2d.forward", rtol=1e-13)
    assert_close(dx, layer.backward(dy.copy(order="C")), call="Conv2d.backward", rtol=1e-13)


def test_parameters_and_attributes() -> None:
    layer = Conv2d(4, 6, (3, 1), stride=2, padding=(1, 0), groups=2, sparsifiable=True)
    assert {name: p.value.shape for name, p in layer.named_parameters()} == {"weight": (6, 2, 3, 1), "bias": (6,)}
    assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == ((3, 1), (2, 2), (1, 0), (1, 1))
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 6, 2)
    assert layer.weight.sparsifiable
    assert not layer.bias.sparsifiable
    assert layer.weight.value.dtype == np.float32
    assert not any(np.any(p.value) for _, p in layer.named_parameters())
    plain = Conv2d(3, 64, 3, bias=False)
    assert plain.bias is None
    assert not plain.weight.sparsifiable
    assert [name for name, _ in plain.named_parameters()] == ["weight"]


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (3, 8, 8), (2, 3, 8)])
def test_wrong_input_shapes(shape) -> None:
    with pytest.raises(ValueError, match=r"^Conv2d\(3->64, 3x3\): input must have shape \(N, 3, H, W\), got \("):
        Conv2d(3, 64, 3).forward(np.ones(shape, np.float32), mode="eval")


def test_wrong_arguments() -> None:
    layer = Conv2d(3, 64, (5, 3))
    with pytest.raises(ValueError, match=r"^Conv2d\(3->64, 5x3\): the window does not fit into an image of 4x8"):
        layer.forward(np.ones((1, 3, 4, 8), np.float32), mode="eval")
    with pytest.raises(TypeError, match=r"^Conv2d\(3->64, 5x3\): input is float64 but the parameters are float32"):
        layer.forward(np.ones((1, 3, 8, 8)), mode="eval")
    for channels in ((4, 6), (6, 4)):
        with pytest.raises(ValueError, match=r"^Conv2d\(.*\): both channel counts must be divisible by groups=3"):
            Conv2d(*channels, 3, groups=3)
    for wrong in ({"stride": 0}, {"dilation": 0}, {"padding": -1}, {"groups": 0}):
        with pytest.raises(ValueError, match=rf"^Conv2d: {next(iter(wrong))} must be at least"):
            Conv2d(3, 64, 3, **wrong)
    for arguments in ((0, 64, 3), (3, 0, 3), (3, 64, 0)):
        with pytest.raises(ValueError, match=r"^Conv2d: .* must be at least 1, got 0"):
            Conv2d(*arguments)
    with pytest.raises(TypeError, match=r"^Conv2d\(3->64, 3x3\): dtype must be float32 or float64, got float16"):
        Conv2d(3, 64, 3, dtype=np.float16)
