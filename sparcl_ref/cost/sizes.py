"""How many samples and steps the epochs of a run have, and what its buffer holds: arithmetic on settings and sizes."""

from __future__ import annotations

from collections.abc import Sequence

from sparcl_ref.config import Config
from sparcl_ref.methods import Filling
from sparcl_ref.policies import Policy
from sparcl_ref.sparcl.ddr import completed_stage


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


def held_after(config: Config, task_sizes: Sequence[int]) -> int:
    """Samples in the buffer after tasks of these sizes, of a method that fills it at the end of each."""
    filling = Filling(config.buffer_size, config.batch_size, config.classes_per_task)
    return config.method_class.held_after(config.method_settings, task_sizes, filling)


def steps_of(config: Config, samples: int) -> int:
    """Steps of an epoch of so many samples."""
    size = config.batch_size
    return samples // size if config.rules.drop_last else -(-samples // size)


def run_steps(config: Config, task_sizes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """For each task the steps of its epochs, as `Schedule` wants them."""
    merges, found = config.method_class.merges, []
    for task, size in enumerate(task_sizes):
        known = size + (held_after(config, task_sizes[:task]) if merges else 0)
        found.append(tuple(steps_of(config, samples) for samples in epoch_sizes(known, config)))
    return tuple(found)


def policy_of(config: Config, task_sizes: Sequence[int]) -> Policy:
    """The policy of a run whose tasks have so many training samples."""
    return config.make_policy(run_steps(config, task_sizes))


def clipped_ramp(limit: int, start: int, stride: int, count: int) -> int:
    """Sum of min(limit, start + k * stride) over k = 0 .. count-1, for a start of at least 0, a stride of at least 1.

    Examples
    --------
    >>> clipped_ramp(10, 0, 4, 5)
    32
    """
    rising = min(count, max(0, -(-(limit - start) // stride)))  # terms below the limit
    return rising * start + stride * rising * (rising - 1) // 2 + limit * (count - rising)
