"""Epochs in which masks move between steps: what they cost, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sparcl_ref.config import Config
from sparcl_ref.cost.counts import AtSparsity, Counts
from sparcl_ref.methods import Passes
from sparcl_ref.policies import Action, Policy
from sparcl_ref.sparcl.dgm import is_refresh

#: Passes, and the masks that they see.
MaskedPasses = tuple[Passes, Counts]


@dataclass
class Walk:
    """The masks of a run, and what an epoch costs under them.

    Attributes
    ----------
    masks : AtSparsity
        As they are now.
    gated : bool
        Whether gradient masks have been chosen since masks or epoch last changed.
    passes : Counter of (str, Counts)
        Samples of each kind under the same masks.
    updates : Counter of Counts
    scored : int
        Living weights that got a score.
    """

    config: Config
    policy: Policy
    masks_at: Callable[[Fraction], AtSparsity]
    masks: AtSparsity
    gated: bool = False
    passes: Counter[tuple[str, Counts]] = field(default_factory=Counter)
    updates: Counter[Counts] = field(default_factory=Counter)
    scored: int = 0
    _known: dict[Counts, Counts] = field(default_factory=dict)

    @property
    def now(self) -> AtSparsity:
        """The masks with gradient masks as they are."""
        return self.masks if self.gated else AtSparsity(self.masks.ungated, self.masks.ungated)

    def begin_epoch(self) -> None:
        """Lift the gradient masks, and count anew."""
        self.gated, self.scored = False, 0
        self.passes, self.updates = Counter(), Counter()

    def act(self, actions: Sequence[Action], samples: int, held: int) -> tuple[int, int]:
        """Move the masks; what a probe passes, of ``samples`` of the task and all that is ``held`` in the buffer."""
        probed = (0, 0)
        for action in actions:
            asks = (action.kind != "expand" and self.policy.probes) or (
                action.kind != "shrink" and self.policy.probes_to_grow
            )
            if asks and not any(probed):
                # The first samples of the task and the whole buffer, once for all actions of that time.
                probed = min(self.policy.probe_samples, samples), held
                self.passes["probe", self.masks.ungated] += sum(probed)
                self._score(self.masks.ungated)
            self.masks, self.gated = self.masks_at(action.sparsity), False
        return probed

    def step(self, place: tuple[int, int, int], batch: int, replay: int, *, samples: int, held: int) -> None:
        """One step of ``batch`` new and ``replay`` replayed samples, and the mask actions in it."""
        config, policy, step = self.config, self.policy, place[2]
        actions = policy.actions(*place) if step or policy.spends else ()
        method = config.method_class
        again = method.updates_again(config.method_settings)
        if actions and policy.spends:
            # Nothing is updated; a second update would have been the one to replay.
            self.passes[policy.spends, self._of_all()] += batch + (0 if again else replay)
            self.act(actions, samples, held)
            return
        self.act(actions, samples, held)
        refresh = config.dgm and method.learns and is_refresh(step, config.dgm_interval)
        if refresh:
            self.gated = False
        if not method.learns:
            return
        self.passes["current", self.now.usual] += batch
        if not again:
            self.passes["replay", self.now.usual] += replay
        if refresh:
            self._score(self.masks.ungated)
            self.gated = True
        self.updates[self.now.usual] += 2 if again and replay else 1
        if again:
            self.passes["replay", self.now.usual] += replay

    def _score(self, counts: Counts) -> None:
        self.scored += sum(counts.active.values())

    def _of_all(self) -> Counts:
        """The living weights as they are, and gradients of all: one object for each mask."""
        dense = self.masks_at(Fraction(0)).ungated.active
        living = self.masks.ungated
        if living.active == dense:
            return living
        return self._known.setdefault(living, Counts(living.active, dense))
