"""The configuration in a summary.json, which runs again what ran before: read, and checked as a stranger's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.report import load_summary

#: Threads of a worker at most.
MOST_THREADS = 4096
_KEYS = ("name", "threads", "runs")
#: A name becomes that of a folder: one plain word of every file system.
_NAME = re.compile(r"[^\W_][\w.+-]{0,99}")


@dataclass(frozen=True)
class StoredRuns:
    """What ran under a name, with how many threads to a worker: a configuration, as JSON values, for each run."""

    name: str
    threads: int
    entries: tuple[dict[str, Any], ...]


def load_stored_runs(path: str) -> StoredRuns:
    """Read what a summary.json says of its runs.

    Raises
    ------
    ValueError
        In one line that names the file and the place: if it is no summary, its ``config`` lacks something, has
        something else, or holds a value of another type, a name that is no name of a folder, or what `Config` refuses.
    """
    stored = load_summary(path)["config"]
    where = f"{path}: its config"
    if missing := [key for key in _KEYS if key not in stored]:
        raise ValueError(f"{where} lacks {', '.join(map(repr, missing))}; was the file written by this command?")
    if strangers := [key for key in stored if key not in _KEYS]:
        raise ValueError(f"{where} has {', '.join(map(repr, strangers))}, and only {', '.join(_KEYS)} are known")
    name, threads, runs = (stored[key] for key in _KEYS)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{where} has the name {name!r}; expected one word such as 'tiny', which names a folder")
    if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"{where} has threads {threads!r}; expected a whole number in 1..{MOST_THREADS}")
    if not isinstance(runs, list) or not runs:
        raise ValueError(f"{where} has runs {runs!r}; expected a list of at least one configuration")
    entries = []
    for index, run in enumerate(runs):
        if not isinstance(run, dict):
            raise ValueError(f"{where} has runs[{index}] {run!r}; expected an object of settings")
        try:
            entries.append(Config.from_json(run).to_json())
        except ValueError as error:
            raise ValueError(f"{where}, runs[{index}]: {error}") from error
    return StoredRuns(name, threads, tuple(entries))
