"""What a configuration will do, before it does it: samples of each epoch, mask actions, passes of each kind.

Everything here follows from a `Config` and the tasks' sizes by arithmetic; no step is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import Counts, MaskCounts
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import exact
from sparcl_ref.methods import METHODS
from sparcl_ref.sparcl.ddr import completed_stage, ddr_sizes
from sparcl_ref.sparcl.rules import PAPER
from sparcl_ref.sparcl.tdm import Action


@dataclass(frozen=True)
class EpochPlan:
    """One epoch, as far as its cost goes.

    Attributes
    ----------
    task, epoch : int
        From 1.
    samples : int
        Remaining samples of the task.
    steps, refresh_steps : int
        Updates, and those among them at which gradient masks are chosen anew.
    probe_samples : int
        Samples whose gradient a mask action of this epoch needs.
    probe_counts : Counts
        Masks during that probe.
    current, replay : int
        Samples of the passes with the usual gradient masks.
    refresh_current, refresh_replay : int
        Samples of the passes at refresh steps, which form the gradient of all living weights.
    counts, refresh_counts : Counts
        Masks during the two kinds of steps.
    own_passes : mapping of str to int
        Samples of the passes that the method makes beyond its batches, by their kind; masks as in the usual steps.
    """

    task: int
    epoch: int
    samples: int
    steps: int
    refresh_steps: int
    probe_samples: int
    probe_counts: Counts
    current: int
    replay: int
    refresh_current: int
    refresh_replay: int
    counts: Counts
    refresh_counts: Counts
    own_passes: Mapping[str, int]


def epoch_sizes(samples: int, config: Config) -> list[int]:
    """Remaining samples of a task in each of its epochs (section "data removal" of the method).

    Parameters
    ----------
    samples : int
        Size of the task.
    config : Config

    Examples
    --------
    >>> epoch_sizes(10000, Config(method="derpp", sparsity=0.75, epochs=25))[::5]
    [10000, 9250, 8500, 7750, 7000]
    """
    if not (config.sparse and config.ddr):
        return [samples] * config.epochs
    left = ddr_sizes(samples, rho=config.ddr_rho, cutoff=config.ddr_cutoff)
    sizes, now = [], samples
    for epoch in range(1, config.epochs + 1):
        sizes.append(now)
        stage = completed_stage(epoch, epochs=config.epochs, delta_k=config.delta_k, cutoff=config.ddr_cutoff)
        now = now if stage is None else left[stage]
    return sizes


def clipped_ramp(limit: int, start: int, stride: int, count: int) -> int:
    """Sum of min(limit, start + k * stride) over k = 0 .. count-1, for a start and a stride of at least 0.

    Examples
    --------
    >>> clipped_ramp(10, 0, 4, 5)
    32
    """
    if count <= 0:
        return 0
    rising = count if stride == 0 else min(count, max(0, -(-(limit - start) // stride)))
    if stride == 0 and start >= limit:
        rising = 0
    return rising * start + stride * rising * (rising - 1) // 2 + limit * (count - rising)


def epoch_plans(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> Iterator[EpochPlan]:
    """The epochs of a run, in order.

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
    if not task_sizes or min(task_sizes) < 1:
        raise ValueError(f"expected at least one task of at least 1 sample, got task sizes {list(task_sizes)}")
    masks = MaskCounts(spec, config)
    rules = config.rules
    presented = 0
    current = masks.at(exact(config.sparsity or 0))
    for task, size in enumerate(task_sizes, start=1):
        before = size
        for epoch, samples in enumerate(epoch_sizes(size, config), start=1):
            probe_samples, probed = 0, current.ungated
            remaining = before if rules.remove_after_mask_update else samples
            for action in _actions(config, task, epoch):
                if action.kind == "shrink":
                    probe_samples, probed = _probe_samples(config, remaining, presented), current.ungated
                current = masks.at(action.sparsity)
            passes = _passes(config, samples, presented, replays=task >= rules.replay_from_task)
            yield EpochPlan(
                task=task,
                epoch=epoch,
                samples=samples,
                probe_samples=probe_samples,
                probe_counts=probed,
                counts=current.usual,
                refresh_counts=current.ungated,
                own_passes=_own_passes(config, task, size) if epoch == config.epochs else {},
                **passes,
            )
            presented += passes["current"] + passes["refresh_current"]
            before = samples


def needs_probe(config: Config) -> bool:
    """Whether shrinking the mask asks for gradients."""
    probes = config.rules.importance == PAPER.importance and config.structure == "irregular"
    return probes and config.sparse and config.tdm and config.importance not in ("magnitude", "random")


def _actions(config: Config, task: int, epoch: int) -> tuple[Action, ...]:
    if not (config.sparse and config.tdm):
        return ()
    return config.rules.schedule(
        task,
        epoch,
        epochs=config.epochs,
        sparsity=config.sparsity,
        delta_k=config.delta_k,
        p_inter=config.p_inter,
        p_intra=config.p_intra,
    )


def _probe_samples(config: Config, samples: int, presented: int) -> int:
    """The first samples of the task and the whole buffer, if the importance asks for gradients at all."""
    if not needs_probe(config):
        return 0
    filled = min(presented, config.buffer_size) if config.rehearses else 0
    return min(config.importance_samples, samples) + filled


def _own_passes(config: Config, task: int, samples: int) -> Mapping[str, int]:
    """Kind to samples of what the method does at the end of a task, if its class says so in ``passes``."""
    passes = getattr(METHODS[config.method], "passes", None)
    return {} if passes is None else passes(config, task, samples)


def _passes(config: Config, samples: int, presented: int, *, replays: bool) -> dict[str, int]:
    """Samples of an epoch's passes, with those of the refresh steps apart.

    Step k of the epoch begins after ``presented + k * batch`` presentations, so each of its draws has
    min(replay batch, capacity, that many) samples: a ramp that is clipped. Refresh steps are every interval-th.
    """
    batch = config.batch_size
    steps = samples // batch if config.rules.drop_last else -(-samples // batch)
    trained = min(samples, steps * batch)
    draws = METHODS[config.method].draws_per_step if replays else 0
    most = min(config.effective_replay_batch_size, config.buffer_size) if draws else 0
    refresh_steps = refresh_current = refresh_replay = 0
    if config.sparse and config.dgm:
        interval = config.dgm_interval
        refresh_steps = -(-steps // interval)
        last_is_refresh = steps > 0 and (steps - 1) % interval == 0
        refresh_current = refresh_steps * batch - (steps * batch - trained if last_is_refresh else 0)
        refresh_replay = draws * clipped_ramp(most, presented, interval * batch, refresh_steps)
    return {
        "steps": steps,
        "refresh_steps": refresh_steps,
        "current": trained - refresh_current,
        "replay": draws * clipped_ramp(most, presented, batch, steps) - refresh_replay,
        "refresh_current": refresh_current,
        "refresh_replay": refresh_replay,
    }
