"""A parameter owns its masks: whatever is done to them, dead entries are exactly +0.0."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers import Parameter
from sparcl_ref.optimizers import SGD
from tests import strategies as own
from tests.helpers import assert_positive_zero

SHAPE = (2, 3)
WILD = (np.nan, np.inf, -np.inf, -0.0, -1.0)


def drawn(rng: np.random.Generator, shape=SHAPE, dtype=np.float64) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


@given(st.data(), own.shapes(min_dims=0), own.dtypes())
def test_a_new_parameter_lives_everywhere_and_has_no_gradient(data, shape, dtype) -> None:
    value = data.draw(own.normal_arrays(shape, dtype=dtype))
    parameter = Parameter("weight", value, sparsifiable=True)
    assert parameter.value is value
    assert parameter.sparsifiable
    assert not Parameter("bias", value).sparsifiable
    assert (parameter.grad.shape, parameter.grad.dtype) == (shape, dtype)
    assert_positive_zero(parameter.grad, call="first gradient")
    assert parameter.mask is parameter.grad_mask is parameter.effective_grad_mask is None
    assert (parameter.slots, parameter.version) == ({}, 0)
    assert parameter.active == parameter.grad_active == value.size


@given(own.masks(SHAPE), st.sampled_from(WILD), own.dtypes())
def test_whatever_stood_in_a_dead_entry_it_is_positive_zero_now(mask, wild, dtype) -> None:
    parameter = Parameter("weight", np.full(SHAPE, wild, dtype=dtype))
    parameter.grad[...] = wild
    parameter.slots["momentum"] = np.full(SHAPE, wild, dtype=dtype)
    value = parameter.value
    parameter.set_mask(mask)
    assert parameter.value is value
    for array in (parameter.value, parameter.grad, parameter.slots["momentum"]):
        assert array.dtype == dtype
        assert_positive_zero(array, call="dead", where=~mask)
        np.testing.assert_array_equal(array[mask], wild)


@given(own.masks(SHAPE), own.masks(SHAPE), own.generators())
def test_who_joins_starts_at_zero_even_after_having_lived(first, second, rng) -> None:
    parameter = Parameter("weight", drawn(rng))
    parameter.slots["momentum"] = drawn(rng)
    original = parameter.value.copy()
    parameter.set_mask(first)
    parameter.set_mask(second)
    for array in (parameter.value, parameter.slots["momentum"]):
        assert_positive_zero(array, call="joined", where=second & ~first)
    np.testing.assert_array_equal(parameter.value[first & second], original[first & second])


@given(own.nested_masks(SHAPE))
def test_clear_dead_restores_what_others_wrote_into_the_dead(masks) -> None:
    mask, grad_mask = masks
    parameter = Parameter("weight", np.ones(SHAPE))
    parameter.slots["momentum"] = np.ones(SHAPE)
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    for array in (parameter.value, parameter.grad, parameter.slots["momentum"]):
        array[...] = -np.inf
    version = parameter.version
    parameter.clear_dead()
    for array in (parameter.value, parameter.grad, parameter.slots["momentum"]):
        assert_positive_zero(array, call="dead", where=~mask)
        # A living entry whose gradient is silenced is alive: its momentum goes on.
        assert np.all(array[mask] == -np.inf)
    assert parameter.version == version


def test_clear_dead_without_a_mask_touches_nothing() -> None:
    parameter = Parameter("weight", np.full(SHAPE, np.nan))
    parameter.clear_dead()
    assert np.isnan(parameter.value).all()


def test_a_new_mask_ends_the_gradient_mask_and_lifting_it_falls_back_to_the_mask() -> None:
    parameter, mask = Parameter("weight", np.ones(SHAPE)), np.arange(6).reshape(SHAPE) < 4
    parameter.set_mask(mask)
    for lift in (lambda: parameter.set_grad_mask(None), lambda: parameter.set_mask(mask)):
        parameter.set_grad_mask(mask & (np.arange(6).reshape(SHAPE) < 2))
        assert parameter.grad_active == 2
        lift()
        assert parameter.grad_mask is None
        assert parameter.effective_grad_mask is parameter.mask
        assert parameter.grad_active == 4


def test_setting_a_gradient_mask_leaves_values_and_gradients_alone() -> None:
    parameter = Parameter("weight", np.ones(SHAPE))
    parameter.grad[...] = 2
    parameter.set_grad_mask(np.zeros(SHAPE, dtype=bool))
    assert np.all(parameter.value == 1)
    assert np.all(parameter.grad == 2)
    for wild in WILD:
        parameter.add_grad(np.full(SHAPE, wild))
        assert_positive_zero(parameter.grad, call="silenced")


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.set_mask(np.ones(SHAPE, dtype=bool)),
        lambda p: p.set_mask(None),
        lambda p: p.set_grad_mask(np.zeros(SHAPE, dtype=bool)),
        lambda p: p.set_grad_mask(None),
        lambda p: p.freeze(np.ones(SHAPE, dtype=bool)),
        lambda p: p.freeze(None),
        lambda p: p.load_state(p.state()),
    ],
)
def test_every_change_of_a_mask_is_a_new_version(change) -> None:
    parameter = Parameter("weight", np.ones(SHAPE))
    versions = [parameter.version]
    for _ in range(3):
        change(parameter)
        versions.append(parameter.version)
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("set_it", "error"),
    [
        (lambda p: p.set_mask(np.zeros((3, 2), dtype=bool)), ValueError),
        (lambda p: p.set_mask(np.zeros(SHAPE)), TypeError),
        (lambda p: p.set_mask(np.zeros((1, 3), dtype=bool)), ValueError),  # would broadcast
        (lambda p: p.set_grad_mask(np.ones(SHAPE, dtype=bool)), ValueError),  # no subset
        (lambda p: p.set_grad_mask(np.zeros(SHAPE, dtype=np.uint8)), TypeError),
        (lambda p: p.freeze(np.zeros(SHAPE, dtype=np.uint8)), TypeError),
        (lambda p: p.freeze(np.zeros((1, 3), dtype=bool)), ValueError),
        (lambda p: p.freeze(np.arange(6).reshape(SHAPE) > 3), ValueError),  # no subset
        (lambda p: p.set_mask(np.arange(6).reshape(SHAPE) > 0), ValueError),  # the frozen first entry would die
    ],
)
def test_a_refused_mask_changes_nothing(set_it, error) -> None:
    parameter = Parameter("weight", np.ones(SHAPE))
    mask = np.arange(6).reshape(SHAPE) < 4
    parameter.set_mask(mask)
    parameter.set_grad_mask(mask)
    parameter.freeze(np.arange(6).reshape(SHAPE) < 1)
    before, version = parameter.state(), parameter.version
    with pytest.raises(error, match=r"^weight: the (gradient |frozen )?mask must "):
        set_it(parameter)
    np.testing.assert_equal(parameter.state(), before)
    assert parameter.version == version


@given(own.nested_masks(SHAPE))
def test_masks_cannot_be_changed_behind_the_parameters_back(masks) -> None:
    parameter = Parameter("weight", np.ones(SHAPE))
    mask, grad_mask = masks
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    frozen = grad_mask.copy()
    parameter.freeze(frozen)
    expected = mask.copy(), grad_mask.copy()
    mask[...], grad_mask[...], frozen[...] = ~mask, ~grad_mask, ~frozen
    np.testing.assert_array_equal(parameter.mask, expected[0])
    np.testing.assert_array_equal(parameter.grad_mask, expected[1])
    np.testing.assert_array_equal(parameter.frozen, expected[1])
    for owner in (parameter, copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        for stored in (owner.mask, owner.grad_mask, owner.frozen, owner.effective_grad_mask):
            with pytest.raises(ValueError, match=r"read-only"):
                stored[...] = True
    with pytest.raises(AttributeError):
        parameter.mask = None


@given(st.lists(own.generators(), min_size=1, max_size=4), own.dtypes())
def test_gradients_add_up_and_keep_the_dtype(rngs, dtype) -> None:
    parameter, total = Parameter("weight", np.zeros(SHAPE, dtype=dtype)), np.zeros(SHAPE, dtype=dtype)
    for rng in rngs:
        dw = drawn(rng, dtype=dtype)
        parameter.add_grad(dw)
        total += dw
    assert parameter.grad.dtype == dtype
    np.testing.assert_array_equal(parameter.grad, total)
    assert_positive_zero(parameter.value, call="value under gradients")


def test_taken_gradients_are_whole_and_the_next_starts_at_zero() -> None:
    parameter = Parameter("weight", np.ones(SHAPE, dtype=np.float32))
    first = parameter.grad
    first += 3
    assert parameter.take_grad() is first
    assert parameter.grad is not first
    assert parameter.grad.dtype == np.float32
    assert_positive_zero(parameter.grad, call="gradient after take_grad")


@given(own.nested_masks(SHAPE), st.sampled_from(["none", "mask", "both", "frozen"]), own.generators())
def test_state_round_trip_replaces_everything(masks, which, rng) -> None:
    source = Parameter("weight", drawn(rng))
    source.slots["momentum"] = drawn(rng)
    source.add_grad(drawn(rng))
    if which != "none":
        source.set_mask(masks[0])
    if which == "both":
        source.set_grad_mask(masks[1])
    if which == "frozen":
        source.freeze(masks[1])
    state = source.state()
    target = Parameter("weight", drawn(rng))
    target.slots["second"] = drawn(rng)
    target.set_mask(~masks[0])
    target.freeze(~masks[0])  # what is replaced binds no longer
    target.load_state(state)
    np.testing.assert_equal(target.state(), state)
    assert (target.mask is None) == (which == "none")
    assert (target.grad_mask is None) == (which != "both")
    assert (target.frozen is None) == (which != "frozen")
    np.testing.assert_array_equal(target.effective_grad_mask, source.effective_grad_mask)
    # Neither side can reach the other through the state.
    for owner in (source, target):
        for array in (owner.value, owner.grad, *owner.slots.values()):
            array[...] = 77
    assert not np.any(state["value"] == 77)
    assert not np.any(state["slots"]["momentum"] == 77)
    target.load_state(state)
    state["slots"]["momentum"][...] = 99
    assert not np.any(target.slots["momentum"] == 99)


@given(own.shapes(min_dims=0), st.sampled_from(["none", "mask", "both"]), st.sampled_from(WILD), own.generators())
def test_no_gradient_is_formed_for_frozen_entries(shape, which, wild, rng) -> None:
    parameter = Parameter("weight", drawn(rng, shape))
    learning = np.ones(shape, dtype=bool)
    if which != "none":
        learning = rng.random(shape) < 0.7
        parameter.set_mask(learning)
    frozen = learning & (rng.random(shape) < 0.5)
    if which == "both":
        learning = learning & (rng.random(shape) < 0.7)
        parameter.set_grad_mask(learning)
    value = parameter.value.copy()
    parameter.grad[...] = wild
    parameter.freeze(frozen)
    assert_positive_zero(parameter.grad, call="gradient at freezing", where=frozen)
    np.testing.assert_array_equal(parameter.grad[~frozen], wild)
    parameter.grad = np.zeros(shape)
    parameter.add_grad(np.full(shape, wild))
    np.testing.assert_array_equal(parameter.effective_grad_mask, learning & ~frozen)
    assert parameter.grad_active == np.sum(learning & ~frozen)
    assert_positive_zero(parameter.grad, call="gradient", where=~(learning & ~frozen))
    np.testing.assert_array_equal(parameter.grad[learning & ~frozen], wild)
    np.testing.assert_array_equal(parameter.value, value)
    parameter.freeze(None)
    assert parameter.frozen is None
    assert parameter.grad_active == np.sum(learning)


@given(own.nested_masks(SHAPE), own.generators())
def test_gradients_of_frozen_entries_are_formed_where_someone_needs_them(masks, rng) -> None:
    """And the optimiser leaves these entries as they are all the same."""
    mask, frozen = masks
    parameter, gradient = Parameter("weight", drawn(rng, SHAPE)), drawn(rng, SHAPE)
    parameter.forms_frozen = True
    parameter.set_mask(mask)
    parameter.grad[...] = np.where(mask, 5, 0)
    parameter.freeze(frozen)
    np.testing.assert_array_equal(parameter.grad, np.where(mask, 5, 0))
    np.testing.assert_array_equal(parameter.effective_grad_mask, mask)
    assert parameter.grad_active == parameter.active
    parameter.grad = np.zeros(SHAPE)
    parameter.add_grad(gradient)
    np.testing.assert_array_equal(parameter.grad, np.where(mask, gradient, 0))
    before = parameter.value.copy()
    SGD([parameter], momentum=0.5, weight_decay=0.1).step(0.1)
    assert parameter.value[frozen].tobytes() == before[frozen].tobytes()
    assert not parameter.slots["momentum"][frozen].any()
    again = Parameter("weight", drawn(rng, SHAPE))
    again.forms_frozen = True
    again.load_state(parameter.state())
    np.testing.assert_array_equal(again.frozen, frozen)
    np.testing.assert_array_equal(again.effective_grad_mask, mask)


def test_masks_may_change_around_frozen_entries() -> None:
    parameter, place = Parameter("fc.weight", np.ones(SHAPE)), np.arange(6).reshape(SHAPE)
    parameter.freeze(place < 2)
    parameter.set_mask(place < 4)
    parameter.set_grad_mask(place < 3)
    assert parameter.grad_active == 1  # two of the three are frozen
    parameter.set_mask(place != 2)
    assert parameter.grad_active == 3
    with pytest.raises(ValueError, match=r"^fc\.weight: the mask must keep frozen entries alive; .* kill 1 of 2$"):
        parameter.set_mask(place != 1)


@given(own.nested_masks(SHAPE), own.dtypes())
def test_frozen_entries_come_back_with_their_bits(masks, dtype) -> None:
    mask, frozen = masks
    odd = np.resize(np.array([-0.0, np.nan, -np.nan, np.inf, 5e-324, -1.5]), SHAPE).astype(dtype)
    parameter = Parameter("weight", odd.copy())
    parameter.slots["momentum"] = odd.copy()
    parameter.set_mask(mask)
    assert parameter.frozen_entries() is None
    parameter.restore_frozen(None)
    parameter.freeze(frozen)
    kept = parameter.frozen_entries()
    parameter.value[...] = 7
    parameter.slots["momentum"] = np.full(SHAPE, 7, dtype=dtype)
    parameter.slots["second"] = np.full(SHAPE, 7, dtype=dtype)
    parameter.restore_frozen(kept)
    for array in (parameter.value, parameter.slots["momentum"]):
        assert array[frozen].tobytes() == odd[frozen].tobytes()
        assert (array[~frozen] == 7).all()
    assert_positive_zero(parameter.slots["second"], call="new state", where=frozen)


class Deferred:
    """A gradient that counts how often it is spread."""

    def __init__(self, number: float):
        self.number = number
        self.spreads = 0

    def spread(self, shape):
        self.spreads += 1
        return np.full(shape, self.number)


def test_a_deferred_gradient_is_spread_once_when_it_is_read() -> None:
    parameter, deferred = Parameter("weight", np.ones(SHAPE)), Deferred(2.0)
    assert parameter.deferred_grad is None
    parameter.add_grad(np.ones(SHAPE))
    parameter.defer_grad(deferred)
    assert parameter.deferred_grad is deferred
    parameter.freeze(None)
    assert deferred.spreads == 0
    parameter.add_grad(np.ones(SHAPE))
    np.testing.assert_array_equal(parameter.grad, 3.0)
    assert deferred.spreads == 1
    assert parameter.deferred_grad is None
    parameter.defer_grad(deferred)
    parameter.grad = np.zeros(SHAPE)
    assert parameter.deferred_grad is None
    assert deferred.spreads == 1


@pytest.mark.parametrize("change", ["set_mask", "freeze"])
def test_a_deferred_gradient_obeys_a_new_mask(change) -> None:
    parameter, place = Parameter("weight", np.ones(SHAPE)), np.arange(6).reshape(SHAPE)
    parameter.defer_grad(Deferred(2.0))
    getattr(parameter, change)(place < 2)
    np.testing.assert_array_equal(parameter.grad, 2.0 * ((place < 2) == (change == "set_mask")))


def test_gradients_of_dead_entries_are_formed_until_a_mask_is_set() -> None:
    for ends in ("set_mask", "set_grad_mask", "freeze"):
        parameter = Parameter("w", np.arange(1.0, 7.0))
        parameter.set_mask(np.array([True, False, True, True, False, True]))
        parameter.set_grad_mask(np.array([True, False, False, True, False, False]))
        parameter.freeze(np.array([False, False, False, True, False, False]))
        version = parameter.version
        parameter.form_all()
        assert parameter.version > version
        assert parameter.grad_active == 5  # of all but the frozen one
        parameter.add_grad(np.ones(6))
        assert parameter.grad.tolist() == [1, 1, 1, 0, 1, 1]
        assert parameter.value.tolist() == [1, 0, 3, 4, 0, 6]
        getattr(parameter, ends)({"set_mask": parameter.mask, "freeze": parameter.frozen}.get(ends))
        parameter.grad = np.zeros(6)
        parameter.add_grad(np.ones(6))
        assert not parameter.grad[[1, 3, 4]].any()
        assert parameter.grad[0] == 1


def test_where_nothing_is_frozen_every_gradient_is_formed() -> None:
    parameter = Parameter("w", np.ones(4))
    parameter.set_mask(np.zeros(4, bool))
    parameter.form_all()
    assert parameter.effective_grad_mask is None
    assert (parameter.active, parameter.grad_active) == (0, 4)
