from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import BatchNorm1d, Conv2d, Flatten, Linear, Residual, Sequential
from tests import strategies as own
from tests.layers.common import check_against_torch, check_derivatives, randomise


def _linear(rng: np.random.Generator) -> Linear:
    return randomise(Linear(4, 4, bias=False, dtype=np.float64), rng)


@given(st.booleans(), own.generators())
def test_against_torch(with_shortcut: bool, rng: np.random.Generator) -> None:
    body, shortcut = _linear(rng), Sequential([_linear(rng)]) if with_shortcut else None

    def twin(x, **weights):
        side = x @ weights["shortcut.0.weight"].T if with_shortcut else x
        return torch.relu(x @ weights["weight"].T + side)

    check_against_torch(Residual(body, shortcut), twin, rng.standard_normal((5, 4)), rng.standard_normal((5, 4)))


@pytest.mark.parametrize("with_shortcut", [True, False])
def test_derivatives(with_shortcut: bool) -> None:
    rng = np.random.default_rng(0)
    layer = Residual(_linear(rng), _linear(rng) if with_shortcut else None)
    x, dy = rng.standard_normal((5, 4)), rng.standard_normal((5, 4))
    total = layer.body.forward(x, mode="eval") + (layer.shortcut.forward(x, mode="eval") if with_shortcut else x)
    assert np.min(np.abs(total)) > 1e-3  # no step of the difference crosses ReLU's kink
    check_derivatives(layer, x, dy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_nan_of_either_branch_comes_out_as_nan(dtype: type) -> None:
    x = np.array([[np.nan, 1.0, -1.0, np.inf]], dtype=dtype)
    for layer in (Residual(Sequential([])), Residual(Sequential([]), Flatten()), Residual(Flatten(), Sequential([]))):
        y = layer.forward(x, mode="train")
        np.testing.assert_array_equal(y, torch.relu(torch.tensor(x + x)).numpy())
        assert np.isnan(y[0, 0])


def test_names_are_those_of_the_body_and_shortcut() -> None:
    body = Sequential({"conv1": Conv2d(2, 3, 3, padding=1, bias=False)})
    layer = Residual(body, Sequential([Conv2d(2, 3, 1, bias=False)]))
    stage = Sequential({"layer1": Sequential([layer])})
    assert [name for name, _ in stage.named_parameters()] == ["layer1.0.conv1.weight", "layer1.0.shortcut.0.weight"]
    assert list(Residual(body).children()) == [""]


def test_mode_reaches_both_branches() -> None:
    body, shortcut = BatchNorm1d(4), BatchNorm1d(4)
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    layer = Residual(body, shortcut)
    layer.forward(x, mode="probe")
    assert body.num_batches_tracked == shortcut.num_batches_tracked == 0
    layer.forward(x, mode="train")
    assert body.num_batches_tracked == shortcut.num_batches_tracked == 1


def test_branches_of_different_shape_are_refused_though_they_would_broadcast() -> None:
    layer = Residual(Linear(4, 1, dtype=np.float64))
    with pytest.raises(ValueError, match=r"^Residual: body and shortcut must .* got \(5, 1\) and \(5, 4\)"):
        layer.forward(np.ones((5, 4)), mode="eval")


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"^Residual: body must be a Layer .* got NoneType and Flatten"):
        Residual(None, Flatten())
    with pytest.raises(TypeError, match=r"^Residual: body must be a Layer .* got Flatten and str"):
        Residual(Flatten(), "identity")
