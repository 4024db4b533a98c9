"""What a run will cost, from its configuration and its data set's sizes alone: nothing is built or trained for it.

All that a run's record says of cost is known here, before the first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.assembly import build_network, build_stream, chosen_engine, spec_of, with_engine
from sparcl_ref.config import Config
from sparcl_ref.cost import cost_record
from sparcl_ref.cost.timing import pass_and_update_seconds
from sparcl_ref.randomness import named_streams
from sparcl_ref.streams import Dataset
from sparcl_ref.text import columns


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
        Whether masks depend on values, so that the exact count of a run may differ.
    savings : dict
        What each part adds or saves, by convention, see `sparcl_ref.cost.breakdown`.
    removals : list of dict
        What each removal of data saves.
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
    record = cost_record(spec, config, sizes, image_item_bytes=dataset.train_x.dtype.itemsize)
    return Forecast(
        name=config.title,
        epochs=config.epochs * len(sizes),
        steps=record["steps"],
        pass_samples=record["pass_samples"],
        engine=chosen_engine(config, spec, samples=len(dataset.train_x)),
        train_flops=record["train_flops"],
        memory_bytes={
            key: part["total"] if isinstance(part, dict) else part for key, part in record["memory_bytes"].items()
        },
        nominal=record["nominal"],
        savings=record["savings"],
        removals=record["removals"],
    )


def estimated_seconds(item: Forecast, config: Config, dataset: Dataset) -> float:
    """How long a run will take on this machine, evaluation and mask actions aside: a few passes are measured."""
    model, _ = with_engine(item.engine, build_network(config, dataset, np.random.default_rng(0)))
    passes, updates = pass_and_update_seconds(model, batch=config.batch_size)
    return item.pass_samples / config.batch_size * passes + item.steps * updates


def forecast_text(forecasts: Sequence[Forecast], seconds: Sequence[float], *, jobs: int) -> str:
    """What the runs will cost, as lines; one per name."""
    by_name = {item.name: (item, time) for item, time in zip(forecasts, seconds, strict=True)}
    rows = [
        (
            item.name,
            ("about " if item.nominal else "") + in_units(item.train_flops["exact"], 1e9, 2),
            in_units(item.memory_bytes["exact"], 1e6, 2),
            f"{time:,.1f}",
        )
        for item, time in by_name.values()
    ]
    table = columns(("predicted", "train GFLOPs (exact)", "memory, MB", "seconds"), rows)
    return f"{table}\nabout {sum(seconds) / jobs:,.0f} s in all, evaluation and mask actions aside\n"


def in_units(number: float | None, unit: float, digits: int) -> str:
    """A cost in a unit; "unknown" where some layer has not said what it costs."""
    return "unknown" if number is None else f"{number / unit:,.{digits}f}"
