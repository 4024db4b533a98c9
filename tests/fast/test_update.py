"""The compiled optimiser against the reference's, and a whole DER++ trajectory in both engines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import fast, optimizers
from sparcl_ref.fast.gradients import Packing
from sparcl_ref.layers import Parameter
from sparcl_ref.methods import Batch, DERpp
from sparcl_ref.models import build_model
from sparcl_ref.replay import ReservoirBuffer
from tests import strategies
from tests.helpers import assert_positive_zero


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "settings",
    [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}, {"weight_decay": 0.1}],
)
def test_same_bits_as_the_reference_optimiser(settings, dtype):
    values = []
    for kind in (optimizers.SGD, fast.CompiledSGD):
        rng = np.random.default_rng(0)
        model = build_model("convnet", input_shape=(1, 8, 8), classes=3, width=8, dtype=dtype, rng=rng)
        for parameter in model.sparsifiable():
            parameter.set_mask(rng.random(parameter.value.shape) < 0.3)
        optimizer = kind(model.parameters(), **settings)
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad[...] = rng.standard_normal(parameter.grad.shape)
                parameter.clear_dead()
            optimizer.step(0.1)
        values.append([*model.state_dict().values(), *(p.slots.get("momentum", p.grad) for p in model.parameters())])
    for expected, got in zip(*values, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert not np.signbit(got[got == 0]).any()


SETTINGS = [{}, {"momentum": 0.9}, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}, {"weight_decay": 0.1}]


@given(strategies.shapes(), strategies.dtypes(), st.sampled_from(SETTINGS), st.booleans(), strategies.generators())
def test_dead_weights_collect_nothing_and_weights_without_a_gradient_go_on(shape, dtype, settings, packed, rng):
    parameters, value = [], rng.standard_normal(shape).astype(dtype)
    alive, moving = rng.random(shape) < 0.6, rng.random(shape) < 0.6
    gradients = rng.standard_normal((3, *shape)).astype(dtype)
    for kind in (optimizers.SGD, fast.CompiledSGD):
        parameter = Parameter("w", value.copy())
        parameter.set_mask(alive)
        parameter.set_grad_mask(alive & moving)
        parameters.append(parameter)
        packing, optimizer = Packing(parameter), kind([parameter], **settings)
        for gradient in gradients:
            if packed and kind is fast.CompiledSGD:
                packing.start()
                packing.current.values[...] = gradient[alive & moving]
            elif packed:
                parameter.grad = np.where(alive & moving, gradient, 0).astype(dtype)
            else:  # as somebody may write it: also where nothing lives
                parameter.grad = gradient.copy()
            optimizer.step(0.1)
    expected, got = parameters
    np.testing.assert_array_equal(got.value, expected.value)
    for slot, array in expected.slots.items():
        np.testing.assert_array_equal(got.slots[slot], array)
        assert_positive_zero(got.slots[slot], call=slot, where=~alive)
    assert_positive_zero(got.value, call="value", where=~alive)
    if packed and settings.get("weight_decay") and (alive & ~moving).any():
        assert (got.value != value)[alive & ~moving].all()


@given(strategies.shapes(), strategies.dtypes(), st.integers(0, 3), strategies.generators())
def test_frozen_entries_stay_to_the_bit_and_the_rest_descends(shape, dtype, which, rng):
    settings = SETTINGS
    momentum, decay = settings[which].get("momentum", 0.0), settings[which].get("weight_decay", 0.0)
    parameter = Parameter("w", rng.standard_normal(shape).astype(dtype))
    mask = rng.random(shape) < 0.7
    if rng.random() < 0.7:
        parameter.set_mask(mask)
    frozen = (rng.random(shape) < 0.5) & (mask if parameter.mask is not None else True)
    parameter.value[frozen & (rng.random(shape) < 0.3)] = -0.0
    velocity = np.zeros(shape, dtype=dtype)
    if momentum and rng.random() < 0.5:
        velocity = parameter.slots["momentum"] = rng.standard_normal(shape).astype(dtype)
        parameter.clear_dead()
    parameter.freeze(frozen)
    packing = Packing(parameter)
    expected, velocity = parameter.value.astype(np.float64), velocity.astype(np.float64)
    bits = [array[frozen].tobytes() for array in (parameter.value, *parameter.slots.values())]
    free = (mask if parameter.mask is not None else np.ones(shape, dtype=bool)) & ~frozen
    optimizer = fast.CompiledSGD([parameter], **settings[which])
    for _ in range(4):
        gradient = rng.standard_normal(shape).astype(dtype)
        if rng.random() < 0.5:  # as the engine leaves it, or as anyone may write it
            packing.start()
            packing.current.values[...] = gradient[free]
        else:
            parameter.grad = gradient.copy()
        optimizer.step(0.1)
        for place in zip(*np.nonzero(free), strict=True):  # the rule, number by number
            slope = float(gradient[place]) + decay * expected[place]
            velocity[place] = momentum * velocity[place] + slope
            ahead = slope + momentum * velocity[place] if settings[which].get("nesterov") else velocity[place]
            expected[place] -= 0.1 * ahead
    assert parameter.value[frozen].tobytes() == bits[0]
    if momentum:
        assert parameter.slots["momentum"][frozen].tobytes() == (bits[1] if bits[1:] else bytes(len(bits[0])))
    # Four steps of at most six roundings each, of numbers of size one to ten.
    np.testing.assert_allclose(parameter.value[free], expected[free], rtol=0, atol=240 * np.finfo(dtype).eps)
    assert_positive_zero(parameter.value, call="dead", where=~(free | frozen))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad):
    model = build_model("mlp", input_shape=(1, 4, 4), classes=3, width=8, rng=np.random.default_rng(0))
    model.parameters()[-1].grad[1] = bad
    before = model.state_dict()
    with pytest.raises(FloatingPointError, match=r"linear\.bias: 1 of 3 gradient entries"):
        fast.CompiledSGD(model.parameters()).step(0.1)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_derpp_steps_agree_in_both_engines():
    results = []
    for compiled in (False, True):
        rng = np.random.default_rng(1)
        model = build_model("resnet20", input_shape=(3, 8, 8), classes=4, width=4, dtype=np.float64, rng=rng)
        for parameter in model.sparsifiable():
            mask = rng.random(parameter.value.shape) < 0.3
            parameter.set_mask(mask)
            parameter.set_grad_mask(mask & (rng.random(mask.shape) < 0.8))
        network = fast.compile(model) if compiled else model
        optimizer = (fast.CompiledSGD if compiled else optimizers.SGD)(network.parameters(), momentum=0.5)
        buffer = ReservoirBuffer(20, image_shape=(3, 8, 8), image_dtype=np.float64, classes=4, logits_dtype=np.float64)
        method = DERpp(network, buffer=buffer, prepare=lambda images: images, rng=rng, replay_batch_size=6)
        losses = []
        for _ in range(6):
            x, y = rng.standard_normal((8, 3, 8, 8)), rng.integers(0, 4, 8)
            step = method.observe(Batch(x, x, y, (0, 1, 2, 3), 1))
            optimizer.step(0.05)
            buffer.add(x, y, step.logits, task=1, rng=rng)
            losses.append(sum(step.losses.values()))
        results.append((losses, network.state_dict()))
    (expected_losses, expected), (losses, got) = results
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-9)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-7, atol=1e-9, err_msg=name)
