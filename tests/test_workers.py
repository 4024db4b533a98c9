"""Worker processes keep to the threads they are given, and say why they died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sparcl_ref import extensions
from sparcl_ref.config import Config
from sparcl_ref.forecast import forecast
from sparcl_ref.keeper import CannotResumeError, Keeper, Stopped
from sparcl_ref.run_folder import locked
from sparcl_ref.streams import load_dataset
from sparcl_ref.worker import prepare_process
from sparcl_ref.workers import WorkerDiedError, train_all

SMALL = Config(method="sgd", model="mlp", width=4, epochs=2, batch_size=64)
#: A script that trains, with or without a guard.
SCRIPT = """
from sparcl_ref import Config
from sparcl_ref.workers import train_all

def work():
    print(len(train_all([Config(method="sgd", model="mlp", epochs=1, width=4)])), "trained")

{start}
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_has_its_own_number_of_compiled_threads(threads):
    """Without it every worker would start a thread per core, and workers would wait for one another's."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, initializer=prepare_process, initargs=(threads, extensions.added())) as pool:
        assert pool.apply(numba.get_num_threads) == threads


def trained(configs, **options):
    digits = load_dataset("digits")
    return train_all(configs, [forecast(config, digits) for config in configs], **options)


def test_rows_come_from_each_run_and_a_run_that_fails_does_not_take_the_others():
    """More runs than workers, the first of which diverges."""
    configs = [SMALL, Config(**{**SMALL.to_json(), "lr": 1e30}), Config(**{**SMALL.to_json(), "seed": 1})]
    seen = []
    first, second, third = trained(configs, jobs=2, on_epoch=lambda index, row: seen.append((index, row["task"])))
    assert isinstance(second, FloatingPointError)
    assert [first.config, third.config] == [configs[0], configs[2]]
    for index in (0, 2):
        assert [task for number, task in seen if number == index] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_asked_to_stop_runs_are_saved_and_others_never_begin(tmp_path):
    configs = [Config(**{**SMALL.to_json(), "epochs": 500, "seed": seed}) for seed in range(3)]
    seen = []
    with pytest.raises(Stopped):
        trained(
            configs, jobs=2, keepers=[Keeper(tmp_path, number) for number in (1, 2, 3)],
            on_epoch=lambda index, row: seen.append(index), asked_to_stop=lambda: {0, 1} <= set(seen),
        )  # fmt: skip
    assert sorted({path.name[:13] for path in tmp_path.glob("*.npz")}) == ["checkpoint-01", "checkpoint-02"]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("kept", [False, True])
def test_a_worker_that_is_killed_is_named_with_the_signal_and_the_other_saves(tmp_path, kept):
    configs = [Config(**{**SMALL.to_json(), "epochs": 500, "seed": seed}) for seed in range(2)]
    seen = set()

    def kill_one(index, row):
        if seen == {0, 1}:
            return
        seen.add(index)
        if seen == {0, 1}:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    keepers = [Keeper(tmp_path, number) for number in (1, 2)] if kept else None
    with pytest.raises(WorkerDiedError, match=r"died without an answer \(killed by SIGKILL; out of memory\?\)"):
        trained(configs, jobs=2, keepers=keepers, on_epoch=kill_one)
    assert len(list(tmp_path.glob("*.npz"))) >= kept
    assert multiprocessing.active_children() == []


def run_script(start: str, tmp_path: Path, how: str) -> tuple[int, str, list[str]]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(start=start))
    given = {
        "file": {"args": [sys.executable, str(path)]},
        "stdin": {"args": [sys.executable], "input": path.read_text()},
    }
    given["-c"] = {"args": [sys.executable, "-c", path.read_text()]}
    done = subprocess.run(**given[how], capture_output=True, text=True, cwd=tmp_path)
    return done.returncode, done.stdout, done.stderr.strip().splitlines()


@pytest.mark.parametrize("how", ["file", "-c"])
def test_a_guarded_script_trains(tmp_path, how):
    assert run_script("if __name__ == '__main__':\n    work()", tmp_path, how)[:2] == (0, "1 trained\n")


def test_a_script_without_a_guard_is_told_so(tmp_path):
    code, out, said = run_script("work()", tmp_path, "file")
    assert (code, out) == (1, "")
    assert said[-1].startswith(
        "sparcl_ref.workers.WorkerDiedError: worker processes import the script that starts them"
    )
    assert said[-1].endswith("call `train_all` under `if __name__ == '__main__':`")
    assert sum("Traceback" in line for line in said) == 1, "and nothing of the workers'"


def test_a_script_on_standard_input_is_told_so(tmp_path):
    code, out, said = run_script("if __name__ == '__main__':\n    work()", tmp_path, "stdin")
    assert (code, out) == (1, "")
    assert "there is no file <stdin>; write the script to a file" in said[-1]


def test_a_run_whose_data_are_gone_keeps_its_checkpoints(tmp_path):
    rng = np.random.default_rng(0)
    labels, path = np.repeat(np.arange(4), 10), tmp_path / "data.npz"
    images = rng.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    np.savez(path, train_x=images, train_y=labels, test_x=images, test_y=labels)
    configs = [Config(dataset=str(path), method="sgd", model="mlp", width=4, epochs=2, batch_size=10)]
    asked = []
    with locked(tmp_path), pytest.raises(Stopped):
        train_all(
            configs,
            keepers=[Keeper(tmp_path, 1)],
            on_epoch=lambda *row: asked.append(row),
            asked_to_stop=lambda: bool(asked),
        )
    kept = sorted(tmp_path.glob("checkpoint-*"))
    path.rename(tmp_path / "away.npz")
    with pytest.raises(CannotResumeError, match=r"SGD, seed 0: .*there is no such file"):
        train_all(configs, keepers=[Keeper(tmp_path, 1)])
    assert sorted(tmp_path.glob("checkpoint-*")) == kept != []
    (outcome,) = train_all(configs, keepers=[Keeper(tmp_path, 2)])
    assert isinstance(outcome, ValueError), "of a run that never began it is the outcome"


def test_a_command_started_from_standard_input_is_told_so(tmp_path):
    code = "from sparcl_ref.run import main\nprint(main(['--model', 'mlp', '--epochs', '1', '--method', 'sgd']))\n"
    done = subprocess.run([sys.executable], input=code, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "1"
    assert "there is no file <stdin>; write the script to a file" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
