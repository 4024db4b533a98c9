"""The closed form against a loop over every step, and against what real runs record."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.cost import (
    FlopLedger,
    MacTable,
    describe,
    describe_model,
    pass_macs,
    predict,
)
from sparcl_ref.cost.sizes import clipped_ramp, epoch_sizes
from sparcl_ref.experiment import build
from sparcl_ref.masks import budget
from sparcl_ref.methods import ER, METHODS, Passes
from sparcl_ref.streams import Dataset
from tests import strategies as own

SPEC = describe_model("convnet", input_shape=(1, 8, 8), classes=4, width=6)
DRAWS = {"sgd": 0, "joint": 0, "er": 1, "der": 1, "derpp": 2}


class StepByStep:
    """Goes through a run event by event, holding counts where a run holds masks; uniform budgets only."""

    def __init__(self, config: Config):
        self.config = config
        self.table = MacTable()
        self.presented = 0
        self.alive = self.trained = {layer.name: layer.weights for layer in SPEC.layers}
        if config.sparse:
            self.set_sparsity(Fraction(str(config.sparsity)))

    def set_sparsity(self, sparsity: Fraction) -> None:
        density = 1 - min(max(sparsity, Fraction(0)), Fraction(1))
        self.alive = {
            layer.name: math.floor(density * layer.weights + Fraction(1, 2)) if layer.sparsifiable else layer.weights
            for layer in SPEC.layers
        }
        self.trained = self.alive

    def choose_gradients(self) -> None:
        s = Fraction(str(self.config.sparsity))
        density = 1 - (s + (1 - s) / 5)
        self.trained = {
            layer.name: min(self.alive[layer.name], math.floor(density * layer.weights + Fraction(1, 2)))
            if layer.sparsifiable
            else layer.weights
            for layer in SPEC.layers
        }
        self.score()

    def score(self) -> None:
        alive = sum(self.alive[layer.name] for layer in SPEC.layers if layer.sparsifiable)
        self.table.overhead_macs["mask_updates"] += 2 * alive

    def passing(self, kind: str, samples: int) -> None:
        costs = {
            layer.name: pass_macs(layer, active=self.alive[layer.name], grad_active=self.trained[layer.name])
            for layer in SPEC.layers
        }
        self.table.add_pass(kind, costs, samples)

    def shrink(self, sparsity: Fraction, remaining: int) -> None:
        if self.config.policy_settings.importance in ("cwi", "negated_cwi"):
            buffered = min(self.presented, self.config.buffer_size) if DRAWS[self.config.method] else 0
            for _ in range(min(self.config.policy_settings.importance_samples, remaining) + buffered):
                self.passing("probe", 1)
            self.score()
        self.set_sparsity(sparsity)

    def mask_actions(self, task: int, epoch: int, remaining: int) -> None:
        config = self.config
        s = Fraction(str(config.sparsity))
        if config.policy != "tdm" or s == 0:
            return
        if task > 1 and epoch == 1 and config.policy_settings.p_inter > 0:
            self.set_sparsity(s - Fraction(str(config.policy_settings.p_inter)))
        if epoch % config.delta_k == 0:
            self.shrink(s + Fraction(str(config.policy_settings.p_intra)), remaining)
            self.set_sparsity(s)

    def step(self, iteration: int, batch: int) -> None:
        config = self.config
        refresh = config.sparse and config.dgm and iteration % config.dgm_interval == 0
        if refresh:
            self.trained = self.alive
        self.passing("current", batch)
        drawn = batch_of_replay = min(self.presented, config.buffer_size)
        batch_of_replay = min(drawn, config.replay_batch_size or config.batch_size)
        for _ in range(DRAWS[config.method]):
            self.passing("replay", batch_of_replay)
        if refresh:
            self.choose_gradients()
        extra = bool(config.momentum) + bool(config.weight_decay)
        moving = self.alive if extra else self.trained
        dense = SPEC.parameters - sum(layer.weights for layer in SPEC.layers)
        self.table.overhead_macs["optimizer"] += (1 + extra) * (dense + sum(moving.values()))
        self.presented += batch

    def run(self, sizes: list[int]) -> None:
        config = self.config
        for task, size in enumerate(sizes, start=1):
            remaining = size
            for epoch in range(1, config.epochs + 1):
                if config.sparse:
                    self.trained = self.alive
                    self.mask_actions(task, epoch, remaining)
                for iteration, start in enumerate(range(0, remaining, config.batch_size)):
                    self.step(iteration, min(config.batch_size, remaining - start))
                stage, rest = divmod(epoch, config.delta_k)
                if config.sparse and config.ddr and rest == 0 and stage <= config.ddr_cutoff and epoch < config.epochs:
                    gone = Fraction(str(config.ddr_rho)) * size * stage / config.ddr_cutoff
                    remaining = size - math.floor(gone + Fraction(1, 2))


@given(own.run_configs(budgets="uniform", mix=""), own.task_sizes())
def test_closed_form_equals_step_by_step(config, sizes):
    sizes = sizes[:1] if config.method == "joint" else sizes
    oracle = StepByStep(config)
    oracle.run(sizes)
    prediction = predict(SPEC, config, sizes)
    assert prediction.table.phase_macs() == oracle.table.phase_macs()
    assert prediction.table.overhead_macs == oracle.table.overhead_macs
    assert prediction.table == oracle.table
    assert not prediction.nominal


def dataset(sizes: list[int], seed: int = 0) -> Dataset:
    """Noise with two classes a task, and as many samples for each task as asked for."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate(
        [2 * task + np.arange(size) % 2 for task, size in enumerate(sizes)] + [np.zeros(0, dtype=int)]
    )
    images = rng.integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
    test_y = np.arange(2 * len(sizes))
    test_x = rng.integers(0, 256, (len(test_y), 1, 4, 4), dtype=np.uint8)
    return Dataset(name="noise", train_x=images, train_y=labels, test_x=test_x, test_y=test_y)


@settings(max_examples=25)
@given(
    own.run_configs(model="mlp", width=6, classes_per_task=2, lr=1e-3),
    st.lists(st.integers(12, 30), min_size=1, max_size=3),
)
@example(
    Config(model="mlp", width=5, sparsity=0.8, epochs=5, delta_k=2, batch_size=8, buffer_size=11, dgm_interval=2),
    [20, 25],
)
# With delta_k = 1 removal and mask action meet in one epoch: the probe still sees the samples about to leave.
@example(
    Config(
        model="mlp", width=5, sparsity=0.5, epochs=4, delta_k=1, p_inter=0, batch_size=5, buffer_size=9, lr=1e-3,
        mix="remove_after_mask_update=released", ddr_rho=0.8, ddr_cutoff=2,
    ),
    [20, 25],
)  # fmt: skip
# Removals truncated stage by stage: of 20 samples 9 are to go, 4 after each of two stages, of 25 samples 11, 5 each.
@example(
    Config(
        model="mlp",
        width=5,
        sparsity=0.5,
        epochs=6,
        delta_k=2,
        batch_size=5,
        buffer_size=9,
        lr=1e-3,
        mix="ddr_sizes=released,ddr_keep=released,drop_last=released,ddr_score=released",
        ddr_rho=0.45,
        ddr_cutoff=2,
    ),
    [20, 25],
)
def test_predicted_equals_recorded(config, sizes):
    # A task that data removal leaves smaller than a batch has no step to take once partial batches are dropped.
    assume(not config.rules.drop_last or min(epoch_sizes(min(sizes), config)) >= config.batch_size)
    assume(config.sparsity is None or budget(config.width**2, config.sparsity))  # else it is refused
    trainer = build(config, dataset(sizes))
    prediction = predict(describe(trainer.model), config, [len(task.train_index) for task in trainer.stream.training])
    for _ in trainer.events():
        pass
    assert prediction.table.macs == trainer.ledger.table.macs
    assert prediction.table.overhead_macs == trainer.ledger.table.overhead_macs
    assert prediction.train_flops == trainer.ledger.train_flops > 0
    assert prediction.steps == trainer.cursor.updates


@pytest.mark.parametrize("budgets", ["uniform", "erk", "global"])
def test_predicted_equals_recorded_where_layers_differ(budgets):
    """Two sparsifiable layers of different shape; global budgets may end elsewhere, and the prediction says so."""
    config = Config(
        model="convnet", width=8, sparsity=0.7, epochs=4, delta_k=2, batch_size=16, buffer_size=20, budgets=budgets
    )
    config = dataclasses.replace(config, dgm_interval=3, ddr_cutoff=1, importance_samples=24)
    trainer = build(config, dataset([40, 30]))
    prediction = predict(describe(trainer.model), config, [len(task.train_index) for task in trainer.stream.training])
    for _ in trainer.events():
        pass
    recorded = trainer.ledger.table
    assert prediction.nominal == (budgets == "global")
    if budgets != "global":
        assert prediction.table == recorded
    else:
        # As many weights live in all, in layers whose positions differ by a factor of 4.
        assert recorded.macs["forward_current"]["conv1"] == prediction.table.macs["forward_current"]["conv1"]
        assert 0.25 < recorded.train_macs / prediction.table.train_macs < 4


@given(st.integers(0, 50), st.integers(0, 60), st.integers(1, 9), st.integers(0, 20))
def test_clipped_ramp(limit, start, stride, count):
    assert clipped_ramp(limit, start, stride, count) == sum(min(limit, start + k * stride) for k in range(count))


def test_published_data_fraction():
    config = Config(sparsity=0.75, epochs=50)
    sizes = epoch_sizes(10_000, config)
    assert sizes[::5] == [10_000, 9250, 8500, 7750, *[7000] * 6]
    assert sum(sizes) == 50 * 7750
    assert epoch_sizes(10_000, dataclasses.replace(config, ddr=False)) == [10_000] * 50
    released = dataclasses.replace(config, profile="released", epochs=6, delta_k=2, ddr_cutoff=2)
    assert epoch_sizes(64, released) == [64, 64, 55, 55, 46, 46]
    assert epoch_sizes(10_000, dataclasses.replace(config, sparsity=None)) == [10_000] * 50


def test_tasks_without_samples_are_refused():
    for sizes in ([], [4, 0]):
        with pytest.raises(ValueError, match="expected at least one task of at least 1 sample"):
            predict(SPEC, Config(), sizes)


def test_predictions_say_when_they_are_nominal():
    sparse = Config(sparsity=0.9)
    assert not predict(SPEC, sparse, [20]).nominal
    assert not predict(SPEC, Config(profile="released"), [20]).nominal  # dense: no masks
    for change in ({"budgets": "global"}, {"profile": "released"}, {"structure": "filter"}, {"mix": "grow=released"}):
        assert predict(SPEC, dataclasses.replace(sparse, **change), [20]).nominal, change


class Counting(ER):
    """ER that computes beside its batches: something of each task before and after it, and of its buffer each epoch."""

    title = "counting"

    @classmethod
    def passes(cls, settings, occasion):
        if occasion.moment == "begin_task":
            yield Passes("recording", occasion.samples, backward=False)
        elif occasion.moment == "end_task":
            yield Passes("fisher", occasion.samples)
        else:
            yield Passes("recall", occasion.held, backward=False)

    def begin_task(self, data):
        self.on_pass("recording", len(data.task.train_index), backward=False)
        self.on_pass("recall", len(self.buffer), backward=False)

    def end_task(self, data):
        self.on_pass("fisher", len(data.task.train_index))


@pytest.mark.parametrize("sparsity", [None, 0.9])
def test_a_methods_own_passes_are_predicted_as_they_are_recorded(monkeypatch, sparsity):
    monkeypatch.setitem(METHODS.added, "counting", Counting)
    config = Config(
        method="counting", model="convnet", width=6, sparsity=sparsity, epochs=1, delta_k=5, ddr=False,
        policy="static", buffer_size=9, batch_size=5,
    )  # fmt: skip
    trainer = build(config, dataset([20, 30]))
    prediction = predict(describe(trainer.model), config, [20, 30])
    for _ in trainer.events():
        pass
    recorded = trainer.ledger.table.phase_macs()
    assert {phase.partition("_")[2] for phase in recorded} == {
        "current", "replay", "probe", "recording", "recall", "fisher",
    }  # fmt: skip
    assert prediction.table == trainer.ledger.table
    assert recorded["dw_recording"] == recorded["dx_recall"] == 0 < recorded["dw_fisher"]
    assert prediction.pass_samples == 20 + 30 + (20 + 30) + 9 + sum(
        passes.samples for plan in prediction.epochs for passes, _ in plan.passes
    )


def test_a_fresh_ledger_has_spent_nothing():
    assert FlopLedger().train_flops == 0
