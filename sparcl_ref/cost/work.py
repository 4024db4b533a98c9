"""How often a run does what takes time: steps, refreshes, mask actions, evaluations, passes and phases of methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sparcl_ref.config import Config
from sparcl_ref.cost.predict import Prediction
from sparcl_ref.cost.schedule import EpochPlan
from sparcl_ref.policies import Policy

#: Task, epoch and step, as `Policy.actions` takes them.
Moment = tuple[int, int, int]


@dataclass(frozen=True)
class Work:
    """Amounts of a whole run; what one of each takes is measured by `sparcl_ref.trial`.

    Attributes
    ----------
    steps, refreshes : int
        Those that are not spent on masks, and those of them that choose gradient masks.
    evaluations : int
        Of all tasks.
    adjustments : tuple of ((int, int, int), int)
        For each series of mask actions, such as a shrink and an expansion, when it is first due, and how often it is;
        of a policy that spends steps on them, such a step.
    own_samples : tuple of (int, int)
        Of passes with gradients that a method makes beside its steps and phases: how many samples go at once, and all
        of them. Passes of the classifier alone take next to nothing and are left out.
    own_forwards : int
        Samples of a method's passes that go forward only.
    phases : tuple of (str, int)
        Of each kind of phase of the method's own: how many samples go through its steps.
    own_epochs : int
        Of these phases.
    """

    steps: int
    refreshes: int
    evaluations: int
    adjustments: tuple[tuple[Moment, int], ...]
    own_samples: tuple[tuple[int, int], ...]
    own_forwards: int
    phases: tuple[tuple[str, int], ...] = ()
    own_epochs: int = 0


def work_of(config: Config, prediction: Prediction, *, tasks: int) -> Work:
    """The work of a run that is evaluated after each of its ``tasks``, and before the first."""
    plans = prediction.epochs
    own = [passes for plan in plans for passes, _ in plan.beside if passes.kind != "probe"]
    by_task = groupby(plans, key=lambda plan: plan.task)
    policy = config.make_policy(tuple(tuple(plan.steps for plan in task) for _, task in by_task))
    adjustments = _adjustments(policy, plans) if config.sparse else ()
    spent = sum(count for _, count in adjustments) if config.sparse and config.policy_class.spends else 0
    own_samples, phases = Counter[int](), Counter[str]()
    for passes in own:
        if passes.epochs:
            phases[passes.kind] += passes.samples
        elif passes.samples and passes.backward and not passes.head:
            own_samples[passes.at_once or config.batch_size] += passes.samples
    refreshes = 0
    if config.sparse and config.dgm and config.method_class.learns:
        refreshes = sum(_refreshes(policy, plan, config.dgm_interval) for plan in plans)
    return Work(
        steps=prediction.steps - spent,
        refreshes=refreshes,
        evaluations=tasks + 1,
        adjustments=adjustments,
        own_samples=tuple(own_samples.items()),
        own_forwards=sum(passes.samples for passes in own if not passes.backward),
        phases=tuple(phases.items()),
        own_epochs=sum(passes.epochs for passes in own),
    )


def _adjustments(policy: Policy, plans: Sequence[EpochPlan]) -> tuple[tuple[Moment, int], ...]:
    found: dict[tuple[str, ...], tuple[Moment, int]] = {}
    for plan in plans:
        for step in range(plan.steps if policy.by_step else 1):
            moment = plan.task, plan.epoch, step
            if kinds := tuple(action.kind for action in policy.actions(*moment)):
                first, count = found.get(kinds, (moment, 0))
                found[kinds] = first, count + 1
    return tuple(found.values())


def _refreshes(policy: Policy, plan: EpochPlan, interval: int) -> int:
    """Steps of an epoch that choose gradient masks; one that is spent on masks does not."""
    chosen = range(0, plan.steps, interval)
    return sum(not (policy.spends and policy.actions(plan.task, plan.epoch, step)) for step in chosen)
