"""A command's folder while its runs are in progress: rows that come in, what is found again, what goes in the end."""

from __future__ import annotations

import csv
import dataclasses
import os

import pytest

from sparcl_ref import keeper, progress
from sparcl_ref.checkpoint import write
from sparcl_ref.config import Config
from sparcl_ref.experiment import train
from sparcl_ref.keeper import Keeper, Stopped
from sparcl_ref.progress import Progress
from sparcl_ref.run_plan import Plan, read_plan

COMMON = {"model": "mlp", "width": 4, "epochs": 1, "batch_size": 64}
CONFIGS = (Config(method="sgd", **COMMON), Config(method="er", buffer_size=10, **COMMON))
PLANNED = Plan("python -m sparcl_ref.run ...", "pair", 1, (), None, CONFIGS, {"numpy": "2.4.0"})


def row(task: int, **values) -> dict:
    return {"task": task, "epoch": 1, "samples": 10, **values}


def rows(directory) -> list[tuple[str, str]]:
    with open(directory / "metrics.csv", newline="") as file:
        return [(line["name"], line["task"]) for line in csv.DictReader(file)]


@pytest.fixture(scope="module")
def result():
    return train(CONFIGS[0])


def test_metrics_grow_by_a_row_with_each_epoch(tmp_path):
    begun = Progress.begin(tmp_path, PLANNED)
    assert rows(tmp_path) == []
    for number, task in ((2, 1), (1, 1), (2, 2)):
        begun.add_row(number, row(task))
        assert rows(tmp_path)[-1] == (CONFIGS[number - 1].title, str(task))
    assert rows(tmp_path) == [("ER", "1"), ("SGD", "1"), ("ER", "2")]
    assert begun.left == [1, 2]
    assert not begun.anything()


def test_what_is_found_again_and_no_row_twice(tmp_path, result):
    begun = Progress.begin(tmp_path, PLANNED)
    begun.keeper(1).finished(result)
    stop = iter([False] * 12 + [True])
    with pytest.raises(Stopped):
        train(CONFIGS[1], keeper=Keeper(tmp_path, 2, asked_to_stop=lambda: next(stop)))
    # What the command had heard of: more than the checkpoint has of the one, less than the result has of the other.
    for task in (1, 2, 3, 4, 5):
        begun.add_row(2, row(task))
    begun.add_row(1, row(1))
    assert begun.anything()
    again = Progress.resume(
        tmp_path, dataclasses.replace(PLANNED, command="python -m sparcl_ref.run --resume x"), force=False
    )
    assert again.left == [2]
    assert again.results[1].record() == result.record()
    assert again.plan.command == PLANNED.command
    assert again.remarks == []
    assert rows(tmp_path) == [*(("SGD", str(task)) for task in range(1, 6)), ("ER", "1")]
    again.clear()
    assert os.listdir(tmp_path) == ["metrics.csv"]
    assert again.ended


def test_what_is_damaged_is_said_and_what_serves_instead(tmp_path):
    begun = Progress.begin(tmp_path, PLANNED)
    (tmp_path / "result-01.npz").write_bytes(b"?")
    state = {"history": {"epochs": [row(1), row(2)]}, "cursor": {"own_epochs": 3}}
    write(tmp_path / "checkpoint-02-000004.npz", {"seconds": 1.0, "trainer": state})
    (tmp_path / "checkpoint-02-000005.npz").write_bytes(b"?")
    again = Progress.resume(tmp_path, PLANNED, force=False)
    reason = "is damaged (its checksum does not fit: it was cut off or changed)"
    assert again.remarks == [
        f"{tmp_path / 'result-01.npz'} {reason}; the run starts anew",
        f"{tmp_path / 'checkpoint-02-000005.npz'} {reason}; checkpoint 4 is used",
    ]
    assert rows(tmp_path) == [("ER", "1"), ("ER", "2")]
    assert begun.left == again.left == [1, 2]


def test_what_was_begun_otherwise_is_refused_or_forced(tmp_path, result):
    Progress.begin(tmp_path, PLANNED).keeper(1).finished(result)
    faster = tuple(dataclasses.replace(config, lr=0.5) for config in CONFIGS)
    here = dataclasses.replace(PLANNED, configs=faster, made_with={"numpy": "2.5.0"})
    message = (
        r"begun otherwise \(numpy 2.4.0 there, 2.5.0 here; lr 0.03 there, 0.5 here\); go on as it was begun, or add --f"
    )
    before = (tmp_path / "metrics.csv").read_bytes()
    with pytest.raises(ValueError, match=message):
        Progress.resume(tmp_path, here, force=False)
    assert read_plan(tmp_path) == PLANNED
    assert (tmp_path / "metrics.csv").read_bytes() == before
    forced = Progress.resume(tmp_path, here, force=True)
    assert forced.remarks == ["resumed although numpy 2.4.0 there, 2.5.0 here; lr 0.03 there, 0.5 here"]
    # What has ended has ended as it was; the folder knows both.
    assert [config.lr for config in read_plan(tmp_path).configs] == [0.03, 0.5]
    assert Progress.resume(tmp_path, forced.plan, force=False).remarks == []


def test_an_earlier_run_goes_when_a_new_one_begins_and_other_files_stay(tmp_path):
    for name in ("summary.json", "report.html", "checkpoint-07-000001.npz", ".partial-3-x", "notes.txt"):
        (tmp_path / name).write_text("old")
    begun = Progress.begin(tmp_path, PLANNED)
    assert sorted(os.listdir(tmp_path)) == ["metrics.csv", "notes.txt", "run.json"]
    begun.discard()
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_what_cannot_begin_leaves_nothing(tmp_path, monkeypatch):
    def full(path, content):
        if path.name == "metrics.csv":
            raise OSError(28, "No space left on device")
        return put(path, content)

    put = progress.durable.put
    monkeypatch.setattr(progress.durable, "put", full)
    with pytest.raises(OSError, match="No space left"):
        Progress.begin(tmp_path, PLANNED)
    assert os.listdir(tmp_path) == []


def test_the_plan_goes_first_as_it_says_that_there_is_more_to_do(tmp_path, monkeypatch):
    begun, gone = Progress.begin(tmp_path, PLANNED), []
    for name in ("result-02.npz", "checkpoint-01-000001.npz"):
        (tmp_path / name).write_text("old")
    monkeypatch.setattr(progress.durable, "remove", lambda path: gone.append(path.name))
    begun.clear()
    assert gone == ["run.json", "checkpoint-01-000001.npz", "result-02.npz"]


def test_a_keeper_goes_to_another_process():
    import pickle

    sent = pickle.loads(pickle.dumps(Keeper(None, 3, 1.5, True)))
    assert (sent.number, sent.every, sent.force, sent.asked_to_stop()) == (3, 1.5, True, False)
    assert keeper.CHECKPOINT_SECONDS == 60
