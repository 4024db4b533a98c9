"""A trial takes a few events of a run, prices the whole of it by them, and cannot harm the run."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import sys

import numpy as np
import pytest

from sparcl_ref import memory, streams, trial
from sparcl_ref.config import Config
from sparcl_ref.cost.work import Work
from sparcl_ref.forecast import forecast
from sparcl_ref.methods import METHODS, FineTuning, Passes
from sparcl_ref.streams import Dataset, load_dataset
from sparcl_ref.trial import Trial, trials, tried
from sparcl_ref.workers import WorkerDiedError

SMALL = Config(model="mlp", width=8, epochs=4, delta_k=2, batch_size=16, buffer_size=50, sparsity=0.5, ddr_cutoff=1)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def test_the_whole_is_the_sum_of_its_parts() -> None:
    work = Work(
        steps=100, refreshes=10, evaluations=6, adjustments=(((1, 2, 0), 3), ((2, 1, 0), 2)),
        own_samples=((16, 50),), own_forwards=40,
    )  # fmt: skip
    parts = Trial(
        start=1000.0, step=1.0, refresh=2.0, evaluation=5.0, adjustments=(7.0, 11.0),
        own_samples=(0.5,), own_forward=0.25,
    )  # fmt: skip
    assert parts.seconds(work) == 1000 + 90 * 1 + 10 * 2 + 6 * 5 + 3 * 7 + 2 * 11 + 25 + 10
    assert dataclasses.replace(parts, failure="no").seconds(work) is None


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"profile": "released"}, {"policy": "static"}, {"sparsity": None}, {"method": "joint", "sparsity": None},
        {"method": "sgd", "sparsity": None}, {"batch_size": 200, "ddr": False}, {"buffer_size": 10**6},
    ],
    ids=str,
)  # fmt: skip
def test_each_event_is_timed_by_the_clock(digits, changes) -> None:
    """A clock that ticks once for each look at it: whatever was timed takes one."""
    config, ticks = dataclasses.replace(SMALL, **changes), itertools.count()
    work = forecast(config, digits).work
    found = tried(config, work, digits, clock=lambda: float(next(ticks)))
    assert found.step == 1
    assert found.start == 1
    assert found.refresh == (1 if work.refreshes else 0)
    assert found.adjustments == (1,) * len(work.adjustments)
    # All test images, of which 72 are of one task; each costs a 72nd of a tick.
    largest = max(np.sum(np.isin(digits.test_y, [2 * task, 2 * task + 1])) for task in range(5))
    assert found.evaluation == pytest.approx(len(digits.test_y) / largest)
    assert found.weights_bytes > 0
    assert found.state_bytes > 0


class Asks(FineTuning):
    title = "Asks"

    @classmethod
    def passes(cls, settings, occasion):
        if occasion.moment == "end_task":
            yield Passes("own", 8)
            yield Passes("single", 2, at_once=1)
            yield Passes("own", 5, backward=False)


def test_what_a_method_does_beside_its_steps_is_priced(digits, monkeypatch) -> None:
    monkeypatch.setitem(METHODS.added, "asks", Asks)
    config, ticks = dataclasses.replace(SMALL, method="asks", sparsity=None), itertools.count()
    work = forecast(config, digits).work
    assert (work.own_samples, work.own_forwards) == (((16, 40), (1, 10)), 25)
    found = tried(config, work, digits, clock=lambda: float(next(ticks)))
    plain = tried(dataclasses.replace(config, method="sgd"), work, digits, clock=lambda: float(next(ticks)))
    assert found.own_samples == (1 / 16, 1)
    assert found.own_forward == plain.own_forward == pytest.approx(plain.evaluation / len(digits.test_y))


def test_a_learning_rate_that_would_diverge_does_not_end_a_trial(digits) -> None:
    config = dataclasses.replace(SMALL, lr=1e30)
    assert not tried(config, forecast(config, digits).work, digits).failure


class Broken(FineTuning):
    title = "Broken"

    def observe(self, batch, *, draws=None):
        raise RuntimeError("no such luck")


def test_a_trial_that_fails_says_why_and_others_go_on(digits, monkeypatch) -> None:
    monkeypatch.setitem(METHODS.added, "broken", Broken)
    good = dataclasses.replace(SMALL, sparsity=None)
    configs = [dataclasses.replace(good, method="broken"), good]
    ready, (bad, fine) = trials(configs, [forecast(config, digits).work for config in configs], threads=1)
    assert ready > 0
    assert bad.failure == "no such luck"
    assert fine.seconds(forecast(good, digits).work) > 0


def gone() -> Dataset:
    if multiprocessing.parent_process() is not None:
        os._exit(3)
    return load_dataset("digits")


def test_a_trial_that_dies_is_reported(digits, monkeypatch) -> None:
    monkeypatch.setitem(streams.DATASETS.added, "gone", gone)
    config = dataclasses.replace(SMALL, dataset="gone")
    with pytest.raises(WorkerDiedError, match="a trial of the runs: a worker process died without an answer"):
        trials([config], [forecast(config, digits).work], threads=1)


def test_a_trial_leaves_no_process_behind(digits) -> None:
    before = set(multiprocessing.active_children())
    trials([SMALL], [forecast(SMALL, digits).work], threads=1)
    assert set(multiprocessing.active_children()) <= before


def test_a_full_buffer_holds_what_a_run_can_hold(digits) -> None:
    for size in (50, 10**5):
        config = dataclasses.replace(SMALL, buffer_size=size)
        trainer = trial.build(config, digits)
        trial.fill_buffer(trainer)
        assert len(trainer.buffer.content().labels) == min(size, len(digits.train_y))


def test_steps_are_timed_with_a_full_buffer(digits, monkeypatch) -> None:
    held, timed = [], trial.step_seconds

    def watched(trainer, *rest):
        held.append(len(trainer.buffer.content().labels))
        return timed(trainer, *rest)

    monkeypatch.setattr(trial, "step_seconds", watched)
    config = dataclasses.replace(SMALL, buffer_size=1000)
    tried(config, forecast(config, digits).work, digits)
    assert held == [1000]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process forget its peak")
def test_the_peak_is_what_was_held_since_it_was_forgotten() -> None:
    size = 200_000_000
    memory.forget_peak()
    before = memory.peak_bytes()
    held = np.ones(size, np.uint8)
    assert before + 0.9 * size < memory.peak_bytes() < before + 1.1 * size
    del held
    memory.forget_peak()
    assert memory.peak_bytes() < before + 0.1 * size


def test_where_the_system_keeps_no_status_the_peak_is_the_processes(monkeypatch, tmp_path) -> None:
    known = memory.peak_bytes()
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "none" / "none")
    memory.forget_peak()
    assert 0.5 * known < memory.peak_bytes() < 20 * known
