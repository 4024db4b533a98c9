"""A policy that moves masks between the steps of an epoch, with DGM, DDR and resuming."""

from __future__ import annotations

import copy
import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.cost import describe, predict
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.policies import POLICIES, Action, Policy
from sparcl_ref.streams import load_dataset


class EveryThird(Policy):
    """Before every third step an eighth of the weights change places, by magnitude of weight and probe gradient."""

    title = "every third"
    by_step = True

    probes = True
    probe_samples = 20

    def actions(self, task, epoch, step=0):
        if step == 0 or step % 3:
            return ()
        s = Fraction(str(self.schedule.sparsity))
        return Action("shrink", s + Fraction(1, 8)), Action("expand", s)

    def scores(self, parameters, probe, rng):
        assert all(parameter.grad_mask is None for parameter in parameters), "a probe sees all living weights"
        current, memory = probe(parameters, self.probe_samples)
        return [np.abs(p.value) + np.abs(g) + np.abs(m) for p, g, m in zip(parameters, current, memory, strict=True)]


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setitem(POLICIES.added, "every-third", EveryThird)
    return Config(
        model="mlp", width=8, policy="every-third", sparsity=0.5, epochs=3, delta_k=1, ddr_cutoff=2, batch_size=40,
        buffer_size=30, dgm_interval=2, classes_per_task=5,
    )  # fmt: skip


def test_masks_move_where_it_says_and_keep_their_budget(config):
    trainer = build(config, load_dataset("digits"))
    moved = set()
    for event in trainer.events():
        if event.mask_changes:
            assert event.kind == "step"
            moved.add(event.step)
            assert [change.kind for change in event.mask_changes] == ["shrink", "expand"]
            assert event.mask_changes[0].count == 8
        for parameter in trainer.model.sparsifiable():
            assert parameter.active == 32
            assert (parameter.value[~parameter.mask] == 0).all()
    assert {3, 6, 9} <= moved
    assert not any(step % 3 for step in moved)


@pytest.mark.parametrize("settings", [{}, {"dgm": False}, {"profile": "released"}, {"method": "icarl"}], ids=str)
def test_what_it_costs_is_known_before(settings, config) -> None:
    config, digits = dataclasses.replace(config, **settings), load_dataset("digits")
    expected, trainer = forecast(config, digits), build(config, digits)
    for _ in trainer.events():
        pass
    table = predict(describe(trainer.model), config, [len(task.train_index) for task in trainer.stream.training]).table
    probes = trainer.ledger.table.phase_macs()["forward_probe"]
    assert probes > 0
    if expected.nominal:
        assert table.phase_macs()["forward_probe"] == pytest.approx(probes, rel=0.1)
    else:
        assert table == trainer.ledger.table


def test_it_is_resumed_between_any_two_steps(config):
    dataset = load_dataset("digits")
    straight = build(config, dataset)
    for _ in range(12):
        straight.advance()
    state = copy.deepcopy(straight.state())
    resumed = build(config, dataset)
    resumed.load_state(state)
    for trainer in (straight, resumed):
        for _ in range(10):
            trainer.advance()
    for one, other in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        np.testing.assert_array_equal(one.value, other.value)
