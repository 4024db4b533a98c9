"""From a configuration to a result: build stream, model, method and regime, train, and measure."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.cost import FlopLedger, cost_ledger, describe, memory_bytes, paper_train_flops
from sparcl_ref.history import Event
from sparcl_ref.methods import METHODS, Method
from sparcl_ref.models import Network, build_model
from sparcl_ref.optimizers import SGD
from sparcl_ref.randomness import named_streams
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.result import Result, name_of
from sparcl_ref.sparcl.ddr import ddr_sizes
from sparcl_ref.sparcl.regime import SparCL
from sparcl_ref.streams import AUGMENTATIONS, Dataset, Stream, class_order, joint, load_dataset, split
from sparcl_ref.trainer import Trainer

#: Numbers in an image of the digits.
DIGITS_NUMBERS = 64
#: Below this many multiply-adds a sample, NumPy's dense products are over before compiled code is loaded.
SMALL_FORWARD_MACS = 1_000_000


def build_stream(config: Config, dataset: Dataset, generators: dict[str, np.random.Generator]) -> Stream:
    """The tasks of a configuration.

    Raises
    ------
    ValueError
        If the class order does not fit, or a batch is larger than the smallest task.
    """
    order: Any = config.class_order
    if order not in ("natural", "random"):
        try:
            order = [int(label) for label in order.split(",")]
        except ValueError:
            raise ValueError(
                f"--class-order must be natural, random or label ids joined by commas, got {config.class_order!r}"
            ) from None
    order = class_order(order, dataset.classes, generators["classes"])
    stream = split(dataset, classes_per_task=config.classes_per_task, class_order=order)
    stream = joint(stream) if METHODS[config.method].joint else stream
    smallest = min(len(task.train_index) for task in stream.training)
    if config.batch_size > smallest:
        raise ValueError(
            f"--batch-size must not exceed the smallest task's {smallest} samples, got {config.batch_size}; "
            "choose a smaller batch or more classes per task"
        )
    least = smallest_epoch(config, smallest)
    if least < 1:
        raise ValueError(
            f"--ddr-rho {config.ddr_rho} leaves none of the smallest task's {smallest} samples; choose a smaller one"
        )
    if config.rules.drop_last and config.batch_size > least:
        raise ValueError(
            f"--batch-size must not exceed the {least} samples that data removal leaves of the smallest task, got "
            f"{config.batch_size}: partial batches are skipped, so nothing would be trained on"
        )
    return stream


def smallest_epoch(config: Config, samples: int) -> int:
    """Samples in the last epoch of a task of that size, after all removals of data."""
    if not (config.sparse and config.ddr):
        return samples
    reached = min(config.ddr_cutoff, (config.epochs - 1) // config.delta_k)
    return ddr_sizes(samples, rho=config.ddr_rho, cutoff=config.ddr_cutoff)[reached]


def build_method(
    config: Config, model: Network, dataset: Dataset, generators: dict[str, np.random.Generator], ledger: FlopLedger
) -> Method:
    """The method of a configuration, with its buffer if it has one."""

    def on_pass(kind: str, samples: int) -> None:
        ledger.record_pass(kind, samples, model)

    if not config.rehearses:
        return METHODS[config.method](model, head=config.effective_head, on_pass=on_pass)
    buffer = ReservoirBuffer(
        config.buffer_size,
        image_shape=dataset.train_x.shape[1:],
        image_dtype=dataset.train_x.dtype,
        classes=model.classes,
        logits_dtype=np.dtype(config.dtype),
    )
    coefficients = {
        "er": {"er_weight": config.er_weight},
        "der": {"alpha": config.alpha},
        "derpp": {"alpha": config.alpha, "beta": config.beta},
    }
    augmentation = AUGMENTATIONS[config.augmentation if config.rules.augment_replay else "none"]

    def prepare(images: np.ndarray) -> np.ndarray:
        return dataset.normalise(augmentation(images, generators["augment"]), np.dtype(config.dtype))

    return METHODS[config.method](
        model,
        head=config.effective_head,
        on_pass=on_pass,
        buffer=buffer,
        prepare=prepare,
        rng=generators["replay"],
        replay_batch_size=config.effective_replay_batch_size,
        replay_from_task=config.rules.replay_from_task,
        **coefficients[config.method],
    )


def chosen_engine(engine: str, model: Network) -> str:
    """What "auto" stands for: numba for anything larger than the digits, where compiling would cost more than it saves.

    Parameters
    ----------
    engine : {"auto", "numpy", "numba"}
    model : Network

    Returns
    -------
    {"numpy", "numba"}
        For "auto", numba if an image has more than `DIGITS_NUMBERS` numbers or a forward pass more than
        `SMALL_FORWARD_MACS` multiply-adds a sample.
    """
    if engine != "auto":
        return engine
    large = math.prod(model.input_shape) > DIGITS_NUMBERS or describe(model).forward_macs > SMALL_FORWARD_MACS
    return "numba" if large else "numpy"


def with_engine(engine: str, model: Network) -> tuple[Network, type[SGD]]:
    """The model as the engine computes it, and the optimiser that goes with it.

    Parameters
    ----------
    engine : {"auto", "numpy", "numba"}
        See `chosen_engine`.
    model : Network
        Shares its parameters with what is returned.
    """
    if chosen_engine(engine, model) == "numpy":
        return model, SGD
    from sparcl_ref import fast

    return fast.compile(model), fast.CompiledSGD


def build(config: Config, dataset: Dataset | None = None) -> Trainer:
    """Everything of a run, before its first event.

    Parameters
    ----------
    config : Config
    dataset : Dataset, optional
        Instead of the one ``config.dataset`` names.

    Returns
    -------
    Trainer

    Raises
    ------
    ValueError
        If the data set cannot be loaded or does not fit the configuration.
    """
    dataset = load_dataset(config.dataset) if dataset is None else dataset
    generators = named_streams(config.seed)
    stream = build_stream(config, dataset, generators)
    model = build_model(
        config.model,
        input_shape=dataset.train_x.shape[1:],
        classes=dataset.classes,
        width=config.width,
        dtype=np.dtype(config.dtype),
        rng=generators["init"],
        draw=config.rules.initialise,
    )
    model, descent = with_engine(config.engine, model)
    ledger = FlopLedger(momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay)
    method = build_method(config, model, dataset, generators, ledger)
    optimizer = descent(
        model.parameters(), momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay
    )
    return Trainer(
        config,
        stream,
        model,
        method,
        optimizer,
        ledger=ledger,
        generators=generators,
        buffer=getattr(method, "buffer", None),
        regime=SparCL(model, config, rng=generators["mask"]) if config.sparse else None,
    )


def train(
    config: Config,
    *,
    dataset: Dataset | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Result:
    """Run a configuration from start to end.

    Parameters
    ----------
    config : Config
    dataset : Dataset, optional
        Instead of the one ``config.dataset`` names.
    on_event : callable
        Called with each `Event`, for progress or recording.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If the configuration does not fit the data.
    FloatingPointError
        If a loss or gradient is NaN or infinite.
    """
    start = time.perf_counter()
    trainer = build(config, dataset)
    for line in config.warnings():
        warnings.warn(line, stacklevel=2)
    # Not a loop over events(): a loop's variable would keep one step's gradients alive through the next step.
    while not trainer.done:
        on_event(trainer.advance())
    return finish(trainer, wall_seconds=time.perf_counter() - start)


def finish(trainer: Trainer, *, wall_seconds: float) -> Result:
    """What a trainer that is done has found."""
    config, model = trainer.config, trainer.model
    parameters = model.sparsifiable() if config.sparse else []
    ledger = cost_ledger(config, trainer.stream, model)
    saved = {(row["task"], row["stage"]): row["saved_flops"] for row in ledger["removals"]}
    largest = max(parameters, key=lambda parameter: parameter.value.size, default=None)
    return Result(
        name=name_of(config),
        config=config,
        class_order=trainer.stream.class_order,
        history=trainer.history,
        layer_sparsity={p.name: 1 - p.active / p.value.size for p in parameters},
        train_flops={"paper": paper_train_flops(config, trainer.stream, model), "exact": trainer.ledger.train_flops},
        memory_bytes=memory_bytes(config, model, trainer.buffer),
        savings=ledger["savings"],
        data_removed=[{**row, "saved_flops": saved[row["task"], row["stage"]]} for row in trainer.history.data_removed],
        steps=trainer.cursor.updates,
        wall_seconds=wall_seconds,
        engine=chosen_engine(config.engine, model),
        mask_layer=None if largest is None else largest.name,
        mask_shape=() if largest is None else largest.value.shape,
    )
