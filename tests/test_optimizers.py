"""SGD against torch.optim over 50 steps, its invariants under masks, its state and its refusals."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.layers.parameter import Parameter
from sparcl_ref.optimizers import SGD, sgd_update
from tests import strategies
from tests.helpers import assert_close, assert_positive_zero

STEPS = 50


@dataclass(frozen=True)
class Settings:
    momentum: float
    nesterov: bool
    weight_decay: float

    def sgd(self, parameters):
        return SGD(parameters, momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay)


@st.composite
def all_settings(draw):
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    nesterov = draw(st.booleans()) if momentum else False
    return Settings(momentum, nesterov, draw(st.sampled_from([0.0, 1e-3, 0.3])))


@dataclass
class Problem:
    """Two parameters with linear gradients H w - b, so that the steps feed back on each other."""

    parameters: list[Parameter]
    curvatures: list[np.ndarray]
    offsets: list[np.ndarray]

    def gradient(self, index, value):
        return self.curvatures[index] * value - self.offsets[index]

    def set_grads(self):
        for index, parameter in enumerate(self.parameters):
            parameter.take_grad()
            parameter.add_grad(self.gradient(index, parameter.value))


@st.composite
def problems(draw, *, dtype=np.float64, may_mask=True):
    shapes = draw(st.tuples(strategies.shapes(max_dims=3), strategies.shapes(max_dims=3)))
    parameters, curvatures, offsets = [], [], []
    for name, shape in zip(("body.weight", "head.bias"), shapes, strict=True):
        parameter = Parameter(name, draw(strategies.normal_arrays(shape, dtype=dtype)))
        if may_mask and draw(st.booleans()):
            mask, grad_mask = draw(strategies.nested_masks(shape))
            parameter.set_mask(mask)
            parameter.set_grad_mask(draw(st.sampled_from([grad_mask, None])))
        parameters.append(parameter)
        curvatures.append(np.abs(draw(strategies.normal_arrays(shape, dtype=dtype))))
        offsets.append(draw(strategies.normal_arrays(shape, dtype=dtype)))
    return Problem(parameters, curvatures, offsets)


def dead(parameter):
    return np.zeros(parameter.value.shape, dtype=bool) if parameter.mask is None else ~parameter.mask


def assert_dead_are_zero(parameter):
    looked_at = 0
    for what, array in {"value": parameter.value, "grad": parameter.grad, **parameter.slots}.items():
        looked_at += assert_positive_zero(array, call=f"{parameter.name} {what}", where=dead(parameter))
    return looked_at


def remask(mask, seed):
    """Another mask of the same size: some weights die, some join."""
    return np.random.default_rng(seed).permutation(mask.ravel()).reshape(mask.shape)


@given(problems(), all_settings(), strategies.seeds())
def test_fifty_steps_agree_with_torch(problem, settings, seed):
    twins = [torch.nn.Parameter(torch.tensor(parameter.value)) for parameter in problem.parameters]
    theirs = torch.optim.SGD(twins, lr=1.0, **vars(settings))
    ours = settings.sgd(problem.parameters)
    for step in range(STEPS):
        if step == STEPS // 2:
            for parameter, twin in zip(problem.parameters, twins, strict=True):
                if parameter.mask is not None:
                    parameter.set_mask(remask(parameter.mask, seed))
                    with torch.no_grad():
                        twin[torch.tensor(~parameter.mask)] = 0.0
                        if settings.momentum:
                            theirs.state[twin]["momentum_buffer"][torch.tensor(~parameter.mask)] = 0.0
        for index, (parameter, twin) in enumerate(zip(problem.parameters, twins, strict=True)):
            gradient = problem.gradient(index, twin.detach().numpy())
            for mask in (parameter.mask, parameter.grad_mask):
                gradient = gradient if mask is None else np.where(mask, gradient, 0.0)
            twin.grad = torch.tensor(gradient)
        lr = 0.1 / (1 + step % 7)
        theirs.param_groups[0]["lr"] = lr
        theirs.step()
        problem.set_grads()
        ours.step(lr)
        for parameter, twin in zip(problem.parameters, twins, strict=True):
            # Both round each step to 1e-16 of numbers of size one to ten, and the descent damps errors. A weight may
            # pass through zero on its way, hence a fixed atol.
            assert_close(
                parameter.value, twin.detach().numpy(), call=f"step {step}: {parameter.name}", rtol=1e-12, atol=1e-12
            )
            assert_dead_are_zero(parameter)
            if settings.momentum:
                buffer = theirs.state[twin]["momentum_buffer"].numpy()
                # Near the minimum the velocity is a difference of larger terms: it rounds as they do.
                assert_close(parameter.slots["momentum"], buffer, call=f"step {step}: velocity", rtol=1e-12, atol=1e-13)
            else:
                assert parameter.slots == {}


@given(all_settings(), strategies.dtypes())
def test_dead_weights_are_bit_zero_whatever_is_written_to_them(settings, dtype):
    parameter = Parameter("w", np.linspace(-2, 2, 12, dtype=dtype).reshape(3, 4))
    mask = np.arange(12).reshape(3, 4) % 3 == 0
    parameter.set_mask(mask)
    sgd = settings.sgd([parameter])
    for step in range(5):
        parameter.grad[...] = -1.0 - step  # past add_grad and its mask
        parameter.value[~mask] = -0.0
        sgd.step(0.1)
        # Eight dead entries in value and gradient, and in the velocity if there is one.
        assert assert_dead_are_zero(parameter) == (24 if settings.momentum else 16)
        assert (parameter.value[mask] != 0).all()


def test_a_weight_that_dies_and_joins_again_starts_at_zero():
    parameter = Parameter("w", np.ones(2))
    sgd = SGD([parameter], momentum=0.9)
    parameter.add_grad(np.array([1.0, 1.0]))
    sgd.step(0.5)
    assert parameter.slots["momentum"].tolist() == [1.0, 1.0]
    parameter.set_mask(np.array([True, False]))
    parameter.set_mask(np.array([True, True]))
    assert parameter.value.tolist() == [0.5, 0.0]
    assert parameter.slots["momentum"].tolist() == [1.0, 0.0]


def test_a_gradient_mask_silences_the_gradient_only():
    parameter = Parameter("w", np.array([8.0, 8.0]))
    sgd = SGD([parameter], momentum=0.5, weight_decay=0.25)
    parameter.add_grad(np.array([4.0, 4.0]))
    sgd.step(0.5)  # v = 4 + 8 / 4 = 6, w = 8 - 3 = 5
    parameter.set_grad_mask(np.array([True, False]))
    parameter.take_grad()
    parameter.add_grad(np.array([4.0, 4.0]))
    sgd.step(0.5)
    # First entry: v = 3 + 4 + 5 / 4. Second: velocity and weight decay go on, v = 3 + 5 / 4.
    assert parameter.slots["momentum"].tolist() == [8.25, 4.25]
    assert parameter.value.tolist() == [5 - 4.125, 5 - 2.125]
    assert parameter.grad.tolist() == [4.0, 0.0]


@given(problems(), all_settings(), strategies.generators())
def test_frozen_entries_stay_to_the_bit_and_the_rest_is_torchs(problem, settings, rng):
    ours = settings.sgd(problem.parameters)
    for _ in range(3):
        problem.set_grads()
        ours.step(0.1)
    free, before = [], []
    for parameter in problem.parameters:
        living = np.ones(parameter.value.shape, dtype=bool) if parameter.mask is None else parameter.mask
        frozen = living & (rng.random(living.shape) < 0.5)
        parameter.value[frozen & (rng.random(living.shape) < 0.3)] = -0.0
        if rng.random() < 0.5:
            parameter.slots.clear()  # a velocity that begins after freezing
        parameter.freeze(frozen)
        free.append(living & ~frozen)
        velocity = parameter.slots.get("momentum", np.zeros_like(parameter.value))
        before.append((parameter.value[frozen].tobytes(), velocity[frozen].tobytes()))
    twins = [torch.nn.Parameter(torch.tensor(p.value[f])) for p, f in zip(problem.parameters, free, strict=True)]
    theirs = torch.optim.SGD(twins, lr=0.1, **vars(settings))
    for parameter, twin, learning in zip(problem.parameters, twins, free, strict=True):
        if "momentum" in parameter.slots:
            theirs.state[twin]["momentum_buffer"] = torch.tensor(parameter.slots["momentum"][learning])
    for _ in range(10):
        for index, (parameter, twin) in enumerate(zip(problem.parameters, twins, strict=True)):
            whole = np.zeros(parameter.value.shape)
            whole[free[index]] = twin.detach().numpy()
            gradient = problem.gradient(index, whole)
            if parameter.grad_mask is not None:
                gradient[~parameter.grad_mask] = 0
            twin.grad = torch.tensor(gradient[free[index]])
        theirs.step()
        problem.set_grads()
        problem.parameters[0].grad[...] += (~free[0]) * 3.0  # past add_grad and its mask
        ours.step(0.1)
    for parameter, twin, learning, bits in zip(problem.parameters, twins, free, before, strict=True):
        assert parameter.value[parameter.frozen].tobytes() == bits[0]
        if settings.momentum:
            assert parameter.slots["momentum"][parameter.frozen].tobytes() == bits[1]
        # As above: both round to 1e-16 of numbers of size one to ten.
        if learning.any():
            assert_close(parameter.value[learning], twin.detach().numpy(), call=parameter.name, rtol=1e-12, atol=1e-12)
        assert_dead_are_zero(parameter)


@given(problems(may_mask=False), all_settings())
def test_no_velocity_is_a_velocity_of_zeros(problem, settings):
    for index, parameter in enumerate(problem.parameters):
        grad = problem.gradient(index, parameter.value)
        first = sgd_update(parameter.value, grad, None, lr=0.1, **vars(settings))
        second = sgd_update(parameter.value, grad, np.zeros_like(grad), lr=0.1, **vars(settings))
        assert np.array_equal(first[0], second[0])
        assert (first[1] is None and second[1] is None) or np.array_equal(first[1], second[1])


def test_sgd_update_changes_nothing_given_and_shares_nothing():
    value, grad, velocity = np.ones(3), np.full(3, 2.0), np.full(3, 3.0)
    for given_velocity in (None, velocity):
        new_value, new_velocity = sgd_update(value, grad, given_velocity, lr=0.5, momentum=0.5)
        new_value += 1
        new_velocity += 1
    assert (value.tolist(), grad.tolist(), velocity.tolist()) == ([1.0] * 3, [2.0] * 3, [3.0] * 3)


def test_sutskevers_variant_agrees_until_the_rate_changes():
    value, velocity = np.array([1.0]), None
    theirs, their_velocity = 1.0, 0.0
    gaps = []
    for lr in (0.1, 0.1, 0.1, 0.01):
        value, velocity = sgd_update(value, 2 * value, velocity, lr=lr, momentum=0.9)
        their_velocity = 0.9 * their_velocity - lr * 2 * theirs
        theirs += their_velocity
        gaps.append(abs(value[0] - theirs))
    assert max(gaps[:3]) < 1e-15
    assert gaps[3] > 0.1


@given(problems(dtype=np.float32), all_settings(), st.sampled_from([float, np.float64, np.float32]))
def test_dtype_and_the_array_object_stay(problem, settings, number):
    arrays = [parameter.value for parameter in problem.parameters]
    sgd = settings.sgd(problem.parameters)
    for _ in range(2):
        problem.set_grads()
        sgd.step(number(0.1))
    for parameter, array in zip(problem.parameters, arrays, strict=True):
        assert parameter.value is array
        assert parameter.value.dtype == parameter.grad.dtype == np.float32
        assert all(slot.dtype == np.float32 for slot in parameter.slots.values())


def test_numpy_numbers_as_settings_do_not_widen_float32():
    parameter = Parameter("w", np.ones(3, dtype=np.float32))
    sgd = SGD([parameter], momentum=np.float64(0.9), nesterov=True, weight_decay=np.float64(0.1))
    sgd.step(0.1)
    sgd.step(0.1)
    assert parameter.slots["momentum"].dtype == np.float32


@given(problems(), all_settings())
def test_step_leaves_gradients_alone_and_rate_zero_changes_no_value(problem, settings):
    problem.set_grads()
    values = [parameter.value.copy() for parameter in problem.parameters]
    grads = [parameter.grad.copy() for parameter in problem.parameters]
    settings.sgd(problem.parameters).step(0.0)
    for parameter, value, grad in zip(problem.parameters, values, grads, strict=True):
        assert np.array_equal(parameter.value, value)
        assert np.array_equal(parameter.grad, grad)


@given(problems(), all_settings(), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 1))
def test_a_gradient_that_is_not_finite_is_refused_before_anything_changes(problem, settings, bad, where):
    sgd = settings.sgd(problem.parameters)
    problem.set_grads()
    sgd.step(0.1)
    problem.set_grads()
    problem.parameters[where].grad.flat[-1] = bad
    before = copy.deepcopy([parameter.state() for parameter in problem.parameters])
    with pytest.raises(FloatingPointError, match=rf"^{problem.parameters[where].name}: 1 of .* NaN or infinite"):
        sgd.step(0.1)
    for parameter, old in zip(problem.parameters, before, strict=True):
        new = parameter.state()
        for key in ("value", "grad"):
            assert np.array_equal(new[key], old[key], equal_nan=True)
        assert new["slots"].keys() == old["slots"].keys()
        assert all(np.array_equal(new["slots"][key], old["slots"][key]) for key in old["slots"])


@given(problems(), all_settings(), st.integers(0, 3))
def test_state_continues_to_the_same_bits(problem, settings, steps):
    sgd = settings.sgd(problem.parameters)
    for _ in range(steps):
        problem.set_grads()
        sgd.step(0.1)
    state = sgd.state()
    twin = copy.deepcopy(problem)
    for parameter in twin.parameters:
        parameter.slots["momentum"] = np.full_like(parameter.value, 7.0)
    resumed = settings.sgd(twin.parameters)
    resumed.load_state(state)
    for _ in range(3):
        for one, optimizer in ((problem, sgd), (twin, resumed)):
            one.set_grads()
            optimizer.step(0.1)
        for ours, theirs in zip(problem.parameters, twin.parameters, strict=True):
            assert ours.value.tobytes() == theirs.value.tobytes()
            assert_dead_are_zero(theirs)


def test_state_is_a_copy_in_both_directions_and_its_settings_are_json():
    parameter = Parameter("w", np.ones(2))
    sgd = SGD([parameter], momentum=0.5, weight_decay=0.25)
    sgd.step(0.1)
    state = sgd.state()
    # A new mask writes into the velocity in place: the state taken before must not see it, nor one given before.
    parameter.set_mask(np.array([True, False]))
    assert state["momentum"]["w"].tolist() == [0.25, 0.25]
    parameter.set_mask(None)
    state["settings"] = json.loads(json.dumps(state["settings"]))
    sgd.load_state(state)
    assert parameter.slots["momentum"].tolist() == [0.25, 0.25]
    parameter.set_mask(np.array([False, True]))
    assert state["momentum"]["w"].tolist() == [0.25, 0.25]


def test_loading_a_state_revives_nothing_that_is_dead():
    parameter = Parameter("w", np.ones(2))
    sgd = SGD([parameter], momentum=0.9)
    state = sgd.state() | {"momentum": {"w": np.array([-1.0, -1.0])}}
    parameter.set_mask(np.array([True, False]))
    sgd.load_state(state)
    assert parameter.slots["momentum"].tolist() == [-1.0, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"momentum": 0.5, "nesterov": False, "weight_decay": 0.0}}, "was taken with .*0.5.*has .*0.9"),
        ({"momentum": {"a": np.zeros(2), "c": np.zeros(2)}}, "parameters that are not here: c"),
        ({"momentum": {"a": np.zeros(2), "b": np.zeros(3)}}, r"^b: velocity must have shape \(2,\), got \(3,\)"),
    ],
)
def test_an_unfit_state_is_refused_before_anything_changes(change, message):
    parameters = [Parameter("a", np.ones(2)), Parameter("b", np.ones(2))]
    sgd = SGD(parameters, momentum=0.9)
    for parameter in parameters:
        parameter.add_grad(np.ones(2))
    sgd.step(0.1)
    with pytest.raises(ValueError, match=message):
        sgd.load_state(sgd.state() | change)
    assert [parameter.slots["momentum"].tolist() for parameter in parameters] == [[1.0, 1.0]] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": -0.1}, "momentum must be a finite number >= 0, got -0.1"),
        ({"momentum": 1.0}, "momentum must be less than 1.*got 1.0"),
        ({"momentum": math.nan}, "momentum must be a finite number"),
        ({"weight_decay": -1e-4}, "weight_decay must be"),
        ({"weight_decay": math.inf}, "weight_decay must be"),
        ({"nesterov": True}, "nesterov needs momentum"),
    ],
)
def test_unfit_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SGD([Parameter("w", np.ones(2))], **options)


def test_parameters_must_exist_and_have_names_of_their_own():
    with pytest.raises(ValueError, match="at least one parameter"):
        SGD(iter(()))
    with pytest.raises(ValueError, match=r"repeated: \['w'\]"):
        SGD([Parameter("w", np.ones(2)), Parameter("v", np.ones(2)), Parameter("w", np.ones(2))])


@pytest.mark.parametrize("lr", [-0.1, math.nan, math.inf])
def test_an_unfit_rate_is_refused(lr):
    parameter = Parameter("w", np.ones(2))
    parameter.add_grad(np.ones(2))
    with pytest.raises(ValueError, match="learning rate must be a finite number >= 0"):
        SGD([parameter]).step(lr)
    assert parameter.value.tolist() == [1.0, 1.0]
