"""Packed gradients: whoever looks sees the array, whoever does not saves it."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref import fast, optimizers
from sparcl_ref.fast.gradients import PackedGradient
from sparcl_ref.models import build_model
from tests.helpers import assert_positive_zero

SHAPE = (1, 8, 8)


def masked(dtype=np.float64, *, seed=0, grad_density=1.0):
    """A compiled convnet with masks, and its sparsifiable parameters."""
    rng = np.random.default_rng(seed)
    network = fast.compile(build_model("convnet", input_shape=SHAPE, classes=3, width=8, dtype=dtype, rng=rng))
    for parameter in network.sparsifiable():
        mask = rng.random(parameter.value.shape) < 0.3
        parameter.set_mask(mask)
        if grad_density < 1:
            parameter.set_grad_mask(mask & (rng.random(mask.shape) < grad_density))
    return network, network.sparsifiable()


def one_pass(network, seed):
    rng = np.random.default_rng(seed)
    dtype = network.parameters()[0].value.dtype
    network.forward(rng.standard_normal((4, *SHAPE)).astype(dtype), mode="train")
    network.backward(rng.standard_normal((4, 3)).astype(dtype), need_dx=False)


@pytest.mark.parametrize("grad_density", [1.0, 0.5, 0.0])
def test_only_entries_with_a_gradient_are_held(grad_density):
    network, sparse = masked(grad_density=grad_density)
    network.zero_grads()
    one_pass(network, 1)
    for parameter in sparse:
        packed = parameter.deferred_grad
        np.testing.assert_array_equal(packed.index, np.flatnonzero(parameter.effective_grad_mask))
        spread = packed.spread(parameter.value.shape)
        np.testing.assert_array_equal(parameter.grad, spread)
        assert parameter.deferred_grad is None  # read once, it is an array from now on
        assert_positive_zero(spread, call="masked", where=~parameter.effective_grad_mask)
        assert not grad_density or np.any(spread)


def test_looking_at_a_gradient_between_passes_changes_nothing():
    """Packed or spread, and in whatever order they are looked at, gradients add up to the same bits."""
    found = []
    for look in (False, True):
        network, sparse = masked()
        network.zero_grads()
        one_pass(network, 1)
        if look:
            assert np.any(sparse[0].grad)
        one_pass(network, 2)
        found.append([np.array(parameter.grad) for parameter in network.parameters()])
    for packed, spread in zip(*found, strict=True):
        np.testing.assert_array_equal(packed, spread)


def test_a_mask_that_changes_between_passes_is_obeyed():
    network, sparse = masked()
    network.zero_grads()
    one_pass(network, 1)
    before = sparse[0].deferred_grad.spread(sparse[0].value.shape)
    smaller = sparse[0].mask & (np.random.default_rng(3).random(sparse[0].mask.shape) < 0.5)
    sparse[0].set_mask(smaller)
    np.testing.assert_array_equal(sparse[0].grad, np.where(smaller, before, 0))
    one_pass(network, 2)
    assert_positive_zero(sparse[0].grad, call="dead", where=~smaller)
    assert np.any(sparse[0].grad[smaller] != before[smaller])


def test_taken_gradients_are_a_sequence_of_arrays():
    network, _ = masked()
    network.zero_grads()
    one_pass(network, 1)
    expected = [p.value.shape for p in network.parameters()]
    taken = network.take_grads()
    assert len(taken) == len(expected)
    assert [grad.shape for grad in taken] == expected
    assert [grad.shape for grad in taken[-2:]] == expected[-2:]
    np.testing.assert_array_equal(taken[-1], list(taken)[-1])
    assert not any(np.any(parameter.grad) for parameter in network.parameters())


@pytest.mark.parametrize("kind", ["taken", "arrays", "one"])
def test_gradients_can_be_set_from_what_was_taken(kind):
    network, sparse = masked()
    parts = []
    for seed in (1, 2):
        network.zero_grads()
        one_pass(network, seed)
        parts.append(network.take_grads())
    first, second = ([np.array(grad) for grad in part] for part in parts)
    given = {"taken": parts, "arrays": (first, second), "one": parts[:1]}[kind]
    network.set_grads(*given)
    assert all((parameter.deferred_grad is None) == (kind == "arrays") for parameter in sparse)
    for parameter, one, other in zip(network.parameters(), first, second, strict=True):
        np.testing.assert_array_equal(parameter.grad, one if kind == "one" else one + other)


def test_setting_from_one_part_shares_nothing_with_it():
    network, _ = masked()
    network.zero_grads()
    one_pass(network, 1)
    taken = network.take_grads()
    before = [np.array(grad) for grad in taken]
    network.set_grads(taken)
    one_pass(network, 2)
    for grad, copy in zip(taken, before, strict=True):
        np.testing.assert_array_equal(grad, copy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_update_from_packed_gradients_has_the_reference_bits(dtype):
    found = []
    for kind in (fast.CompiledSGD, optimizers.SGD):
        network, sparse = masked(dtype)
        network.zero_grads()
        one_pass(network, 1)
        assert all(isinstance(parameter.deferred_grad, PackedGradient) for parameter in sparse)
        kind(network.parameters()).step(0.1)
        found.append(network.state_dict())
    for name, value in found[1].items():
        np.testing.assert_array_equal(found[0][name], value, err_msg=name)


def test_a_packed_gradient_that_is_not_finite_changes_nothing():
    network, sparse = masked()
    network.zero_grads()
    one_pass(network, 1)
    sparse[1].deferred_grad.values[0] = np.nan
    before = network.state_dict()
    with pytest.raises(FloatingPointError, match=rf"{sparse[1].name}: 1 of"):
        fast.CompiledSGD(network.parameters()).step(0.1)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("compiled", [True, False])
def test_a_second_part_of_no_gradients_is_refused(compiled):
    """Empty is not the same as absent."""
    network = build_model("mlp", input_shape=SHAPE, classes=3, width=4, rng=np.random.default_rng(0))
    network = fast.compile(network) if compiled else network
    with pytest.raises(ValueError, match="zip"):
        network.set_grads(network.take_grads(), [])


@pytest.mark.parametrize("density", [0.3, 1.0])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_network_with_frozen_entries_learns_with_the_others_as_in_the_reference_engine(density, momentum):
    """Wide enough for matrix products where all weights live, and dW of the free ones is a choice among them."""
    networks = []
    for compiled in (False, True):
        rng = np.random.default_rng(0)
        model = build_model("convnet", input_shape=SHAPE, classes=3, width=64, dtype=np.float64, rng=rng)
        for parameter in model.parameters():
            if density < 1 and parameter.sparsifiable:
                parameter.set_mask(rng.random(parameter.value.shape) < density)
            frozen = rng.random(parameter.value.shape) < 0.1
            parameter.freeze(frozen if parameter.mask is None else frozen & parameter.mask)
        networks.append(fast.compile(model) if compiled else model)
    before = [parameter.value.copy() for parameter in networks[0].parameters()]
    for network, kind in zip(networks, (optimizers.SGD, fast.CompiledSGD), strict=True):
        optimizer = kind(network.parameters(), momentum=momentum, weight_decay=1e-3 if momentum else 0.0)
        for seed in (1, 2):
            network.zero_grads()
            one_pass(network, seed)
            optimizer.step(0.1)
    for reference, compiled, first in zip(*(network.parameters() for network in networks), before, strict=True):
        for parameter in (reference, compiled):
            assert parameter.value[parameter.frozen].tobytes() == first[parameter.frozen].tobytes()
            assert_positive_zero(parameter.grad, call=parameter.name, where=parameter.frozen)
        assert np.any(compiled.value != first)
        # Two steps of sums of a few hundred terms of size one, in another order.
        np.testing.assert_allclose(compiled.value, reference.value, rtol=1e-9, atol=1e-11, err_msg=reference.name)
