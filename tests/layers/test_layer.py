"""What `Layer` promises for all layers, on a stub: each backward pass is paired with its forward pass."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.layers import Layer, Parameter
from tests.helpers import assert_positive_zero


class Scale(Layer):
    """y = w x, and what it was asked, for the contract alone."""

    def __init__(self, name: str = "scale"):
        super().__init__()
        self.weight = Parameter(name, np.array([2.0]))
        self.running = np.zeros(1)
        self.asked: list[bool] = []

    def _forward(self, x, mode):
        if x.shape[-1] == 13:
            raise ValueError("unlucky")
        return self.weight.value * x, x

    def _backward(self, dy, cache, need_dx):
        self.asked.append(need_dx)
        self.weight.add_grad(np.sum(dy * cache, keepdims=True).reshape(1))
        return self.weight.value * dy if need_dx else None

    def own_parameters(self):
        return {"weight": self.weight}

    def own_buffers(self):
        return {"running": self.running}


class Block(Layer):
    """A layer with children."""

    def __init__(self, children: dict[str, Layer]):
        super().__init__()
        self._children = children

    def children(self):
        return self._children


X = np.array([[1.0, 2.0]])


@pytest.mark.parametrize("mode", ["train", "eval", "probe"])
def test_backward_belongs_to_the_last_forward(mode) -> None:
    layer = Scale()
    layer.forward(X, mode=mode)
    layer.forward(3 * X, mode=mode)
    dx = layer.backward(np.array([[1.0, 1.0]]))
    assert dx.tolist() == [[2.0, 2.0]]
    assert layer.weight.grad.tolist() == [9.0]
    assert layer.asked == [True]


def test_the_gradient_of_the_input_can_be_spared() -> None:
    layer = Scale()
    layer.forward(X, mode="train")
    assert layer.backward(X, need_dx=False) is None
    assert layer.asked == [False]


@pytest.mark.parametrize("mode", ["test", "", None, "Train"])
def test_unknown_modes_are_refused(mode) -> None:
    with pytest.raises(ValueError, match=r"Scale: mode must be one of train, eval, probe, got "):
        Scale().forward(X, mode=mode)


@pytest.mark.parametrize(
    ("x", "got"), [(X.astype(np.int64), "int64"), (X.astype(np.float16), "float16"), ([[1.0]], "list"), (1.0, "float")]
)
def test_input_must_be_a_floating_point_array(x, got) -> None:
    with pytest.raises(TypeError, match=rf"Scale: input must be a float32 or float64 array, got {got}"):
        Scale().forward(x, mode="train")


def test_backward_needs_its_own_forward() -> None:
    layer = Scale()
    with pytest.raises(RuntimeError, match=r"Scale: backward needs a forward pass before it"):
        layer.backward(X)
    layer.forward(X, mode="train")
    layer.backward(X)
    with pytest.raises(RuntimeError, match=r"Scale: backward needs a forward pass before it"):
        layer.backward(X)


def test_an_upstream_gradient_that_does_not_fit_is_refused_and_the_right_one_still_accepted() -> None:
    layer = Scale()
    layer.forward(X, mode="train")
    with pytest.raises(ValueError, match=r"Scale: .* output's shape \(1, 2\), got \(2, 1\)"):
        layer.backward(X.T)
    with pytest.raises(TypeError, match=r"Scale: .* dtype float64, got float32"):
        layer.backward(X.astype(np.float32))
    assert_positive_zero(layer.weight.grad, call="gradient after refusals")
    assert layer.backward(X).tolist() == [[2.0, 4.0]]


def test_a_forward_pass_that_failed_leaves_none_to_go_back_through() -> None:
    layer = Scale()
    layer.forward(X, mode="train")
    with pytest.raises(ValueError, match=r"unlucky"):
        layer.forward(np.ones((1, 13)), mode="train")
    with pytest.raises(RuntimeError, match=r"backward needs a forward pass before it"):
        layer.backward(X)


def test_names_follow_the_tree_and_an_empty_name_adds_nothing() -> None:
    inner = Block({"0": Scale(), "1": Scale()})
    tree = Block({"": Block({"stem": Scale(), "": inner}), "head": Scale()})
    names = [name for name, _ in tree.named_parameters()]
    assert names == ["stem.weight", "0.weight", "1.weight", "head.weight"]
    assert [name for name, _ in tree.named_buffers()] == ["stem.running", "0.running", "1.running", "head.running"]
    assert [name for name, _ in tree.named_layers()] == ["", "", "stem", "", "0", "1", "head"]
    assert [name for name, _ in tree.named_layers("net")][-1] == "net.head"
    assert dict(tree.named_parameters())["head.weight"] is tree.children()["head"].weight
