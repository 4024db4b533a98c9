"""Whole networks against their PyTorch twins, which load our weights: forward, backward, running statistics, names."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sparcl_ref.layers import Conv2d, Linear
from sparcl_ref.models import (
    MODELS,
    Network,
    build_model,
    convnet,
    he_normal,
    initialise,
    mlp,
    pytorch_default,
    resnet18,
    resnet20,
)
from tests.helpers import assert_close, assert_positive_zero
from tests.torch_twin import models as twins
from tests.trajectory import twin_model

CASES = [
    ("mlp", (1, 8, 8), 16),
    ("mlp", (3, 2, 5), 7),
    ("convnet", (1, 8, 8), 8),
    ("convnet", (1, 28, 28), 4),
    ("convnet", (3, 9, 7), 5),
    ("resnet18", (3, 16, 16), 8),
    ("resnet18", (1, 9, 11), 3),
    ("resnet20", (3, 16, 16), 8),
    ("resnet20", (2, 7, 5), 3),
]
IDS = [f"{name}-{'x'.join(map(str, shape))}-width {width}" for name, shape, width in CASES]
CLASSES = 6


def network(name: str, shape=(1, 8, 8), width: int | None = None, *, seed: int = 0, **changes: Any) -> Network:
    settings = {"classes": CLASSES, "dtype": np.float64, "rng": np.random.default_rng(seed)}
    return build_model(name, input_shape=shape, width=width, **(settings | changes))


def pair(name: str, shape: tuple[int, int, int], width: int) -> tuple[Network, nn.Module]:
    """Our network and its twin with the same values, none of them as special as the 0 and 1 batch-norm starts with."""
    ours = network(name, shape, width)
    rng = np.random.default_rng(1)
    state = ours.state_dict()
    for key, value in state.items():
        if key.endswith("running_var") or (key.endswith("weight") and value.ndim == 1):
            state[key] = rng.uniform(0.5, 1.5, value.shape)
        elif key.endswith(("bias", "running_mean")):
            state[key] = rng.normal(0, 0.3, value.shape)
    ours.load_state_dict(state)
    theirs = twin_model(ours, width=width).double()
    twins.load_arrays(theirs, state)
    return ours, theirs


def images(shape: tuple[int, int, int], count: int = 5) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, *shape))


@pytest.mark.parametrize(("name", "shape", "width"), CASES, ids=IDS)
def test_a_train_pass_is_the_twins(name, shape, width):
    ours, theirs = pair(name, shape, width)
    x = images(shape)
    upstream = np.random.default_rng(3).standard_normal((len(x), CLASSES))
    tensor = torch.tensor(x, requires_grad=True)
    logits = theirs.train()(tensor)
    logits.backward(torch.tensor(upstream))

    assert_close(ours.forward(x, mode="train"), logits.detach().numpy(), call=f"{name}.forward")
    dx = ours.backward(upstream)
    compared = assert_close(dx, tensor.grad.numpy(), call=f"{name}.backward dx")
    for parameter, (label, twin) in zip(ours.parameters(), theirs.named_parameters(), strict=True):
        assert parameter.name == label
        compared += assert_close(parameter.grad, twin.grad.numpy(), call=f"{name}.backward {label}")
    assert compared == dx.size + sum(twin.numel() for twin in theirs.parameters())

    after = theirs.state_dict()
    for label, value in ours.state_dict().items():
        if "running" in label:
            assert_close(value, after[label].numpy(), call=f"{name} {label}")
        elif "tracked" in label:
            assert value.dtype == np.int64
            assert value == after[label].item() == 1


@pytest.mark.parametrize(("name", "shape", "width"), CASES, ids=IDS)
def test_eval_and_probe_pass_leave_the_statistics_alone(name, shape, width):
    """Eval normalises by the running statistics, probe by those of the batch, as the twin does in train mode."""
    ours, theirs = pair(name, shape, width)
    x, before = images(shape), ours.state_dict()
    upstream = np.random.default_rng(3).standard_normal((len(x), CLASSES))
    logits, gradients = {}, {}
    for mode in ("eval", "probe"):
        twin = copy.deepcopy(theirs).train(mode == "probe")
        tensor = torch.tensor(x, requires_grad=True)
        wanted = twin(tensor)
        wanted.backward(torch.tensor(upstream))
        logits[mode] = ours.forward(x, mode=mode)
        assert_close(logits[mode], wanted.detach().numpy(), call=f"{name} {mode}")
        assert_close(ours.backward(upstream), tensor.grad.numpy(), call=f"{name} {mode} dx")
        gradients[mode] = ours.take_grads()
        for parameter, found, wanted in zip(ours.parameters(), gradients[mode], twin.parameters(), strict=True):
            assert_close(found, wanted.grad.numpy(), call=f"{name} {mode} {parameter.name}")
    for label, value in ours.state_dict().items():
        np.testing.assert_array_equal(value, before[label])
    if name != "mlp":
        assert np.abs(logits["eval"] - logits["probe"]).min() > 1e-6


@pytest.mark.parametrize(("name", "shape", "width"), CASES, ids=IDS)
def test_names_order_shapes_and_sparsifiable_weights_are_the_twins(name, shape, width):
    ours = network(name, shape, width)
    theirs = twin_model(ours, width=width)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [p.name for p in ours.parameters()] == [label for label, _ in theirs.named_parameters()]
    assert [label for label, _ in ours.named_buffers()] == [label for label, _ in theirs.named_buffers()]
    assert [p.name for p in ours.sparsifiable()] == twins.sparsifiable(theirs)


def test_sparsifiable_are_all_but_the_stem_the_shortcuts_and_the_classifier():
    assert [p.name for p in network("mlp").sparsifiable()] == ["fc2.weight"]
    assert [p.name for p in network("convnet").sparsifiable()] == ["conv2.weight", "conv3.weight"]
    for name, stages, blocks in (("resnet18", 4, 2), ("resnet20", 3, 3)):
        assert [p.name for p in network(name, width=2).sparsifiable()] == [
            f"layer{stage}.{block}.conv{conv}.weight"
            for stage in range(1, stages + 1)
            for block in range(blocks)
            for conv in (1, 2)
        ]


def test_resnet18_has_the_published_size():
    """11,173,962 parameters, 188,490 of them in what stays dense."""
    large = resnet18(input_shape=(3, 32, 32), classes=10)
    assert sum(p.value.size for p in large.parameters()) == 11_173_962
    assert sum(p.value.size for p in large.sparsifiable()) == 11_173_962 - 188_490
    assert len(large.sparsifiable()) == 16
    assert {p.value.dtype for p in large.parameters()} == {np.dtype(np.float32)}


def test_widths_of_the_layers():
    """The stem of the convnet has half the width; residual stages double theirs."""

    def shapes(net: Network) -> dict[str, tuple[int, ...]]:
        return {p.name: p.value.shape for p in net.parameters() if p.name.endswith("weight") and p.value.ndim > 1}

    assert shapes(convnet(input_shape=(1, 8, 8), classes=4)) == {
        "conv1.weight": (32, 1, 3, 3),
        "conv2.weight": (64, 32, 3, 3),
        "conv3.weight": (64, 64, 3, 3),
        "linear.weight": (4, 64),
    }
    assert shapes(mlp(input_shape=(1, 8, 8), classes=4)) == {
        "fc1.weight": (256, 64),
        "fc2.weight": (256, 256),
        "linear.weight": (4, 256),
    }
    small = shapes(resnet20(input_shape=(3, 32, 32), classes=10))
    assert small["conv1.weight"] == (16, 3, 3, 3)
    assert small["layer3.0.shortcut.0.weight"] == (64, 32, 1, 1)
    assert small["linear.weight"] == (10, 64)


def test_first_layer_gradient_of_the_input_can_be_spared():
    ours, _ = pair("resnet20", (2, 7, 5), 3)
    x = images((2, 7, 5))
    upstream = np.random.default_rng(3).standard_normal((len(x), CLASSES))
    ours.forward(x, mode="probe")
    assert ours.backward(upstream).shape == x.shape
    whole = ours.take_grads()
    ours.forward(x, mode="probe")
    assert ours.backward(upstream, need_dx=False) is None
    for spared, grad in zip(ours.take_grads(), whole, strict=True):
        np.testing.assert_array_equal(spared, grad)
        assert grad.any()


def test_gradients_add_up_until_taken_or_zeroed():
    ours, _ = pair("convnet", (1, 8, 8), 8)
    x, y = images((1, 8, 8)), np.random.default_rng(3).standard_normal((2, 5, CLASSES))
    parts = []
    for upstream in y:
        ours.forward(x, mode="probe")
        ours.backward(upstream)
        parts.append(ours.take_grads())
        assert all(assert_positive_zero(p.grad, call=p.name) for p in ours.parameters())
    for upstream in y:
        ours.forward(x, mode="probe")
        ours.backward(upstream)
    for parameter, one, two in zip(ours.parameters(), *parts, strict=True):
        np.testing.assert_array_equal(parameter.grad, one + two)
    ours.zero_grads()
    assert all(assert_positive_zero(p.grad, call=p.name) for p in ours.parameters())


# --- initial values


def weights_by_fan_in(net: Network) -> list[tuple[str, np.ndarray, int]]:
    """Name, values and inputs per output of every convolution and linear layer's parameters."""
    return [
        (f"{prefix}.{name}", parameter.value, int(np.prod(layer.weight.value.shape[1:])))
        for prefix, layer in net.named_layers()
        if isinstance(layer, Conv2d | Linear)
        for name, parameter in layer.own_parameters().items()
    ]


def test_he_initialisation_has_the_moments_of_its_normal_distribution():
    """Mean 0, variance 2 / fan_in, kurtosis 3; each within five standard errors, in every layer."""
    checked = 0
    for name, width in (("resnet18", 16), ("mlp", 256), ("convnet", 64), ("resnet20", 16)):
        for label, value, fan_in in weights_by_fan_in(network(name, (3, 8, 8), width)):
            if label.endswith("bias"):
                assert_positive_zero(value, call=label)
                continue
            z = value.reshape(-1) / np.sqrt(2 / fan_in)
            n = z.size
            assert abs(z.mean()) < 5 * np.sqrt(1 / n), label
            assert abs(z.var() - 1) < 5 * np.sqrt(2 / n), label
            # The standard error holds for large samples: the fourth power of few normal numbers is far from normal.
            if n > 1000:
                assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n), label
            checked += n
    assert checked > 800_000


def test_pytorch_default_initialisation_has_its_bounds():
    """Uniform up to 1 / sqrt(fan_in), weights and biases: variance a third of the bound's square, kurtosis 9/5."""
    torch.manual_seed(0)
    for name, width in (("resnet18", 8), ("mlp", 64), ("convnet", 32)):
        ours = network(name, (3, 8, 8), width, draw=pytorch_default)
        theirs = dict(twin_model(ours, width=width).named_parameters())
        for label, value, fan_in in weights_by_fan_in(ours):
            bound = 1 / np.sqrt(fan_in)
            z, n = value.reshape(-1) / bound, value.size
            assert np.abs(z).max() <= 1
            assert theirs[label].abs().max() <= bound * (1 + 1e-6)
            # All n stay 20/n below the bound once in e^20 layers; torch's own do not either.
            assert np.abs(z).max() > 1 - 20 / n
            assert theirs[label].abs().max() > bound * (1 - 20 / n)
            assert abs(z.var() - 1 / 3) < 5 * np.sqrt(4 / 45 / n) + 1 / n, label


def test_batch_norm_starts_neutral_and_draws_nothing():
    for draw in (he_normal, pytorch_default):
        for label, value in network("resnet18", width=2, draw=draw).state_dict().items():
            if ".bn" in f".{label}" or "shortcut.1" in label:
                ones = label.endswith(("weight", "running_var"))
                np.testing.assert_array_equal(value, np.full(value.shape, 1 if ones else 0))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("draw", [he_normal, pytorch_default])
def test_a_seed_fixes_the_weights_whatever_the_dtype(name, draw):
    one = network(name, width=4, draw=draw).state_dict()
    again = network(name, width=4, draw=draw).state_dict()
    other = network(name, width=4, draw=draw, seed=1).state_dict()
    single = network(name, width=4, draw=draw, dtype=np.float32).state_dict()
    for label, value in one.items():
        np.testing.assert_array_equal(again[label], value)
        np.testing.assert_array_equal(single[label], value.astype(single[label].dtype))
    assert not np.array_equal(other["linear.weight"], one["linear.weight"])
    drawn = np.concatenate([v.reshape(-1) for k, v in one.items() if v.ndim > 1])
    assert len(np.unique(drawn)) == drawn.size  # no layer repeats another


def test_initialising_a_masked_network_leaves_the_dead_at_zero():
    ours = network("mlp", width=5)
    ours.sparsifiable()[0].set_mask(np.eye(5, dtype=bool))
    initialise(ours, np.random.default_rng(1), pytorch_default)
    weight = ours.sparsifiable()[0].value
    assert assert_positive_zero(weight, call="fc2.weight", where=~np.eye(5, dtype=bool)) == 20
    assert np.diag(weight).all()


# --- saving and loading


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert list(one) == list(other)
    for label, value in one.items():
        np.testing.assert_array_equal(value, other[label])


@pytest.mark.parametrize(("name", "shape", "width"), CASES[::2], ids=IDS[::2])
def test_npz_round_trip(tmp_path, name, shape, width):
    ours, _ = pair(name, shape, width)
    x = images(shape)
    ours.forward(x, mode="train")
    ours.save_npz(tmp_path / "net.weights")
    fresh = network(name, shape, width, seed=9)
    fresh.load_npz(str(tmp_path / "net.weights"))
    assert_same(fresh.state_dict(), ours.state_dict())
    np.testing.assert_array_equal(fresh.forward(x, mode="eval"), ours.forward(x, mode="eval"))


def test_weights_saved_from_pytorch_can_be_read(tmp_path):
    ours = network("resnet20", (3, 8, 8), 4)
    torch.manual_seed(1)
    theirs = twin_model(ours, width=4).double()
    x = images((3, 8, 8))
    theirs.train()(torch.tensor(x))
    np.savez(tmp_path / "torch.npz", **{k: v.numpy() for k, v in theirs.state_dict().items()})
    ours.load_npz(tmp_path / "torch.npz")
    wanted = theirs.eval()(torch.tensor(x)).detach().numpy()
    assert_close(ours.forward(x, mode="eval"), wanted, call="resnet20 with PyTorch's weights")


def test_state_dict_is_a_copy_and_loading_keeps_the_arrays():
    ours = network("convnet", width=4)
    held = {p.name: p.value for p in ours.parameters()}
    state = ours.state_dict()
    for value in state.values():
        value[...] = 7
    assert not (ours.parameters()[0].value == 7).any()
    ours.load_state_dict(state)
    for parameter in ours.parameters():
        assert parameter.value is held[parameter.name]
        assert (parameter.value == 7).all()
    assert all((array == 7).all() for _, array in ours.named_buffers())


def test_loading_into_a_masked_network_keeps_mask_and_zeros():
    ours = network("mlp", width=5)
    mask = np.random.default_rng(0).random((5, 5)) < 0.5
    ours.sparsifiable()[0].set_mask(mask)
    ours.load_state_dict(network("mlp", width=5, seed=3).state_dict())
    weight = ours.sparsifiable()[0]
    np.testing.assert_array_equal(weight.mask, mask)
    assert assert_positive_zero(weight.value, call="fc2.weight", where=~mask) > 5
    assert weight.value[mask].all()


def test_what_does_not_fit_is_refused_and_nothing_is_loaded():
    ours, good = network("mlp", width=5), network("mlp", width=5, seed=4).state_dict()
    before = ours.state_dict()
    lacking = {k: v for k, v in good.items() if k not in ("fc2.bias", "fc1.weight")}
    cases = [
        (lacking, r"mlp: the state lacks fc1\.weight, fc2\.bias; expected exactly the names"),
        ({**good, "fc9.weight": np.zeros(3)}, r"mlp: the state has unknown names fc9\.weight; is it of another model"),
        ({**good, "linear.bias": np.zeros(7)}, r"mlp: linear\.bias must have shape \(6,\), got \(7,\)"),
        ({**good, "linear.bias": 0.0}, r"mlp: linear\.bias must have shape \(6,\), got \(\)"),
    ]
    for state, message in cases:
        with pytest.raises(ValueError, match=message):
            ours.load_state_dict(state)
        assert_same(ours.state_dict(), before)


def test_a_file_that_is_no_npz_of_plain_arrays_is_refused(tmp_path):
    ours = network("mlp", width=5)
    path = tmp_path / "weights.npz"
    state = ours.state_dict()

    def pickled():
        np.savez(path, **{**state, "linear.bias": np.array([object()], dtype=object)})

    def bare():
        with open(path, "wb") as file:
            np.save(file, np.ones(3))

    def cut_short():
        ours.save_npz(path)
        path.write_bytes(path.read_bytes()[:-40])

    writers = (pickled, bare, cut_short, lambda: path.write_bytes(b""), lambda: path.write_text("weights"))
    for write in writers:
        write()
        with pytest.raises(ValueError, match=r"weights\.npz: expected an \.npz file of plain arrays \("):
            ours.load_npz(path)
        assert_same(ours.state_dict(), state)
    np.savez(path, **{**state, "extra": np.ones(2)})
    with pytest.raises(ValueError, match="unknown names extra"):
        ours.load_npz(path)


def test_state_holds_masks_gradients_and_momentum_too():
    ours, rng = network("convnet", width=4), np.random.default_rng(0)
    weight = ours.sparsifiable()[1]
    weight.set_mask(rng.random(weight.value.shape) < 0.6)
    weight.set_grad_mask(weight.mask & (rng.random(weight.value.shape) < 0.5))
    weight.slots["momentum"] = rng.standard_normal(weight.value.shape)
    weight.clear_dead()
    ours.forward(images((1, 8, 8)), mode="train")
    ours.backward(rng.standard_normal((5, CLASSES)))
    state = ours.state()
    kept = {key: array.copy() for key, array in (("value", weight.value), ("grad", weight.grad))}
    other = network("convnet", width=4, seed=8)
    other.load_state(state)
    weight.value[...], weight.grad[...] = 0, 0
    dict(ours.named_buffers())["bn1.running_mean"][...] = 0
    found = other.sparsifiable()[1]
    np.testing.assert_array_equal(found.value, kept["value"])
    np.testing.assert_array_equal(found.grad, kept["grad"])
    np.testing.assert_array_equal(found.mask, weight.mask)
    np.testing.assert_array_equal(found.grad_mask, weight.grad_mask)
    np.testing.assert_array_equal(found.slots["momentum"], weight.slots["momentum"])
    assert dict(other.named_buffers())["bn1.running_mean"].all()
    assert other.sparsifiable()[0].mask is None


# --- errors


def test_errors_name_what_was_given_and_what_is_expected():
    rng = np.random.default_rng(0)
    common = {"classes": 4, "rng": rng}
    cases = [
        (
            lambda: build_model("vgg", input_shape=(1, 8, 8), **common),
            "unknown model 'vgg'; choose one of mlp, convnet",
        ),
        (lambda: convnet(input_shape=(1, 8, 3), classes=4), r"at least 4x4 for its two poolings, got \(8, 3\)"),
        (lambda: convnet(input_shape=(1, 8, 8), classes=4, width=1), "convnet: width must be at least 2, got 1"),
        (lambda: resnet18(input_shape=(1, 8, 8), classes=4, width=0), "resnet18: width must be at least 1, got 0"),
        (lambda: resnet20(input_shape=(1, 8, 8), classes=4, width=-1), "resnet20: width must be at least 1, got -1"),
        (lambda: mlp(input_shape=(1, 8, 8), classes=4, width=0), "out_features must be at least 1, got 0"),
        (lambda: mlp(input_shape=(1, 8, 8), classes=0), "out_features must be at least 1, got 0"),
        (
            lambda: network("convnet").forward(np.zeros((5, 1, 8, 9)), mode="eval"),
            r"convnet: input must have shape \(N, 1, 8, 8\), got \(5, 1, 8, 9\)",
        ),
        (
            lambda: network("resnet18", (1, 8, 8), 4).forward(np.zeros((1, 1, 8, 8)), mode="train"),
            "more than one value per channel",
        ),
        (lambda: network("mlp").forward(np.zeros((5, 1, 8, 8)), mode="test"), "mlp: mode must be one of train, eval"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    assert convnet(input_shape=(1, 4, 4), classes=4, width=2).forward(
        np.zeros((2, 1, 4, 4), dtype=np.float32), mode="eval"
    ).shape == (2, 4)


def test_backward_needs_a_forward_pass_of_its_own():
    ours = network("mlp", width=4)
    with pytest.raises(RuntimeError, match="mlp: backward needs a forward pass"):
        ours.backward(np.zeros((5, CLASSES)))
    ours.forward(images((1, 8, 8)), mode="train")
    with pytest.raises(ValueError, match=r"mlp: upstream gradient must have the output's shape \(5, 6\), got \(5, 4\)"):
        ours.backward(np.zeros((5, 4)))
    ours.backward(np.zeros((5, CLASSES)))
    with pytest.raises(RuntimeError, match="mlp: backward needs a forward pass"):
        ours.backward(np.zeros((5, CLASSES)))
    with pytest.raises(TypeError, match="input is float32 but the parameters are float64"):
        ours.forward(images((1, 8, 8)).astype(np.float32), mode="eval")
