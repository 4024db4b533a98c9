"""What goes on in a worker process: one run after another, of which it tells its parent by a pipe."""

from __future__ import annotations

import os
import pickle
import traceback
import warnings
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from sparcl_ref import extensions
from sparcl_ref.config import Config
from sparcl_ref.experiment import train
from sparcl_ref.forecast import Forecast
from sparcl_ref.history import Event
from sparcl_ref.keeper import CannotResumeError, Keeper, Stopped, checkpoints
from sparcl_ref.processes import end_with_parent
from sparcl_ref.result import Result
from sparcl_ref.run_folder import share_lock
from sparcl_ref.text import one_line


@dataclass(frozen=True)
class Task:
    """A run for a worker: its place in the order of results, and what it needs."""

    index: int
    config: Config
    expected: Forecast | None
    keeper: Keeper | None
    weights: Path | None


def prepare_process(threads: int, things: extensions.Added) -> None:
    """Set up a process that trains: its BLAS threads, what was registered in the parent, and its end."""
    threadpool_limits(limits=threads)
    # Read when Numba is first imported. Several workers with a thread per core each would wait for one another.
    os.environ["NUMBA_NUM_THREADS"] = str(threads)
    extensions.take_over(things)
    end_with_parent()


def serve(pipe: Connection, threads: int, things: extensions.Added) -> None:
    """A worker's life: take runs until the pipe ends."""
    prepare_process(threads, things)
    pipe.send(("ready", None))
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        if isinstance(task, Task):
            pipe.send(_answer(pipe, task))


def _answer(pipe: Connection, task: Task) -> tuple[str, Any]:
    """Run a task: its outcome, or what was raised."""
    try:
        return "outcome", _train(pipe, task)
    except FloatingPointError as error:
        return "outcome", error  # a matter of this run alone
    except ValueError as error:
        keeper = task.keeper
        if keeper is None or not checkpoints(keeper.directory, keeper.number):
            return "outcome", error
        # It has run before: what it cannot find or do now it may another time.
        return "raised", CannotResumeError(f"{task.config.title}, seed {task.config.seed}: {one_line(error)}")
    except Stopped as error:
        return "raised", error
    except Exception as error:
        try:
            error.add_note("".join(traceback.format_exception(error)))  # of a process that will be gone
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {one_line(error)}")
        return "raised", error


def _train(pipe: Connection, task: Task) -> Result:
    asked = False

    def asked_to_stop() -> bool:
        nonlocal asked
        asked = asked or pipe.poll()  # nothing else is ever sent to a worker with a run in hand
        return asked

    keeper = task.keeper and replace(task.keeper, asked_to_stop=asked_to_stop)
    if keeper is not None:
        share_lock(keeper.directory)

    def report(event: Event) -> None:
        if event.kind == "end_epoch":
            pipe.send(("row", event.row))
        elif event.ends_own_epoch:
            pipe.send(("own_epoch", None))
        if keeper is None and asked_to_stop():
            raise Stopped

    with warnings.catch_warnings():
        # A configuration's warnings are in its record; the parent prints them once.
        warnings.simplefilter("ignore", UserWarning)
        result = train(task.config, on_event=report, expected=task.expected, keeper=keeper).with_weights(task.weights)
    if keeper is not None:
        keeper.finished(result)
    return result
