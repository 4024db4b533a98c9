"""SparCL as a regime around any method: the mask policy before an epoch, DGM between backward and update, DDR after a
stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.draws import Draws, Place
from sparcl_ref.finite import check_scores
from sparcl_ref.groups import frozen_of, joined, mask_of, parts, with_joining
from sparcl_ref.layers import Parameter
from sparcl_ref.masks import budgets
from sparcl_ref.methods import Observation
from sparcl_ref.models import Network
from sparcl_ref.policies import Action, Policy
from sparcl_ref.sparcl.ddr import StageStatistics, completed_stage
from sparcl_ref.sparcl.dgm import gradient_sparsity, is_refresh
from sparcl_ref.sparcl.removal import REMOVALS
from sparcl_ref.sparcl.rule import Scores, SizedProbe
from sparcl_ref.sparcl.structured import STRUCTURES


@dataclass(frozen=True)
class MaskChange:
    """One action on the mask: what kind, to which sparsity, and the flat indices that left or joined, per parameter."""

    kind: str
    sparsity: Fraction
    indices: dict[str, np.ndarray]

    @property
    def count(self) -> int:
        """Number of weights that left or joined."""
        return sum(len(flat) for flat in self.indices.values())


class SparCL:
    """Holds what the rules need remembered (what happened to each sample) and applies them to the model.

    The masks themselves belong to the parameters; which rules apply is the configuration's profile, and which weights
    live its policy's to say. ``config`` has a sparsity, ``rng`` is the stream named "mask", and ``policy`` is the
    configuration's, which knows the steps of the run if it has to. Tasks and epochs count from 1, steps within the
    epoch from 0.
    """

    def __init__(
        self,
        model: Network,
        config: Config,
        *,
        rng: np.random.Generator,
        draws: Draws | None = None,
        policy: Policy | None = None,
    ):
        self.model = model
        self.config = config
        self.rules = config.rules
        self.policy = config.make_policy() if policy is None else policy
        self.rng = rng
        self.draws = Draws() if draws is None else draws
        self.parameters = model.sparsifiable()
        self.removal = REMOVALS.find(config.ddr_by)
        self.begin_task(0)
        self._start()

    def _start(self) -> None:
        """The initial masks, and the parameters that stay frozen at their zeros."""
        sparsity = self.policy.initial_sparsity
        for group, active, weight in self._budgeted(sparsity):
            given = self.draws.initial_masks
            if given is None:
                mask = self.policy.init(weight, self.rng, active=active, sparsity=sparsity)
            else:
                mask = joined([given[parameter.name] for parameter in group])
            self._set_group(group, mask)
        self._silence_norms()
        for parameter in self.model.parameters():
            if not parameter.sparsifiable:
                parameter.set_mask(self.rules.freeze(parameter.value))

    def _silence_norms(self) -> None:
        """Zeros at the start in the batch-norms behind outputs that the structure calls silent."""
        kind = STRUCTURES.get(self.config.structure)
        if kind is None or kind.silences is None:
            return
        norms = self.model.norms_after()
        for parameter in filter(lambda parameter: parameter.name in norms, self.parameters):
            silent = kind.silences(parameter.value)
            for own in norms[parameter.name].own_parameters().values():
                own.value[silent] = 0.0

    # --- the policy: before an epoch, and between steps where it asks for that

    def before_epoch(self, task: int, epoch: int, probe: SizedProbe) -> list[MaskChange]:
        """Lift the gradient masks and change the masks as the policy says; the changes in the order taken.

        ``probe`` is called once if an action needs gradients, for all actions of that epoch.
        """
        self._lift_gradient_masks()
        place = Place(task, epoch, 0)
        return self._act(() if self.policy.spends else self.policy.actions(*place), place, probe)

    def before_step(self, task: int, epoch: int, step: int, probe: SizedProbe) -> list[MaskChange]:
        """Change the masks where the policy moves within an epoch, and lift the gradient masks that are due.

        What is due before step 0 is `before_epoch`'s.
        """
        place = Place(task, epoch, step)
        actions = self.policy.actions(*place) if self.policy.by_step and step and not self.policy.spends else ()
        if actions or (self.config.dgm and is_refresh(step, self.config.dgm_interval)):
            self._lift_gradient_masks()
        return self._act(actions, place, probe)

    def spends(self, place: Place) -> bool:
        """Whether the policy wants the gradient of that step, and the step to update nothing."""
        return bool(self.policy.spends and self.policy.actions(*place))

    def by_gradient(self, place: Place, probe: SizedProbe) -> list[MaskChange]:
        """Change the masks by the gradients that the parameters have now, those of dead weights included."""
        return self._act(self.policy.actions(*place), place, probe)

    def _lift_gradient_masks(self) -> None:
        for _, parameter in self._masked():
            parameter.set_grad_mask(None)

    def _masked(self) -> Iterator[tuple[int, Parameter]]:
        """Whatever has a mask, sparsifiable or with frozen zeros, and its place among the model's parameters."""
        return ((i, parameter) for i, parameter in enumerate(self.model.parameters()) if parameter.mask is not None)

    def _act(self, actions: Sequence[Action], place: Place, probe: SizedProbe) -> list[MaskChange]:
        known: dict[int, tuple[Scores, Scores]] = {}

        def once(parameters: Sequence[Parameter], samples: int) -> tuple[Scores, Scores]:
            if samples not in known:
                known[samples] = probe(parameters, samples)
            return known[samples]

        changes = [self._change(action, place, once) for action in actions]
        if changes:
            self.policy.accept(self.parameters)
        return changes

    def _change(self, action: Action, place: Place, probe: SizedProbe) -> MaskChange:
        """Let some leave, or join, or both; the masks are set once, so that what does both keeps value and state."""
        leave = joins = None
        if action.kind != "expand":
            leave = self._by_parameter(self.policy.scores(self.parameters, probe, self.rng))
            living = {p.name: leave[p.name][mask_of([p])] for p in self.parameters}
            check_scores(living, "scores by which weights leave")
        if action.kind != "shrink" and self.draws.growth is None:
            joins = self.policy.growth_scores(self.parameters, probe, self.rng)
        moved: dict[str, np.ndarray] = {}
        for group, active, weight in self._budgeted(action.sparsity):
            mask, sparsity = mask_of(group), action.sparsity
            stay = active
            if action.kind == "exchange":
                active = int(np.count_nonzero(mask))
                stay = active - math.trunc(active * action.share)
            if leave is not None:
                ranks, frozen = joined([leave[parameter.name] for parameter in group]), frozen_of(group)
                if frozen.any():  # an earlier task's entries stay, whatever they are worth to this one
                    ranks = np.where(frozen, np.finfo(ranks.dtype).max, ranks)
                mask = self.policy.drop(mask, weight, ranks, active=stay, sparsity=sparsity) | frozen
            if action.kind != "shrink":
                mask = self._grown(group, mask, weight, place, joins, active=active, sparsity=sparsity)
            moved |= self._set_group(group, mask)
        return MaskChange(action.kind, action.sparsity, moved)

    def _grown(
        self,
        group: list[Parameter],
        mask: np.ndarray,
        weight: np.ndarray,
        place: Place,
        joins: Scores | None,
        **target: Any,
    ) -> np.ndarray:
        """A group's mask after others have joined: those given from outside, or those that the policy chooses."""
        growth = self.draws.growth
        if growth is None:
            scores = None if joins is None else self._by_parameter(joins)
            ranks = None if scores is None else joined([scores[parameter.name] for parameter in group])
            return self.policy.grow(mask, weight, self.rng, scores=ranks, **target)
        known = zip(group, parts(group, mask), strict=True)
        return joined([with_joining(parameter, part, growth(place, parameter.name)) for parameter, part in known])

    def _by_parameter(self, scores: Scores) -> dict[str, np.ndarray]:
        return dict(zip((parameter.name for parameter in self.parameters), scores, strict=True))

    def _budgeted(self, sparsity: Fraction) -> Iterator[tuple[list[Parameter], int, np.ndarray]]:
        """Each group of parameters that shares a budget, the budget, and the group's values."""
        shapes = [parameter.value.shape for parameter in self.parameters]
        numbers = budgets(shapes, sparsity, self.config.budgets)
        shared = self.config.budgets == "global"
        groups = [self.parameters] if shared else [[parameter] for parameter in self.parameters]
        for group, active in zip(groups, numbers, strict=True):
            yield group, active, joined([parameter.value for parameter in group])

    def _set_group(self, group: list[Parameter], mask: np.ndarray) -> dict[str, np.ndarray]:
        """Give each parameter its part of the group's mask; returns the flat indices that changed, by name."""
        changed = {}
        for parameter, part in zip(group, parts(group, mask), strict=True):
            before = mask_of([parameter])
            parameter.set_mask(part)
            changed[parameter.name] = np.flatnonzero(before != part)
        return changed

    # --- DGM: after a step's backward pass

    def after_backward(self, iteration: int, step: Observation) -> bool:
        """Choose the gradient masks at a refresh, and silence the gradients outside them; whether that was done.

        Equation 3 weighs the gradient of CE~ as trained against that of the whole replay term.
        """
        if not self.config.dgm or not is_refresh(iteration, self.config.dgm_interval):
            return False
        masked = gradient_sparsity(self.policy.schedule.sparsity, self.config.dgm_q)
        coefficients = {"alpha": self.config.importance_alpha, "beta": self.config.importance_beta}
        for index, parameter in self._masked():
            current = step.current_grads[index]
            replay = np.zeros_like(current) if step.replay_grads is None else step.replay_grads[index]
            chosen = self.rules.gradient_mask(parameter.mask, current, replay, sparsity=masked, **coefficients)
            parameter.set_grad_mask(chosen)
            parameter.grad[~chosen] = 0.0
        return True

    # --- DDR: counting during a stage, removal after it

    def begin_task(self, samples: int) -> None:
        """Start counting for a task of that many samples."""
        self.statistics = StageStatistics(samples)
        #: Sums of the samples' scores over the task's stages before this one.
        self.earlier = np.zeros(samples, dtype=np.int64)

    def count(self, remaining: np.ndarray, indices: np.ndarray, correct: np.ndarray) -> None:
        """Note which of a step's samples, some of the ascending indices ``remaining``, were classified correctly."""
        self.statistics.add(np.searchsorted(remaining, indices), correct)

    def end_stage(
        self, epoch: int, remaining: np.ndarray, samples: int, *, chance: Callable[[int], np.ndarray] = np.zeros
    ) -> np.ndarray:
        """Remove the best-learned samples if the epoch just trained completed a stage; returns those that remain.

        ``remaining`` are ascending indices, ``samples`` is the task's size before any removal, and ``chance`` gives so
        many random numbers, asked where the ranking draws. Counting starts anew with each stage.
        """
        config = self.config
        if epoch % config.delta_k:
            return remaining
        stage = completed_stage(epoch, epochs=config.epochs, delta_k=config.delta_k, cutoff=config.ddr_cutoff)
        positions, scores = np.arange(len(remaining)), self.rules.ddr_score(self.statistics, config.epochs)
        if config.ddr and stage is not None:
            left = self.rules.ddr_sizes(samples, rho=config.ddr_rho, cutoff=config.ddr_cutoff)
            keep = len(remaining) - (left[stage - 1] - left[stage])
            numbers = chance(len(remaining)) if self.removal.draws else np.zeros(len(remaining))
            ranks = self.removal(scores, self.earlier, numbers)
            positions = self.rules.ddr_keep(ranks, self.statistics, keep)
        self.earlier = (self.earlier + scores)[positions]
        self.statistics = StageStatistics(len(positions))
        return remaining[positions]

    def state(self) -> dict[str, Any]:
        """The statistics of the stage and the scores before it.

        Masks are in the model's state, generators in the run's.
        """
        return {"statistics": self.statistics.state(), "earlier": self.earlier.copy()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.statistics.load_state(state["statistics"])
        # States of earlier versions lack it, and their runs do not ask for it.
        self.earlier = np.array(state.get("earlier", np.zeros_like(self.statistics.wrong)))
