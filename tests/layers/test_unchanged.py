"""Arrays that somebody changes between the two passes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import Layer, Linear, Parameter, debug
from sparcl_ref.optimizers import SGD
from tests import strategies
from tests.layers.common import CASES, MODES, Case, upstream

every_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_mode = pytest.mark.parametrize("mode", MODES)
with_parameters = pytest.mark.parametrize(
    "case", [case for case in CASES if dict(case.layer().named_parameters())], ids=lambda case: case.name
)


def _backward(layer: Layer, y: np.ndarray) -> np.ndarray:
    return layer.backward(upstream(np.random.default_rng(0), y))


def _in_place(array: np.ndarray, rng: np.random.Generator) -> None:
    """Change a single entry, by as little as there is."""
    place = tuple(rng.integers(size) for size in array.shape)
    array[place] = np.nextafter(array[place], np.inf)


@every_layer
@every_mode
@given(data=st.data())
def test_in_debug_mode_no_entry_of_input_or_output_or_weight_may_change(case: Case, mode: str, data) -> None:
    rng = data.draw(strategies.generators())
    layer, x = case.layer(), case.x()
    with debug():
        y = layer.forward(x, mode=mode)
        arrays = {"input": x, "output": y} | {name: p.value for name, p in layer.named_parameters()}
        _in_place(arrays[data.draw(st.sampled_from(sorted(arrays)))], rng)
        with pytest.raises(RuntimeError, match=r"has changed since the forward pass; .* copy it$"):
            _backward(layer, y)
        # That pass is spent; the next is as good as any.
        _backward(layer, layer.forward(case.x(), mode=mode))


@every_layer
@every_mode
def test_debug_mode_moves_no_bit(case: Case, mode: str) -> None:
    found = []
    for context in (contextlib.nullcontext(), debug()):
        layer = case.layer()
        with context:
            y = layer.forward(case.x(), mode=mode)
            dx = _backward(layer, y)
        found.append([y, dx, *(p.grad for _, p in layer.named_parameters()), *(b for _, b in layer.named_buffers())])
    for plain, checked in zip(*found, strict=True):
        assert plain.tobytes() == checked.tobytes()


def test_debug_mode_ends_with_its_block_and_may_be_nested() -> None:
    layer, x = Linear(2, 1), np.ones((1, 2), np.float32)
    with debug():
        with debug():
            pass
        y = layer.forward(x, mode="train")
        x[...] = 0
        with pytest.raises(RuntimeError, match=r"^Linear\(2->1\): the input has changed"):
            layer.backward(y)
    y = layer.forward(x, mode="train")
    x[...] = 1
    layer.backward(y)


def test_an_array_that_is_no_run_of_memory_is_watched_as_well() -> None:
    layer, whole = Linear(2, 1), np.ones((3, 4), np.float32)
    with debug():
        y = layer.forward(whole[:, ::2], mode="train")
        whole[:, 1::2] = 7  # not the layer's business
        layer.backward(y)
        y = layer.forward(whole[:, ::2], mode="train")
        whole[2, 2] = 7
        with pytest.raises(RuntimeError, match="input"):
            layer.backward(y)


def _step(parameter: Parameter) -> None:
    SGD([parameter]).step(0.0)


def _replace(parameter: Parameter) -> None:
    parameter.value = parameter.value * 2


def _augment(parameter: Parameter) -> None:
    parameter.value += 1


def _kill(parameter: Parameter) -> None:
    parameter.set_mask(np.zeros(parameter.value.shape, dtype=bool))


def _load(parameter: Parameter) -> None:
    parameter.load_state(parameter.state())


@with_parameters
@pytest.mark.parametrize("change", [_step, _replace, _augment, _kill, _load, Parameter.changed])
def test_a_change_that_the_parameter_knows_of_is_noticed_without_debug_mode(
    case: Case, change: Callable[[Parameter], None]
) -> None:
    for name in dict(case.layer().named_parameters()):
        layer = case.layer()
        y = layer.forward(case.x(), mode="train")
        parameter = dict(layer.named_parameters())[name]
        change(parameter)
        expected = f"parameter {re.escape(parameter.name)} has changed since the forward pass; .* forward again"
        with pytest.raises(RuntimeError, match=expected):
            _backward(layer, y)
        _backward(layer, layer.forward(case.x(), mode="train"))


@with_parameters
def test_masks_that_take_nothing_living_away_may_change_between_the_passes(case: Case) -> None:
    layer = case.layer()
    for _, parameter in layer.named_parameters():
        parameter.set_mask(np.arange(parameter.value.size).reshape(parameter.value.shape) % 2 == 0)
    y = layer.forward(case.x(), mode="train")
    for _, parameter in layer.named_parameters():
        parameter.set_mask(None)
        parameter.set_grad_mask(np.ones(parameter.value.shape, dtype=bool))
        parameter.freeze(np.zeros(parameter.value.shape, dtype=bool))
    _backward(layer, y)


@every_layer
def test_a_changed_pass_adds_nothing_to_its_own_gradient(case: Case) -> None:
    layer, x = case.layer(), case.x()
    with debug():
        y = layer.forward(x, mode="train")
        x += 1
        with pytest.raises(RuntimeError):
            _backward(layer, y)
    assert not any(p.grad.any() for _, p in layer.named_parameters())
