"""Checkpoints of a run: when they are written, which is used, and what is said of one that is damaged or foreign."""

from __future__ import annotations

import dataclasses
import os
import shutil

import numpy as np
import pytest

from sparcl_ref import durable, keeper
from sparcl_ref.config import Config
from sparcl_ref.experiment import build, train
from sparcl_ref.keeper import CannotResumeError, Keeper, Stopped, checkpoints, newest_checkpoint, stored_result
from sparcl_ref.streams import Dataset

CONFIG = Config(
    model="mlp", width=4, classes_per_task=2, epochs=2, delta_k=2, batch_size=10, buffer_size=8, method="derpp",
    sparsity=0.5, importance_samples=10,
)  # fmt: skip


#: Two epochs are too few for data to be removed, which is said.
pytestmark = pytest.mark.filterwarnings("ignore:data removal reaches:UserWarning")


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(6), 10)
    images = rng.integers(0, 256, size=(60, 1, 8, 8), dtype=np.uint8)
    return Dataset.from_arrays("noise", train_x=images, train_y=labels, test_x=images, test_y=labels)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that keepers see."""
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    return now


def names(directory) -> list[str]:
    return sorted(os.listdir(directory))


def results_differ(one, other) -> list[str]:
    clocks = {"wall_seconds": 0.0, "peak_memory_bytes": None}
    first, second = (keeper.plain(dataclasses.replace(result, **clocks)) for result in (one, other))
    return [key for key in first if repr(first[key]) != repr(second[key])]


def test_a_task_that_ends_is_saved_and_time_that_has_passed_is(tmp_path, data, clock):
    kept, trainer = Keeper(tmp_path, 1, every=10), build(CONFIG, data)
    assert kept.take_up(trainer) == 0.0
    saved = []
    for event in trainer.events():
        clock[0] += 4 if event.kind == "end_epoch" else 0
        before = names(tmp_path)
        kept.after_event(trainer, 1.5)
        if names(tmp_path) != before:
            saved.append((event.kind, event.task, event.epoch))
    # Four seconds an epoch, two epochs a task: the first save by time comes with the third epoch since the last one.
    assert saved == [("end_task", 1, 2), ("end_task", 2, 2)]
    assert names(tmp_path) == ["checkpoint-01-000001.npz", "checkpoint-01-000002.npz"]
    often, trainer = Keeper(tmp_path, 2, every=3), build(CONFIG, data)
    often.take_up(trainer)
    saved = []
    for event in trainer.events():
        clock[0] += 4 if event.kind == "end_epoch" else 0
        before = names(tmp_path)
        often.after_event(trainer, 1.5)
        if names(tmp_path) != before:
            saved.append((event.kind, event.task, event.epoch))
    expected = [
        (kind, task, epoch)
        for task in (1, 2, 3)
        for kind, epoch in (("end_epoch", 1), ("end_epoch", 2), ("end_task", 2))
    ]
    assert saved == expected[:-1], "but not once all is done"
    assert len(checkpoints(tmp_path, 2)) == 2, "two generations"


def stopped_after(events: int, directory, data, config: Config = CONFIG) -> Keeper:
    """A run that was asked to stop after so many events, saved at every event."""
    count = iter(range(1, 10**6))
    kept = Keeper(directory, 1, every=0, asked_to_stop=lambda: next(count) == events)
    with pytest.raises(Stopped):
        train(config, dataset=data, keeper=kept)
    return kept


@pytest.mark.parametrize("events", [1, 2, 7, 16, 29])
def test_whoever_is_asked_to_stop_has_saved_and_goes_on_to_the_same_result(events, tmp_path, data):
    straight = train(CONFIG, dataset=data)
    stopped_after(events, tmp_path, data)
    found, damaged = newest_checkpoint(tmp_path, 1)
    assert (found[0], damaged) == (events, [])
    resumed = train(CONFIG, dataset=data, keeper=Keeper(tmp_path, 1))
    assert results_differ(straight, resumed) == []
    assert resumed.wall_seconds > found[1]["seconds"] > 0


@pytest.mark.parametrize("changes", [{"stream": "permuted"}, {"stream": "rotated"}, {"validation": 0.5}])
def test_images_that_are_made_when_they_are_used_are_the_same_when_it_goes_on(changes, tmp_path, data):
    config = Config.from_json(CONFIG.to_json() | changes)
    straight = train(config, dataset=data)
    stopped_after(9, tmp_path, data, config)
    assert results_differ(straight, train(config, dataset=data, keeper=Keeper(tmp_path, 1))) == []
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    stopped_after(9, tmp_path, data, config)
    with pytest.raises(CannotResumeError, match="belongs to another run"):
        train(CONFIG, dataset=data, keeper=Keeper(tmp_path, 1))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:99] + b"?" + data[100:]]
)
def test_of_a_damaged_checkpoint_the_one_before_is_used_and_it_is_said(damage, tmp_path, data):
    straight = train(CONFIG, dataset=data)
    stopped_after(9, tmp_path, data)
    (_, newest), (_, older) = checkpoints(tmp_path, 1)
    newest.write_bytes(damage(newest.read_bytes()))
    found, damaged = newest_checkpoint(tmp_path, 1)
    assert found[0] == 8
    assert damaged == [f"{newest} is damaged (its checksum does not fit: it was cut off or changed)"]
    resumed = train(CONFIG, dataset=data, keeper=Keeper(tmp_path, 1, every=0))
    assert results_differ(straight, resumed) == []
    older.write_bytes(b"")
    for _, path in checkpoints(tmp_path, 1):
        path.write_bytes(b"")
    assert newest_checkpoint(tmp_path, 1)[0] is None
    assert results_differ(straight, train(CONFIG, dataset=data, keeper=Keeper(tmp_path, 1))) == [], "from the start"


def test_a_checkpoint_of_another_run_is_refused_or_forced(tmp_path, data):
    stopped_after(9, tmp_path, data)
    faster = dataclasses.replace(CONFIG, lr=0.5)
    with pytest.raises(CannotResumeError, match=r"checkpoint-01-000009.npz: .*lr 0.03 there, 0.5 here"):
        train(faster, dataset=data, keeper=Keeper(tmp_path, 1))
    forced = train(faster, dataset=data, keeper=Keeper(tmp_path, 1, force=True))
    assert forced.config.lr == 0.5
    assert forced.history.epochs[0]["learning_rate"] == 0.03
    wider = dataclasses.replace(CONFIG, width=8)
    with pytest.raises(CannotResumeError, match="has shape"):
        train(wider, dataset=data, keeper=Keeper(tmp_path, 1, force=True))


def test_a_result_comes_back_to_the_bit_and_takes_its_checkpoints_away(tmp_path, data):
    kept = stopped_after(9, tmp_path, data)
    result = train(CONFIG, dataset=data)
    kept.finished(result)
    assert names(tmp_path) == ["result-01.npz"]
    stored, damaged = stored_result(tmp_path, 1)
    assert damaged == []
    assert results_differ(result, stored) == []
    assert stored.wall_seconds == result.wall_seconds
    assert stored.record() == result.record()
    (tmp_path / "result-01.npz").write_bytes(b"")
    stored, damaged = stored_result(tmp_path, 1)
    assert stored is None
    assert "result-01.npz is damaged" in damaged[0]
    assert stored_result(tmp_path, 2) == (None, [])


def test_checkpoints_stay_until_the_next_or_the_result_is_whole(tmp_path, data, monkeypatch):
    kept, result = stopped_after(9, tmp_path, data), train(CONFIG, dataset=data)
    trainer = build(CONFIG, data)
    kept.take_up(trainer)
    before = names(tmp_path)
    assert len(before) == 2

    def full(kind, path, action):
        if kind == "write":
            raise OSError(28, "No space left on device")
        return action()

    monkeypatch.setattr(durable, "step", full)
    with pytest.raises(OSError, match="No space left"):
        kept.finished(result)
    assert names(tmp_path) == before
    with pytest.raises(OSError, match="No space left"):
        kept.after_event(trainer, 1.5)
    assert names(tmp_path) == before
