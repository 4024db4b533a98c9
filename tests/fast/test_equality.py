"""The compiled engine against the reference engine: same outputs, same gradients, same statistics."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcl_ref import fast
from sparcl_ref.fast import conv, shifted_sums
from sparcl_ref.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.models import Network, build_model
from tests import strategies
from tests.fast.helpers import assert_near, guarded, tolerance

FEW = settings(max_examples=40)


def run(network, x, dy, mode, *, need_dx=True):
    """Everything one pass leaves behind, by name."""
    out = {"logits": network.forward(x, mode=mode)}
    dx = network.backward(dy, need_dx=need_dx)
    if need_dx:
        out["dx"] = dx
    else:
        assert dx is None
    grads = network.take_grads()
    out.update({p.name: grad for p, grad in zip(network.parameters(), grads, strict=True)})
    out.update({name: np.array(array) for name, array in network.named_buffers()})
    return out


def randomise(network, rng, *, density, grad_density=1.0):
    """Random values everywhere; random masks on the sparsifiable weights."""
    for parameter in network.parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape) / np.sqrt(parameter.value[0].size)
        if parameter.sparsifiable and density < 1:
            mask = rng.random(parameter.value.shape) < density
            parameter.set_mask(mask)
            parameter.set_grad_mask(mask & (rng.random(mask.shape) < grad_density))


def in_float64(network):
    """A float64 reference network with the same numbers and masks."""
    twin = copy.deepcopy(network)
    for _, layer in twin.named_layers():
        for parameter in layer.own_parameters().values():
            parameter.value, parameter.grad = parameter.value.astype(np.float64), parameter.grad.astype(np.float64)
        for name, array in layer.own_buffers().items():
            setattr(layer, name, array.astype(np.float64) if array.ndim else array.copy())
    return twin


def single(layer, shape, features):
    """A network of one layer that ends in (N, features), so that a gradient of logits reaches each output."""
    return Network("one", Sequential([layer, Flatten()]), input_shape=shape, classes=features)


@given(strategies.conv_geometries(), strategies.dtypes(), st.data())
@FEW
def test_convolution_equals_the_reference_for_any_geometry_and_mask(geometry, dtype, data):
    check_convolution(geometry, dtype, data)


@given(strategies.conv_geometries(), strategies.dtypes(), st.data())
@FEW
def test_so_it_does_as_matrix_products_whatever_the_density(geometry, dtype, data):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("DENSE_FROM", 0.0), ("DENSE_GRADIENT_FROM", 0.0), ("SMALLEST_MATRIX", 1)):
            patch.setattr(conv, name, value)
        check_convolution(geometry, dtype, data)


@given(strategies.conv_geometries(), strategies.dtypes(), st.data())
@FEW
def test_so_it_does_with_sums_forward_and_products_for_the_weights(geometry, dtype, data):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("DENSE_FROM", 2.0), ("DENSE_GRADIENT_FROM", 0.0), ("SMALLEST_MATRIX", 1)):
            patch.setattr(conv, name, value)
        check_convolution(geometry, dtype, data)


@given(strategies.conv_geometries(), strategies.dtypes(), st.data())
@FEW
def test_so_it_does_in_blocks_of_few_channels(geometry, dtype, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shifted_sums, "BLOCK_BYTES", 1)
        patch.setattr(shifted_sums, "WEIGHTS_PER_BLOCK", 1)
        check_convolution(geometry, dtype, data)


def check_convolution(geometry, dtype, data):
    rng = data.draw(strategies.generators())
    density = data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    batch = data.draw(st.sampled_from([1, 2, 3, 8, 33]))
    names = ("kernel_size", "stride", "padding", "dilation", "groups")
    layer = Conv2d(
        geometry.in_channels,
        geometry.out_channels,
        dtype=dtype,
        sparsifiable=True,
        **{name: getattr(geometry, name) for name in names},
    )
    shape = geometry.in_channels, geometry.height, geometry.width
    network = single(layer, shape, int(np.prod(geometry.output_shape[1:])))
    randomise(network, rng, density=density, grad_density=0.6)
    if density == 0.1 and layer.weight.value.size:
        one = np.zeros(layer.weight.value.shape, dtype=bool)
        one.flat[rng.integers(one.size)] = True  # a single living weight
        layer.weight.set_mask(one)
    x = rng.standard_normal((batch, *shape)).astype(dtype)
    dy = rng.standard_normal((batch, network.classes)).astype(dtype)

    with guarded():
        got = run(fast.compile(network), x, dy, "train")
    expected = run(network, x, dy, "train")

    positions = batch * geometry.output_shape[2] * geometry.output_shape[3]
    terms = max(positions, layer.weight.value[0].size, layer.weight.value[:, 0].size) + 2
    # No sum has more terms than that, and no term is larger than the largest factors' product.
    largest = {key: np.abs(array).max() for key, array in (("x", x), ("dy", dy), ("w", layer.weight.value))}
    scale = max(1.0, *(a * b for a in largest.values() for b in largest.values())) * terms
    for name, reference in expected.items():
        assert_near(got[name], reference, name, tolerance(dtype, terms) * scale)


@pytest.mark.parametrize("mode", ["train", "eval", "probe"])
@pytest.mark.parametrize(
    ("name", "shape", "width", "batch", "density"),
    [
        ("mlp", (1, 5, 7), 24, 5, 0.2),
        ("mlp", (1, 5, 7), 24, 33, 0.0),
        ("convnet", (1, 9, 11), 10, 3, 0.3),
        ("convnet", (2, 8, 8), 10, 32, 0.05),
        ("resnet20", (3, 12, 9), 4, 7, 0.1),
        ("resnet20", (3, 8, 8), 4, 1, 1.0),
        ("resnet18", (3, 13, 10), 8, 3, 0.02),
        ("resnet18", (3, 16, 16), 4, 9, 0.25),
        ("resnet18", (3, 16, 16), 4, 4, 0.0),
        ("resnet18", (3, 8, 8), 32, 3, 0.1),
        ("resnet18", (3, 8, 8), 32, 2, 1.0),
    ],
)
def test_whole_networks_equal_the_reference(name, shape, width, batch, density, mode):
    rng = np.random.default_rng(1)
    network = build_model(name, input_shape=shape, classes=6, width=width, dtype=np.float64, rng=rng)
    randomise(network, rng, density=density, grad_density=0.7)
    x, dy = rng.standard_normal((batch, *shape)), rng.standard_normal((batch, 6))
    before = network.state()
    with guarded():
        got = run(fast.compile(network), x, dy, mode)
    network.load_state(before)
    expected = run(network, x, dy, mode)

    for key, reference in expected.items():
        assert_near(got[key], reference, key, 1e-10 * max(1e-3, float(np.abs(reference).max())))


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet20", "resnet18"])
def test_float32_errs_no_more_than_the_reference_does(name):
    """Both engines against float64; ReLU's kinks make entry-wise bounds meaningless for whole networks."""
    rng = np.random.default_rng(2)
    shape = (1, 8, 8)
    network = build_model(name, input_shape=shape, classes=5, width=8, dtype=np.float32, rng=rng)
    randomise(network, rng, density=0.3)
    x, dy = rng.standard_normal((16, *shape)), rng.standard_normal((16, 5))
    exact = run(in_float64(network), x, dy, "probe")
    single_precision = x.astype(np.float32), dy.astype(np.float32)
    errors = []
    for engine in (network, fast.compile(network)):
        found = run(engine, *single_precision, "probe")
        errors.append(max(np.linalg.norm(found[k] - exact[k]) / (np.linalg.norm(exact[k]) + 1e-3) for k in exact))
    assert errors[1] < 4 * errors[0] + 1e-5


def test_layers_without_a_twin_run_as_the_reference_does():
    rng = np.random.default_rng(3)

    def body(seed):
        inner = Sequential([Conv2d(4, 4, 3, padding=1, dtype=np.float64), ReLU()])
        return Sequential(
            [
                Conv2d(2, 4, 3, padding=1, dtype=np.float64, sparsifiable=True),
                Conv2d(4, 4, 1, dtype=np.float64),
                Residual(inner),
                BatchNorm2d(4, dtype=np.float64),
                Dropout(0.5, rng=np.random.default_rng(seed)),
                MaxPool2d(3, stride=2, padding=1),
                GlobalAvgPool2d(),
                Linear(4, 3, dtype=np.float64),
            ]
        )

    first, second = (Network("odd", body(7), input_shape=(2, 5, 6), classes=3) for _ in range(2))
    randomise(first, rng, density=0.5)
    second.load_state(first.state())
    x, dy = rng.standard_normal((4, 2, 5, 6)), rng.standard_normal((4, 3))
    got, expected = run(fast.compile(first), x, dy, "train"), run(second, x, dy, "train")
    for key, reference in expected.items():
        assert_near(got[key], reference, key, 1e-12 * max(1.0, float(np.abs(reference).max())))


def test_a_new_mask_and_new_values_are_noticed():
    rng = np.random.default_rng(4)
    network = build_model("convnet", input_shape=(1, 8, 8), classes=3, width=8, dtype=np.float64, rng=rng)
    compiled = fast.compile(network)
    x, dy = rng.standard_normal((6, 1, 8, 8)), rng.standard_normal((6, 3))
    for density in (1.0, 0.4, 0.1):
        randomise(network, rng, density=density, grad_density=0.5)
        for _ in range(2):
            for parameter in network.parameters():
                parameter.value *= 1.1  # as an optimiser does: in place, without a new version
            got, expected = run(compiled, x, dy, "probe"), run(network, x, dy, "probe")
            for key, reference in expected.items():
                assert_near(got[key], reference, key, 1e-10)


def test_gradients_add_up_over_passes_and_batch_sizes():
    rng = np.random.default_rng(5)
    network = build_model("resnet20", input_shape=(3, 8, 8), classes=4, width=4, dtype=np.float64, rng=rng)
    compiled = fast.compile(network)
    sums = []
    for engine in (compiled, network):
        draw = np.random.default_rng(6)
        for batch in (5, 3, 8, 5, 2):
            x = draw.standard_normal((batch, 3, 8, 8))
            engine.forward(x, mode="probe")
            engine.backward(draw.standard_normal((batch, 4)), need_dx=False)
        sums.append(engine.take_grads())
    for parameter, got, expected in zip(network.parameters(), *sums, strict=True):
        assert_near(got, expected, parameter.name, 1e-10 * max(1e-3, float(np.abs(expected).max())))


def test_dead_and_silenced_gradients_are_positive_zero():
    rng = np.random.default_rng(7)
    network = build_model("convnet", input_shape=(1, 8, 8), classes=3, width=8, rng=rng)
    randomise(network, rng, density=0.3, grad_density=0.5)
    compiled = fast.compile(network)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 1, 8, 8), (6, 3)))
    compiled.forward(x, mode="train")
    compiled.backward(dy)
    for parameter in network.sparsifiable():
        silent = parameter.grad[~parameter.effective_grad_mask]
        assert silent.size
        assert not silent.any()
        assert not np.signbit(silent).any()
        assert parameter.grad[parameter.effective_grad_mask].any()


def test_same_bits_every_time_and_taken_gradients_stay():
    rng = np.random.default_rng(8)
    network = build_model("resnet20", input_shape=(3, 8, 8), classes=4, width=4, rng=rng)
    randomise(network, rng, density=0.2)
    compiled = fast.compile(network)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 3, 8, 8), (6, 4)))
    first = run(compiled, x, dy, "probe", need_dx=False)
    kept = {key: array.copy() for key, array in first.items()}
    for _ in range(6):
        again = run(compiled, x, dy, "probe", need_dx=False)
        for key, array in kept.items():
            np.testing.assert_array_equal(again[key], array)
    for key, array in kept.items():
        np.testing.assert_array_equal(first[key], array, err_msg="a taken gradient was written again")


def test_wrong_input_is_refused_in_words():
    network = build_model("convnet", input_shape=(1, 8, 8), classes=3, width=8, rng=np.random.default_rng(9))
    compiled = fast.compile(network)
    with pytest.raises(ValueError, match=r"convnet: input must have shape \(N, 1, 8, 8\), got \(2, 1, 8, 9\)"):
        compiled.forward(np.zeros((2, 1, 8, 9), dtype=np.float32), mode="train")
    with pytest.raises(TypeError, match="input is float64 but the parameters are float32"):
        compiled.forward(np.zeros((2, 1, 8, 8)), mode="train")
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        compiled.backward(np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="mode must be one of"):
        compiled.forward(np.zeros((2, 1, 8, 8), dtype=np.float32), mode="test")
