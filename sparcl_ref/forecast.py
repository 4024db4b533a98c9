"""What a run will cost, from its configuration and its data set's sizes alone: nothing is built or trained for it.

All that a run's record says of cost is known here, before the first step. What depends on the machine is added from a
trial, see `sparcl_ref.trial`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparcl_ref.assembly import build_stream, chosen_engine, spec_of
from sparcl_ref.config import Config
from sparcl_ref.cost import ModelSpec, cost_record, predict
from sparcl_ref.cost.work import Work, work_of
from sparcl_ref.living_weights import check_living, idle_tasks
from sparcl_ref.memory import peak_bytes
from sparcl_ref.pass_sizes import check_pass_sizes
from sparcl_ref.randomness import named_streams
from sparcl_ref.streams import Dataset

#: What a run's record, a number in it and a row of metrics take, and the figures and the page of all runs.
RECORD_BYTES, NUMBER_BYTES, ROW_BYTES, DRAWN_BYTES = 6_000, 20, 150, 1_500_000


@dataclass(frozen=True)
class Forecast:
    """The cost of a run before it starts.

    Attributes
    ----------
    epochs, steps, pass_samples : int
        Of the whole run; samples of all passes.
    train_flops, memory_bytes : dict of str to int or None
        By convention: "paper", "exact", for memory also "exact_sparse_engine"; None where a layer does not say its own.
    nominal : bool
        Whether masks or the buffer depend on values, so that the exact count of a run may differ.
    savings : dict
        What each part adds or saves, by convention, see `sparcl_ref.cost.breakdown`.
    removals : list of dict
        What each removal of data saves.
    work : Work
        How often the run does what takes time.
    disk_bytes : dict of str to int
        What is written, by part; weights and checkpoints are known after a trial.
    remarks : tuple of str
        What is allowed with these data but probably not meant, a line each.
    seconds : float or None
        In a worker process of this machine, from loading the data to the last evaluation; None before a trial.
    peak_memory_bytes : int or None
        Of that process, with its libraries and the data set; None before a trial.
    """

    name: str
    epochs: int
    steps: int
    pass_samples: int
    engine: str
    train_flops: dict[str, int | None]
    memory_bytes: dict[str, int | None]
    nominal: bool
    savings: dict[str, list[dict[str, Any]]]
    removals: list[dict[str, Any]]
    work: Work
    disk_bytes: dict[str, int]
    remarks: tuple[str, ...] = ()
    seconds: float | None = None
    peak_memory_bytes: int | None = None


def forecast(config: Config, dataset: Dataset) -> Forecast:
    """Price a run.

    Raises
    ------
    ValueError
        If the configuration does not fit the data: what `forecast` takes, a run takes.
    """
    stream = build_stream(config, dataset, named_streams(config.seed)["classes"])
    sizes = [len(task.train_index) for task in stream.training]
    spec = spec_of(config, dataset)
    if config.sparse and not spec.unknown and not spec.sparsifiable:
        raise ValueError(f"--sparsity needs sparsifiable weights, and {config.model} has none; choose another --model")
    check_living(spec, config)
    check_pass_sizes(spec, config, sizes)
    prediction = predict(spec, config, sizes)
    record = cost_record(spec, config, sizes, image_item_bytes=dataset.train_x.dtype.itemsize)
    return Forecast(
        name=config.title,
        epochs=config.epochs * len(sizes),
        steps=record["steps"],
        pass_samples=record["pass_samples"],
        engine=chosen_engine(config, spec, samples=sum(sizes)),
        train_flops=record["train_flops"],
        memory_bytes={
            key: part["total"] if isinstance(part, dict) else part for key, part in record["memory_bytes"].items()
        },
        nominal=record["nominal"],
        savings=record["savings"],
        removals=record["removals"],
        work=work_of(config, prediction, tasks=len(sizes)),
        disk_bytes=_written(spec, config, tasks=len(stream.tasks), epochs=config.epochs * len(sizes)),
        remarks=tuple(filter(None, [idle_tasks(config, prediction)])),
    )


def _written(spec: ModelSpec, config: Config, *, tasks: int, epochs: int) -> dict[str, int]:
    """Bytes of a run in the files of data: numbers as text, and a bit for each weight of the mask that is recorded."""
    largest = max((layer.weights for layer in spec.sparsifiable), default=0) if config.sparse else 0
    return {
        "summary": RECORD_BYTES + 2 * NUMBER_BYTES * (tasks + 1) * tasks,
        "metrics": ROW_BYTES * epochs,
        "masks": (epochs + 1) * -(-largest // 8),
    }


@dataclass(frozen=True)
class InAll:
    """What all runs take together, so many at a time; None where one of them is unknown.

    Attributes
    ----------
    seconds : float or None
        From the start of the workers to the end of the last run.
    peak_memory_bytes : int or None
        Of the command and of the workers, each with the largest runs there are.
    train_flops, disk_bytes : int or None
        Exact FLOPs; all that is written, with both generations of each run's checkpoint.
    start_seconds : float
        Until a worker process is ready; in ``seconds``.
    compile_seconds : float
        What it took to compile the numba engine, or to load it; done already, and in no other figure.
    """

    seconds: float | None
    peak_memory_bytes: int | None
    train_flops: int | None
    disk_bytes: int | None
    start_seconds: float
    compile_seconds: float


def in_all(items: Sequence[Forecast], *, jobs: int, start_seconds: float, compile_seconds: float = 0.0) -> InAll:
    """What the runs of a command take, in that order, of which ``jobs`` go on at a time."""
    seconds = [item.seconds for item in items]
    peaks = [peak_bytes(), *sorted((item.peak_memory_bytes or 0 for item in items), reverse=True)[:jobs]]
    flops = [item.train_flops["exact"] for item in items]
    disk = [None if item.seconds is None else sum(item.disk_bytes.values()) for item in items]
    ends = [start_seconds] * jobs
    for length in seconds:
        # The first process that is free takes the next run.
        heapq.heapreplace(ends, ends[0] + (length or 0))
    unknown = any(item.peak_memory_bytes is None for item in items)
    return InAll(
        seconds=None if None in seconds else max(ends),
        peak_memory_bytes=None if unknown else _sum(peaks),
        train_flops=_sum(flops),
        disk_bytes=_sum([*disk, DRAWN_BYTES]),
        start_seconds=start_seconds,
        compile_seconds=compile_seconds,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
