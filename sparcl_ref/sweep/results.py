"""The files of a sweep: a result per run, the same to the bit wherever it ran; and apart from it, how long it took."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparcl_ref import durable
from sparcl_ref.config import Config
from sparcl_ref.keeper import Keeper, checkpoints
from sparcl_ref.report.summary import to_json
from sparcl_ref.result import Result
from sparcl_ref.sweep.grid import key
from sparcl_ref.text import one_line
from sparcl_ref.trainer import Trainer

SCHEMA_VERSION = 1
ABOUT = (
    "One run of a sweep of sparcl_ref. record is as in the methods of a summary.json, epochs as in metrics.csv; failed "
    "says why there is no record. What another machine would measure otherwise stands in seconds/, under the same name."
)
RESULTS, SECONDS, WORK = "results", "seconds", "work"
MARKS = "marks.json"
#: Entries of a record that no repetition gives again to the bit, or that name files of its own folder.
PASSING = ("wall_seconds", "on_this_machine", "weights")


@dataclass(frozen=True)
class Found:
    """What the files say of one run.

    Attributes
    ----------
    result : Result or None
        None where the run failed; its ``wall_seconds`` are None where nobody measured.
    failed : str
        Why there is no result, "" if there is.
    tasks : list of dict
        Seconds and exact FLOPs from the start to each task's end; empty where nobody measured.
    """

    config: Config
    result: Result | None
    failed: str
    tasks: list[dict[str, Any]]


@dataclass
class ResultKeeper(Keeper):
    """Keeps a run in the folder of a sweep: checkpoints below work/, what it cost by the end of each task, its result.

    Attributes
    ----------
    sweep : Path
    key : str
    made_with, machine : mapping
        What the run's bits, and its seconds, depend on beside its settings.
    """

    sweep: Path = Path()
    key: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    _marks: list[dict[str, Any]] = field(default_factory=list, init=False)

    @property
    def done(self) -> bool:
        """Whether the run has a result, or failed."""
        return result_path(self.sweep, self.key).is_file()

    def take_up(self, trainer: Trainer) -> float:
        """As `Keeper.take_up`; what was marked after the checkpoint is forgotten."""
        seconds = super().take_up(trainer)
        with contextlib.suppress(FileNotFoundError):
            self._marks = json.loads((self.directory / MARKS).read_text())[: tasks_ended(trainer)]
        return seconds

    def after_event(self, trainer: Trainer, seconds: float) -> None:
        """As `Keeper.after_event`, after a mark at each task's end."""
        if tasks_ended(trainer) > len(self._marks):
            self._marks.append({"seconds": round(seconds, 3), "train_flops": trainer.ledger.train_flops})
            durable.put(self.directory / MARKS, json.dumps(self._marks).encode())
        super().after_event(trainer, seconds)

    def finished(self, result: Result) -> None:
        """Write what the run took, then its result, by which it counts as done; what it needed on the way goes."""
        seconds = {
            "schema_version": SCHEMA_VERSION,
            "wall_seconds": result.wall_seconds,
            "peak_memory_bytes": result.peak_memory_bytes,
            "tasks": self._marks,
            "machine": dict(self.machine),
        }
        _put(self.sweep / SECONDS, self.key, seconds)
        write_result(self.sweep, self.key, result, made_with=self.made_with)
        for path in (self.directory / MARKS, *(path for _, path in checkpoints(self.directory, self.number))):
            durable.remove(path)


def tasks_ended(trainer: Trainer) -> int:
    """How many tasks a run has behind it, whatever it is in the midst of."""
    cursor = trainer.cursor
    return cursor.task if trainer.done or cursor.due == "begin_task" else max(0, cursor.task - 1)


def keeper(sweep: Path, config: Config, *, every: float, **context: Any) -> ResultKeeper:
    """What keeps a run of the sweep in that folder; ``context`` as `ResultKeeper` has it."""
    name = key(config)
    work = sweep / WORK / name
    work.mkdir(parents=True, exist_ok=True)
    return ResultKeeper(work, 1, every, sweep=sweep, key=name, **context)


def write_result(sweep: Path, name: str, result: Result, *, made_with: Mapping[str, str]) -> None:
    """Keep what a run found; OSError, naming the file, if that cannot be."""
    record = {item: value for item, value in result.record().items() if item not in PASSING}
    _put(sweep / RESULTS, name, _document(made_with, record=record, epochs=result.epoch_rows()))


def write_failure(sweep: Path, config: Config, error: Exception, *, made_with: Mapping[str, str]) -> None:
    """Keep that a run has no result, such as one that diverged: it would again."""
    document = _document(made_with, failed=one_line(error), config=config.to_json())
    _put(sweep / RESULTS, key(config), document)


def _document(made_with: Mapping[str, str], **what: Any) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "about": ABOUT, "made_with": dict(made_with), **what}


def _put(folder: Path, name: str, document: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    durable.put(folder / f"{name}.json", to_json(document).encode())


def done(sweep: Path, configs: Sequence[Config]) -> list[bool]:
    """Which of the runs have a result, or failed."""
    return [result_path(sweep, key(config)).is_file() for config in configs]


def result_path(sweep: Path, name: str) -> Path:
    return sweep / RESULTS / f"{name}.json"


def load_results(sweep: Path) -> list[Found]:
    """All results in a folder, sorted by file name.

    Raises
    ------
    ValueError
        In one line: if there are none, or a file is no result of this version.
    """
    paths = sorted((sweep / RESULTS).glob("*.json"))
    if not paths:
        raise ValueError(f"{sweep} holds no results of a sweep; train some with python -m sparcl_ref.sweep GRID")
    return [_checked(path, lambda path=path: _found(sweep, path)) for path in paths]  # type: ignore[misc]


def _found(sweep: Path, path: Path) -> Found:
    document = _document_at(path)
    if "record" not in document:
        return Found(Config.from_json(document["config"]), None, document["failed"], [])
    beside = sweep / SECONDS / path.name
    measured = _checked(beside, lambda: _document_at(beside)) if beside.is_file() else {}
    result = Result.from_record({**document["record"], "wall_seconds": measured.get("wall_seconds")})
    return Found(result.config, result, "", measured.get("tasks", []))


def _document_at(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if (version := document["schema_version"]) != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {version}, and this version reads {SCHEMA_VERSION}")
    return document


def _checked(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a result of a sweep: {type(error).__name__}: {one_line(error)}") from error
