from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import Layer, Linear, Parameter, Sequential
from tests import strategies as own
from tests.helpers import assert_positive_zero

SHAPE = (3, 4)


def _parameter(**slots: np.ndarray) -> Parameter:
    parameter = Parameter("layer.weight", -np.ones(SHAPE))
    parameter.grad[...] = -2.0
    parameter.slots.update(slots)
    return parameter


@given(own.masks(SHAPE))
def test_set_mask_clears_the_dead_in_value_gradient_and_slots(mask: np.ndarray) -> None:
    parameter = _parameter(momentum=np.full(SHAPE, -3.0))
    parameter.set_mask(mask)
    for array, living in ((parameter.value, -1), (parameter.grad, -2), (parameter.slots["momentum"], -3)):
        assert_positive_zero(array, call="dead entries", where=~mask)
        assert np.all(array[mask] == living)
    assert parameter.active == parameter.grad_active == np.count_nonzero(mask)


@given(own.nested_masks(SHAPE), own.normal_arrays(SHAPE), own.normal_arrays(SHAPE))
def test_add_grad_adds_where_a_gradient_is_formed_and_nowhere_else(masks, first, second) -> None:
    mask, grad_mask = masks
    parameter = Parameter("weight", np.ones(SHAPE))
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    assert parameter.grad_active == np.count_nonzero(grad_mask)
    first[~grad_mask] = np.inf  # infinite gradients of dead entries must leave no NaN
    parameter.add_grad(first)
    parameter.add_grad(second)
    assert_positive_zero(parameter.grad, call="masked gradient", where=~grad_mask)
    np.testing.assert_array_equal(parameter.grad[grad_mask], (first + second)[grad_mask])


def test_without_a_gradient_mask_the_mask_is_in_force() -> None:
    parameter = _parameter()
    assert parameter.effective_grad_mask is None
    assert parameter.active == parameter.grad_active == 12
    mask = np.arange(12).reshape(SHAPE) < 5
    parameter.set_mask(mask)
    np.testing.assert_array_equal(parameter.effective_grad_mask, mask)
    parameter.set_grad_mask(mask & (np.arange(12).reshape(SHAPE) < 2))
    assert (parameter.active, parameter.grad_active) == (5, 2)
    parameter.set_mask(None)
    assert parameter.grad_mask is None
    assert parameter.active == parameter.grad_active == 12


def test_a_gradient_mask_may_stand_without_a_mask() -> None:
    parameter = _parameter()
    parameter.set_grad_mask(np.arange(12).reshape(SHAPE) < 2)
    assert (parameter.active, parameter.grad_active) == (12, 2)


def test_masks_are_stored_read_only_and_apart_from_the_callers_array() -> None:
    parameter, mask = _parameter(), np.ones(SHAPE, dtype=bool)
    parameter.set_mask(mask)
    mask[0, 0] = False
    assert parameter.active == 12
    with pytest.raises(ValueError, match=r"read-only"):
        parameter.mask[0, 0] = False


def test_every_change_of_a_mask_raises_the_version() -> None:
    parameter, mask = _parameter(), np.ones(SHAPE, dtype=bool)
    versions = [parameter.version]
    for change in (parameter.set_mask, parameter.set_grad_mask):
        change(mask)
        versions.append(parameter.version)
    assert versions == sorted(set(versions))
    with pytest.raises(TypeError):
        parameter.set_mask(mask.astype(float))
    assert parameter.version == versions[-1]


def test_masks_that_do_not_fit_are_refused() -> None:
    parameter = _parameter()
    with pytest.raises(TypeError, match=r"layer\.weight: the mask must be an array of bool, got dtype int64"):
        parameter.set_mask(np.ones(SHAPE, dtype=np.int64))
    with pytest.raises(ValueError, match=r"gradient mask must have shape \(3, 4\), got \(4, 3\)"):
        parameter.set_grad_mask(np.ones((4, 3), dtype=bool))
    parameter.set_mask(np.zeros(SHAPE, dtype=bool))
    with pytest.raises(ValueError, match=r"layer\.weight: .* subset"):
        parameter.set_grad_mask(np.ones(SHAPE, dtype=bool))


def test_take_grad_hands_over_and_starts_anew() -> None:
    parameter = _parameter()
    taken = parameter.take_grad()
    assert np.all(taken == -2)
    parameter.add_grad(np.ones(SHAPE))
    assert np.all(taken == -2)
    assert np.all(parameter.grad == 1)


@given(own.nested_masks(SHAPE), st.booleans())
def test_state_restores_everything_into_the_same_value_array(masks, with_masks: bool) -> None:
    source = _parameter(momentum=np.full(SHAPE, -3.0))
    if with_masks:
        source.set_mask(masks[0])
        source.set_grad_mask(masks[1])
    state = source.state()
    target = Parameter("layer.weight", np.zeros(SHAPE))
    value = target.value
    target.load_state(state)
    source.value[...] = 9  # the state holds copies
    assert target.value is value
    assert np.all(value == np.where(masks[0] | (not with_masks), -1, 0))
    for key, array in target.state().items():
        np.testing.assert_equal(array, state[key])


def test_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layer\.weight: expected shape \(2,\), got \(3, 4\)"):
        Parameter("layer.weight", np.zeros(2)).load_state(_parameter().state())


def test_repr_tells_what_one_looks_for() -> None:
    parameter = _parameter()
    parameter.set_mask(np.arange(12).reshape(SHAPE) < 5)
    assert repr(parameter) == "Parameter(layer.weight, shape=(3, 4), dtype=float64, active=5)"


def test_a_bare_layer_has_no_parameters_buffers_or_children() -> None:
    layer = Layer()
    assert list(layer.named_layers()) == [("", layer)]
    assert list(layer.named_parameters()) == list(layer.named_buffers()) == []


def test_a_layer_named_alone_has_plain_parameter_names() -> None:
    assert [name for name, _ in Linear(2, 3).named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in Sequential({"": Linear(2, 3)}).named_parameters()] == ["weight", "bias"]
