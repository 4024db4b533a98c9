"""A run that is made to fail: every touch of the disk can kill it, or be refused.

The command runs in a forked copy of this process, and so do its workers, so that what is replaced here is replaced
there and a run takes a fraction of a second. What dies is the whole process group at once, as by a power cut.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tqdm  # noqa: F401

# What the command imports when it needs it, so that forked copies have it.
from sparcl_ref import durable, forecast_text, keeper, report, run, workers  # noqa: F401
from sparcl_ref.checkpoint import read
from sparcl_ref.config import Config
from sparcl_ref.forecast import Forecast, in_all
from sparcl_ref.presets import PRESETS
from sparcl_ref.report import load_summary, write

#: What a step may do instead of its work: die before it, die once it is done, find no room from then on, fail once.
FAULTS = ("die before", "die after", "ENOSPC", "EIO")
TINY = {
    "model": "convnet", "width": 4, "classes_per_task": 2, "epochs": 2, "batch_size": 10, "delta_k": 2,
    "buffer_size": 8, "importance_samples": 10, "lr": 0.05,
}  # fmt: skip
#: Kind, name of the file, and which time: a place where something can go wrong.
Point = tuple[str, str, int]


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code (minus the signal that killed it), and what it said on stderr."""

    code: int
    said: str


class Disk:
    """Stands for `durable.step`: writes down each point, and has a fault at one of them."""

    def __init__(self, notes: Path, fault: str | None = None, at: Point | None = None):
        self.notes, self.fault, self.at = notes, fault, at
        self.full = notes.with_name("full")
        self.seen: Counter[tuple[str, str]] = Counter()

    def __call__(self, kind: str, path: Path, action: Callable):
        self.seen[kind, path.name] += 1
        point = (kind, path.name, self.seen[kind, path.name])
        with open(self.notes, "a") as file:
            file.write(json.dumps(point) + "\n")
        struck = point == self.at
        if struck and self.fault == "die before":
            os.killpg(0, signal.SIGKILL)
        if struck and self.fault == "ENOSPC":
            self.full.touch()
        if self.full.exists() and kind != "unlink":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if struck and self.fault == "EIO":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        answer = action()
        if struck and self.fault == "die after":
            os.killpg(0, signal.SIGKILL)
        return answer

    @staticmethod
    def possible(fault: str, at: Point) -> bool:
        """A full disk still lets go of files."""
        return fault != "ENOSPC" or at[0] != "unlink"

    def points(self) -> list[Point]:
        """All that were passed, each once."""
        lines = map(json.loads, self.notes.read_text().splitlines())
        return [(kind, name, count) for kind, name, count in dict.fromkeys(map(tuple, lines))]


@dataclass(frozen=True)
class World:
    """A folder with a data set of 40 images, the run undisturbed in "whole", and its points."""

    folder: Path
    options: tuple[str, ...]
    points: list[Point]

    @classmethod
    def make(cls, folder: Path, patch: pytest.MonkeyPatch, *options: str) -> World:
        """Two entries of two tasks, which two workers train at once."""
        rng = np.random.default_rng(3)
        labels = np.repeat(np.arange(4), 10)
        images = rng.integers(0, 256, size=(40, 1, 8, 8), dtype=np.uint8)
        np.savez(folder / "data.npz", train_x=images, train_y=labels, test_x=images, test_y=labels)
        common = {**TINY, "dataset": str(folder / "data.npz")}
        pair = ({**common, "method": "derpp", "sparsity": 0.5, "ddr_cutoff": 1}, {**common, "method": "er"})
        patch.setitem(PRESETS, "pair", pair)
        # Two processes are found wherever the compiled engine runs on threads that outlive a fork.
        patch.setattr(workers, "CONTEXT", multiprocessing.get_context("fork"))
        # Not what is asked here, and slow.
        for module in (report, write):
            patch.setattr(module, "drawing_problem", lambda: "no figures in this test")
        patch.setattr(run, "with_trials", untried)
        disk = Disk(folder / "notes")
        world = cls(folder, ("--preset", "pair", *options), [])
        done = world.command(*world.options, "--out", "whole", disk=disk)
        assert done.code == 0, done.said
        world.points.extend(disk.points())
        return world

    def command(self, *arguments: str, disk: Callable) -> Done:
        """Run the command in this folder, in a process group of its own."""
        log = self.folder / "stderr"
        process = os.fork()
        if process == 0:
            code = 99
            try:
                os.setsid()
                os.chdir(self.folder)
                durable.step = disk
                with open(log, "w") as sys.stderr, open(os.devnull, "w") as sys.stdout:
                    code = run.main(arguments)
            finally:
                os._exit(code)
        _, status = os.waitpid(process, 0)
        return Done(os.waitstatus_to_exitcode(status), log.read_text())

    def disturbed(self, fault: str, at: Point) -> None:
        """Let the fault happen in a new run, and hold what is left, and what becomes of it, against the whole run."""
        directory, whole = self.folder / "run", self.folder / "whole"
        shutil.rmtree(directory, ignore_errors=True)
        for path in (self.folder / "notes", self.folder / "full"):
            path.unlink(missing_ok=True)
        done = self.command(*self.options, "--out", "run", disk=Disk(self.folder / "notes", fault, at))
        assert list(at) in [json.loads(line) for line in (self.folder / "notes").read_text().splitlines()]
        if fault.startswith("die"):
            assert done.code == -signal.SIGKILL
        else:
            self._has_said_why(done, fault, at)
        (self.folder / "full").unlink(missing_ok=True)
        kept = self._readable(directory)
        if (directory / "run.json").exists():
            again = self.command("--resume", "run", disk=Disk(self.folder / "notes"))
            assert again.code == 0, again.said
            assert "damaged" not in again.said
        elif not (directory / "summary.json").exists():
            # Nothing had begun.
            assert kept == {}
            again = self.command(*self.options, "--out", "run", disk=Disk(self.folder / "notes"))
            assert again.code == 0, again.said
        assert load_summary(directory / "summary.json")["command"].endswith("--out run")
        assert without_times(directory) == without_times(whole)
        for name in ("metrics.csv", "masks.npz"):
            assert (directory / name).read_bytes() == (whole / name).read_bytes()
        for path in (whole / "weights").iterdir():
            assert (directory / "weights" / path.name).read_bytes() == path.read_bytes()
        seconds = {
            record["name"]: record["wall_seconds"] for record in load_summary(directory / "summary.json")["methods"]
        }
        for name, value in kept.items():
            assert seconds[name] == value, "a run that had ended was done again"

    def _has_said_why(self, done: Done, fault: str, at: Point) -> None:
        lines = [line for line in done.said.splitlines() if line.startswith("sparcl_ref.run: ")]
        assert "Traceback" not in done.said
        if at[:2] in {("unlink", Path(name).name) for name in write.DRAWN}:
            return  # there was none
        # A row of metrics.csv that could not be added came with the rest of them, all runs having ended meanwhile.
        added = done.code == 0 and at[:2] == ("write", "metrics.csv")
        assert added or os.strerror(getattr(errno, fault)) in lines[-1]
        if done.code != 0:
            assert done.code == 1
            assert lines[-1].startswith("sparcl_ref.run: failed: ")
            if (self.folder / "run" / "run.json").exists():
                assert lines[-1].endswith("go on with: python -m sparcl_ref.run --resume run")
        else:
            assert (self.folder / "run" / "summary.json").exists()

    def _readable(self, directory: Path) -> dict[str, float]:
        """Whatever is there is whole; returns the seconds of each run that has ended."""
        ended = {}
        for path in directory.glob("*"):
            if path.name.startswith("checkpoint-"):
                read(path)
            elif path.name.startswith("result-"):
                result = keeper.from_plain(read(path))
                ended[result.name] = result.wall_seconds
            elif path.name == "summary.json":
                load_summary(path)
            elif path.name == "run.json":
                json.loads(path.read_text())
            elif path.name == "metrics.csv":
                lines = path.read_bytes().splitlines(keepends=True)
                assert set(lines) <= set((self.folder / "whole" / "metrics.csv").read_bytes().splitlines(keepends=True))
        return ended


def without_times(directory: Path) -> dict:
    """A summary but for clock readings and how the run was asked for."""
    summary = load_summary(directory / "summary.json")
    kept = {key: value for key, value in summary.items() if key not in ("wall_seconds", "command", "threads")}
    clocks = ("wall_seconds", "on_this_machine")
    kept["methods"] = [{k: v for k, v in record.items() if k not in clocks} for record in summary["methods"]]
    return kept


def untried(configs: Sequence[Config], forecasts: Sequence[Forecast], *, threads: int, jobs: int) -> tuple:
    """The forecasts as they are, of which nothing was tried."""
    return list(forecasts), in_all(forecasts, jobs=jobs, start_seconds=0.0, compile_seconds=0.0)


def sweep(options: Sequence[str], *, sample: int | None) -> int:
    """Every fault at every point of a run with those options, or at ``sample`` points drawn; returns the losses."""
    losses = 0
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        if "numba" in options:
            # Compiled here, once: a forked copy finds it in memory.
            run.prepare_numba("float32", 1)
        world = World.make(Path(folder), patch, *options)
        cases = [(fault, at) for at in world.points for fault in FAULTS if Disk.possible(fault, at)]
        # Another sample each time: in the end all points are seen, and which one failed is printed.
        for fault, at in cases if sample is None else random.sample(cases, sample):
            try:
                world.disturbed(fault, at)
            except AssertionError:
                losses += 1
                traceback.print_exc()
                print(f"{fault} at {at}: {(world.folder / 'stderr').read_text()}", file=sys.stderr, flush=True)
        tried = len(cases) if sample is None else sample
        print(f"{len(world.points)} points, {tried} of {len(cases)} faults, {losses} losses", flush=True)
    return losses


if __name__ == "__main__":
    # A process of its own: what is forked here has no threads of other tests.
    count, *rest = sys.argv[1:]
    sys.exit(sweep(rest, sample=None if count == "all" else int(count)) > 0)
