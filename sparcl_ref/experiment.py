"""From a configuration to a result: price it, build it, train it, measure it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from sparcl_ref.assembly import (
    build_generators,
    build_method,
    build_network,
    build_stream,
    chosen_engine,
    spec_of,
    with_engine,
)
from sparcl_ref.config import Config
from sparcl_ref.cost import FlopLedger
from sparcl_ref.cost.sizes import policy_of
from sparcl_ref.draws import Draws
from sparcl_ref.finite import told_once
from sparcl_ref.forecast import Forecast, forecast
from sparcl_ref.history import Event
from sparcl_ref.keeper import Keeper
from sparcl_ref.living_weights import check_living
from sparcl_ref.memory import forget_peak, peak_bytes
from sparcl_ref.methods import RehearsalMethod
from sparcl_ref.pass_sizes import check_pass_sizes
from sparcl_ref.regime import SparCL
from sparcl_ref.result import Result
from sparcl_ref.saved import learner_of
from sparcl_ref.streams import Dataset, load_dataset
from sparcl_ref.trainer import Trainer


def build(config: Config, dataset: Dataset | None = None, *, draws: Draws | None = None) -> Trainer:
    """Everything of a run, before its first event.

    Parameters
    ----------
    config : Config
    dataset : Dataset, optional
        Instead of the one ``config.dataset`` names.
    draws : Draws, optional
        Initial weights and random decisions to take instead of drawing them.

    Raises
    ------
    ValueError
        If the data set cannot be loaded or does not fit the configuration.
    """
    dataset = _loaded(config, dataset)
    draws = Draws() if draws is None else draws
    generators = build_generators(config)
    stream = build_stream(config, dataset, generators["classes"])
    spec = spec_of(config, dataset)
    sizes = [len(task.train_index) for task in stream.training]
    check_living(spec, config)
    check_pass_sizes(spec, config, sizes)
    model = build_network(config, dataset, generators["init"], dropout=generators["dropout"])
    if draws.weights is not None:
        model.load_state_dict(dict(draws.weights))
    policy = policy_of(config, sizes)
    engine = chosen_engine(config, spec, samples=sum(sizes))
    model, descent = with_engine(engine, model)
    method = build_method(config, model, dataset, generators)
    sgd: Any = {"momentum": config.momentum, "nesterov": config.nesterov, "weight_decay": config.weight_decay}
    return Trainer(
        config,
        stream,
        model,
        method,
        descent([*model.parameters(), *method.own_parameters()], **sgd),
        ledger=FlopLedger(**sgd),
        generators=generators,
        buffer=method.buffer if isinstance(method, RehearsalMethod) else None,
        regime=SparCL(model, config, rng=generators["mask"], draws=draws, policy=policy) if config.sparse else None,
        draws=draws,
    )


def train(
    config: Config,
    *,
    dataset: Dataset | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    expected: Forecast | None = None,
    keeper: Keeper | None = None,
) -> Result:
    """Run a configuration from start to end.

    The result says the most memory that the process held meanwhile; on Linux the kernel's count of it begins anew.

    Parameters
    ----------
    config : Config
    dataset : Dataset, optional
        Instead of the one ``config.dataset`` names.
    on_event : callable
        Called with each `Event`, for progress or recording.
    expected : Forecast, optional
        What the run will cost, if it is known already.
    keeper : Keeper, optional
        Keeps the run in a folder, from which it goes on if it has been there before.

    Raises
    ------
    ValueError
        If the configuration does not fit the data.
    FloatingPointError
        If a loss or gradient is NaN or infinite.
    """
    start = time.perf_counter()
    forget_peak()
    dataset = _loaded(config, dataset)
    expected = forecast(config, dataset) if expected is None else expected
    trainer = build(config, dataset)
    earlier = 0.0 if keeper is None else keeper.take_up(trainer)
    for line in (*config.warnings(), *expected.remarks):
        warnings.warn(line, stacklevel=2)

    def seconds() -> float:
        return earlier + time.perf_counter() - start

    # Not a loop over events(): a loop's variable would keep one step's gradients alive through the next step.
    with told_once():
        while not trainer.done:
            on_event(trainer.advance())
            if keeper is not None:
                keeper.after_event(trainer, seconds())
    return finish(trainer, expected, wall_seconds=seconds())


def _loaded(config: Config, dataset: Dataset | None) -> Dataset:
    if not isinstance(config, Config):
        raise TypeError(f"config must be a Config, such as Config(method='er'), got {type(config).__name__}")
    if dataset is None:
        return load_dataset(config.dataset)
    if not isinstance(dataset, Dataset):
        got = f"{dataset!r}" if isinstance(dataset, str) else type(dataset).__name__
        raise TypeError(f"dataset must be a Dataset, got {got}; a name or path goes into Config(dataset=...)")
    return dataset


def finish(trainer: Trainer, expected: Forecast, *, wall_seconds: float) -> Result:
    """What a trainer that is done has found."""
    config, removed = trainer.config, trainer.history.data_removed
    parameters = trainer.model.sparsifiable() if config.sparse else []
    saved = {(row["task"], row["stage"]): row["saved_flops"] for row in expected.removals}
    largest = max(parameters, key=lambda parameter: parameter.value.size, default=None)
    return Result(
        name=expected.name,
        config=config,
        class_order=trainer.stream.class_order,
        history=trainer.history,
        layer_sparsity={p.name: 1 - p.active / p.value.size for p in parameters},
        train_flops={"paper": expected.train_flops["paper"], "exact": trainer.ledger.train_flops},
        predicted={"train_flops": expected.train_flops["exact"], "nominal": expected.nominal},
        memory_bytes=expected.memory_bytes,
        savings=expected.savings,
        data_removed=[row | {"saved_flops": saved.get((row["task"], row["stage"]))} for row in removed],
        steps=trainer.cursor.updates,
        wall_seconds=wall_seconds,
        peak_memory_bytes=peak_bytes(),
        expected={"seconds": expected.seconds, "peak_memory_bytes": expected.peak_memory_bytes},
        engine=expected.engine,
        mask_layer=None if largest is None else largest.name,
        mask_shape=() if largest is None else largest.value.shape,
        learner=learner_of(trainer),
    )
