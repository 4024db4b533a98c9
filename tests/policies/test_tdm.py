"""TDM as a policy: it acts as Algorithm 1 says, ranks by the rule of its setting, and says what it asks for."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.layers import Parameter
from tests import strategies as own


def parameters(seed: int) -> list[Parameter]:
    rng = np.random.default_rng(seed)
    found = [Parameter(f"w{number}", rng.standard_normal((4, 3)), sparsifiable=True) for number in range(2)]
    for parameter in found:
        parameter.set_mask(rng.random((4, 3)) < 0.7)
    return found


@given(own.sparsities(max_value=0.99), st.integers(1, 3), st.integers(2, 4), st.sampled_from([0, 0.01, 0.15]))
def test_it_acts_before_epochs_as_the_algorithm_says(sparsity, task, delta_k, p_inter) -> None:
    config = Config(sparsity=sparsity, epochs=8, delta_k=delta_k, p_inter=p_inter, p_intra=0.02)
    policy = config.make_policy()
    for epoch in range(1, 9):
        found = policy.actions(task, epoch)
        reached = [action.sparsity for action in found][-1:]
        s = Fraction(str(sparsity))
        if sparsity == 0:
            assert found == ()
        elif epoch % delta_k == 0:
            assert [action.kind for action in found] == ["shrink", "expand"]
            assert reached == [s]
        elif task > 1 and epoch == 1 and p_inter:
            assert [action.kind for action in found] == ["expand"]
            assert reached == [max(s - Fraction(str(p_inter)), Fraction(0))]
        else:
            assert found == ()
        assert policy.actions(task, epoch, 1) == ()


@pytest.mark.parametrize("importance", ["cwi", "negated_cwi", "magnitude", "random"])
@pytest.mark.parametrize("profile", ["paper", "released"])
def test_scores_are_those_of_the_setting_and_probes_are_announced(importance, profile) -> None:
    policy = Config(sparsity=0.5, profile=profile, importance=importance, importance_samples=7).make_policy()
    weights, asked = parameters(0), []
    grads = [np.full(p.value.shape, 0.25 * (index + 1)) for index, p in enumerate(weights)]

    def probe(some, samples):
        asked.append(samples)
        return grads, [2 * grad for grad in grads]

    scores = policy.scores(weights, probe, np.random.default_rng(3))
    assert asked == ([7] if policy.probes else [])
    assert policy.probes == (profile == "paper" and "cwi" in importance)
    rng = np.random.default_rng(3)
    for parameter, grad, score in zip(weights, grads, scores, strict=True):
        magnitude = np.abs(parameter.value)
        cwi = magnitude + 0.5 * grad + 2 * grad if profile == "paper" else magnitude + 0.5 * np.abs(parameter.grad)
        expected = {"cwi": cwi, "negated_cwi": -cwi, "magnitude": magnitude, "random": rng.random(magnitude.shape)}
        np.testing.assert_allclose(score, expected[importance], rtol=1e-15)


@pytest.mark.parametrize("structure", ["irregular", "filter", "pattern"])
@pytest.mark.parametrize("policy", ["tdm", "static"])
def test_a_policy_can_be_sent_to_another_process(policy, structure) -> None:
    made = Config(sparsity=0.5, policy=policy, structure=structure, mix="freeze=released").make_policy()
    again = pickle.loads(pickle.dumps(made))
    weight = np.random.default_rng(0).standard_normal((8, 6, 3, 3))
    masks = [
        policy.init(weight, np.random.default_rng(1), active=216, sparsity=Fraction(1, 2)) for policy in (made, again)
    ]
    np.testing.assert_array_equal(*masks)
    assert again.settings == made.settings
    assert again.rules.freeze == made.rules.freeze


def test_the_sparsity_while_most_weights_live() -> None:
    assert Config(sparsity=0.9, p_inter=0.02).make_policy().least_sparsity == Fraction(88, 100)
    assert Config(sparsity=0.9, policy="static").make_policy().least_sparsity == Fraction(9, 10)
    assert Config(sparsity=0).make_policy().least_sparsity == 0
