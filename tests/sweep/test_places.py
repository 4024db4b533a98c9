"""Killed workers cost nothing, wherever they are."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.sweep import kills

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux
@pytest.mark.slow
def test_a_worker_killed_here_or_on_a_cluster_costs_nothing() -> None:
    notes: list[str] = []
    assert len(kills.digests(8, notes.append, epochs=6)) == 1, notes
    assert all(note.startswith("8 results") for note in notes)


def test_an_interrupted_sweep_goes_on(tmp_path) -> None:
    grid = kills.grid(tmp_path, 4, epochs=6)
    out = tmp_path / "out"
    process = kills.sweep(grid, out)
    kills.once_something_is_saved(out, process)
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, complaints
    assert "the same command goes on from here" in complaints
    assert len(list(out.glob("results/*.json"))) < 4
    assert "4 runs" in kills.finish(kills.sweep(grid, out))
    assert not (out / "work").exists()
    assert kills.finish(kills.sweep(grid, out)).startswith("grid: 4 runs, 4 of them done")


def test_a_scheduler_that_is_not_there_is_named(tmp_path) -> None:
    process = kills.sweep(kills.grid(tmp_path, 4), tmp_path / "out", "--dask", "tcp://127.0.0.1:9")
    _, complaints = process.communicate()
    assert process.returncode == 2
    assert "no scheduler answers there" in complaints
    assert not (tmp_path / "out").exists()
