"""Arrays that somebody changes between the two passes of a compiled network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest

from sparcl_ref import fast
from sparcl_ref.layers import debug
from sparcl_ref.models import Network, build_model
from tests.tiny import network


@pytest.fixture
def compiled() -> Network:
    return fast.compile(network(batchnorm=True, dropout=np.random.default_rng(0)))


def _images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((3, 1, 4, 4))


@pytest.mark.parametrize("place", ["input", "output", "conv1.weight", "bn2.weight", "fc.bias", "linear.weight"])
def test_in_debug_mode_no_input_or_output_or_weight_may_change(compiled: Network, place: str) -> None:
    x = _images()
    with debug():
        y = compiled.forward(x, mode="train")
        arrays = {"input": x, "output": y} | {p.name: p.value for p in compiled.parameters()}
        arrays[place].flat[-1] += 1
        with pytest.raises(RuntimeError, match=rf"^tiny: .*{place} has changed since the forward pass"):
            compiled.backward(y)
        compiled.backward(compiled.forward(_images(), mode="train"))


@pytest.mark.parametrize(
    "change",
    [
        lambda net: fast.CompiledSGD(net.parameters()[-1:]).step(0.0),
        lambda net: net.load_state_dict(net.state_dict()),
        lambda net: net.load_state(net.state()),
    ],
)
def test_a_change_that_the_parameters_know_of_is_noticed_without_debug_mode(
    compiled: Network, change: Callable[[Network], None]
) -> None:
    y = compiled.forward(_images(), mode="train")
    change(compiled)
    with pytest.raises(RuntimeError, match=r"^tiny: parameter .* has changed since the forward pass"):
        compiled.backward(y)
    compiled.backward(compiled.forward(_images(), mode="train"))


def test_a_pass_of_the_other_engine_that_was_given_up_is_no_hindrance() -> None:
    model = build_model("mlp", input_shape=(1, 4, 4), classes=3, width=5, rng=np.random.default_rng(0))
    compiled, x = fast.compile(model), _images().astype(np.float32)
    model.forward(x, mode="train")
    y = compiled.forward(x, mode="train")
    compiled.backward(y)
    fast.CompiledSGD(compiled.parameters()).step(0.1)
    compiled.backward(compiled.forward(x, mode="train"))
    with pytest.raises(RuntimeError, match=r"Linear\(.*weight has changed"):
        model.backward(y)


def test_debug_mode_moves_no_bit() -> None:
    found = []
    for context in (contextlib.nullcontext(), debug()):
        net = fast.compile(network(batchnorm=True))
        with context:
            y = net.forward(_images(), mode="train")
            found.append([y, net.backward(y), *(p.grad for p in net.parameters())])
    for plain, checked in zip(*found, strict=True):
        assert plain.tobytes() == checked.tobytes()
