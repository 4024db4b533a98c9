"""One run at a time in a folder, however the one before it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sparcl_ref import run_folder
from sparcl_ref.run_folder import LOCK, check_folder, locked, reserved_folder, share_lock

pytest.importorskip("fcntl")

#: Locks a folder, starts a worker that shares the lock, says so, and waits.
OWNER = """
import subprocess, sys, time
from pathlib import Path
from sparcl_ref.run_folder import locked, share_lock
worker = "import sys, time; from pathlib import Path; from sparcl_ref.run_folder import share_lock; "
worker += "share_lock(Path(sys.argv[1])); print('shared', flush=True); time.sleep(3600)"
with locked(Path(sys.argv[1])):
    process = subprocess.Popen([sys.executable, "-c", worker, sys.argv[1]], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    print(process.pid, flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that has the folder, and its worker's number."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    yield process, worker
    for number in (process.pid, worker):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


def refused(directory: Path) -> str:
    with pytest.raises(ValueError, match="another run is at work in") as caught, locked(directory):
        pass
    return str(caught.value)


def test_two_in_one_folder_are_refused_by_name_and_the_second_may_come_after(tmp_path):
    with locked(tmp_path):
        assert f"(process {os.getpid()})" in refused(tmp_path)
        assert f"(process {os.getpid()})" in refused(tmp_path), "being refused takes nothing from the first"
    with locked(tmp_path):
        assert os.listdir(tmp_path) == [LOCK]
    assert os.listdir(tmp_path) == []


def test_a_dead_process_leaves_no_lock_but_its_worker_does_while_it_lives(tmp_path, owner, monkeypatch):
    monkeypatch.setattr(run_folder, "GRACE_SECONDS", 0)
    process, worker = owner
    assert f"(process {process.pid})" in refused(tmp_path)
    process.kill()
    process.wait()
    assert f"(process {process.pid})" in refused(tmp_path), "a worker may still be writing"
    os.kill(worker, signal.SIGKILL)
    monkeypatch.setattr(run_folder, "GRACE_SECONDS", 60)  # until it is gone
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_nobody_holds_is_no_lock(tmp_path):
    (tmp_path / LOCK).write_text("1\n")
    with locked(tmp_path):
        share_lock(tmp_path)


def test_without_locks_in_the_file_system_runs_go_on(tmp_path, monkeypatch):
    import fcntl

    def unsupported(handle, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("run.json", "holds a run that has not ended; go on with --resume"),
        ("metrics.csv", "holds a run already"),
        ("checkpoint-01-000003.npz", "holds a run already"),
        ("report.html", "holds a run already"),
    ],
)
def test_nothing_of_an_earlier_run_is_overwritten_unasked(tmp_path, name, says):
    (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=says):
        check_folder(str(tmp_path), overwrite=False)
    check_folder(str(tmp_path), overwrite=True)
    (tmp_path / name).rename(tmp_path / "notes.txt")
    check_folder(str(tmp_path), overwrite=False)


def test_a_reserved_folder_is_locked(tmp_path):
    with reserved_folder(str(tmp_path / "a"), "run") as directory:
        refused(directory)
    assert not directory.exists()


@pytest.mark.parametrize("another", [False, True])
def test_a_lock_file_that_is_taken_away_meanwhile_is_not_held(another, tmp_path, monkeypatch):
    path, flock = tmp_path / LOCK, run_folder._flock

    def late(handle, *, exclusive):
        path.unlink(missing_ok=True)
        if another:
            path.touch()
        return flock(handle, exclusive=exclusive)

    monkeypatch.setattr(run_folder, "_flock", late)
    assert run_folder._taken(path) is None
    monkeypatch.undo()
    os.close(run_folder._taken(path))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="where open files can be counted")
def test_a_worker_that_shares_the_lock_for_many_runs_opens_it_once(tmp_path):
    with locked(tmp_path):
        share_lock(tmp_path)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            share_lock(tmp_path)
        assert len(os.listdir("/proc/self/fd")) == before
