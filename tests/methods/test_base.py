"""What methods are given: samples of a task by position, gradients of all living weights, and a network drawn anew."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.cost import describe, held_memory
from sparcl_ref.cost.predict import predict
from sparcl_ref.experiment import build
from sparcl_ref.layers import Parameter
from sparcl_ref.methods import METHODS, FineTuning, TaskData
from sparcl_ref.methods.base import all_living
from sparcl_ref.optimizers import sgd_update
from sparcl_ref.streams import split
from tests import tiny
from tests.methods.twin import BASE, small_dataset

DATASET = small_dataset(classes=4, each=7)
STREAM = split(DATASET, classes_per_task=2, class_order=(2, 0, 3, 1))


@given(st.lists(st.integers(0, 13), max_size=9), st.integers(1, 20))
def test_samples_of_a_task_are_taken_by_their_positions(positions, size) -> None:
    task = STREAM.training[1]
    data = TaskData(task, DATASET, np.float64, tasks=2, batch_size=4)
    taken = data.take(np.array(positions, dtype=int))
    index = task.train_index[positions]
    np.testing.assert_array_equal(taken.images, DATASET.train_x[index])
    np.testing.assert_array_equal(taken.labels, DATASET.train_y[index])
    np.testing.assert_array_equal(taken.x, DATASET.normalise(DATASET.train_x[index], np.float64))
    assert taken.positions.tolist() == positions
    assert (taken.task, taken.classes) == (2, (3, 1))
    batches = list(data.batches(size))
    assert np.concatenate([batch.positions for batch in batches]).tolist() == list(range(len(data))) == list(range(14))
    assert max(len(batch.labels) for batch in batches) == min(size, 14)


@pytest.mark.parametrize("sparsity", [None, 0.5])
def test_batches_of_a_run_know_their_positions(sparsity) -> None:
    """Also after data removal: positions are those of the whole task."""
    config = dataclasses.replace(BASE, method="er", sparsity=sparsity, epochs=4)
    trainer, seen = build(config, DATASET), []
    observe = trainer.method.observe
    trainer.method.observe = lambda batch, **how: seen.append(batch) or observe(batch, **how)
    for event in trainer.events():
        if event.kind == "step":
            task = trainer.stream.training[event.task - 1]
            np.testing.assert_array_equal(task.train_index[seen[-1].positions], event.indices)
    assert len(seen) == trainer.cursor.updates


def test_gradient_masks_are_lifted_for_a_while() -> None:
    net, rng = tiny.network(batchnorm=False), np.random.default_rng(0)
    masks = []
    for parameter in net.sparsifiable():
        tiny.restrict(parameter, rng)
        parameter.set_grad_mask(parameter.mask & (rng.random(parameter.value.shape) < 0.5))
        masks.append(parameter.grad_mask.copy())

    def lifted() -> None:
        with all_living(net):
            for parameter in net.sparsifiable():
                assert parameter.grad_mask is None
                np.testing.assert_array_equal(parameter.effective_grad_mask, parameter.mask)
            raise KeyError

    with pytest.raises(KeyError):
        lifted()
    for parameter, mask in zip(net.sparsifiable(), masks, strict=True):
        np.testing.assert_array_equal(parameter.grad_mask, mask)


@pytest.mark.parametrize("profile", ["paper", "released"])
def test_a_fresh_network_is_drawn_by_the_runs_rules(profile) -> None:
    trainer = build(dataclasses.replace(BASE, method="sgd", profile=profile), DATASET)
    drawn = [trainer.model.state_dict()["conv2.weight"]]
    for _ in range(2):
        trainer.method.fresh(trainer.model, np.random.default_rng(5))
        drawn.append(trainer.model.state_dict()["conv2.weight"])
    np.testing.assert_array_equal(drawn[1], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])
    bound = np.sqrt(1 / np.prod(drawn[1].shape[1:]))
    assert (np.abs(drawn[1]).max() > bound) == (profile == "paper")  # a normal has tails, PyTorch's uniform has none


def test_a_method_that_says_nothing_holds_nothing_and_merges_nothing() -> None:
    method = FineTuning(tiny.network(batchnorm=False))
    assert method.merged().tolist() == []
    assert not method.after_update(None, None)
    for name in tuple(METHODS)[:5]:
        kind = METHODS[name]
        settings = kind.Settings()
        assert not kind.archive_bytes(settings, None)
        assert not kind.by_chance(settings)
        assert not kind.updates_again(settings)
        assert (kind.fills, kind.learns, kind.merges, kind.own_head) == ("steps", True, False, False)


class Slopes(FineTuning):
    """Fine-tuning beside three numbers that descend on slopes of 1, 2 and 3."""

    title = "Slopes"

    def __init__(self, *args, **rest):
        super().__init__(*args, **rest)
        self.numbers = Parameter("slopes", np.ones(3))

    @classmethod
    def own_entries(cls, settings, extent):
        return 3

    def own_parameters(self):
        return [self.numbers]

    def observe(self, batch, *, draws=None):
        step = super().observe(batch, draws=draws)
        self.numbers.grad[...] = (1, 2, 3)
        return step

    def state(self):
        return {"numbers": self.numbers.value.copy()}

    def load_state(self, state):
        self.numbers.value[...] = state["numbers"]


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.0, "weight_decay": 0.0}], ids=["momentum", "plain"])
def test_parameters_of_a_methods_own_are_updated_counted_and_resumed(monkeypatch, settings) -> None:
    monkeypatch.setitem(METHODS.added, "slopes", Slopes)
    config = dataclasses.replace(BASE, method="slopes", epochs=1, **settings)
    trainer, resumed = build(config, DATASET), build(config, DATASET)
    while trainer.cursor.updates < 3:
        trainer.advance()
    resumed.load_state(pickle.loads(pickle.dumps(trainer.state())))
    for run in (trainer, resumed):
        for _ in run.events():
            pass
    # By the rule of the optimiser, from its start.
    value, speed = np.ones(3), None
    decay = {"momentum": config.momentum, "weight_decay": config.weight_decay}
    for _ in range(trainer.cursor.updates):
        value, speed = sgd_update(value, np.array([1.0, 2.0, 3.0]), speed, lr=config.lr, **decay)
    np.testing.assert_array_equal(trainer.method.numbers.value, value)
    np.testing.assert_array_equal(resumed.method.numbers.value, value)
    sizes = [len(task.train_index) for task in trainer.stream.training]
    spec = describe(trainer.model)
    assert predict(spec, config, sizes).table == trainer.ledger.table == resumed.ledger.table
    without = dataclasses.replace(config, method="sgd")
    held = [held_memory(spec, one, task_sizes=sizes).moments["update"] for one in (config, without)]
    assert held[0] - held[1] == 3 * 8 * (2 if config.momentum else 1)
