"""A command's runs from where they stand to their end, or to where something ends them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from sparcl_ref.command_line import FAILED, Ended
from sparcl_ref.config import Config
from sparcl_ref.forecast import Forecast
from sparcl_ref.interrupts import Interrupts
from sparcl_ref.keeper import Stopped
from sparcl_ref.progress import Progress
from sparcl_ref.run_plan import resume_command
from sparcl_ref.saved import file_names
from sparcl_ref.text import one_line
from sparcl_ref.workers import train_all


def trained(
    progress: Progress, forecasts: Sequence[Forecast], stopping: Interrupts, *, jobs: int, every: float
) -> list[tuple[Config, Exception]]:
    """Run what is left, with a bar on stderr; returns what ended without a result, and why."""
    # A log file gets a line every ten seconds, a terminal a moving bar.
    terminal = sys.stderr.isatty()
    pause = 0.1 if terminal else 10
    left = progress.left
    keepers = [progress.keeper(number, every=every) for number in left]
    configs = [progress.plan.configs[number - 1] for number in left]
    names = file_names((config.title, config.seed) for config in progress.plan.configs)
    weights = [progress.directory / "weights" / names[number - 1] for number in left]
    own = {number: forecasts[number - 1].work.own_epochs for number in progress.results} | progress.own_epochs
    done = sum(map(len, progress.rows.values())) + sum(own.values())
    epochs = sum(item.epochs + item.work.own_epochs for item in forecasts)
    with tqdm(total=epochs, initial=done, unit="epoch", desc="training", file=sys.stderr, mininterval=pause) as bar:

        def entered(index: int, row: dict[str, Any]) -> None:
            progress.add_row(left[index], row)
            bar.update()

        def asked_to_stop() -> bool:
            if stopping and terminal:
                with contextlib.suppress(OSError):  # a terminal that is gone
                    bar.write("finishing the step and saving; again to stop at once", file=sys.stderr)
            return bool(stopping)

        ended = train_all(
            configs, [forecasts[number - 1] for number in left], keepers=keepers,
            weights=weights, jobs=jobs, threads=progress.plan.threads, on_epoch=entered, on_own_epoch=bar.update,
            asked_to_stop=asked_to_stop,
        )  # fmt: skip
    failed = []
    for number, config, outcome in zip(left, configs, ended, strict=True):
        if isinstance(outcome, Exception):
            failed.append((config, outcome))
        else:
            progress.results[number] = outcome
    return failed


@contextlib.contextmanager
def unless_ended(progress: Progress, stopping: Interrupts) -> Iterator[None]:
    """Whatever ends a command before its runs have ended becomes a line that says how to go on.

    Where nothing has been kept yet, nothing is left.
    """
    try:
        yield
    except BaseException as error:
        if progress.ended:
            raise
        interrupted = isinstance(error, KeyboardInterrupt | Stopped)
        if not progress.anything():
            with contextlib.suppress(OSError):
                progress.discard()
            if interrupted:
                raise Ended("interrupted; nothing was written", stopping.exit_code) from error
            raise
        on = f"go on with: {resume_command(progress.directory)}"
        if interrupted:
            raise Ended(f"interrupted; {on}", stopping.exit_code) from error
        if isinstance(error, OSError | RuntimeError | MemoryError) and not isinstance(error, BrokenPipeError):
            why = one_line(error)
            if isinstance(error, OSError) and error.filename:
                why = f"{error.filename}: {error.strerror}"
            raise Ended(f"failed: {why}; what was complete is kept; {on}", FAILED) from error
        error.add_note(f"what was complete is kept; {on}")
        raise
