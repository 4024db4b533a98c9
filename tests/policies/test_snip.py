"""SNIP: what the first batch keeps, with and without ratios for each layer, and that it is spent."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.policies.snip import connection_sensitivity
from tests.methods.twin import BASE, small_dataset
from tests.policies.twin import ALONE, REGIMES, SparseTwin, assert_equal_for_30_steps, largest


class TorchSNIP(SparseTwin):
    """|w dL/dw| by autograd, ranked in each layer or in all together."""

    spends = True

    def first(self, name):
        return torch.ones(self.parameters[name].value.size, dtype=torch.bool)

    def due(self, task, epoch, step):
        return True if (task, epoch, step) == (1, 1, 0) else None

    def change(self, what, grads):
        scores = {name: (self.flat(name) * grads[name]).abs() for name in self.names}
        if self.config.budgets == "uniform":
            return {
                name: largest(s, torch.ones_like(s).bool(), self.living(self.s, name)) for name, s in scores.items()
            }
        joined = torch.cat(list(scores.values()))
        count = int((1 - self.s) * joined.numel() + 1 / 2)
        chosen = largest(joined, torch.ones_like(joined).bool(), count)
        parts = torch.split(chosen, [s.numel() for s in scores.values()])
        return dict(zip(self.names, parts, strict=True))


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
@pytest.mark.parametrize("own", [{}, {"budgets": "global", "method": "er", "sparsity": 0.7}], ids=str)
def test_it_trains_as_its_twin(own, regime) -> None:
    twin = assert_equal_for_30_steps(TorchSNIP, policy="snip", **own | regime)
    assert twin.changes == 1


@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
def test_the_most_sensitive_stay(size, seed, data) -> None:
    rng = np.random.default_rng(seed)
    weight, gradient = rng.integers(-3, 4, size) / 2.0, rng.integers(-3, 4, size) / 2.0
    policy, active = Config(sparsity=0.5, policy="snip").make_policy(), data.draw(st.integers(0, size))
    scores = connection_sensitivity(weight, gradient)
    kept = policy.drop(np.ones(size, bool), weight, scores, active=active, sparsity=policy.initial_sparsity)
    ranked = sorted(range(size), key=lambda place: (-abs(weight[place]) * abs(gradient[place]), place))
    np.testing.assert_array_equal(np.flatnonzero(kept), sorted(ranked[:active]))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_the_batch_is_spent_and_masks_never_change_again(engine) -> None:
    trainer = build(dataclasses.replace(BASE, policy="snip", sparsity=0.5, engine=engine), small_dataset())
    while trainer.cursor.due != "step":
        trainer.advance()
    assert [parameter.active for parameter in trainer.model.sparsifiable()] == [72, 144]
    values = {parameter.name: parameter.value.copy() for parameter in trainer.model.parameters()}
    event = trainer.advance()
    assert [change.count for change in event.mask_changes] == [36 + 72]
    masks = {parameter.name: parameter.mask.copy() for parameter in trainer.model.sparsifiable()}
    for parameter in trainer.model.parameters():
        alive = masks.get(parameter.name, np.ones(parameter.value.shape, bool))
        assert parameter.value[alive].tobytes() == values[parameter.name][alive].tobytes()
    assert len(trainer.buffer) == len(event.indices)  # for rehearsal it is a batch as any other
    for event in trainer.events():
        assert event.mask_changes == []
    for parameter in trainer.model.sparsifiable():
        np.testing.assert_array_equal(parameter.mask, masks[parameter.name])


def test_a_layer_without_weights_ends_the_run_and_is_named() -> None:
    config = dataclasses.replace(BASE, policy="snip", sparsity=0.995, budgets="global", **ALONE)
    trainer = build(config, small_dataset())
    # Nothing of this sparse layer matters. Budgets of layers that leave one none are refused before.
    trainer.model.sparsifiable()[0].value[...] *= 1e-200
    with pytest.raises(
        ValueError, match=r"SNIP leaves no weight of conv2\.weight alive at sparsity 0\.995.* choose a lower --sparsity"
    ):
        for _ in trainer.events():
            pass


def test_at_sparsity_0_there_is_nothing_to_choose() -> None:
    assert Config(policy="snip", sparsity=0).make_policy().actions(1, 1) == ()
    assert len(Config(policy="snip", sparsity=0.1).make_policy().actions(1, 1)) == 1


def test_names_of_runs() -> None:
    assert Config(sparsity=0.95, policy="snip", **ALONE).title == "SNIP-DER++ .95 (no DDR, no DGM)"
    assert Config(sparsity=0.95, policy="snip", budgets="global").title == "SNIP-DER++ .95 (global)"


def test_it_needs_gradients_of_steps() -> None:
    with pytest.raises(
        ValueError, match="--policy snip goes by the gradient of a step, and --method gdumb computes no"
    ):
        Config(sparsity=0.5, policy="snip", method="gdumb")
