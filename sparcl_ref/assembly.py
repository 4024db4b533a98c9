"""From a configuration to the parts of a run: tasks, network, engine, method."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.cost import ModelSpec, describe_model
from sparcl_ref.layers import Dropout
from sparcl_ref.memory import require_memory
from sparcl_ref.methods import Method
from sparcl_ref.models import Network, build_model, initialise
from sparcl_ref.optimizers import SGD
from sparcl_ref.randomness import named_streams, own_stream
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.sparcl.ddr import stages_reached
from sparcl_ref.sparcl.removal import REMOVALS
from sparcl_ref.streams import Dataset, Plan, Stream, class_order, joint
from sparcl_ref.streams.scenario import DOMAINS
from sparcl_ref.streams.validation import for_validation

#: FLOPs of a forward and a backward pass for each multiply-add of the forward pass: three products of one size.
PASS_FLOPS = 6
#: FLOPs of dense passes for which compiling pays. NumPy does 15 to 60 GFLOP/s of them on one core, 25 in a convnet of
#: the usual width on images of 28x28, which makes 40 seconds. Compiling takes a core 14 seconds, and a compiled step
#: then takes two thirds of the time where all weights live, a ninth at sparsity .95.
FLOPS_WORTH_COMPILING = 1e12


def build_generators(config: Config) -> dict[str, np.random.Generator]:
    """The random streams of a run: the named ones, the method's, and that of data removal where it draws."""
    generators = named_streams(config.seed) | {"method": own_stream(config.seed, f"method {config.method}")}
    if config.sparse and config.ddr and REMOVALS.find(config.ddr_by).draws:
        generators["removal"] = own_stream(config.seed, "removal of samples")
    return generators


def build_stream(config: Config, dataset: Dataset, rng: np.random.Generator) -> Stream:
    """The tasks of a configuration, of its scenario; ``rng`` is the stream named "classes".

    Where the configuration asks for validation, the stream's data set has a part of the training images for testing.

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
                f"--class-order must be natural, random or label ids joined by commas, got {order!r}"
            ) from None
    if config.validation is not None:
        dataset = for_validation(dataset, config.validation, named_streams(config.seed)["validation"])
    if not config.scenario.class_incremental:
        # A label and an index of eight bytes for each image of each task.
        per_task = 16 * (len(dataset.train_y) + len(dataset.test_y))
        require_memory(f"--domains {config.domains or DOMAINS}", per_task * (config.domains or DOMAINS))
    plan = Plan(
        classes_per_task=config.classes_per_task,
        class_order=class_order(order, dataset.classes, rng),
        domains=config.domains or DOMAINS,
        rng=own_stream(config.seed, f"scenario {config.stream}"),
    )
    stream = config.scenario.make(dataset, plan)
    stream = joint(stream) if config.method_class.joint else stream
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
    reached = stages_reached(epochs=config.epochs, delta_k=config.delta_k, cutoff=config.ddr_cutoff)
    return config.rules.ddr_sizes(samples, rho=config.ddr_rho, cutoff=config.ddr_cutoff)[reached]


def spec_of(config: Config, dataset: Dataset) -> ModelSpec:
    """The network of a configuration as plain data, without arrays."""
    return describe_model(config.model, input_shape=dataset.input_shape, classes=dataset.classes, width=config.width)


def build_network(
    config: Config, dataset: Dataset, rng: np.random.Generator, *, dropout: np.random.Generator | None = None
) -> Network:
    """The network with its initial weights; the generators are the streams named "init" and "dropout"."""
    model = build_model(
        config.model,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        width=config.width,
        dtype=np.dtype(config.dtype),
        rng=rng,
        draw=config.rules.initialise,
    )
    for _, layer in model.named_layers():
        if isinstance(layer, Dropout) and dropout is not None:
            layer.rng = dropout
    return model


def chosen_engine(config: Config, spec: ModelSpec, *, samples: int) -> str:
    """What "auto" stands for: numba for a run whose dense passes would take NumPy longer than compiling takes.

    The work of a run is `PASS_FLOPS` for each multiply-add and each of the ``samples`` training images in each epoch;
    replay, which at most triples it, and removal of data are left out. So the choice follows from settings and data
    alone, not from the machine or what is compiled already, and a run repeats to the bit. It is numpy if some layer
    says nothing of itself, for the compiled engine knows only the package's own layers.
    """
    if config.engine != "auto":
        return config.engine
    if spec.forward_macs is None:
        return "numpy"
    work = PASS_FLOPS * spec.forward_macs * samples * config.epochs
    return "numba" if work > FLOPS_WORTH_COMPILING else "numpy"


def with_engine(engine: str, model: Network) -> tuple[Network, type[SGD]]:
    """The model as the engine, "numpy" or "numba", computes it, by the same parameters, and the optimiser to match."""
    if engine == "numpy":
        return model, SGD
    from sparcl_ref import fast

    return fast.compile(model), fast.CompiledSGD


def build_method(
    config: Config, model: Network, dataset: Dataset, generators: dict[str, np.random.Generator]
) -> Method:
    """The method of a configuration, with its buffer if it has one."""
    parts: dict[str, Any] = dataclasses.asdict(config.method_settings)
    if config.rehearses:
        buffer = ReservoirBuffer(
            config.buffer_size,
            image_shape=dataset.input_shape,
            image_dtype=dataset.train_x.dtype,
            classes=model.classes,
            logits_dtype=np.dtype(config.dtype),
        )
        parts |= {"buffer": buffer, "rng": generators["replay"]}
        parts["replay_batch_size"] = config.effective_replay_batch_size
        parts["replay_from_task"] = config.rules.replay_from_task
    parts["fresh"] = functools.partial(initialise, draw=config.rules.initialise)
    return config.method_class(model, head=config.effective_head, own_rng=generators["method"], **parts)
