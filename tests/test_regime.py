"""The regime under the paper's rules: the pure functions are asked the right questions, and their answers applied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.draws import Draws
from sparcl_ref.masks import BUDGETS, exact
from sparcl_ref.regime import MaskChange
from tests import exact as oracle
from tests import strategies as own
from tests.helpers import assert_positive_zero
from tests.sparcl.common import (
    SHAPES,
    FixedProbe,
    counts,
    expected_counts,
    group_counts,
    groups,
    kinds,
    no_probe,
    regime,
)

# --- the start --------------------------------------------------------------------------------------------------------


@given(st.sampled_from(BUDGETS), own.sparsities(), own.seeds())
def test_initial_masks_have_exact_budgets_and_dead_weights_are_zero(kind, sparsity, seed) -> None:
    subject = regime(budgets=kind, sparsity=sparsity, policy="static", seed=seed)
    assert group_counts(subject) == expected_counts(subject, sparsity)
    for parameter in subject.parameters:
        assert_positive_zero(parameter.value, call="dead weights", where=~parameter.mask)
        assert np.all(parameter.value[parameter.mask] != 0)


def test_only_what_is_sparsifiable_is_masked() -> None:
    subject = regime()
    assert [parameter.name for parameter in subject.parameters] == ["fc1.weight", "fc2.weight"]
    for parameter in subject.model.parameters():
        assert (parameter.mask is None) == (parameter.name not in ("fc1.weight", "fc2.weight"))


def test_initial_masks_are_random_and_repeatable() -> None:
    one, same, other = (regime(seed=seed).parameters[0].mask for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


# --- TDM --------------------------------------------------------------------------------------------------------------


@kinds
def test_masks_follow_the_schedule_over_two_tasks(kind) -> None:
    subject, probe = regime(budgets=kind), FixedProbe()
    for parameter in subject.parameters:
        parameter.slots["momentum"] = np.ones_like(parameter.value)
        parameter.clear_dead()
    asked = 0
    for task in (1, 2):
        for epoch in range(1, 7):
            before = [parameter.mask.copy() for parameter in subject.parameters]
            values = [parameter.value.copy() for parameter in subject.parameters]
            changes = subject.before_epoch(task, epoch, probe)
            expected = []
            if task == 2 and epoch == 1:
                expected = [("expand", "0.4")]
            elif epoch in (2, 4, 6):
                expected = [("shrink", "0.55"), ("expand", "0.5")]
                asked += 1
            assert [(change.kind, change.sparsity) for change in changes] == [(k, exact(s)) for k, s in expected]
            assert probe.calls == asked
            living = [mask.copy() for mask in before]
            touched = [np.zeros(shape, dtype=bool) for shape in SHAPES]
            for change in changes:
                assert isinstance(change, MaskChange)
                moved = [change.indices[parameter.name] for parameter in subject.parameters]
                assert change.count == sum(map(len, moved)) > 0
                for mask, touch, flat in zip(living, touched, moved, strict=True):
                    assert flat.tolist() == sorted(set(flat.tolist()))
                    assert np.all(mask.reshape(-1)[flat] == (change.kind == "shrink"))
                    mask.reshape(-1)[flat] = change.kind == "expand"
                    touch.reshape(-1)[flat] = True
                active = [sum(int(living[i].sum()) for i in group) for group in groups(kind)]
                assert active == expected_counts(subject, str(float(change.sparsity)))
            for parameter, mask, touch, value in zip(subject.parameters, living, touched, values, strict=True):
                np.testing.assert_array_equal(parameter.mask, mask)
                np.testing.assert_array_equal(parameter.value[~touch], value[~touch])
                for array in (parameter.value, parameter.slots["momentum"]):
                    assert_positive_zero(array, call="dead, removed or joined", where=~mask | touch)
                # Training gives everybody who lives a value and a momentum.
                parameter.value[mask] = np.random.default_rng(epoch).standard_normal(int(mask.sum()))
                parameter.slots["momentum"][mask] = 1
            assert group_counts(subject) == expected_counts(subject, 0.4 if task == 2 and epoch == 1 else 0.5)
    assert asked == 6


@kinds
@pytest.mark.parametrize("importance", ["cwi", "negated_cwi", "magnitude"])
def test_the_least_important_leave(kind, importance) -> None:
    subject, probe = regime(budgets=kind, importance=importance, p_intra=0.3), FixedProbe(5)
    # Layers of different scale, so that a shared budget is felt.
    subject.parameters[0].value *= 10
    before = [parameter.mask.copy() for parameter in subject.parameters]
    weights = [parameter.value.copy() for parameter in subject.parameters]
    changes = subject.before_epoch(1, 2, no_probe if importance == "magnitude" else probe)
    left = changes[0].indices
    for group, active in zip(groups(kind), expected_counts(subject, "0.8"), strict=True):
        ranked = []
        for i in group:
            score = np.abs(weights[i])
            if importance != "magnitude":
                score = score + 0.5 * np.abs(probe.current[i]) + np.abs(probe.memory[i])
            score = -score if importance == "negated_cwi" else score
            ranked += [(-score.flat[flat], i, int(flat)) for flat in np.flatnonzero(before[i])]
        gone = [(i, flat) for _, i, flat in sorted(ranked)[active:]]
        got = [(i, int(flat)) for i in group for flat in left[subject.parameters[i].name]]
        assert sorted(gone) == got
    if importance != "magnitude":
        assert probe.calls == 1
        for seen, mask in zip(probe.masks, before, strict=True):
            np.testing.assert_array_equal(seen, mask)  # asked before anything changed


def test_coefficients_of_the_importance_are_the_configured_ones() -> None:
    subject, probe = regime(importance_alpha=0.0, importance_beta=3.0), FixedProbe()
    scores = subject.policy.scores(subject.parameters, probe, subject.rng)
    for parameter, score, memory in zip(subject.parameters, scores, probe.memory, strict=True):
        np.testing.assert_allclose(score, np.abs(parameter.value) + 3 * np.abs(memory), rtol=1e-15)


def test_random_importance_comes_from_the_mask_stream() -> None:
    subject = regime(importance="random", seed=3)
    rng = np.random.default_rng()
    rng.bit_generator.state = subject.rng.bit_generator.state
    scores = subject.policy.scores(subject.parameters, no_probe, subject.rng)
    for parameter, score in zip(subject.parameters, scores, strict=True):
        np.testing.assert_array_equal(score, rng.random(parameter.value.shape))
    assert subject.rng.bit_generator.state == rng.bit_generator.state
    assert [change.kind for change in subject.before_epoch(1, 2, no_probe)] == ["shrink", "expand"]


def test_a_weight_removed_and_redrawn_at_once_starts_at_zero() -> None:
    subject = regime(p_intra=0.5)  # s + p_intra = 1: everything leaves, half comes back
    before = [parameter.mask.copy() for parameter in subject.parameters]
    for parameter in subject.parameters:
        parameter.slots["momentum"] = np.where(parameter.mask, 1.0, 0.0)
    subject.before_epoch(1, 2, FixedProbe())
    redrawn = 0
    for parameter, mask in zip(subject.parameters, before, strict=True):
        redrawn += np.count_nonzero(parameter.mask & mask)
        assert_positive_zero(parameter.value, call="redrawn value")
        assert_positive_zero(parameter.slots["momentum"], call="redrawn momentum")
    assert redrawn > 10
    assert counts(subject) == [28, 24]


def test_growth_is_drawn_from_the_mask_stream() -> None:
    subject = regime(seed=6)
    rng = np.random.default_rng()
    rng.bit_generator.state = subject.rng.bit_generator.state
    before = [parameter.mask.reshape(-1).copy() for parameter in subject.parameters]
    (change,) = subject.before_epoch(2, 1, no_probe)
    for parameter, mask in zip(subject.parameters, before, strict=True):
        dead = np.flatnonzero(~mask)
        joined = rng.choice(dead, size=oracle.living(mask.size, "0.4") - int(mask.sum()), replace=False)
        assert sorted(joined.tolist()) == change.indices[parameter.name].tolist()


def _given_growth(indices: list[int]) -> MaskChange:
    """An expansion of masks whose first and last entries are dead and whose second lives, by these entries."""
    subject = regime()
    for parameter in subject.parameters:
        mask = parameter.mask.copy()
        mask.flat[[0, 1, -1]] = False, True, False
        parameter.set_mask(mask)
    first = subject.parameters[0].name
    subject.draws = Draws(growth=lambda place, name: np.array(indices if name == first else [], dtype=int))
    (change,) = subject.before_epoch(2, 1, no_probe)
    return change


def test_given_growth_may_be_any_dead_entries_the_first_and_the_last_among_them() -> None:
    last = regime().parameters[0].value.size - 1
    for indices in ([], [0], [last], [last, 0]):
        assert next(iter(_given_growth(indices).indices.values())).tolist() == sorted(indices)


def test_given_growth_of_what_lives_or_is_not_there_is_refused() -> None:
    size = regime().parameters[0].value.size
    for indices in ([1], [size], [-1], [0, size], [0, 1]):
        with pytest.raises(ValueError, match=rf"the given growth must name dead entries in 0\.\.{size - 1}"):
            _given_growth(indices)


@pytest.mark.parametrize("policy", ["tdm", "static"])
def test_gradient_masks_are_lifted_before_every_epoch(policy) -> None:
    subject = regime(policy=policy)
    for parameter in subject.parameters:
        parameter.set_grad_mask(np.zeros(parameter.value.shape, dtype=bool))
    assert subject.before_epoch(1, 1, no_probe) == []
    assert all(parameter.grad_mask is None for parameter in subject.parameters)


def test_without_tdm_the_random_mask_stays() -> None:
    subject = regime(policy="static")
    before = [parameter.mask.copy() for parameter in subject.parameters]
    for task in (1, 2):
        for epoch in range(1, 7):
            assert subject.before_epoch(task, epoch, no_probe) == []
    for parameter, mask in zip(subject.parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.mask, mask)


def test_a_gradient_that_is_not_finite_stops_the_shrinking() -> None:
    subject, probe = regime(), FixedProbe()

    def broken(parameters, samples):
        current, memory = probe(parameters, samples)
        memory[1][np.unravel_index(np.flatnonzero(parameters[1].mask)[2], SHAPES[1])] = np.nan
        return current, memory

    message = r": 1 of \d+ scores by which weights leave are NaN or infinite; the training diverged"
    with pytest.raises(FloatingPointError, match=message):
        subject.before_epoch(1, 2, broken)
