"""The first NaN or infinity is found where it was planted."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.divergence import first_not_finite
from sparcl_ref.layers import Flatten, Layer, Linear, Sequential
from sparcl_ref.models import Network, build_model


def network() -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(0)
    model = build_model("resnet18", input_shape=(1, 8, 8), classes=3, width=4, rng=rng)
    return model, rng.standard_normal((2, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["conv1.weight", "bn1.bias", "layer2.0.conv2.weight", "layer2.0.shortcut.0.weight", "linear.bias"]
)
def test_a_broken_parameter_is_named(name, bad):
    model, x = network()
    {parameter.name: parameter for parameter in model.parameters()}[name].value.flat[0] = bad
    before = model.state_dict()
    assert first_not_finite(model, x) == f"parameter {name}"
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_the_earlier_of_two_is_named():
    model, x = network()
    for parameter in model.parameters()[5:7]:
        parameter.value.flat[0] = np.nan
    assert first_not_finite(model, x) == f"parameter {model.parameters()[5].name}"


def test_an_output_that_overflows_is_named():
    model, x = network()
    parameters = {parameter.name: parameter for parameter in model.parameters()}
    parameters["layer1.0.conv1.weight"].value[...] = 3e38
    assert first_not_finite(model, x) == "the output of layer1.0.conv1"


def test_layers_within_a_layer_of_ones_own_are_looked_at():
    class Doubled(Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def children(self):
            return {"inner": self.inner}

        def _forward(self, x, mode):
            return 2 * self.inner.forward(x, mode=mode), None

    body = Sequential({"flatten": Flatten(), "own": Doubled(Linear(64, 3))})
    model = Network("own", body, input_shape=(1, 8, 8), classes=3)
    x = np.full((2, 1, 8, 8), 1e38, dtype=np.float32)
    assert "loss" in first_not_finite(model, x)
    model.parameters()[1].value[0] = 3e38
    assert first_not_finite(model, x) == "the output of own"
    model.parameters()[0].value[0, 0] = np.nan
    assert first_not_finite(model, x) == "parameter own.inner.weight"


def test_the_input_is_named():
    model, x = network()
    x[1, 0, 2, 2] = np.inf
    assert first_not_finite(model, x) == "the input"


def test_a_finite_pass_blames_the_loss():
    assert "loss" in first_not_finite(*network())
