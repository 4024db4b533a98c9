"""Runs over processes: each with a fixed number of BLAS threads, so that the bits do not depend on how many run."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sparcl_ref import extensions
from sparcl_ref.config import Config
from sparcl_ref.forecast import Forecast
from sparcl_ref.interrupts import held_back
from sparcl_ref.keeper import Keeper, Stopped
from sparcl_ref.result import Result
from sparcl_ref.worker import Task, serve

#: How processes are started: anew, for a copy of this one would inherit threads that are not there.
CONTEXT: Any = multiprocessing.get_context("spawn")
#: Seconds between two looks at whether to stop.
POLL_SECONDS = 0.1
#: Exit code of a worker that came upon `train_all` while it imported the script that had called it.
NO_MAIN_GUARD = 97


class WorkerDiedError(RuntimeError):
    """A worker process ended without an answer, for example because it was killed for want of memory."""


def train_all(
    configs: Sequence[Config],
    forecasts: Sequence[Forecast] | None = None,
    *,
    jobs: int = 1,
    threads: int = 1,
    keepers: Sequence[Keeper] | None = None,
    weights: Sequence[Path] | None = None,
    on_epoch: Callable[[int, dict[str, Any]], None] = lambda index, row: None,
    on_own_epoch: Callable[[], object] = lambda: None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> list[Result | Exception]:
    """Train every configuration in spawned worker processes; ``forecasts`` say what each will cost, if that is known.

    Each of the ``jobs`` processes has so many ``threads`` of BLAS and of the numba engine. ``keepers`` keep the runs in
    a folder; what each has trained is written to its path of ``weights`` as soon as it has ended. ``on_epoch`` is
    called after each epoch, with the run's index and the epoch's row, ``on_own_epoch`` after each of a method's own at
    the end of a task. Results are in the order of ``configs``.

    A run that fails, because a number is no longer finite or its settings do not fit, gives its exception in place of a
    result; the others go on.

    Raises
    ------
    WorkerDiedError
        If a worker process ended without an answer, or could not start.
    Stopped
        Once ``asked_to_stop`` says so: each run under way has finished its step and is saved, if it has a keeper.
    Exception
        What else a run raised, as for want of room on the disk; the other runs are stopped as above first.
    KeyboardInterrupt
        The workers are killed at once.
    """
    each: Sequence[Keeper | None] = [None] * len(configs) if keepers is None else keepers
    paths: Sequence[Path | None] = [None] * len(configs) if weights is None else weights
    priced: Sequence[Forecast | None] = [None] * len(configs) if forecasts is None else forecasts
    tasks = [Task(*parts) for parts in zip(range(len(configs)), configs, priced, each, paths, strict=True)]
    pool = _Pool(tasks, on_epoch, on_own_epoch)
    try:
        pool.start(min(jobs, len(configs)), threads)
        while pool.unfinished:
            if asked_to_stop():
                raise Stopped
            pool.turn()
    except KeyboardInterrupt:
        raise
    except BaseException:
        pool.stop()
        if pool.unfinished:
            raise
    finally:
        pool.kill()
    return [pool.outcomes[task.index] for task in tasks]


@dataclass(eq=False)
class _Worker:
    """A process, this end of the pipe to it, and the run it has in hand."""

    process: Any
    pipe: Connection
    ready: bool = False
    task: Task | None = None


@dataclass
class _Pool:
    """Workers that take one run after another."""

    tasks: list[Task]
    on_epoch: Callable[[int, dict[str, Any]], None]
    on_own_epoch: Callable[[], object]
    outcomes: dict[int, Result | Exception] = field(default_factory=dict)
    workers: list[_Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = list(self.tasks)

    @property
    def unfinished(self) -> bool:
        """Whether some run has no outcome."""
        return len(self.outcomes) < len(self.tasks)

    def start(self, count: int, threads: int) -> None:
        """Start the processes."""
        things = extensions.added()
        for _ in range(count):
            ours, theirs = CONTEXT.Pipe()
            process = CONTEXT.Process(target=serve, args=(theirs, threads, things))
            begin(process)
            theirs.close()
            self.workers.append(_Worker(process, ours))

    def turn(self) -> None:
        """Give runs to whoever is free, and take in what has come within `POLL_SECONDS`."""
        for worker in self.workers:
            if worker.ready and worker.task is None and self.waiting:
                worker.task = self.waiting.pop(0)
                worker.pipe.send(worker.task)
        by_pipe = {worker.pipe: worker for worker in self.workers}
        for pipe in connection.wait(list(by_pipe), timeout=POLL_SECONDS):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                kind, content = worker.pipe.recv()
            except (EOFError, ConnectionError):
                self.workers.remove(worker)
                worker.process.join()
                raise WorkerDiedError(why_it_died(worker.process.exitcode, ready=worker.ready)) from None
            self._take_in(worker, kind, content)

    def _take_in(self, worker: _Worker, kind: str, content: Any) -> None:
        if kind == "ready":
            worker.ready = True
            return
        assert worker.task is not None, "whoever has no run has nothing to say"
        if kind == "row":
            self.on_epoch(worker.task.index, content)
            return
        if kind == "own_epoch":
            self.on_own_epoch()
            return
        task, worker.task = worker.task, None
        if kind == "outcome":
            self.outcomes[task.index] = content
        elif kind == "raised":
            raise content

    def stop(self) -> None:
        """Let runs under way finish their step and save; a second Ctrl-C is KeyboardInterrupt."""
        self.waiting = []
        for worker in [worker for worker in self.workers if worker.task is None]:
            self._end(worker)
        for worker in self.workers:
            with contextlib.suppress(OSError):  # it is dead, and `turn` will see it
                worker.pipe.send("stop")
        while any(worker.task is not None for worker in self.workers):
            with contextlib.suppress(Exception):  # the first trouble is the one to be told
                self.turn()

    def kill(self) -> None:
        """End all processes; whatever they had to save is saved by now."""
        for worker in list(self.workers):
            self._end(worker)

    def _end(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def begin(process: Any) -> None:
    """Start a process that `CONTEXT` has made, and that hears no Ctrl-C: that is for the parent, which stops all.

    Raises
    ------
    WorkerDiedError
        If it could not import the script that is running here.
    """
    _check_main()
    # It would let signals through to processes that are started after it.
    resource_tracker.ensure_running()
    try:
        with held_back():  # also while it imports
            process.start()
    except RuntimeError:
        if multiprocessing.current_process().name == "MainProcess":
            raise
        sys.exit(NO_MAIN_GUARD)  # this is a worker, importing a script that starts workers as it is imported


def _check_main() -> None:
    """Refuse a script that spawned processes cannot import again."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    # Of a module started with -m they import the module, of -c or a prompt nothing.
    if (
        CONTEXT.get_start_method() == "spawn"
        and getattr(main, "__spec__", None) is None
        and path is not None
        and not Path(path).exists()
    ):
        raise WorkerDiedError(
            f"worker processes import the script that starts them, and there is no file {path}; write the script to a "
            "file, and call `train_all` under `if __name__ == '__main__':`"
        )


def why_it_died(code: int, *, ready: bool) -> str:
    """What is said of a worker process that ended without an answer, by its exit code and whether it had begun."""
    if code == NO_MAIN_GUARD:
        return (
            "worker processes import the script that starts them, and this one would start workers again; call "
            "`train_all` under `if __name__ == '__main__':`"
        )
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    if not ready:
        return f"a worker process died before it was ready ({how}); its own message stands above"
    return f"a worker process died without an answer ({how}; out of memory?); try fewer --jobs"
