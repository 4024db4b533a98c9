"""One compiled convolution by itself: what the reference layer and PyTorch compute, for every shape and mask."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref import fast
from sparcl_ref.fast import one_convolution
from sparcl_ref.layers import Conv2d
from tests import strategies as own
from tests.fast.helpers import GuardedPool, assert_near, tolerance

FEW = settings(max_examples=40)


def settings_of(geometry: own.ConvGeometry) -> dict:
    return {name: getattr(geometry, name) for name in ("stride", "padding", "dilation", "groups")}


def by_torch(x, weight, dy, **geometry):
    """Output, dL/dx and dL/dw of every weight, in float64."""
    inputs = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (x, weight)]
    y = functional.conv2d(*inputs, **geometry)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    return y.detach().numpy(), *(array.grad.numpy() for array in inputs)


@given(own.conv_geometries(), own.dtypes(), st.sampled_from([0.0, 0.1, 0.5, 1.0]), own.generators(), st.data())
@FEW
def test_equals_torch_and_the_reference_layer(geometry, dtype, density, rng, data):
    batch = data.draw(st.sampled_from([0, 1, 2, 8, 33]))
    weight = rng.standard_normal(geometry.weight_shape) * (rng.random(geometry.weight_shape) < density)
    x = rng.standard_normal((batch, *geometry.input_shape[1:])).astype(dtype)
    dy = rng.standard_normal((batch, *geometry.output_shape[1:])).astype(dtype)
    weight, learning = weight.astype(dtype), (weight != 0) & (rng.random(weight.shape) < 0.7)

    layer = Conv2d(
        geometry.in_channels, geometry.out_channels, geometry.kernel_size, bias=False, dtype=dtype,
        **settings_of(geometry),
    )  # fmt: skip
    layer.weight.value[...] = weight
    layer.weight.set_mask(weight != 0)
    layer.weight.set_grad_mask(learning)
    reference = [layer.forward(x, mode="train"), layer.backward(dy), layer.weight.grad]
    expected = by_torch(x, weight, dy, **settings_of(geometry))

    pools = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_convolution, "Pool", lambda kind: pools.append(GuardedPool(kind)) or pools[-1])
        got = [
            fast.conv2d(x, weight, **settings_of(geometry)),
            *fast.conv2d_backward(dy, x, weight, learning=learning, **settings_of(geometry)),
        ]
        everything = fast.conv2d_backward(dy, x, weight, need_dx=False, **settings_of(geometry))
    assert len(pools) == (3 if batch else 0)
    for pool in pools:
        pool.check()

    # No sum has more terms than that, and no term is larger than the largest factors' product.
    terms = max(batch * np.prod(geometry.output_shape[2:]), weight[0].size, weight[:, 0].size) + 2
    factors = [np.abs(array).max(initial=0) for array in (x, dy, weight)]
    bound = tolerance(dtype, terms) * terms * max(1.0, max(factors)) ** 2
    for name, mine, theirs, torchs in zip(("y", "dx", "dw"), got, reference, expected, strict=True):
        assert_near(mine, theirs, name, bound)
        where = learning if name == "dw" else ...
        assert_near(mine[where], torchs[where].astype(dtype), name, bound)
    assert everything[0] is None
    assert_near(everything[1], (expected[2] * (weight != 0)).astype(dtype), "dw of all", bound)
    assert not got[2][~learning].any()


def test_what_goes_in_may_lie_anywhere_and_is_left_alone():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 4, 2)).transpose(0, 3, 1, 2)
    weight = rng.standard_normal((3, 3, 4, 2)).transpose(3, 2, 0, 1)[:, ::2]
    weight[0] = 0
    x.flags.writeable = weight.flags.writeable = False
    kept = x.copy(), weight.copy()
    y = fast.conv2d(x, weight)
    np.testing.assert_array_equal(y, fast.conv2d(*kept))
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert (x == kept[0]).all()
    assert (weight == kept[1]).all()


def test_a_zero_is_skipped_whatever_lies_under_it():
    x = np.array([np.inf, np.nan, 1.0, 2.0]).reshape(1, 2, 1, 2)
    weight = np.array([-0.0, 3.0]).reshape(1, 2, 1, 1)
    assert fast.conv2d(x, weight).tolist() == [[[[3.0, 6.0]]]]
    dx, dw = fast.conv2d_backward(np.ones((1, 1, 1, 2)), x, weight)
    assert dx.tolist() == [[[[0.0, 0.0]], [[3.0, 3.0]]]]
    assert dw.reshape(-1).tolist() == [0.0, 3.0]
    assert not np.signbit(dw).any()


def test_one_convolution_can_be_asked_again_and_follows_its_layer():
    rng = np.random.default_rng(0)
    layer, twin = (Conv2d(2, 3, 3, stride=2, padding=1, dtype=np.float64) for _ in range(2))
    layer.bias.value[...] = twin.bias.value[...] = rng.standard_normal(3)
    one = fast.OneConvolution(layer, (4, 2, 5, 6))
    for density in (1.0, 0.5):
        weight = rng.standard_normal(layer.weight.value.shape)
        mask = rng.random(weight.shape) < density
        x, dy = rng.standard_normal((4, 2, 5, 6)), rng.standard_normal((4, 3, 3, 3))
        for each in (layer, twin):
            each.weight.value[...] = weight
            each.weight.set_mask(mask)
            each.weight.grad[...] = each.bias.grad[...] = 0
        one.read(x)
        one.read_upstream(dy)
        for _ in range(2):  # gradients are set, not added to
            one.forward()
            one.backward()
        y, dx = twin.forward(x, mode="train"), twin.backward(dy)
        np.testing.assert_allclose(one.y, y, rtol=0, atol=1e-12)
        np.testing.assert_allclose(one.dx, dx, rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer.weight.grad, twin.weight.grad, rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer.bias.grad, twin.bias.grad, rtol=0, atol=1e-12)


IMAGES, WEIGHT = np.zeros((2, 4, 5, 5)), np.ones((6, 2, 3, 3))
OUT = np.zeros((2, 6, 3, 3))


def called(*arguments, **geometry):
    return lambda: fast.conv2d(*arguments, **geometry)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (called(IMAGES, WEIGHT), ValueError, "Conv2d(2->6, 3x3): input must have shape (N, 2, H, W), got (N, 4, 5, 5)"),
        (called(IMAGES[0], WEIGHT, groups=2), ValueError, "input must have shape (N, 4, H, W), got (N, 5, 5)"),
        (called(IMAGES[:, :, :2], WEIGHT, groups=2), ValueError, "window does not fit into an image of 2x5"),
        (called(IMAGES.tolist(), WEIGHT, groups=2), TypeError, "images must be an array of float64, got list"),
        (called(IMAGES.astype("f4"), WEIGHT, groups=2), TypeError, "input is float32 but the parameters are float64"),
        (called(IMAGES, WEIGHT[0]), ValueError, "weight must be a float32 or float64 array of shape (O, C / groups, "),
        (called(IMAGES, WEIGHT.astype(int)), TypeError, "got int64 of shape (6, 2, 3, 3)"),
        (called(IMAGES, None), TypeError, "got NoneType"),
        (called(IMAGES, WEIGHT, groups=4), ValueError, "both channel counts must be divisible by groups=4"),
        (called(IMAGES, WEIGHT, groups=0), ValueError, "conv2d: groups must be at least 1, got 0"),
        (called(IMAGES, WEIGHT, groups=2, padding=-1), ValueError, "Conv2d: padding must be at least 0, got -1"),
        (called(IMAGES, WEIGHT, groups=2, stride=1.5), TypeError, "Conv2d: stride must be an integer, got 1.5"),
        (
            lambda: fast.conv2d_backward(OUT[:1], IMAGES, WEIGHT, groups=2),
            ValueError,
            "Conv2d(4->6, 3x3): upstream gradient must have shape (2, 6, 3, 3), got (1, 6, 3, 3)",
        ),
        (
            lambda: fast.conv2d_backward(OUT.tolist(), IMAGES, WEIGHT, groups=2),
            TypeError,
            "Conv2d(4->6, 3x3): upstream gradient must be an array of float64, got list",
        ),
        (
            lambda: fast.conv2d_backward(None, IMAGES[:0], WEIGHT, groups=2),
            TypeError,
            "Conv2d(4->6, 3x3): upstream gradient must be an array of float64, got NoneType",
        ),
        (
            lambda: fast.conv2d_backward(OUT, IMAGES, WEIGHT * 0, learning=WEIGHT == 1, groups=2),
            ValueError,
            "the gradient mask must be a subset of the mask; it is set on dead entries",
        ),
        (lambda: fast.OneConvolution(None, (1, 2, 3, 4)), TypeError, "takes a Conv2d, got NoneType"),
        (lambda: fast.OneConvolution(Conv2d(2, 2, 1), (0, 2, 3, 4)), ValueError, "number of images must be at least 1"),
        (lambda: fast.OneConvolution(Conv2d(2, 2, 1), (1, 3, 4)), ValueError, "input must have shape (N, 2, H, W)"),
        (lambda: fast.OneConvolution(Conv2d(2, 2, 1), (1, 2, 3, 4)).y, RuntimeError, "y is there after forward() only"),
        (lambda: fast.OneConvolution(Conv2d(2, 2, 1), (1, 2, 3, 4)).dx, RuntimeError, "dx is there after backward()"),
        (
            lambda: fast.OneConvolution(Conv2d(2, 2, 1), (1, 2, 3, 4)).read(np.zeros((2, 2, 3, 4), np.float32)),
            ValueError,
            "Conv2d(2->2, 1x1): images must have shape (1, 2, 3, 4), got (2, 2, 3, 4)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call, kind, says):
    with pytest.raises(kind, match=re.escape(says)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_without_a_compiler_it_says_so(monkeypatch):
    monkeypatch.setitem(vars(fast.jit.config), "DISABLE_JIT", 1)
    with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT=1 switches off"):
        fast.conv2d(IMAGES, WEIGHT, groups=2)


def test_the_example_of_the_page_on_speed_runs(capsys):
    page = Path(__file__).parents[2] / "tutorials" / "pages" / "speed.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out == "(32, 64, 16, 16) (32, 64, 16, 16) (64, 64, 3, 3)\n"
