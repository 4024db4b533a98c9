from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from torch.nn import functional

from sparcl_ref import fast
from sparcl_ref.layers import AvgPool2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, Sequential
from sparcl_ref.models import Network
from tests import strategies as own
from tests.layers.common import check_against_torch, check_derivatives, spaced

both = pytest.mark.parametrize("pool", [MaxPool2d, AvgPool2d])


@given(own.pool_geometries(), own.generators())
def test_max_pool_against_torch(g: own.PoolGeometry, rng: np.random.Generator) -> None:
    layer = MaxPool2d(g.kernel_size, stride=g.stride, padding=g.padding)
    x, dy = rng.standard_normal(g.input_shape), rng.standard_normal(g.output_shape)
    check_against_torch(layer, lambda x: functional.max_pool2d(x, g.kernel_size, g.stride, g.padding), x, dy)


@given(own.pool_geometries(), own.generators())
def test_max_pool_with_ties_against_torch(g: own.PoolGeometry, rng: np.random.Generator) -> None:
    """Three values only, none above zero: nearly every window has a tie, and padding with zeros would show."""
    layer = MaxPool2d(g.kernel_size, stride=g.stride, padding=g.padding)
    x = rng.integers(-2, 0, g.input_shape, endpoint=True).astype(np.float64)
    dy = rng.standard_normal(g.output_shape)
    check_against_torch(layer, lambda x: functional.max_pool2d(x, g.kernel_size, g.stride, g.padding), x, dy)


@pytest.mark.parametrize("compiled", [False, True])
@given(own.pool_geometries(), own.dtypes(), own.generators())
def test_max_pool_of_special_values_against_torch(compiled, g: own.PoolGeometry, dtype, rng) -> None:
    """In both engines, also where upstream gradients are not finite: they reach the winner and nobody else."""
    values = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, -1.0])
    values = values[rng.random(6) < 0.5] if rng.random() < 0.7 else values[:2]
    x = rng.choice(values if len(values) else [-np.inf], g.input_shape).astype(dtype)
    dy = rng.choice([np.nan, np.inf, 1.0, -2.0, 3.0, 0.5], g.output_shape).astype(dtype)
    layer = MaxPool2d(g.kernel_size, stride=g.stride, padding=g.padding)
    if compiled:
        layer = compiled_alone(layer, g, dtype)
    y = layer.forward(x, mode="train")
    dx = layer.backward(dy.reshape(y.shape))
    twin = torch.tensor(x, requires_grad=True)
    expected = functional.max_pool2d(twin, g.kernel_size, g.stride, g.padding)
    expected.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y.reshape(g.output_shape), expected.detach().numpy())
    np.testing.assert_array_equal(dx, twin.grad.numpy())


def compiled_alone(layer, g: own.PoolGeometry, dtype):
    """A compiled network of one layer, and of a parameter that nothing reads: an engine takes its dtype from one."""
    idle = Linear(1, 1, dtype=dtype)

    class WithParameter(Sequential):
        def own_parameters(self):
            return idle.own_parameters()

    body, classes = WithParameter([layer, Flatten()]), math.prod(g.output_shape[1:])
    return fast.compile(Network("pool", body, input_shape=g.input_shape[1:], classes=classes))


@given(own.pool_geometries(), own.generators())
def test_average_pool_against_torch(g: own.PoolGeometry, rng: np.random.Generator) -> None:
    layer = AvgPool2d(g.kernel_size, stride=g.stride, padding=g.padding)
    x, dy = rng.standard_normal(g.input_shape), rng.standard_normal(g.output_shape)
    check_against_torch(layer, lambda x: functional.avg_pool2d(x, g.kernel_size, g.stride, g.padding), x, dy)


@given(own.shapes(min_dims=4, max_dims=4), own.generators())
def test_global_average_pool_against_torch(shape, rng: np.random.Generator) -> None:
    check_against_torch(
        GlobalAvgPool2d(), lambda x: x.mean(dim=(2, 3)), rng.standard_normal(shape), rng.standard_normal(shape[:2])
    )


@both
@pytest.mark.parametrize(
    "options", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (1, 2), "stride": 3}]
)
def test_derivatives(pool, options) -> None:
    rng = np.random.default_rng(0)
    layer, x = pool(**options), spaced(rng, (2, 2, 4, 5))
    check_derivatives(layer, x, rng.standard_normal(layer.forward(x, mode="train").shape))


def test_derivatives_of_global_average_pool() -> None:
    rng = np.random.default_rng(0)
    check_derivatives(GlobalAvgPool2d(), rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3)))


def test_the_first_of_equal_entries_gets_the_gradient() -> None:
    layer = MaxPool2d(2)
    layer.forward(np.zeros((1, 1, 2, 2)), mode="train")
    np.testing.assert_array_equal(layer.backward(np.full((1, 1, 1, 1), 5.0)), [[[[5, 0], [0, 0]]]])


def test_max_pool_hands_on_not_a_number() -> None:
    """A diverged network must show, not hide behind the other entries of the window."""
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 1] = np.nan
    np.testing.assert_array_equal(MaxPool2d(2).forward(x, mode="eval"), [[[[np.nan, 0]]]])


@both
def test_stride_defaults_to_the_kernel(pool) -> None:
    layer = pool((2, 3))
    assert (layer.kernel_size, layer.stride, layer.padding) == ((2, 3), (2, 3), (0, 0))
    assert pool(2, stride=1).stride == (1, 1)


@both
def test_wrong_arguments(pool) -> None:
    name = pool.__name__
    for shape in ((2, 3, 8), (3, 8)):
        with pytest.raises(ValueError, match=rf"^{name}\(3x2\): input must have shape \(N, C, H, W\), got \("):
            pool((3, 2)).forward(np.ones(shape), mode="eval")
    with pytest.raises(ValueError, match=rf"^{name}\(3x2\): the window does not fit into an image of 2x8"):
        pool((3, 2)).forward(np.ones((2, 3, 2, 8)), mode="eval")
    with pytest.raises(ValueError, match=rf"^{name}\(3x2\): padding must be at most half the kernel, got \(2, 1\)"):
        pool((3, 2), padding=(2, 1))
    for wrong in ({"kernel_size": 0}, {"kernel_size": 2, "stride": 0}, {"kernel_size": 2, "padding": -1}):
        with pytest.raises(ValueError, match=rf"^{name}: .* must be at least"):
            pool(**wrong)


def test_global_average_pool_needs_images_with_pixels() -> None:
    with pytest.raises(ValueError, match=r"^GlobalAvgPool2d: input must have shape \(N, C, H, W\), got \(N, 3\)"):
        GlobalAvgPool2d().forward(np.ones((2, 3)), mode="eval")
    with pytest.raises(ValueError, match=r"^GlobalAvgPool2d: images must have at least one pixel"):
        GlobalAvgPool2d().forward(np.ones((2, 3, 0, 4)), mode="eval")
