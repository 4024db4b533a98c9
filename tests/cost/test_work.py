"""How often a run does what takes time, foretold and counted."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from sparcl_ref import trainer as trainer_module
from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.masks import exact
from sparcl_ref.policies import POLICIES, Action, Policy
from sparcl_ref.streams import load_dataset

BASE = Config(
    model="mlp", width=8, epochs=4, delta_k=2, ddr_cutoff=1, batch_size=16, buffer_size=20, sparsity=0.5, dgm_interval=7
)


class Restless(Policy):
    """Moves at the second epoch's begin and every fifth step, in two ways."""

    title = "Restless"
    by_step = True

    def actions(self, task, epoch, step=0):
        s = exact(self.schedule.sparsity)
        if epoch == 2 and step == 0:
            return Action("expand", s - exact(0.1)), Action("shrink", s)
        return (Action("shrink", s),) if step % 5 == 4 else ()


CASES = {
    "tdm": {},
    "released": {"profile": "released"},
    "static": {"policy": "static"},
    "no dgm": {"dgm": False},
    "no ddr": {"ddr": False},
    "by steps": {"policy": "restless"},
    "dense": {"sparsity": None, "method": "er"},
    "joint": {"sparsity": None, "method": "joint"},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_amounts_are_those_of_a_run(changes, monkeypatch) -> None:
    monkeypatch.setitem(POLICIES.added, "restless", Restless)
    config, digits = dataclasses.replace(BASE, **changes), load_dataset("digits")
    counted, kinds = Counter[str](), Counter[tuple[str, ...]]()
    measure = trainer_module.accuracy_rows

    def evaluated(*arguments):
        counted["evaluations"] += 1
        return measure(*arguments)

    monkeypatch.setattr(trainer_module, "accuracy_rows", evaluated)
    trainer = build(config, digits)
    if trainer.regime is not None:
        chosen = trainer.regime.after_backward

        def refreshed(*arguments):
            done = chosen(*arguments)
            counted["refreshes"] += done
            return done

        monkeypatch.setattr(trainer.regime, "after_backward", refreshed)
    while not trainer.done:
        event = trainer.advance()
        counted["steps"] += event.kind == "step"
        if event.mask_changes:
            kinds[tuple(change.kind for change in event.mask_changes)] += 1
    work = forecast(config, digits).work
    assert {key: getattr(work, key) for key in ("steps", "refreshes", "evaluations")} == {
        key: counted[key] for key in ("steps", "refreshes", "evaluations")
    }
    assert sorted(count for _, count in work.adjustments) == sorted(kinds.values())
    policy = config.make_policy()
    named = {tuple(action.kind for action in policy.actions(*first)): count for first, count in work.adjustments}
    assert named == dict(kinds)
    assert (work.own_samples, work.own_forwards) == ((), 0)
