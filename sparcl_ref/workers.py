"""Runs over processes: each with a fixed number of BLAS threads, so that the bits do not depend on how many run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import queue
import signal
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from sparcl_ref import __version__, extensions
from sparcl_ref.config import Config
from sparcl_ref.experiment import train
from sparcl_ref.forecast import Forecast
from sparcl_ref.history import Event
from sparcl_ref.processes import end_with_parent
from sparcl_ref.result import Result
from sparcl_ref.saved import with_weights

#: Seconds between two looks at the progress queue.
POLL_SECONDS = 0.1


class Stopped(Exception):  # noqa: N818 - not an error: the parent asked for it
    """Raised inside a worker when the parent has given up."""


class WorkerDiedError(RuntimeError):
    """A worker process ended without an answer, for example because it was killed for want of memory."""


_stop: Any = None
_progress: Any = None


def _start_worker(stop: Any, progress: Any, threads: int, things: extensions.Added) -> None:
    """Set up a worker process: its handles, and what `prepare_process` does."""
    global _stop, _progress
    _stop, _progress = stop, progress
    prepare_process(threads, things)


def prepare_process(threads: int, things: extensions.Added) -> None:
    """Set up a process that trains: its BLAS threads, what was registered in the parent, and its end."""
    # The parent handles Ctrl-C for all; a second traceback from here would only hide its message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(limits=threads)
    # Read when Numba is first imported. Several workers with a thread per core each would wait for one another.
    os.environ["NUMBA_NUM_THREADS"] = str(threads)

    extensions.take_over(things)
    # A pool's idle worker does not notice by itself that its parent was killed.
    end_with_parent()


def _train_in_worker(config: Config, expected: Forecast, weights: Path | None) -> Result:
    def report(event: Event) -> None:
        if _stop.is_set():
            raise Stopped
        if event.kind == "end_epoch":
            _progress.put(1)

    with warnings.catch_warnings():
        # A configuration's warnings are in its record; the parent prints them once.
        warnings.simplefilter("ignore", UserWarning)
        result = train(config, on_event=report, expected=expected)
    return with_weights(result, weights)


def versions() -> dict[str, str]:
    """Versions of what the bits of a run depend on."""
    names = ("numpy", "scipy", "numba", "matplotlib")
    found = {"sparcl_ref": __version__, "python": platform.python_version(), "machine": platform.machine()}
    return found | {name: metadata.version(name) for name in names}


def train_all(
    configs: Sequence[Config],
    forecasts: Sequence[Forecast],
    *,
    jobs: int = 1,
    threads: int = 1,
    weights: Sequence[Path] | None = None,
    on_epoch: Callable[[int], None] = lambda count: None,
) -> list[Result | Exception]:
    """Train every configuration, of which ``forecasts`` say what it will cost, in spawned worker processes.

    Each of the ``jobs`` processes has so many ``threads`` of BLAS and of the numba engine. ``on_epoch`` is called with
    the number of epochs finished since the last call. Results are in the order of ``configs``; what each has trained is
    written to its path of ``weights``, if there are any, as soon as it has ended.

    A run that fails, because a number is no longer finite or its settings do not fit, gives its exception in place of a
    result; the others go on.

    Raises
    ------
    WorkerDiedError
        If a worker process ended without an answer.
    KeyboardInterrupt
        On Ctrl-C; the workers stop at their next event.
    """
    context = multiprocessing.get_context("spawn")
    stop, progress = context.Event(), context.Queue()
    with ProcessPoolExecutor(
        max_workers=min(jobs, len(configs)),
        mp_context=context,
        initializer=_start_worker,
        initargs=(stop, progress, threads, extensions.added()),
    ) as pool:
        futures = [
            pool.submit(_train_in_worker, *each)
            for each in zip(configs, forecasts, [None] * len(configs) if weights is None else weights, strict=True)
        ]
        try:
            _wait_for(futures, progress, on_epoch)
            return [_outcome(future) for future in futures]
        except BrokenProcessPool as error:
            raise WorkerDiedError(
                "a worker process died without an answer (killed, or out of memory?); try fewer --jobs"
            ) from error
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _wait_for(futures: Sequence[Future], progress: Any, on_epoch: Callable[[int], None]) -> None:
    """Pass progress on until all runs have ended."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        count = 0
        with contextlib.suppress(queue.Empty):
            while True:
                count += progress.get_nowait()
        if count:
            on_epoch(count)
        for future in done:
            _outcome(future)


def _outcome(future: Future) -> Result | Exception:
    """A run's result, or what its settings or numbers raised; all else is no matter of one run."""
    try:
        return future.result()
    except (FloatingPointError, ValueError) as error:
        return error
