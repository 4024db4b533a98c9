"""What is kept of one run while it is in progress: its two newest checkpoints, and its result once it has one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparcl_ref import checkpoint, durable
from sparcl_ref.checkpoint import GENERATIONS
from sparcl_ref.config import Config
from sparcl_ref.history import History
from sparcl_ref.result import Result
from sparcl_ref.states import identity
from sparcl_ref.text import one_line
from sparcl_ref.trainer import Trainer

#: Seconds between checkpoints, unless asked for otherwise: what a kill costs at most, and rare enough to cost nothing.
CHECKPOINT_SECONDS = 60.0


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A run was asked to stop, and has saved itself."""


class CannotResumeError(RuntimeError):
    """A checkpoint does not fit the run that is to go on from it."""


def never() -> bool:
    """No."""
    return False


@dataclass
class Keeper:
    """Saves a run, and brings it back.

    Attributes
    ----------
    directory, number
        The folder, and the run's number in it, from 1.
    every : float
        Seconds between checkpoints; each end of a task has one anyway.
    force : bool
        Whether a checkpoint of a run with other settings or data is taken.
    asked_to_stop : callable
        Asked after each event.
    """

    directory: Path
    number: int
    every: float = CHECKPOINT_SECONDS
    force: bool = False
    asked_to_stop: Callable[[], bool] = never
    _generation: int = field(default=0, init=False)
    _saved: float = field(default=0.0, init=False)

    def take_up(self, trainer: Trainer) -> float:
        """Let a trainer go on from the newest good checkpoint, if there is one; returns the seconds it has run.

        Raises
        ------
        CannotResumeError
            If the checkpoint belongs to another run, or is not whole.
        """
        self._saved = time.monotonic()
        found, _ = newest_checkpoint(self.directory, self.number)
        if found is None:
            return 0.0
        self._generation, state = found
        if self.force:
            state["trainer"]["belongs_to"] = identity(trainer.config, trainer.dataset)
        try:
            trainer.load_state(state["trainer"])
        except (KeyError, ValueError) as error:
            path = checkpoint_path(self.directory, self.number, self._generation)
            raise CannotResumeError(f"{path}: {one_line(error)}") from error
        return state["seconds"]

    def after_event(self, trainer: Trainer, seconds: float) -> None:
        """Save if it is time, or a task has ended that is not the last; raises `Stopped` if asked to, saved."""
        stop = self.asked_to_stop()
        cursor = trainer.cursor
        task_ended = cursor.due == "begin_task" and cursor.task > 0
        if not trainer.done and (stop or task_ended or time.monotonic() - self._saved >= self.every):
            self._save(trainer, seconds)
            if stop:
                raise Stopped

    def _save(self, trainer: Trainer, seconds: float) -> None:
        self._generation += 1
        path = checkpoint_path(self.directory, self.number, self._generation)
        checkpoint.write(path, {"seconds": seconds, "trainer": trainer.state()})
        for generation, old in checkpoints(self.directory, self.number):
            if not self._generation - GENERATIONS < generation <= self._generation:
                durable.remove(old)
        self._saved = time.monotonic()

    def finished(self, result: Result) -> None:
        """Keep the result; checkpoints are of no use then."""
        checkpoint.write(result_path(self.directory, self.number), plain(result))
        for _, old in checkpoints(self.directory, self.number):
            durable.remove(old)


def checkpoint_path(directory: Path, number: int, generation: int) -> Path:
    return directory / f"checkpoint-{number:02d}-{generation:06d}.npz"


def result_path(directory: Path, number: int) -> Path:
    return directory / f"result-{number:02d}.npz"


def checkpoints(directory: Path, number: int) -> list[tuple[int, Path]]:
    """Generation and file of each checkpoint of a run, the newest first."""
    found = directory.glob(f"checkpoint-{number:02d}-*.npz")
    return sorted(((int(path.stem.rpartition("-")[2]), path) for path in found), reverse=True)


def newest_checkpoint(directory: Path, number: int) -> tuple[tuple[int, dict[str, Any]] | None, list[str]]:
    """Generation and state of the newest checkpoint that is good, and a line for each damaged one before it."""
    damaged: list[str] = []
    for generation, path in checkpoints(directory, number):
        try:
            return (generation, checkpoint.read(path)), damaged
        except (OSError, checkpoint.DamagedError) as error:
            damaged.append(f"{path} is damaged ({one_line(error)})")
    return None, damaged


def stored_result(directory: Path, number: int) -> tuple[Result | None, list[str]]:
    """The result of a run that has ended, if it has and its file is good; and a line if it is damaged."""
    path = result_path(directory, number)
    try:
        return from_plain(checkpoint.read(path)), []
    except FileNotFoundError:
        return None, []
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        return None, [f"{path} is damaged ({one_line(error)})"]


def plain(result: Result) -> dict[str, Any]:
    """A result as values that a checkpoint can hold; the network that was trained is not among them."""
    return {
        **vars(result),
        "learner": None,
        "config": result.config.to_json(),
        "history": dataclasses.asdict(result.history),
    }


def from_plain(values: dict[str, Any]) -> Result:
    """The result that `plain` took apart."""
    config, history = Config.from_json(values["config"]), History(**values["history"])
    return Result(**{**values, "config": config, "history": history})
