"""Phases of a method's own at the end of a task: their steps, one by one, in a run that may be stopped between them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import train
from sparcl_ref.cost import describe, held_memory
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.history import Cursor
from sparcl_ref.keeper import Keeper, Stopped, newest_checkpoint
from sparcl_ref.methods import METHODS, FineTuning
from sparcl_ref.methods.phases import Phase
from sparcl_ref.own_training import due_after_epochs, finish, take_step
from sparcl_ref.progress import Progress
from sparcl_ref.run_plan import Plan
from sparcl_ref.trial import tried
from tests.methods.twin import BASE, small_dataset
from tests.test_keeper import results_differ

DATASET = small_dataset()
#: Methods that train or measure at the end of a task, with few epochs of it.
PHASED: dict[str, dict[str, Any]] = {
    "gdumb": {"buffer_passes": 3},
    "packnet": {"post_prune_epochs": 2},
    "lps": {"rho_num": 2, "prune_epochs": 1, "retrain_epochs": 2},
    "ewc": {},
}


class Listed:
    """In the place of a method: notes what is called."""

    def __init__(self, phases, samples):
        self.found, self.samples, self.calls = phases, samples, []

    def phases(self, data):
        return self.found

    def begin_phase(self, data, kind):
        self.calls.append(("begin", kind))

    def phase_order(self, data, kind):
        return np.arange(self.samples)[::-1]

    def phase_step(self, data, at, part):
        self.calls.append((*at, part.tolist()))

    def end_task(self, data):
        self.calls.append("end")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=3), st.integers(1, 7))
def test_phases_are_gone_through_in_order_step_by_step(given_phases, samples) -> None:
    phases = [Phase(f"{n}", epochs, size) for n, (epochs, size) in enumerate(given_phases)]
    expected: list[Any] = []
    for phase in phases:
        expected.append(("begin", phase.kind))
        for epoch in range(1, phase.epochs + 1):
            order = list(range(samples))[::-1]
            cuts = [order[start : start + phase.batch_size] for start in range(0, samples, phase.batch_size)]
            expected += [(phase.kind, epoch, step, part) for step, part in enumerate(cuts)]
    at_once, by_step = Listed(phases, samples), Listed(phases, samples)
    finish(at_once, None)
    assert at_once.calls == [*expected, "end"]
    cursor = Cursor(epoch=9)
    cursor.due, ended = due_after_epochs(by_step, None), 0
    while cursor.due == "own_step":
        before = len(by_step.calls)
        ended += take_step(cursor, by_step, None)
        steps = [call for call in by_step.calls[before:] if call[0] != "begin"]
        assert len(steps) <= 1, "one at a time"
        assert cursor.own_epochs == ended
    assert by_step.calls == expected
    assert ended == sum(phase.epochs for phase in phases)
    assert (cursor.due, cursor.phase, cursor.own_epoch, cursor.epoch) == ("end_task", 0, 0, 9)


def events_until_own_step(config, which: int) -> int:
    """How many events there are up to the so-manieth step of a phase."""
    trainer, own = build(config, DATASET), 0
    for number in itertools.count(1):
        own += trainer.advance().kind == "own_step"
        if own == which:
            return number
    raise AssertionError


@pytest.mark.parametrize("name", PHASED)
def test_a_run_that_is_asked_to_stop_in_a_phase_saves_and_goes_on_to_the_same_result(name, tmp_path) -> None:
    config = dataclasses.replace(BASE, method=name, epochs=1, **PHASED[name])
    straight = train(config, dataset=DATASET)
    for which in (1, 2):
        directory = tmp_path / str(which)
        directory.mkdir()
        stop, count = events_until_own_step(config, which), itertools.count(1)
        with pytest.raises(Stopped):
            train(
                config, dataset=DATASET,
                keeper=Keeper(directory, 1, every=1e9, asked_to_stop=lambda c=count, s=stop: next(c) == s),
            )  # fmt: skip
        found, _ = newest_checkpoint(directory, 1)
        assert found is not None
        cursor = found[1]["trainer"]["cursor"]
        assert cursor["own_step"] or cursor["own_epoch"] > 1 or cursor["phase"], "within"
        resumed = train(config, dataset=DATASET, keeper=Keeper(directory, 1))
        assert results_differ(straight, resumed) == []


def test_own_epochs_are_counted_before_and_shown_as_they_end(tmp_path) -> None:
    for name, own in PHASED.items():
        config = dataclasses.replace(BASE, method=name, epochs=1, **own)
        events = list(build(config, DATASET).events())
        expected = forecast(config, DATASET).work
        assert sum(event.ends_own_epoch for event in events) == expected.own_epochs > 0, name
    config = dataclasses.replace(BASE, method="gdumb", epochs=1, **PHASED["gdumb"])
    plan = Plan("command", "name", 1, (), None, (config,), {})
    progress = Progress.begin(tmp_path, plan)
    stop, count = events_until_own_step(config, 4), itertools.count(1)
    keeper = dataclasses.replace(progress.keeper(1), asked_to_stop=lambda: next(count) == stop)
    with pytest.raises(Stopped):
        train(config, dataset=DATASET, keeper=keeper)
    assert Progress.resume(tmp_path, plan, force=True).own_epochs == {1: 4}  # its buffer of 13 is one batch


@pytest.mark.parametrize("name", ["packnet", "lps"])
def test_a_divergence_names_the_phase_its_step_and_the_setting(name) -> None:
    setting = {"packnet": "post_prune_lr", "lps": "prune_lr"}[name]
    config = dataclasses.replace(BASE, method=name, epochs=1, **PHASED[name] | {setting: 1e200})
    flag = "--" + setting.replace("_", "-")
    message = rf"^task 1, \w+ epoch \d, step \d: .*diverged.*; the learning rate of this phase is {flag}$"
    with pytest.raises(FloatingPointError, match=message), np.errstate(all="ignore"):
        train(config, dataset=DATASET)


def test_a_trial_times_a_sample_in_each_kind_of_step(monkeypatch) -> None:
    """A clock that ticks once for each look: a step takes one, of which a sample has its share."""
    config, ticks = dataclasses.replace(BASE, method="lps", epochs=1, **PHASED["lps"]), itertools.count()
    work = forecast(config, DATASET).work
    found = tried(config, work, DATASET, clock=lambda: float(next(ticks)))
    assert dict(work.phases) == {"admm": 3 * 2 * 30, "retraining": 3 * 2 * 30}
    assert found.phases == (1 / config.batch_size,) * 2
    plain = dataclasses.replace(found, phases=(0.0, 0.0))
    assert found.seconds(work) - plain.seconds(work) == pytest.approx(2 * 180 / config.batch_size)


def test_variables_of_the_pull_are_in_the_forecast_of_memory() -> None:
    config = dataclasses.replace(BASE, method="lps", momentum=0.0, width=16, batch_size=2)
    trainer = build(config, DATASET)
    spec = describe(trainer.model)
    memory = held_memory(spec, config, task_sizes=[30, 30, 30])
    assert memory is not None
    weights = sum(parameter.value.nbytes for parameter in trainer.method.shared)
    everything = sum(parameter.value.nbytes for parameter in trainer.model.parameters())
    assert memory.moment == "phase"
    # In task 2 z and u of weights, multipliers with their momentum, and their projection and dual variable.
    assert memory.parts["admm"] == 6 * weights
    assert memory.parts["gradients"] == everything + weights
    assert memory.parts["optimizer"] == everything
    unknown = held_memory(spec, config)
    assert unknown is not None
    assert unknown.parts["admm"] == 6 * weights


class Unphased(FineTuning):
    title = "Unphased"


def test_a_method_without_phases_ends_its_task_at_once(monkeypatch) -> None:
    monkeypatch.setitem(METHODS.added, "unphased", Unphased)
    kinds = {event.kind for event in build(dataclasses.replace(BASE, method="unphased"), DATASET).events()}
    assert "own_step" not in kinds
