"""What a configuration will do, before it does it: samples of each epoch, mask actions, passes of each kind.

Everything here follows from a `Config` and the tasks' sizes by arithmetic; steps are gone through one by one only where
masks move between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import AtSparsity, Counts, counts_at, counts_of
from sparcl_ref.cost.sizes import clipped_ramp, epoch_sizes, held_after, policy_of, steps_of
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.cost.walk import MaskedPasses, Walk
from sparcl_ref.methods import Entries, Moment, Occasion, Passes


@dataclass(frozen=True)
class EpochPlan:
    """One epoch, as far as its cost goes.

    Attributes
    ----------
    task, epoch : int
        From 1.
    samples : int
        Remaining samples of the task.
    steps : int
    updates : tuple of (int, Counts)
        Updates, with those that replayed samples make of their own, and the masks that they see: at a refresh gradient
        masks are chosen anew before the update.
    scored : int
        Living weights that get a score, at a mask action that asks for gradients and at each refresh.
    counts : Counts
        Masks at its end.
    passes : tuple of (Passes, Counts)
        Of the batches and what is replayed with them. At a refresh they form the gradients of all living weights; a
        step that a policy spends on masks is a kind of its own, and forms those of all weights.
    beside : tuple of (Passes, Counts)
        The probes of mask actions, and what the method computes beyond its batches: in the epoch, and around the task
        in its first and last epoch.
    held : int
        Samples in the buffer before it.
    fills : bool
        Whether the buffer takes the samples of each step, as far as there is room.
    probed : (int, int)
        Samples of the task, and of the buffer, that the probe before the epoch passes, in chunks; zeros without one.
    """

    task: int
    epoch: int
    samples: int
    steps: int
    updates: tuple[tuple[int, Counts], ...]
    scored: int
    counts: Counts
    passes: tuple[MaskedPasses, ...]
    beside: tuple[MaskedPasses, ...]
    held: int
    fills: bool
    probed: tuple[int, int]


def entries_of(spec: ModelSpec, config: Config) -> Entries:
    """The network for a method that says itself which weights live."""
    weights = tuple(layer.parameter for layer in spec.weight_layers)
    return Entries(spec.parameter_sizes, weights, spec.classes, config.classes_per_task)


def epoch_plans(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> Iterator[EpochPlan]:
    """The epochs of a run, in order, given each task's training samples: a single number for joint training."""
    if not task_sizes or min(task_sizes) < 1:
        raise ValueError(f"expected at least one task of at least 1 sample, got task sizes {list(task_sizes)}")
    rules, presented = config.rules, 0
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

    policy = policy_of(config, task_sizes)
    masks_at = cache(partial(counts_at, spec, config))
    walk = Walk(config, policy, masks_at, masks_at(policy.initial_sparsity if config.sparse else Fraction(0)))
    for task in range(1, len(task_sizes) + 1):
        size = merged(task)
        before, beside = size, own(occasion("begin_task", task, size), walk.now)
        walk.masks = masks_then(occasion("epoch", task, size), walk.masks)
        for epoch, samples in enumerate(epoch_sizes(size, config), start=1):
            walk.begin_epoch()
            # What is due before step 0 of a policy that spends it, is due in it.
            actions = policy.actions(task, epoch) if config.sparse and not policy.spends else ()
            probed = walk.act(actions, before if rules.remove_after_mask_update else samples, held(task))
            fixed = held(task) if method.fills == "tasks" else None
            replays = task >= rules.replay_from_task
            steps, before_it = steps_of(config, samples), held(task)
            if config.sparse and policy.by_step:
                for step, batch, memory in _steps(config, samples, presented, fixed):
                    replay = _drawn(config, memory) if replays else 0
                    walk.step((task, epoch, step), batch, replay, samples=samples, held=memory)
            else:
                batches = partial(_batches, config, samples, presented, fixed, replays=replays)
                _count(walk, batches, empty=before_it == 0)
            beside += own(occasion("epoch", task, samples, steps=steps), walk.now)
            presented += samples if not rules.drop_last else steps * config.batch_size
            if epoch == config.epochs:
                beside += own(occasion("end_task", task, samples), walk.now)
            found = [(Passes(kind, number), counts) for (kind, counts), number in walk.passes.items()]
            yield EpochPlan(
                task=task,
                epoch=epoch,
                samples=samples,
                steps=steps,
                updates=tuple((number, counts) for counts, number in walk.updates.items()),
                scored=walk.scored,
                counts=walk.now.usual,
                passes=tuple(one for one in found if one[0].kind != "probe"),
                beside=(*(one for one in found if one[0].kind == "probe"), *beside),
                held=before_it,
                fills=method.fills == "steps",
                probed=probed,
            )
            before, beside = samples, []


def _count(walk: Walk, batches: Callable[..., tuple[int, int, int]], *, empty: bool) -> None:
    """The steps of an epoch in which no mask moves, without going through them."""
    config = walk.config
    method = config.method_class
    if not method.learns:
        return
    again = method.updates_again(config.method_settings)
    steps, current, replay = batches(interval=1)
    refreshes, refresh_current, refresh_replay = 0, 0, 0
    if config.sparse and config.dgm:
        refreshes, refresh_current, refresh_replay = batches(interval=config.dgm_interval)
    if again:
        refresh_replay = 0  # what is replayed then passes under the new gradient masks
    counts = walk.masks
    walk.passes["current", counts.usual] += current - refresh_current
    walk.passes["replay", counts.usual] += replay - refresh_replay
    walk.passes["current", counts.ungated] += refresh_current
    walk.passes["replay", counts.ungated] += refresh_replay
    walk.scored += refreshes * sum(counts.usual.active.values())
    walk.gated = bool(refreshes)
    # An empty buffer has something from step 2 on.
    walk.updates[counts.usual] += steps + (steps - empty if again and replay else 0)


def _steps(config: Config, samples: int, presented: int, held: int | None) -> Iterator[tuple[int, int, int]]:
    """Number and samples of each step of an epoch, and what the buffer holds then: ``held`` if it does not change."""
    size, capacity = config.batch_size, config.buffer_size if config.rehearses else 0
    for step in range(steps_of(config, samples)):
        yield step, min(size, samples - step * size), min(presented + step * size, capacity) if held is None else held


def _drawn(config: Config, held: int) -> int:
    """Samples of all draws of a step."""
    return config.method_class.draws_per_step * min(config.effective_replay_batch_size, held)


def _batches(
    config: Config, samples: int, presented: int, held: int | None, *, interval: int, replays: bool
) -> tuple[int, int, int]:
    """Steps of an epoch, every interval-th from the first on: their number, their samples, and those they replay.

    Step k of the epoch begins after ``presented + k * batch`` presentations, so each of its draws has
    min(replay batch, capacity, that many) samples: a ramp that is clipped. Of a buffer that does not change before the
    task's end it has min(replay batch, ``held``).
    """
    batch, steps = config.batch_size, steps_of(config, samples)
    chosen = -(-steps // interval)
    last_is_chosen = (steps - 1) % interval == 0
    lacking = max(0, steps * batch - samples) if last_is_chosen else 0
    draws = config.method_class.draws_per_step if replays else 0
    most = min(config.effective_replay_batch_size, config.buffer_size) if draws else 0
    each = clipped_ramp(most, presented, interval * batch, chosen) if held is None else chosen * min(most, held)
    return chosen, chosen * batch - lacking, draws * each
