"""Batches too small for the network: which a run would make is known before it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sparcl_ref.config import Config
from sparcl_ref.cost.schedule import EpochPlan, epoch_plans
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.layers import Composite, Layer, NotStatedError
from sparcl_ref.layers.costs import Shape


class SmallestPass(NamedTuple):
    """The least samples in one of several passes, what they do, and the settings that decide."""

    samples: int
    what: str
    decided_by: str


def check_pass_sizes(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> None:
    """Refuse a run that would give a layer fewer samples at once than it can train on.

    Batch-norm estimates no variance from the single value per channel that one sample has on a 1x1 map. Such a sample
    may be the rest of an epoch, before or after data removal, of a probe or of the buffer, or a whole batch or draw,
    or occur in a method's own passes, as far as these say so (`Passes.least`). A buffer that is filled by chance is
    taken to hold what the forecast says. Layers behind one that does not say its shape are not looked at.

    Raises
    ------
    ValueError
        Naming the settings that decide, the pass and the layer.
    """
    least, label = (1, "") if spec.body is None else most_demanding(spec.body, spec.input_shape)
    if least == 1:
        return
    for plan in epoch_plans(spec, config, task_sizes):
        for small in _smallest_passes(config, plan):
            if small.samples < least:
                raise ValueError(
                    f"task {plan.task}, epoch {plan.epoch}: {small.what} would have {small.samples} of the {least} "
                    f"samples that {label} of {spec.name} needs at once; choose another {small.decided_by}"
                )


def most_demanding(body: Layer, shape: Shape) -> tuple[int, str]:
    """The largest of the layers' `least_samples`, for inputs of that shape, and the first layer that asks for it."""
    most, label = 1, ""

    def visit(name: str, layer: Layer, shape: Shape) -> Shape:
        nonlocal most, label
        if isinstance(layer, Composite):
            return layer.flow(shape, visit, layer.same_shape)
        if layer.least_samples(shape) > most:
            most, label = layer.least_samples(shape), layer.label
        return layer.output_shape(shape)

    # What follows a silent layer may ask for more, but nobody knows the shape that reaches it.
    with contextlib.suppress(NotStatedError):
        visit("", body, shape)
    return most, label


def _smallest_passes(config: Config, plan: EpochPlan) -> Iterator[SmallestPass]:
    """Of one epoch: the smallest batch, draw and chunk of a probe."""
    batch, method = config.batch_size, config.method_class
    replays = any(passes.kind == "replay" and passes.samples for passes, _ in plan.passes)
    draw = min(config.effective_replay_batch_size, config.buffer_size if plan.fills else plan.held)
    if plan.steps and method.learns:
        whole = config.rules.drop_last or plan.samples % batch == 0
        rest = batch if whole else plan.samples % batch
        if method.joins_passes and replays and (plan.held or plan.steps > 1):
            # All but the first batch of a run are joined by a draw.
            rest = rest + draw if plan.held else min(batch, rest + draw)
        removal = ", --ddr-rho or --ddr-cutoff" if config.sparse and config.ddr else ""
        what = f"the last batch of {plan.samples} samples, by --batch-size {batch}"
        yield SmallestPass(rest, what, f"--batch-size{removal}")
    if replays and not method.joins_passes:
        # Of a buffer that steps fill: what was presented before is a batch at least, so only these can be smaller.
        name = "--buffer-size" if draw < config.effective_replay_batch_size else "--replay-batch-size"
        yield SmallestPass(draw, "a draw from the buffer", name)
    for passes, _ in plan.beside:
        if passes.least:
            what = f"the smallest batch of the method's own pass {passes.kind}"
            yield SmallestPass(passes.least, what, "--buffer-size or --batch-size")
    for samples, held in _probes(config, plan):
        for count, whose, decided_by in (
            (samples, "the task", "--importance-samples or --batch-size"),
            (held, "the buffer", "--buffer-size or --batch-size"),
        ):
            if count:
                what = f"the last chunk of a probe of {count} samples of {whose}, by --batch-size {batch}"
                yield SmallestPass(count % batch or batch, what, decided_by)


def _probes(config: Config, plan: EpochPlan) -> Iterator[tuple[int, int]]:
    """Samples of the task and of the buffer in each probe of an epoch, also of a policy that moves within it."""
    yield plan.probed
    policy = config.make_policy()
    if config.sparse and policy.by_step and (policy.probes or policy.probes_to_grow):
        for step in range(1, plan.steps):
            kinds = {action.kind for action in policy.actions(plan.task, plan.epoch, step)}
            if ("shrink" in kinds and policy.probes) or (kinds - {"shrink"} and policy.probes_to_grow):
                taken = step * config.batch_size if plan.fills else 0
                held = min(plan.held + taken, config.buffer_size) if config.rehearses else 0
                yield min(policy.probe_samples, plan.samples), held
