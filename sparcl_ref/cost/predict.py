"""The `exact` cost of a run in closed form, before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import Counts
from sparcl_ref.cost.extent import own_entries
from sparcl_ref.cost.flops import FLOPS_PER_MAC, MACS_PER_SCORE, MacTable, PassMacs, of_head, pass_macs, update_rule
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
        Whether the masks depend on values, so that a run may differ: with budgets shared by all layers, and with rules
        that keep what passes a threshold instead of a number; or what the buffer holds depends on draws, or on how many
        samples each class has.
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
        return FLOPS_PER_MAC * sum(
            passes.samples * sum(map(sum, pass_costs(self.spec, counts).values())) for passes, counts in plan.passes
        )


def predict(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> Prediction:
    """Price a run under the `exact` convention without running it.

    Equal to the multiply-adds a `FlopLedger` records, to the last one, unless ``nominal``. ``task_sizes`` are training
    samples of each task, for joint training a single number.

    Raises
    ------
    ValueError
        If there is no task, or one without samples.
    """
    table = MacTable(unknown=spec.unknown)
    plans = tuple(epoch_plans(spec, config, task_sizes))
    samples = Counter[tuple[str, bool, bool, Counts]]()  # of all passes of one kind under the same masks
    for plan in plans:
        for passes, counts in (*plan.passes, *plan.beside):
            samples[passes.kind, passes.backward, passes.head, counts] += passes.samples
    for (kind, backward, head, counts), number in samples.items():
        costs = pass_costs(spec, counts)
        table.add_pass(kind, of_head(costs) if head else costs, number, backward=backward)
    if not spec.unknown:
        updates = (each for plan in plans for each in plan.updates)
        table.overhead_macs["optimizer"] = sum(
            number * _update_macs(spec, config, counts) for number, counts in updates
        )
        table.overhead_macs["mask_updates"] = MACS_PER_SCORE * sum(plan.scored for plan in plans)
    method = config.method_class
    by_value = config.budgets == "global" or not config.rules.counts
    return Prediction(
        table=table,
        nominal=(config.sparse and (by_value or method.freezes)) or method.by_chance(config.method_settings),
        steps=sum(plan.steps for plan in plans),
        pass_samples=samples.total(),
        epochs=plans,
        spec=spec,
    )


def pass_costs(spec: ModelSpec, counts: Counts) -> dict[str, PassMacs]:
    """Layer name to what one sample's forward and backward pass costs there."""
    active, formed = counts.active, counts.grad_active
    return {
        layer.name: pass_macs(layer, active=active.get(layer.name), grad_active=formed.get(layer.name))
        for layer in spec.layers
    }


def _update_macs(spec: ModelSpec, config: Config, counts: Counts) -> int:
    """Multiply-adds of one step of the optimiser."""
    rule = update_rule(momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay)
    elsewhere = spec.parameters - sum(layer.weights for layer in spec.layers if layer.name in counts.active)
    elsewhere += own_entries(spec, config)
    formed = elsewhere - counts.still + sum(counts.grad_active.values())
    return rule.macs(elsewhere + sum(counts.active.values()), formed)
