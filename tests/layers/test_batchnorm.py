from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import BatchNorm1d, BatchNorm2d
from tests import strategies as own
from tests.helpers import assert_close, assert_positive_zero
from tests.layers.common import MODES, check_derivatives, randomise, upstream

positions = st.lists(st.integers(1, 4), max_size=2).map(tuple)


def _pair(channels: int, axes: int, **options):
    """Our layer and PyTorch's for inputs with that many position axes."""
    ours, theirs = (BatchNorm2d, torch.nn.BatchNorm2d) if axes == 2 else (BatchNorm1d, torch.nn.BatchNorm1d)
    return ours(channels, dtype=np.float64, **options), theirs(channels, dtype=torch.float64, **options)


def _copy_into_torch(layer, twin) -> None:
    arrays = {name: parameter.value for name, parameter in layer.named_parameters()} | dict(layer.named_buffers())
    assert list(arrays) == list(twin.state_dict())
    twin.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})


@given(
    batch=st.integers(2, 5),
    channels=st.integers(1, 4),
    positions=positions,
    modes=st.lists(st.sampled_from(MODES), min_size=1, max_size=4),
    eps=st.sampled_from([1e-5, 1e-2]),
    momentum=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    rng=own.generators(),
)
def test_against_torch(batch, channels, positions, modes, eps, momentum, rng) -> None:
    """A run of batches in any order of modes; PyTorch's probe is a train pass whose new estimates are thrown away."""
    layer, twin = _pair(channels, len(positions), eps=eps, momentum=momentum)
    randomise(layer, rng)
    _copy_into_torch(layer, twin)
    for mode in modes:
        # Channels of different location and scale, so that mixing them up shows.
        shift = rng.standard_normal((channels, *[1] * len(positions)))
        x = rng.standard_normal((batch, channels, *positions)) * np.exp(shift) + 3 * shift
        before = {name: buffer.clone() for name, buffer in twin.named_buffers()}
        twin.train(mode != "eval")
        torch_x = torch.tensor(x, requires_grad=True)
        torch_y = twin(torch_x)
        dy = rng.standard_normal(x.shape)
        torch_y.backward(torch.tensor(dy))
        if mode == "probe":
            twin.load_state_dict(before, strict=False)
        assert_close(layer.forward(x, mode=mode), torch_y.detach().numpy(), call=f"{mode} forward")
        # With few values per channel the three terms of dx nearly cancel (with two they leave only eps's share), and
        # the error is that of the terms: |weight| / std * |dy|, with std as small as sqrt(eps).
        scale = np.max(np.abs(layer.weight.value)) * np.max(np.abs(dy)) / np.sqrt(eps)
        assert_close(layer.backward(dy), torch_x.grad.numpy(), call=f"{mode} dx", atol=1e-12 * scale)
        for name, parameter in layer.named_parameters():
            assert_close(parameter.grad, getattr(twin, name).grad.numpy(), call=f"{mode} d{name}")
        for name, buffer in layer.named_buffers():
            assert_close(buffer, twin.get_buffer(name).numpy(), call=f"{mode} {name}")
    assert layer.num_batches_tracked == modes.count("train")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(5, 3), (3, 3, 4), (3, 2, 3, 2)])
def test_derivatives(shape, mode: str) -> None:
    rng = np.random.default_rng(0)
    layer = (BatchNorm2d if len(shape) == 4 else BatchNorm1d)(shape[1], dtype=np.float64)
    check_derivatives(randomise(layer, rng), rng.standard_normal(shape), rng.standard_normal(shape), mode=mode)


@pytest.mark.parametrize("mode", ["eval", "probe"])
def test_eval_and_probe_leave_the_running_estimates_bit_identical(mode: str) -> None:
    rng = np.random.default_rng(0)
    layer = randomise(BatchNorm2d(3), rng)
    before = {name: buffer.copy() for name, buffer in layer.named_buffers()}
    x = rng.standard_normal((4, 3, 2, 2)).astype(np.float32)
    layer.backward(upstream(rng, layer.forward(x, mode=mode)))
    for name, buffer in layer.named_buffers():
        np.testing.assert_array_equal(buffer, before[name])
    layer.forward(x, mode="train")
    for name, buffer in layer.named_buffers():
        assert np.all(buffer != before[name]), name


def test_probe_computes_like_train() -> None:
    rng = np.random.default_rng(0)
    probe, train = (randomise(BatchNorm1d(3), np.random.default_rng(1)) for _ in range(2))
    x = rng.standard_normal((4, 3)).astype(np.float32)
    y = train.forward(x, mode="train")
    np.testing.assert_array_equal(probe.forward(x, mode="probe"), y)
    dy = upstream(rng, y)
    np.testing.assert_array_equal(probe.backward(dy), train.backward(dy))


def test_running_estimates_keep_their_array_objects() -> None:
    layer = BatchNorm1d(3)
    buffers = layer.own_buffers()
    layer.forward(np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32), mode="train")
    assert all(layer.own_buffers()[name] is buffer for name, buffer in buffers.items())
    assert buffers["num_batches_tracked"] == 1
    assert buffers["num_batches_tracked"].dtype == np.int64
    assert buffers["num_batches_tracked"].shape == ()


def test_a_large_mean_does_not_spoil_the_variance() -> None:
    """In float32, E[x^2] - E[x]^2 would lose all digits of a variance of 1 beside a mean of 10,000."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((64, 2, 8, 8)) + 1e4).astype(np.float32)
    single = BatchNorm2d(2).forward(x, mode="train")
    double = BatchNorm2d(2, dtype=np.float64).forward(x.astype(np.float64), mode="train")
    # The mean is rounded to float32's spacing near 10,000, about 1e-3, over a standard deviation of 1.
    assert_close(single, double, call="BatchNorm2d.forward", rtol=0, atol=2e-3)


@given(own.nested_masks((3,)), own.nested_masks((3,)), own.generators())
def test_masks_hold(weight_masks, bias_masks, rng: np.random.Generator) -> None:
    layer = randomise(BatchNorm1d(3, dtype=np.float64), rng)
    for parameter, (mask, grad_mask) in ((layer.weight, weight_masks), (layer.bias, bias_masks)):
        parameter.set_mask(mask)
        parameter.set_grad_mask(grad_mask)
    x = rng.standard_normal((4, 3))
    y = layer.forward(x, mode="train")
    dy = upstream(rng, y)
    layer.backward(dy)
    xhat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + layer.eps)
    for parameter, dense in ((layer.weight, np.sum(dy * xhat, axis=0)), (layer.bias, dy.sum(axis=0))):
        assert_positive_zero(parameter.grad, call="masked gradients", where=~parameter.grad_mask)
        expected = np.where(parameter.grad_mask, dense, 0)
        assert_close(parameter.grad, expected, call="gradient", atol=1e-10)


@pytest.mark.parametrize("mode", ["train", "probe"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNorm1d(3), (1, 3)),
        (BatchNorm1d(3), (1, 3, 1)),
        (BatchNorm2d(3), (1, 3, 1, 1)),
        (BatchNorm2d(3), (0, 3, 2, 2)),
    ],
)
def test_one_value_per_channel_has_no_variance(layer, shape, mode: str) -> None:
    with pytest.raises(ValueError, match=rf"\(3\): {mode} mode needs more .* use another batch size"):
        layer.forward(np.ones(shape, np.float32), mode=mode)
    assert layer.num_batches_tracked == 0
    assert layer.forward(np.ones(shape, np.float32), mode="eval").shape == shape


@pytest.mark.parametrize(
    ("layer", "expected", "shapes"),
    [
        (BatchNorm1d(3), r"\(N, 3\)", [(4, 2), (4,), (4, 3, 1, 1)]),
        (BatchNorm1d(3), r"\(N, 3, L\)", [(4, 2, 5)]),
        (BatchNorm2d(3), r"\(N, 3, H, W\)", [(4, 2, 5, 5), (4, 3), (4, 3, 5)]),
    ],
)
def test_wrong_input_shapes(layer, expected: str, shapes) -> None:
    for shape in shapes:
        with pytest.raises(ValueError, match=rf"^BatchNorm.d\(3\): input must have shape {expected}, got \("):
            layer.forward(np.ones(shape, np.float32), mode="train")


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"^BatchNorm1d\(3\): input is float64 but the parameters are float32"):
        BatchNorm1d(3).forward(np.ones((4, 3)), mode="eval")
    with pytest.raises(ValueError, match=r"^BatchNorm2d: num_features must be at least 1, got 0"):
        BatchNorm2d(0)
    for eps in (0, -1e-5, float("nan")):
        with pytest.raises(ValueError, match=r"^BatchNorm2d\(3\): eps must be positive"):
            BatchNorm2d(3, eps=eps)
    for momentum in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"^BatchNorm2d\(3\): momentum must lie in 0\.\.1"):
            BatchNorm2d(3, momentum=momentum)
    with pytest.raises(TypeError, match=r"^BatchNorm2d\(3\): dtype must be float32 or float64"):
        BatchNorm2d(3, dtype=np.int64)


@pytest.mark.parametrize(
    ("layer", "shape", "least"),
    [
        (BatchNorm1d(3), (3,), 2),
        (BatchNorm1d(3), (3, 1), 2),
        (BatchNorm1d(3), (3, 2), 1),
        (BatchNorm1d(1), (1, 2), 1),
        (BatchNorm1d(1), (1,), 2),
        (BatchNorm2d(3), (3, 1, 1), 2),
        (BatchNorm2d(3), (3, 2, 1), 1),
        (BatchNorm2d(1), (1, 1, 3), 1),
    ],
)
def test_the_least_batch_has_two_values_per_channel(layer, shape, least: int) -> None:
    assert layer.least_samples(shape) == least
    layer.forward(np.ones((least, *shape), np.float32), mode="train")
    if least > 1:
        with pytest.raises(ValueError, match="more than one value per channel"):
            layer.forward(np.ones((least - 1, *shape), np.float32), mode="train")
