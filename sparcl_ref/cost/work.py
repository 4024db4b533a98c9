"""How often a run does what takes time: steps, refreshes, mask actions, evaluations, passes of a method's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparcl_ref.config import Config
from sparcl_ref.cost.predict import Prediction

#: Task, epoch and step, as `Policy.actions` takes them.
Moment = tuple[int, int, int]


@dataclass(frozen=True)
class Work:
    """Amounts of a whole run; what one of each takes is measured by `sparcl_ref.trial`.

    Attributes
    ----------
    steps, refreshes : int
        Updates, and those of them that choose gradient masks.
    evaluations : int
        Of all tasks.
    adjustments : tuple of ((int, int, int), int)
        For each series of mask actions, such as a shrink and an expansion, when it is first due, and how often it is.
    own_samples : tuple of (int, int)
        Of passes with gradients that a method makes beside its steps: how many samples go at once, and all of them.
        Passes of the classifier alone take next to nothing and are left out.
    own_forwards : int
        Samples of a method's passes that go forward only.
    """

    steps: int
    refreshes: int
    evaluations: int
    adjustments: tuple[tuple[Moment, int], ...]
    own_samples: tuple[tuple[int, int], ...]
    own_forwards: int


def work_of(config: Config, prediction: Prediction, *, tasks: int) -> Work:
    """The work of a run that is evaluated after each of its ``tasks``, and before the first."""
    plans = prediction.epochs
    own = [passes for plan in plans for passes, _ in plan.beside if passes.kind != "probe"]
    own_samples: dict[int, int] = {}
    for passes in own:
        if passes.samples and passes.backward and not passes.head:
            size = passes.at_once or config.batch_size
            own_samples[size] = own_samples.get(size, 0) + passes.samples
    refreshes = 0
    if config.sparse and config.dgm and config.method_class.learns:
        refreshes = sum(-(-plan.steps // config.dgm_interval) for plan in plans)
    return Work(
        steps=prediction.steps,
        refreshes=refreshes,
        evaluations=tasks + 1,
        adjustments=_adjustments(config, [(plan.task, plan.epoch, plan.steps) for plan in plans]),
        own_samples=tuple(own_samples.items()),
        own_forwards=sum(passes.samples for passes in own if not passes.backward),
    )


def _adjustments(config: Config, epochs: Sequence[tuple[int, int, int]]) -> tuple[tuple[Moment, int], ...]:
    if not config.sparse:
        return ()
    policy = config.make_policy()
    found: dict[tuple[str, ...], tuple[Moment, int]] = {}
    for task, epoch, steps in epochs:
        for step in range(steps if policy.by_step else 1):
            if kinds := tuple(action.kind for action in policy.actions(task, epoch, step)):
                first, count = found.get(kinds, ((task, epoch, step), 0))
                found[kinds] = first, count + 1
    return tuple(found.values())
