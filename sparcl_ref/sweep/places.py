"""Where the runs of a sweep are trained: in processes of this machine, or on a Dask cluster that exists already."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from sparcl_ref import extensions
from sparcl_ref.config import Config
from sparcl_ref.experiment import train
from sparcl_ref.forecast import Forecast
from sparcl_ref.run_folder import locked
from sparcl_ref.sweep.results import ResultKeeper, write_failure
from sparcl_ref.text import one_line
from sparcl_ref.workers import WorkerDiedError, train_all

if TYPE_CHECKING:
    from distributed import Client

#: So many times in a row a worker may die before a run under way has ended.
MOST_DEATHS = 5


@dataclass(frozen=True)
class Job:
    """A run that is left, what it will cost, and what keeps it."""

    config: Config
    expected: Forecast
    keeper: ResultKeeper

    def failed(self, error: Exception) -> None:
        """Keep that it has no result."""
        write_failure(self.keeper.sweep, self.config, error, made_with=self.keeper.made_with)


def over_processes(
    jobs: Sequence[Job],
    *,
    processes: int,
    threads: int,
    on_epoch: Callable[[Job], None],
    warn: Callable[[str], None],
    asked_to_stop: Callable[[], bool],
) -> None:
    """Train all jobs; what was in hand when a worker process was killed goes on from its checkpoint.

    Raises
    ------
    Stopped
        Once ``asked_to_stop`` says so; each run under way is saved.
    WorkerDiedError
        If workers die again and again.
    Exception
        What else a run raised, as for want of room on the disk.
    """
    left, deaths = list(jobs), 0
    while left:
        try:
            outcomes = train_all(
                [job.config for job in left],
                [job.expected for job in left],
                jobs=processes,
                threads=threads,
                keepers=[job.keeper for job in left],
                on_epoch=lambda index, row, left=left: on_epoch(left[index]),  # type: ignore[misc]
                asked_to_stop=asked_to_stop,
            )
        except WorkerDiedError as error:
            still = [job for job in left if not job.keeper.done]
            deaths = 1 if len(still) < len(left) else deaths + 1
            if deaths >= MOST_DEATHS:
                raise
            left = still
            warn(f"{one_line(error)}; {len(left)} runs go on from their checkpoints")
            continue
        for job, outcome in zip(left, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.failed(outcome)
        return


def connected(address: str) -> Client:
    """A client of the cluster with that scheduler; ValueError if Dask is not installed, or nobody answers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(f"--dask needs the package distributed: pip install 'sparcl_ref[dask]' ({error})") from error
    try:
        return Client(address, timeout="15s")
    except (OSError, ValueError) as error:
        raise ValueError(f"--dask {address}: no scheduler answers there ({one_line(error)})") from error


def over_dask(
    jobs: Sequence[Job], client: Client, *, threads: int, data_dir: str | None, on_end: Callable[[Job], None]
) -> None:
    """Train all jobs on a cluster whose workers see the sweep's folder under the same path.

    A job whose worker dies is given to another by Dask's scheduler and goes on from its checkpoint. What is under way
    when this ends early goes on to its end there, and is kept.

    Raises
    ------
    Exception
        What a run raised, but for divergence.
    """
    from distributed import as_completed

    things = extensions.added()
    futures = {
        client.submit(train_there, job, threads, things, data_dir, key=job.keeper.key, pure=False): job for job in jobs
    }
    for future in as_completed(list(futures)):
        future.result()
        on_end(futures[future])


def train_there(job: Job, threads: int, things: extensions.Added, data_dir: str | None) -> None:
    """Train a job in this process, a worker of a cluster, unless it has a result by now."""
    # Read when Numba is first imported.
    os.environ["NUMBA_NUM_THREADS"] = str(threads)
    extensions.take_over(things)
    if data_dir is not None:
        from sparcl_ref.streams.files import look_first_in

        look_first_in(data_dir)
    folder = Path(job.keeper.directory)
    folder.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(limits=threads), locked(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a configuration's warnings are in its record
        if job.keeper.done:
            return
        try:
            result = train(job.config, expected=job.expected, keeper=job.keeper)
        except FloatingPointError as error:
            job.failed(error)
        else:
            job.keeper.finished(result.with_weights(None))
