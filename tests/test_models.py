"""Whole networks against their PyTorch twins, which load our weights: forward, backward, running statistics, names."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from sparcl_ref.cost import describe_model
from sparcl_ref.layers import BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Residual, Sequential
from sparcl_ref.models import MODELS, Network, build_model, convnet, mlp, register, resnet18, resnet20
from tests.helpers import assert_close, assert_positive_zero
from tests.model_pairs import CASES, CLASSES, IDS, images, network, pair
from tests.torch_twin import models as twins
from tests.trajectory import twin_model


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


def test_a_model_knows_the_batch_norm_behind_a_layer() -> None:
    def conv() -> Conv2d:
        return Conv2d(2, 2, 1, dtype=np.float64)

    def norm() -> BatchNorm2d:
        return BatchNorm2d(2, dtype=np.float64)

    layers = {
        "a": conv(),
        "a_norm": norm(),  # directly behind
        "b": conv(),
        "relu": ReLU(),
        "b_norm": norm(),  # not directly
        "c": Sequential([conv()]),
        "c_norm": norm(),  # behind the last of nested ones
        "block": Residual(Sequential([conv(), norm(), conv()]), norm()),  # the shortcut's reads the block's input
        "last": norm(),  # reads a sum
        "flat": Flatten(),
        "head": Linear(8, 2, dtype=np.float64),
    }
    net = Network("norms", Sequential(layers), input_shape=(2, 2, 2), classes=2)
    by_layer = {id(layer): name for name, layer in net.named_layers()}
    found = {weight: by_layer[id(layer)] for weight, layer in net.norms_after().items()}
    assert found == {"a.weight": "a_norm", "c.0.weight": "c_norm", "block.0.weight": "block.1"}


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


def test_a_model_of_ones_own_is_found_by_its_name():
    def tiny(*, input_shape, classes, width=3, dtype=np.float32):
        layers = {"flatten": Flatten(), "linear": Linear(int(np.prod(input_shape)), classes, dtype=dtype)}
        return Network("tiny", Sequential(layers), input_shape=input_shape, classes=classes)

    register("tiny", tiny)
    try:
        net = build_model("tiny", input_shape=(1, 2, 2), classes=3, rng=np.random.default_rng(0))
        assert net.parameters()[0].value.std() > 0
        assert describe_model("tiny", input_shape=(1, 2, 2), classes=3).forward_macs == 12
    finally:
        del MODELS.added["tiny"]


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
