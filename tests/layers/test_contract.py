"""What every layer promises, whatever it computes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sparcl_ref.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    Load,
    MaxPool2d,
    NotStatedError,
    Residual,
)
from tests.helpers import assert_close
from tests.layers.common import CASES, MODES, Case, upstream

every_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_mode = pytest.mark.parametrize("mode", MODES)


def _gradients(layer) -> list[np.ndarray]:
    return [parameter.grad.copy() for _, parameter in layer.named_parameters()]


@every_layer
@every_mode
def test_input_and_upstream_gradient_and_output_are_left_alone(case: Case, mode: str) -> None:
    layer, x = case.layer(), case.x()
    x.flags.writeable = False
    y = layer.forward(x, mode=mode)
    dy = upstream(np.random.default_rng(0), y)
    dy.flags.writeable = False
    kept = x.copy(), y.copy(), dy.copy()
    dx = layer.backward(dy)
    kept_dx = dx.copy()
    # A second pass must not write into what the first one handed out.
    layer.forward(case.x(seed=6), mode=mode)
    layer.backward(upstream(np.random.default_rng(1), y))
    for array, before in zip((x, y, dy, dx), (*kept, kept_dx), strict=True):
        np.testing.assert_array_equal(array, before)


@every_layer
@every_mode
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_shape_are_preserved(case: Case, mode: str, dtype: type) -> None:
    layer, x = case.layer(dtype), case.x(dtype)
    y = layer.forward(x, mode=mode)
    dx = layer.backward(upstream(np.random.default_rng(0), y))
    assert y.dtype == dx.dtype == dtype
    assert dx.shape == x.shape
    assert y.flags.c_contiguous
    assert dx.flags.c_contiguous
    for name, parameter in layer.named_parameters():
        assert parameter.grad.dtype == parameter.value.dtype == dtype, name
    for name, buffer in layer.named_buffers():
        assert buffer.dtype == (np.int64 if name.endswith("num_batches_tracked") else dtype), name


@every_layer
def test_output_shape_is_that_of_an_output(case: Case) -> None:
    layer, x = case.layer(), case.x()
    shape = layer.output_shape(x.shape[1:])
    assert isinstance(shape, tuple)
    assert layer.forward(x, mode="train").shape[1:] == shape


@every_layer
def test_costs_are_stated_by_the_parameters_names_and_as_bytes_that_grow_with_the_batch(case: Case) -> None:
    layer, shape = case.layer(), case.shape[1:]
    assert set(layer.multiply_adds(shape).per_entry) <= set(layer.own_parameters())
    one, two = (layer.footprint(shape, Load(samples, 8)) for samples in (3, 6))
    for size in ("kept_bytes", "forward_bytes", "backward_bytes"):
        assert 0 <= getattr(one, size) <= getattr(two, size)
    assert two.kept_bytes == 2 * one.kept_bytes


def test_shapes_that_do_not_fit_are_refused_by_name() -> None:
    for layer, shape in [
        (Conv2d(3, 2, 1), (2, 4, 4)),
        (Conv2d(3, 2, 5), (3, 4, 4)),
        (Linear(3, 2), (4,)),
        (BatchNorm1d(3), (3, 2, 2)),
        (BatchNorm2d(3), (3, 2)),
        (MaxPool2d(3), (3, 2, 2)),
        (GlobalAvgPool2d(), (3, 0, 2)),
        (Flatten(), ()),
        (Residual(Linear(3, 2)), (3,)),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(layer._label)}: "):
            layer.output_shape(shape)


def test_a_layer_need_not_say_what_it_costs() -> None:
    silent = Layer()
    for ask, what in [
        (lambda: silent.output_shape((3,)), "output shape"),
        (lambda: silent.multiply_adds((3,)), "multiply-adds"),
        (lambda: silent.footprint((3,), Load(2, 4)), "memory"),
    ]:
        with pytest.raises(NotStatedError, match=f"^Layer does not say .*{what}"):
            ask()
    assert silent.fan_in is None


@every_layer
def test_the_least_batch_that_a_layer_states_is_enough(case: Case) -> None:
    layer, shape = case.layer(), case.shape[1:]
    least = layer.least_samples(shape)
    assert least == (2 if case.name == "batchnorm-features" else 1)
    layer.forward(np.ones((least, *shape)), mode="train")


@every_layer
@every_mode
def test_float32_agrees_with_float64(case: Case, mode: str) -> None:
    double, single = case.layer(), case.layer(np.float32)
    x = case.x(np.float32)
    y = double.forward(x.astype(np.float64), mode=mode)
    dy = upstream(np.random.default_rng(0), y).astype(np.float32)
    # At most about 100 terms of size one in a sum: 100 * 6e-8 is a bound, 2e-5 leaves room for batch-norm's 1/std.
    assert_close(single.forward(x, mode=mode), y, call=f"{case.name} forward", rtol=2e-5)
    dx = double.backward(dy.astype(np.float64))
    assert_close(single.backward(dy), dx, call=f"{case.name} dx", rtol=2e-5)
    for a, b in zip(_gradients(single), _gradients(double), strict=True):
        assert_close(a, b, call=f"{case.name} gradient", rtol=2e-5)


@every_layer
@every_mode
def test_gradients_of_two_passes_add_up(case: Case, mode: str) -> None:
    apart = []
    together = case.layer()
    dy = None
    for seed in (5, 6):
        for layer in (together, alone := case.layer()):
            y = layer.forward(case.x(seed=seed), mode=mode)
            dy = upstream(np.random.default_rng(seed), y)
            layer.backward(dy)
        apart.append(_gradients(alone))
    for total, first, second in zip(_gradients(together), *apart, strict=True):
        assert np.any(first)
        assert np.any(second)
        assert_close(total, first + second, call=f"{case.name} accumulated gradient", rtol=1e-12)


@every_layer
@every_mode
def test_need_dx_false_gives_none_and_the_same_parameter_gradients(case: Case, mode: str) -> None:
    with_dx, without = case.layer(), case.layer()
    y = with_dx.forward(case.x(), mode=mode)
    without.forward(case.x(), mode=mode)
    dy = upstream(np.random.default_rng(0), y)
    assert with_dx.backward(dy) is not None
    assert without.backward(dy, need_dx=False) is None
    for a, b in zip(_gradients(with_dx), _gradients(without), strict=True):
        np.testing.assert_array_equal(a, b)


@every_layer
def test_backward_needs_a_forward_of_its_own(case: Case) -> None:
    layer = case.layer()
    dy = np.ones(1)
    with pytest.raises(RuntimeError, match=re.escape(layer._label) + ".*forward"):
        layer.backward(dy)
    y = layer.forward(case.x(), mode="train")
    layer.backward(upstream(np.random.default_rng(0), y))
    with pytest.raises(RuntimeError, match=re.escape(layer._label) + ".*forward"):
        layer.backward(y)


@every_layer
def test_upstream_gradient_must_fit_and_a_refused_one_costs_nothing(case: Case) -> None:
    layer = case.layer()
    y = layer.forward(case.x(), mode="train")
    wrong = np.ones((*y.shape, 2))
    with pytest.raises(ValueError, match=re.escape(str(y.shape)) + ".*" + re.escape(str(wrong.shape))):
        layer.backward(wrong)
    with pytest.raises(TypeError, match=r"float64, got float32"):
        layer.backward(y.astype(np.float32))
    assert not any(np.any(grad) for grad in _gradients(layer))
    layer.backward(np.ones_like(y))


@every_layer
def test_forward_refuses_unknown_modes_and_inputs_that_are_not_floats(case: Case) -> None:
    layer, x = case.layer(), case.x()
    with pytest.raises(ValueError, match=r"mode must be one of train, eval, probe, got 'test'"):
        layer.forward(x, mode="test")
    with pytest.raises(TypeError, match=r"got int64"):
        layer.forward(x.astype(np.int64), mode="eval")
    with pytest.raises(TypeError, match=r"got list"):
        layer.forward(x.tolist(), mode="eval")


@every_layer
def test_an_empty_batch_passes_in_eval_mode(case: Case) -> None:
    layer = case.layer()
    y = layer.forward(np.empty((0, *case.shape[1:])), mode="eval")
    assert len(y) == 0
    assert layer.backward(np.empty(y.shape)).shape == (0, *case.shape[1:])
    assert not any(np.any(grad) for grad in _gradients(layer))
