"""Networks as plain data: shapes against arrays that really pass, sizes against published ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.cost import describe, describe_model
from sparcl_ref.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.models import MODELS, Network, build_model
from tests import strategies as own

SHAPES = [("mlp", (1, 8, 8), 5), ("convnet", (1, 8, 8), 4), ("convnet", (1, 28, 28), 6), ("convnet", (3, 32, 32), 4)]
SHAPES += [("resnet18", (3, 32, 32), 2), ("resnet18", (3, 64, 64), 2), ("resnet20", (3, 32, 32), 2)]
SHAPES += [("resnet18", (1, 28, 28), 3), ("resnet20", (1, 8, 8), 3)]


def observed_shapes(model: Network, batch: int = 2) -> dict[str, tuple]:
    """Input and output shape of each convolution and linear layer while an array passes."""
    seen = {}
    for name, layer in model.named_layers():
        if isinstance(layer, Conv2d | Linear):

            def watched(x, *, mode, name=name, forward=layer.forward):
                y = forward(x, mode=mode)
                seen[name] = (x.shape[1:], y.shape[1:])
                return y

            layer.forward = watched
    model.forward(np.zeros((batch, *model.input_shape), dtype=np.float32), mode="eval")
    return seen


@pytest.mark.parametrize(("name", "shape", "width"), SHAPES)
def test_shapes_are_those_of_arrays(name, shape, width):
    model = build_model(name, input_shape=shape, classes=4, width=width, rng=np.random.default_rng(0))
    spec = describe(model)
    assert {layer.name: (layer.input_shape, layer.output_shape) for layer in spec.layers} == observed_shapes(model)
    assert [layer.name for layer in spec.layers] == list(observed_shapes(model))
    assert spec.parameters == sum(parameter.value.size for parameter in model.parameters())
    assert [f"{layer.name}.weight" for layer in spec.sparsifiable] == [p.name for p in model.sparsifiable()]
    assert spec == describe_model(name, input_shape=shape, classes=4, width=width)


@given(own.conv_geometries(), st.booleans())
def test_any_convolution(geometry, bias):
    keys = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    layer = Conv2d(**{key: getattr(geometry, key) for key in keys}, bias=bias)
    body = Sequential({"conv": layer, "flatten": Flatten()})
    (spec,) = describe(Network("one", body, input_shape=geometry.input_shape[1:], classes=1)).layers
    assert spec.output_shape == geometry.output_shape[1:]
    assert spec.weight_shape == geometry.weight_shape
    assert spec.groups == geometry.groups
    assert spec.bias == bias * geometry.out_channels
    assert not spec.needs_dx


@given(own.pool_geometries(), st.sampled_from([MaxPool2d, AvgPool2d]))
def test_any_pooling(geometry, kind):
    pool = kind(geometry.kernel_size, stride=geometry.stride, padding=geometry.padding)
    _, channels, rows, columns = geometry.output_shape
    body = Sequential({"pool": pool, "flatten": Flatten(), "linear": Linear(channels * rows * columns, 2)})
    spec = describe(Network("one", body, input_shape=geometry.input_shape[1:], classes=2))
    assert spec.layer("linear").input_shape == (channels * rows * columns,)


def test_resnet18_has_its_published_size():
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10)
    assert spec.forward_macs == 555_422_720
    assert spec.parameters == 11_173_962
    assert spec.parameters - sum(layer.weights for layer in spec.sparsifiable) == 188_490
    assert round(float(spec.sparsifiable_share), 5) == 0.98548
    assert isinstance(spec.sparsifiable_share, Fraction)
    assert describe_model("resnet18", input_shape=(3, 64, 64), classes=200).forward_macs == 2_221_772_800


def test_input_gradient_is_needed_behind_whatever_learns():
    def needs(*layers: Layer) -> list[bool]:
        body = Sequential(list(layers))
        return [layer.needs_dx for layer in describe(Network("net", body, input_shape=(2, 4, 4), classes=1)).layers]

    def conv() -> Conv2d:
        return Conv2d(2, 2, 1)

    assert needs(conv(), conv()) == [False, True]
    assert needs(Flatten(), Linear(32, 1)) == [False]
    assert needs(MaxPool2d(2), Dropout(0.5, rng=None), ReLU(), conv()) == [False]
    assert needs(BatchNorm2d(2), conv()) == [True]
    # Both branches of a first block start at the input; what follows learns behind either.
    assert needs(Residual(Sequential([conv(), conv()]), conv()), conv()) == [False, True, False, True]
    assert needs(Residual(conv()), GlobalAvgPool2d(), Linear(2, 1)) == [False, True]


def test_bad_requests_are_named():
    def net(*layers: Layer) -> Network:
        return Network("net", Sequential(list(layers)), input_shape=(2, 4, 4), classes=1)

    with pytest.raises(ValueError, match=r"^Conv2d\(3->1, 1x1\): input must .* \(N, 3, H, W\), got \(N, 2, 4, 4\)"):
        describe(net(Conv2d(3, 1, 1)))
    with pytest.raises(ValueError, match=r"^Linear\(30->1\): input must have shape \(N, 30\), got \(N, 32\)"):
        describe(net(Flatten(), Linear(30, 1)))
    with pytest.raises(ValueError, match=r"^MaxPool2d\(5x5\): the window does not fit into an image of 4x4"):
        describe(net(MaxPool2d(5)))
    with pytest.raises(ValueError, match=r"^MaxPool2d\(1x1\): input must have shape \(N, C, H, W\), got \(N, 32\)"):
        describe(net(Flatten(), MaxPool2d(1)))
    with pytest.raises(ValueError, match="body and shortcut must give the same shape"):
        describe(net(Residual(Conv2d(2, 3, 1))))
    with pytest.raises(ValueError, match="unknown model 'vgg'; choose one of"):
        describe_model("vgg", input_shape=(3, 32, 32), classes=10)
    with pytest.raises(ValueError, match="input shape must be three sizes"):
        describe_model("mlp", input_shape=(3, 0, 32), classes=10)
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        describe_model("mlp", input_shape=(3, 32, 32), classes=10, width=0)
    with pytest.raises(ValueError, match="has no layer 'conv9'; it has conv1, conv2, conv3, linear"):
        describe_model("convnet", input_shape=(1, 8, 8), classes=10).layer("conv9")


def test_every_model_is_covered_by_a_shape():
    assert {name for name, _, _ in SHAPES} == set(MODELS)
