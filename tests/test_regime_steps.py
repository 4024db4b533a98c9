"""The regime under the paper's rules: gradient masks within an epoch, data removal after a stage, state."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import exact as oracle
from tests import strategies as own
from tests.helpers import assert_positive_zero
from tests.sparcl.common import SIZES, FixedProbe, counts, no_probe, observation, regime

# --- DGM --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize(("q", "masked"), [(None, "0.6"), (0.3, "0.8"), (0, "0.5")])
def test_gradient_masks_keep_the_most_important_living(q, masked, replay) -> None:
    subject = regime(dgm_q=q, dgm_interval=3)
    subject.before_step(1, 1, 0, no_probe)
    step = observation(subject, 1, replay=replay)
    untouched = [grad.copy() for grad in step.current_grads]
    whole = [parameter.grad.copy() for parameter in subject.model.parameters()]
    assert subject.after_backward(0, step) is True
    for index, parameter in enumerate(subject.model.parameters()):
        np.testing.assert_array_equal(step.current_grads[index], untouched[index])
        if not parameter.sparsifiable:
            assert parameter.grad_mask is None
            np.testing.assert_array_equal(parameter.grad, whole[index])
            continue
        score = 0.5 * np.abs(step.current_grads[index])
        if replay:
            score = score + np.abs(step.replay_grads[index])
        living = np.flatnonzero(parameter.mask).tolist()
        best = sorted(living, key=lambda flat, score=score: -score.flat[flat])
        best = best[: oracle.living(parameter.value.size, masked)]
        assert np.flatnonzero(parameter.grad_mask).tolist() == sorted(best)
        assert_positive_zero(parameter.grad, call="silenced", where=~parameter.grad_mask)
        np.testing.assert_array_equal(parameter.grad[parameter.grad_mask], whole[index][parameter.grad_mask])


def test_gradient_masks_are_chosen_at_intervals_and_used_in_between() -> None:
    subject, chosen = regime(dgm_interval=3), []
    for epoch in (1, 2):
        subject.before_epoch(1, epoch, FixedProbe())
        for iteration in range(5):
            subject.before_step(1, 1, iteration, no_probe)
            refresh = iteration in (0, 3)
            lifted = [parameter.grad_mask is None for parameter in subject.parameters]
            assert lifted == [refresh, refresh]
            kept = [parameter.grad_mask for parameter in subject.parameters]
            assert subject.after_backward(iteration, observation(subject, 10 * epoch + iteration)) is refresh
            masks = [parameter.grad_mask for parameter in subject.parameters]
            assert all(np.count_nonzero(m) == oracle.living(m.size, "0.6") for m in masks)
            if refresh:
                chosen.append(masks[0])
            else:
                assert all(a is b for a, b in zip(kept, masks, strict=True))
    assert len(chosen) == 4
    assert all((a != b).any() for a, b in itertools.pairwise(chosen))


def test_while_the_mask_is_expanded_gradients_keep_their_density() -> None:
    subject = regime()
    subject.before_epoch(2, 1, no_probe)
    subject.before_step(1, 1, 0, no_probe)
    subject.after_backward(0, observation(subject, 0))
    assert counts(subject) == [oracle.living(size, "0.4") for size in SIZES]
    assert [p.grad_active for p in subject.parameters] == [oracle.living(size, "0.6") for size in SIZES]


def test_the_coefficients_of_dgm_are_those_of_the_importance() -> None:
    subject = regime(importance_alpha=0.0)
    subject.before_step(1, 1, 0, no_probe)
    step = observation(subject, 2)
    step.current_grads = [np.full_like(grad, np.nan) for grad in step.current_grads]
    subject.after_backward(0, step)  # a coefficient of 0 removes the current part altogether
    parameter, replay = subject.parameters[0], step.replay_grads[2]
    living = np.abs(replay[parameter.mask])
    assert np.abs(replay[parameter.grad_mask]).min() == np.sort(living)[-parameter.grad_active]


def test_without_dgm_gradients_are_left_alone() -> None:
    subject = regime(dgm=False)
    for parameter in subject.parameters:
        parameter.set_grad_mask(parameter.mask)
    subject.before_step(1, 1, 0, no_probe)
    step = observation(subject, 0)
    whole = [parameter.grad.copy() for parameter in subject.model.parameters()]
    assert subject.after_backward(0, step) is False
    for parameter, grad in zip(subject.model.parameters(), whole, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)
    for parameter in subject.parameters:
        np.testing.assert_array_equal(parameter.grad_mask, parameter.mask)


def test_a_replay_gradient_that_is_not_finite_is_refused() -> None:
    subject = regime()
    subject.before_step(1, 1, 0, no_probe)
    step = observation(subject, 0)
    step.replay_grads[2][...] = np.inf
    with pytest.raises(ValueError, match=r"importance must be finite, got inf"):
        subject.after_backward(0, step)


# --- DDR --------------------------------------------------------------------------------------------------------------


def rank(by: str, wrong: dict, earlier: dict, chance: dict, index: int) -> tuple:
    """What a sample is ranked by for removal."""
    return {
        "mistakes": (wrong[index], index),
        "shuffled": (wrong[index], chance[index]),
        "all_stages": (wrong[index] + earlier[index], chance[index]),
        "random": (chance[index],),
    }[by]


def unasked(count: int) -> np.ndarray:
    raise AssertionError("no chance is needed here")


@given(
    st.integers(1, 30),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 4),
    own.sparsities(max_value=1.0),
    own.seeds(),
)
@pytest.mark.parametrize("by", ["mistakes", "shuffled", "all_stages", "random"])
def test_data_leave_by_their_counts_stage_by_stage(by, samples, delta_k, cutoff, more, rho, seed) -> None:
    epochs = delta_k * cutoff + more
    subject = regime(epochs=epochs, delta_k=delta_k, p_inter=0, ddr_cutoff=cutoff, ddr_rho=rho, ddr_by=by)
    rng = np.random.default_rng(seed)
    for _ in range(2):  # two tasks: nothing is carried over
        remaining = np.sort(rng.permutation(100)[:samples])
        wrong = dict.fromkeys(remaining.tolist(), 0)
        earlier, chance = dict(wrong), {}
        subject.begin_task(samples)
        for epoch in range(1, epochs + 1):
            for part in np.array_split(rng.permutation(remaining), 3):
                correct = rng.random(len(part)) < 0.6
                subject.count(remaining, part, correct)
                for index, right in zip(part.tolist(), correct.tolist(), strict=True):
                    wrong[index] += not right
            assert subject.statistics.wrong.tolist() == [wrong[index] for index in remaining.tolist()]
            stage, incomplete = divmod(epoch, delta_k)
            left = set(remaining.tolist())
            if not incomplete and epoch < epochs and stage <= cutoff:
                leaving = oracle.gone(samples, rho, stage, cutoff) - oracle.gone(samples, rho, stage - 1, cutoff)
                chance = dict(zip(sorted(left), rng.permutation(len(left)) / 64, strict=True))
                key = functools.partial(rank, by, wrong, earlier, chance)
                left -= set(sorted(left, key=key)[:leaving])
            numbers = np.array(list(chance.values()))
            asked = unasked if by == "mistakes" else lambda count, numbers=numbers: numbers
            remaining = subject.end_stage(epoch, remaining, samples, chance=asked)
            assert remaining.tolist() == sorted(left)
            if not incomplete:
                earlier = {index: earlier[index] + wrong[index] for index in remaining.tolist()}
                wrong = dict.fromkeys(remaining.tolist(), 0)
            assert subject.statistics.wrong.tolist() == [wrong[index] for index in remaining.tolist()]


def test_without_ddr_all_data_stay_and_counting_still_starts_anew_with_each_stage() -> None:
    subject, remaining = regime(ddr=False), np.arange(5)
    subject.begin_task(5)
    for epoch in range(1, 7):
        subject.count(remaining, np.array([1, 3]), np.array([False, True]))
        assert subject.statistics.wrong.tolist() == [0, 2 - epoch % 2, 0, 0, 0]
        remaining = subject.end_stage(epoch, remaining, 5)
        assert remaining.tolist() == [0, 1, 2, 3, 4]


# --- state ------------------------------------------------------------------------------------------------------------


def test_state_holds_the_statistics_of_the_stage() -> None:
    one, other = regime(), regime()
    one.begin_task(4)
    one.count(np.arange(4), np.array([1, 3]), np.array([False, False]))
    one.end_stage(6, np.arange(4), 4)
    one.count(np.arange(4), np.array([2, 0]), np.array([False, True]))
    state = one.state()
    other.load_state(state)
    assert other.earlier.tolist() == [0, 1, 0, 1]
    for subject in (one, other):
        subject.count(np.arange(4), np.array([0, 2]), np.array([False, False]))
    np.testing.assert_equal(other.state(), one.state())
    assert other.statistics.wrong.tolist() == [1, 0, 2, 0]
    assert state["statistics"]["wrong"].tolist() == [0, 0, 1, 0]
