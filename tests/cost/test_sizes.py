"""How many steps a run has is known before it, whatever the method mixes in and data removal takes out."""

from __future__ import annotations

import dataclasses

import pytest

from sparcl_ref.cost.sizes import policy_of, run_steps
from sparcl_ref.experiment import build
from tests.methods.test_in_a_run import SPARSE
from tests.methods.twin import BASE, small_dataset

DATASET = small_dataset()


@pytest.mark.parametrize("profile", ["paper", "released"])
@pytest.mark.parametrize("name", SPARSE)
def test_steps_of_each_epoch_are_those_of_a_run(name, profile) -> None:
    config = dataclasses.replace(BASE, **SPARSE[name], sparsity=0.5, profile=profile, batch_size=7)
    trainer, counted = build(config, DATASET), {}
    for event in trainer.events():
        if event.kind == "step":
            counted[event.task, event.epoch] = counted.get((event.task, event.epoch), 0) + 1
    sizes = [len(task.train_index) for task in trainer.stream.training]
    found = run_steps(config, sizes)
    assert {(t, e): steps for t, task in enumerate(found, 1) for e, steps in enumerate(task, 1)} == counted
    assert len({*counted.values()}) > 1  # data removal has changed them
    # The policy of the run knows as much.
    assert trainer.regime.policy.schedule.steps == policy_of(config, sizes).schedule.steps == found
    schedule, before = trainer.regime.policy.schedule, 0
    for (task, epoch), steps in sorted(counted.items()):
        of_task = sum(count for (t, _), count in counted.items() if t == task)
        in_task = sum(count for (t, e), count in counted.items() if t == task and e < epoch)
        for step in (0, steps - 1):
            assert schedule.progress(task, epoch, step, once=True) == (before + step, sum(counted.values()))
            assert schedule.progress(task, epoch, step, once=False) == (in_task + step, of_task)
        before += steps
