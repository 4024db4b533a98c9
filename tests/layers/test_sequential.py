from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sparcl_ref.layers import BatchNorm2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from tests.helpers import assert_close
from tests.layers.common import check_derivatives, randomise


class Recorder(Layer):
    """Doubles its input and remembers what it was asked for."""

    def __init__(self):
        super().__init__()
        self.modes, self.need_dx = [], []

    def _forward(self, x, mode):
        self.modes.append(mode)
        return 2 * x, None

    def _backward(self, dy, cache, need_dx):
        self.need_dx.append(need_dx)
        return 2 * dy if need_dx else None


def _network() -> Sequential:
    convolution = Sequential(
        {"conv": Conv2d(2, 3, 3, padding=1, dtype=np.float64), "bn": BatchNorm2d(3, dtype=np.float64)}
    )
    return Sequential(
        {
            "body": convolution,
            "relu": ReLU(),
            "pool": MaxPool2d(2),
            "head": Sequential([Flatten(), Linear(12, 4, dtype=np.float64)]),
        }
    )


def _torch_network() -> nn.Sequential:
    class Named(nn.Sequential):
        def __init__(self, **layers):
            super().__init__()
            for name, layer in layers.items():
                self.add_module(name, layer)

    body = Named(conv=nn.Conv2d(2, 3, 3, padding=1), bn=nn.BatchNorm2d(3))
    return Named(
        body=body, relu=nn.ReLU(), pool=nn.MaxPool2d(2), head=nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    ).double()


def test_names_and_order_are_pytorchs() -> None:
    ours, theirs = _network(), _torch_network()
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_buffers()] == [name for name, _ in theirs.named_buffers()]
    assert [name for name, _ in ours.named_layers()] == [name for name, _ in theirs.named_modules()]


def test_against_torch() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = randomise(_network(), rng), _torch_network()
    arrays = {name: p.value for name, p in ours.named_parameters()} | dict(ours.named_buffers())
    theirs.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    x, dy = rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((3, 4))
    torch_x = torch.tensor(x, requires_grad=True)
    torch_y = theirs(torch_x)
    torch_y.backward(torch.tensor(dy))
    assert_close(ours.forward(x, mode="train"), torch_y.detach().numpy(), call="forward")
    assert_close(ours.backward(dy), torch_x.grad.numpy(), call="dx")
    expected = dict(theirs.named_parameters())
    # A constant added before batch-norm changes nothing: the true gradient of that bias is 0, both sides give rounding.
    for name, parameter in ours.named_parameters():
        atol = 1e-12 if name == "body.conv.bias" else None
        assert_close(parameter.grad, expected[name].grad.numpy(), call=f"d{name}", atol=atol)


def test_derivatives() -> None:
    rng = np.random.default_rng(0)
    layer = randomise(Sequential([Linear(3, 4, dtype=np.float64), Linear(4, 2, bias=False, dtype=np.float64)]), rng)
    check_derivatives(layer, rng.standard_normal((5, 3)), rng.standard_normal((5, 2)))


@pytest.mark.parametrize("need_dx", [True, False])
def test_only_the_first_layer_is_ever_spared_its_input_gradient(need_dx: bool) -> None:
    layers = [Recorder() for _ in range(3)]
    network = Sequential(layers)
    x = np.ones((2, 2))
    np.testing.assert_array_equal(network.forward(x, mode="probe"), 8 * x)
    dx = network.backward(x, need_dx=need_dx)
    assert [layer.need_dx for layer in layers] == [[need_dx], [True], [True]]
    assert [layer.modes for layer in layers] == [["probe"]] * 3
    assert (dx is None) == (not need_dx)
    if need_dx:
        np.testing.assert_array_equal(dx, 8 * x)


def test_the_callers_dict_may_change_afterwards() -> None:
    layers = {"a": ReLU()}
    network = Sequential(layers)
    layers["b"] = ReLU()
    network.children()["c"] = ReLU()
    assert list(network.layers) == ["a"]


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match=r"^Sequential: '1' must be a Layer, got type"):
        Sequential([ReLU(), ReLU])
    with pytest.raises(ValueError, match=r"^Sequential: a layer's name must not contain a dot, got 'a\.b'"):
        Sequential({"a.b": ReLU()})


def test_an_error_inside_names_the_inner_layer() -> None:
    with pytest.raises(ValueError, match=r"^Linear\(12->4\): input must have shape \(N, 12\), got \(N, 18\)"):
        _network().forward(np.ones((3, 2, 4, 6)), mode="eval")
