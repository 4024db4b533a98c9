"""The cost of a run, taken apart: what replay and each part of SparCL change, what each removal of data spares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.predict import predict
from sparcl_ref.cost.spec import ModelSpec


@dataclass(frozen=True)
class Part:
    """One step from the cost of fine-tuning to that of a run.

    Attributes
    ----------
    name : str
        "new data", "replay" ("own passes" of a method without a buffer), "TDM" ("static mask" where masks never
        move), "DDR" or "DGM".
    change_flops : int or None
        What it adds; negative where it saves. None if a layer does not say its multiply-adds.
    total_flops : int or None
        Cost with it and all parts before.
    """

    name: str
    change_flops: int | None
    total_flops: int | None


def savings(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> dict[str, list[Part]]:
    """The parts under both conventions, in the order they are named in; each is charged with those before it in place.

    Under `exact`, TDM's part holds its probe passes and the denser epochs at the start of a task.

    Returns
    -------
    dict
        "paper" and "exact"; the last part's total is the run's cost.
    """
    stages = _stages(config)
    prices: dict[str, Callable[[Config], int | None]] = {
        "paper": lambda config: paper.train_flops(spec, config, task_sizes),
        "exact": lambda config: predict(spec, config, task_sizes).train_flops,
    }
    parts: dict[str, list[Part]] = {}
    for convention, price in prices.items():
        totals = [0, *(price(stage) for _, stage in stages)]
        parts[convention] = [
            Part(name, None if before is None or total is None else total - before, total)
            for (name, _), (before, total) in zip(stages, pairwise(totals), strict=True)
        ]
    return parts


def _stages(config: Config) -> list[tuple[str, Config]]:
    """Configurations from plain training on new data to the one asked for."""
    dense = dataclasses.replace(config, sparsity=None)
    stages = [("new data", dense if config.method_class.joint else dataclasses.replace(dense, method="sgd"))]
    if config.rehearses:
        stages.append(("replay", dense))
    elif config.method not in ("sgd", "joint"):
        stages.append(("own passes", dense))
    if config.sparse:
        stages.append((config.policy_class.title, dataclasses.replace(config, ddr=False, dgm=False)))
        if config.ddr:
            stages.append(("DDR", dataclasses.replace(config, dgm=False)))
        if config.dgm:
            stages.append(("DGM", config))
    return stages


@dataclass(frozen=True)
class Removal:
    """One removal of data and what it spares the rest of its task.

    Attributes
    ----------
    task, stage : int
        From 1.
    removed, left : int
        Samples.
    saved_flops : int or None
        `exact` cost of training on the removed samples, and on as much replay, for the epochs of the task that remain.
    """

    task: int
    stage: int
    removed: int
    left: int
    saved_flops: int | None


def removals(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> list[Removal]:
    """The ledger of data removal: which stage removes how many samples, and what that saves.

    A sample's price is that of an average one in the rest of its task: FLOPs of the task's passes from the next epoch
    on, probes aside, divided by the samples trained on in them.
    """
    prediction = predict(spec, config, task_sizes)
    rows: list[Removal] = []
    epochs = trained = price = 0  # of the rest of a task, summed up from its end
    for later, earlier in pairwise([*prediction.epochs[::-1], None]):
        assert later is not None
        epochs, trained, price = epochs + 1, trained + later.samples, price + prediction.epoch_flops(later)
        if earlier is None or earlier.task != later.task:
            epochs = trained = price = 0
        elif removed := earlier.samples - later.samples:
            saved = price * removed * epochs // trained if trained else 0
            stage = earlier.epoch // config.delta_k
            rows.append(Removal(later.task, stage, removed, later.samples, None if spec.unknown else saved))
    return rows[::-1]
