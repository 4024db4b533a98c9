"""What a configuration will do, before it does it: samples of each epoch, mask actions, passes of each kind.

Everything here follows from a `Config` and the tasks' sizes by arithmetic; no step is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import AtSparsity, Counts, counts_at, counts_of
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import exact
from sparcl_ref.methods import Entries, Filling, Moment, Occasion, Passes
from sparcl_ref.sparcl.ddr import completed_stage

#: Passes, and the masks that they see.
MaskedPasses = tuple[Passes, Counts]


@dataclass(frozen=True)
class EpochPlan:
    """One epoch, as far as its cost goes.

    Attributes
    ----------
    task, epoch : int
        From 1.
    samples : int
        Remaining samples of the task.
    steps, updates : int
        Updates, without and with those that replayed samples make of their own.
    scored : int
        Living weights that get a score, at a mask action that asks for gradients and at each refresh.
    counts : Counts
        Masks during updates: at a refresh gradient masks are chosen anew before the update.
    passes : tuple of (Passes, Counts)
        Of the batches and what is replayed with them. At a refresh they form the gradients of all living weights.
    beside : tuple of (Passes, Counts)
        The probe of a mask action, and what the method computes beyond its batches: in the epoch, and around the task
        in its first and last epoch.
    held : int
        Samples in the buffer before it.
    fills : bool
        Whether the buffer takes the samples of each step, as far as there is room.
    probed : (int, int)
        Samples of the task, and of the buffer, that the probe passes, in chunks; zeros without one.
    """

    task: int
    epoch: int
    samples: int
    steps: int
    updates: int
    scored: int
    counts: Counts
    passes: tuple[MaskedPasses, ...]
    beside: tuple[MaskedPasses, ...]
    held: int
    fills: bool
    probed: tuple[int, int]


def epoch_sizes(samples: int, config: Config) -> list[int]:
    """Remaining samples of a task in each of its epochs (section "data removal" of the method).

    Examples
    --------
    >>> epoch_sizes(10000, Config(method="derpp", sparsity=0.75, epochs=25))[::5]
    [10000, 9250, 8500, 7750, 7000]
    """
    if not (config.sparse and config.ddr):
        return [samples] * config.epochs
    left = config.rules.ddr_sizes(samples, rho=config.ddr_rho, cutoff=config.ddr_cutoff)
    sizes, now = [], samples
    for epoch in range(1, config.epochs + 1):
        sizes.append(now)
        stage = completed_stage(epoch, epochs=config.epochs, delta_k=config.delta_k, cutoff=config.ddr_cutoff)
        now = now if stage is None else left[stage]
    return sizes


def clipped_ramp(limit: int, start: int, stride: int, count: int) -> int:
    """Sum of min(limit, start + k * stride) over k = 0 .. count-1, for a start of at least 0, a stride of at least 1.

    Examples
    --------
    >>> clipped_ramp(10, 0, 4, 5)
    32
    """
    rising = min(count, max(0, -(-(limit - start) // stride)))  # terms below the limit
    return rising * start + stride * rising * (rising - 1) // 2 + limit * (count - rising)


def held_after(config: Config, task_sizes: Sequence[int]) -> int:
    """Samples in the buffer after tasks of these sizes, of a method that fills it at the end of each."""
    filling = Filling(config.buffer_size, config.batch_size, config.classes_per_task)
    return config.method_class.held_after(config.method_settings, task_sizes, filling)


def entries_of(spec: ModelSpec, config: Config) -> Entries:
    """The network for a method that says itself which weights live."""
    weights = tuple(layer.parameter for layer in spec.weight_layers)
    return Entries(spec.parameter_sizes, weights, spec.classes, config.classes_per_task)


def epoch_plans(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> Iterator[EpochPlan]:
    """The epochs of a run, in order, given each task's training samples: a single number for joint training."""
    if not task_sizes or min(task_sizes) < 1:
        raise ValueError(f"expected at least one task of at least 1 sample, got task sizes {list(task_sizes)}")
    rules, policy, presented = config.rules, config.make_policy(), 0
    method, capacity = config.method_class, config.buffer_size if config.rehearses else 0
    shared: Any = {"capacity": capacity, "batch_size": config.batch_size}
    shared |= {"own_classes": config.scenario.class_incremental, "epochs": config.epochs}
    entries = entries_of(spec, config)

    def held(task: int) -> int:
        if method.rehearses and method.fills == "tasks":
            return held_after(config, task_sizes[: task - 1])
        return min(presented, capacity)

    def merged(task: int) -> int:
        return task_sizes[task - 1] + (held(task) if method.merges else 0)

    def occasion(moment: Moment, task: int, samples: int, *, steps: int = 0) -> Occasion:
        size, kept = merged(task), held(task + 1) if method.fills == "tasks" else held(task)
        return Occasion(moment, task, len(task_sizes), samples, steps, size, held(task), kept, **shared)

    def own(at: Occasion, masks: AtSparsity) -> list[MaskedPasses]:
        masks = masks_then(at, masks)
        found = method.passes(config.method_settings, at)
        return [(passes, masks.ungated if passes.living else masks.usual) for passes in found]

    def masks_then(at: Occasion, masks: AtSparsity) -> AtSparsity:
        """The masks that the policy has set, or that the method says itself."""
        if not method.own_masks:
            return masks
        counts = counts_of(spec, method.living(config.method_settings, entries, at))
        return AtSparsity(counts, counts)

    masks_at = cache(partial(counts_at, spec, config))
    masks = masks_at(exact(config.sparsity or 0))
    gated = AtSparsity(masks.ungated, masks.ungated)  # before the first refresh no gradient mask is set
    for task in range(1, len(task_sizes) + 1):
        size = merged(task)
        before, beside = size, own(occasion("begin_task", task, size), gated)
        masks = masks_then(occasion("epoch", task, size), masks)
        for epoch, samples in enumerate(epoch_sizes(size, config), start=1):
            probe: list[MaskedPasses] = []
            probed, scored = (0, 0), 0
            for action in policy.actions(task, epoch) if config.sparse else ():
                if not probe and (policy.probes if action.kind == "shrink" else policy.probes_to_grow):
                    # The first samples of the task and the whole buffer, once for all actions of the epoch.
                    remaining = before if rules.remove_after_mask_update else samples
                    probed = min(policy.probe_samples, remaining), held(task)
                    probe = [(Passes("probe", sum(probed)), masks.ungated)]
                    scored = sum(masks.ungated.active.values())
                masks = masks_at(action.sparsity)
            fixed = held(task) if method.fills == "tasks" else None
            batches = partial(_batches, config, samples, presented, fixed, replays=task >= rules.replay_from_task)
            steps, current, replay = batches(interval=1)
            refreshes, refresh_current, refresh_replay = 0, 0, 0
            if config.sparse and config.dgm:
                refreshes, refresh_current, refresh_replay = batches(interval=config.dgm_interval)
            again = 0
            if method.updates_again(config.method_settings):
                again = steps - (held(task) == 0) if replay else 0  # an empty buffer has something from step 2 on
                refresh_replay = 0  # what is replayed then passes under the new gradient masks
            shown = current
            if not method.learns:
                current = replay = refreshes = refresh_current = refresh_replay = 0
            gated = masks
            beside += own(occasion("epoch", task, samples, steps=steps), gated)
            before_it, presented = held(task), presented + shown
            if epoch == config.epochs:
                beside += own(occasion("end_task", task, samples), gated)
            yield EpochPlan(
                task=task,
                epoch=epoch,
                samples=samples,
                steps=steps,
                updates=steps + again if method.learns else 0,
                scored=scored + refreshes * sum(masks.usual.active.values()),
                counts=masks.usual,
                passes=(
                    (Passes("current", current - refresh_current), masks.usual),
                    (Passes("replay", replay - refresh_replay), masks.usual),
                    (Passes("current", refresh_current), masks.ungated),
                    (Passes("replay", refresh_replay), masks.ungated),
                ),
                beside=(*probe, *beside),
                held=before_it,
                fills=method.fills == "steps",
                probed=probed,
            )
            before, beside = samples, []


def _batches(
    config: Config, samples: int, presented: int, held: int | None, *, interval: int, replays: bool
) -> tuple[int, int, int]:
    """Steps of an epoch, every interval-th from the first on: their number, their samples, and those they replay.

    Step k of the epoch begins after ``presented + k * batch`` presentations, so each of its draws has
    min(replay batch, capacity, that many) samples: a ramp that is clipped. Of a buffer that does not change before the
    task's end it has min(replay batch, ``held``).
    """
    batch = config.batch_size
    steps = samples // batch if config.rules.drop_last else -(-samples // batch)
    chosen = -(-steps // interval)
    last_is_chosen = (steps - 1) % interval == 0
    lacking = max(0, steps * batch - samples) if last_is_chosen else 0
    draws = config.method_class.draws_per_step if replays else 0
    most = min(config.effective_replay_batch_size, config.buffer_size) if draws else 0
    each = clipped_ramp(most, presented, interval * batch, chosen) if held is None else chosen * min(most, held)
    return chosen, chosen * batch - lacking, draws * each
