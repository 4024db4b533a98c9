"""The decisions of a recorded run, for an implementation that replays it; needs only `archive` beside itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.verify.traces.archive import NO_LAYER, Name, TraceError, TraceReader

_STEP = re.compile(r"task(\d+)(?:\.epoch(\d+))?\.(begin|end|step(\d+))$")


@dataclass
class Choice:
    """What was decided at one event.

    Attributes
    ----------
    kind : str
        "begin_task", "begin_epoch", "step", "end_epoch" or "end_task".
    at : str
        The step's name, as `TraceWriter.write` takes it.
    task, epoch, step : int
        Task and epoch from 1 (epoch 0 where there is none), step within the epoch from 0.
    joins : dict of str to ndarray of int
        Of "begin_epoch" with an expansion: flat indices that join, by parameter.
    values : dict of str to ndarray
        Of "begin_task": "classes" and "samples", indices into train_x. Of "begin_epoch": "permutation", positions in
        the ascending list of the remaining samples. Of "step": "batch", indices into train_x; "replay_mse_slots" and
        "replay_ce_slots", the buffer slots of B' and B'', absent while nothing is replayed; "reservoir_draws", the j
        of each presented sample.
    """

    kind: str
    at: str
    task: int
    epoch: int
    step: int
    joins: dict[str, np.ndarray] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Choices:
    """What a run was given, and `events`, its decisions in order.

    Attributes
    ----------
    path : Path
    config : dict
        Settings by the names of `sparcl_ref.Config`.
    data : dict of str to ndarray
        "train_x", "train_y", "test_x", "test_y" as stored, and "scale", "mean", "std": the network sees
        (x * scale - mean) / std.
    class_order : ndarray of int
    initial : dict of str to ndarray
        Dense initial state under PyTorch's names.
    masks : dict of str to ndarray of bool
        Initial masks of the sparsifiable weights.
    """

    path: Path
    config: dict[str, Any]
    data: dict[str, np.ndarray]
    class_order: np.ndarray
    initial: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]

    def events(self) -> Iterator[Choice]:
        """Read the decisions event by event."""
        with TraceReader(self.path) as reader:
            names = [name for text in reader.names if (name := Name.parse(text))]
            for at, group in groupby(names, key=lambda name: name.step):
                if at != "start":
                    choice = _event(at, self.path)
                    for name in group:
                        if name.pass_name == "choices" and name.tensor == "joins":
                            choice.joins[name.layer] = reader.read(str(name))
                        elif name.pass_name == "choices":
                            choice.values[name.tensor] = reader.read(str(name))
                    yield choice


def read_choices(path: str | os.PathLike[str]) -> Choices:
    """Open what `record` wrote, to replay it.

    Raises
    ------
    TraceError
        If the file is no reference trace.
    """
    with TraceReader(path) as reader:
        parts: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        for text in reader.names:
            name = Name.parse(text)
            if name and name.step == "start":
                kind, key = ("", name.tensor) if name.layer == NO_LAYER else (name.tensor, name.layer)
                parts.setdefault((name.pass_name, kind), {})[key] = reader.read(text)
        try:
            return Choices(
                path=Path(path),
                config=reader.manifest["config"],
                data=parts["data", ""],
                class_order=parts["choices", ""]["class_order"],
                initial=parts["initial", "value"],
                masks=parts["choices", "mask"],
            )
        except KeyError as error:
            raise TraceError(f"{path}: lacks {error}; give a reference that record() wrote") from error


def _event(at: str, path: Path) -> Choice:
    found = _STEP.match(at)
    if not found:
        raise TraceError(f"{path}: unknown step {at!r}; give a reference that record() wrote")
    task, epoch, what, step = found.groups()
    kind = "step" if step else f"{what}_{'epoch' if epoch else 'task'}"
    return Choice(kind, at, int(task), int(epoch or 0), int(step or 0))
