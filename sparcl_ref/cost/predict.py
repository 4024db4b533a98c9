"""The `exact` cost of a run in closed form, before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import Counts, is_nominal
from sparcl_ref.cost.flops import (
    FLOPS_PER_MAC,
    MacTable,
    PassMacs,
    forward_only,
    pass_macs,
    score_macs,
    update_macs,
    update_rule,
)
from sparcl_ref.cost.schedule import EpochPlan, epoch_plans
from sparcl_ref.cost.spec import ModelSpec


@dataclass(frozen=True)
class Prediction:
    """What a run will cost under the `exact` convention.

    Attributes
    ----------
    table : MacTable
        As a run's ledger will hold it at the end.
    nominal : bool
        Whether the masks depend on values, so that a run may differ, see `is_nominal`.
    steps, pass_samples : int
        Updates, and samples of all passes (current, replay, probe, a method's own).
    epochs : tuple of EpochPlan
    spec : ModelSpec
    """

    table: MacTable
    nominal: bool
    steps: int
    pass_samples: int
    epochs: tuple[EpochPlan, ...] = field(repr=False)
    spec: ModelSpec = field(repr=False)

    @property
    def train_flops(self) -> int | None:
        """Two per multiply-add; None if a layer does not say its own."""
        return self.table.train_flops

    def epoch_flops(self, plan: EpochPlan) -> int:
        """FLOPs of one epoch's current and replay passes, where they are known; probes and a method's own aside."""
        usual, refresh = (
            FLOPS_PER_MAC * sum(map(sum, pass_costs(self.spec, counts).values()))
            for counts in (plan.counts, plan.refresh_counts)
        )
        return usual * (plan.current + plan.replay) + refresh * (plan.refresh_current + plan.refresh_replay)


def predict(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> Prediction:
    """Price a run under the `exact` convention without running it.

    Equal to the multiply-adds a `FlopLedger` records, to the last one, unless ``nominal``.

    Parameters
    ----------
    spec : ModelSpec
    config : Config
    task_sizes : sequence of int
        Training samples of each task; for joint training a single number.

    Raises
    ------
    ValueError
        If there is no task, or one without samples.
    """
    table = MacTable(unknown=spec.unknown)
    plans = tuple(epoch_plans(spec, config, task_sizes))
    passes = _total_samples(plans)
    for (kind, counts), samples in passes.items():
        table.add_pass(kind, pass_costs(spec, counts), samples)
    for plan in plans:
        for extra, counts in plan.beside:
            costs = pass_costs(spec, counts)
            table.add_pass(extra.kind, costs if extra.backward else forward_only(costs), extra.samples)
    for plan in plans if not spec.unknown else ():
        for name, macs in _overhead(spec, config, plan).items():
            table.overhead_macs[name] += macs
    return Prediction(
        table=table,
        nominal=is_nominal(config),
        steps=sum(plan.steps for plan in plans),
        pass_samples=sum(passes.values()) + sum(extra.samples for plan in plans for extra, _ in plan.beside),
        epochs=plans,
        spec=spec,
    )


def _total_samples(plans: Iterable[EpochPlan]) -> dict[tuple[str, Counts], int]:
    """Samples of all passes of one kind under the same masks."""
    totals: dict[tuple[str, Counts], int] = {}
    for plan in plans:
        for kind, counts, samples in (
            ("probe", plan.probe_counts, plan.probe_samples),
            ("current", plan.counts, plan.current),
            ("replay", plan.counts, plan.replay),
            ("current", plan.refresh_counts, plan.refresh_current),
            ("replay", plan.refresh_counts, plan.refresh_replay),
        ):
            totals[kind, counts] = totals.get((kind, counts), 0) + samples
    return totals


def pass_costs(spec: ModelSpec, counts: Counts) -> dict[str, PassMacs]:
    """Layer name to what one sample's forward and backward pass costs there."""
    return {
        layer.name: pass_macs(
            layer, active=counts.active.get(layer.name), grad_active=counts.grad_active.get(layer.name)
        )
        for layer in spec.layers
    }


def _overhead(spec: ModelSpec, config: Config, plan: EpochPlan) -> dict[str, int]:
    """Multiply-adds of the optimiser and of the importance scores in one epoch.

    At a refresh the gradient masks are chosen before the update, so every update sees the usual ones.
    """
    rule = update_rule(momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay)
    active, grad_active = plan.counts.active, plan.counts.grad_active
    elsewhere = spec.parameters - sum(layer.weights for layer in spec.layers if layer.name in active)
    update = update_macs(rule, elsewhere + sum(active.values()), elsewhere + sum(grad_active.values()))
    scores = score_macs(plan.probe_counts.active.values()) if plan.probe_samples else 0
    return {
        "optimizer": plan.steps * update,
        "mask_updates": scores + plan.refresh_steps * score_macs(active.values()),
    }
