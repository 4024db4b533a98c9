"""What a mask policy is: when masks change, and which weights start, leave and join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.masks import exact
from sparcl_ref.settings import OwnSettings
from sparcl_ref.sparcl.rule import Rng, Scores, SizedProbe
from sparcl_ref.sparcl.rules import Rules
from sparcl_ref.sparcl.tdm import Action

__all__ = ["Action", "Policy", "Schedule"]


@dataclass(frozen=True)
class Schedule:
    """What of a run's settings a policy may build on.

    Attributes
    ----------
    sparsity : float
        s, the fraction of dead weights.
    epochs, delta_k : int
        Epochs of a task, and between adjustments.
    alpha, beta : float
        Coefficients of the importance.
    structure : str
        What lives and dies together.
    steps : tuple of tuple of int
        For each task the steps of its epochs, as the forecast counts them: after removal of data, and where a method
        mixes in samples whose number is chance, as if it were not. Empty before the data are known; a policy that
        needs them does nothing then.
    """

    sparsity: float
    epochs: int
    delta_k: int
    alpha: float
    beta: float
    structure: str = "irregular"
    steps: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def _starts(self) -> list[list[int]]:
        """For each task the steps of the run before each of its epochs, and after the last."""
        ends = np.cumsum([0, *(sum(task) for task in self.steps)])
        return [(end + np.cumsum([0, *task])).tolist() for end, task in zip(ends, self.steps, strict=False)]

    def progress(self, task: int, epoch: int, step: int, *, once: bool) -> tuple[int, int]:
        """How many steps lie before this one, and how many there are: of the run if ``once``, else of the task.

        (0, 0) while the steps are not known.
        """
        if not self.steps:
            return 0, 0
        starts = self._starts[task - 1]
        now = starts[epoch - 1] + step
        return (now, self._starts[-1][-1]) if once else (now - starts[0], starts[-1] - starts[0])


class Policy:
    """A way to choose which weights live: four pure functions, and the scores by which weights leave.

    The defaults are the profile's initial mask, never moved. Which weights live is not a policy's to remember: masks
    belong to the parameters, and every function is given what it decides on. Masks, weights and scores are those of one
    layer, or of layers that share a budget, joined and flat; ``active`` is their budget of living weights, made from
    ``sparsity``; ``rng`` is the stream named "mask". `init`, `drop` and `grow` return an ndarray of bool, shaped like
    the weights.

    Parameters
    ----------
    schedule : Schedule
    rules : Rules
        The profile's; a policy may ask them or not.
    settings : Settings
        Its own.
    """

    title: ClassVar[str]
    #: What tables call a run with it, before the method's title.
    heads: ClassVar[str] = "SparCL"
    #: The policy's own settings, shown by ``--help`` under its name.
    Settings: ClassVar[type[OwnSettings]] = OwnSettings

    def __init__(self, schedule: Schedule, rules: Rules, settings: Any):
        self.schedule = schedule
        self.rules = rules
        self.settings = settings

    @classmethod
    def settled(cls, settings: Any, rules: Rules) -> Any:
        """The settings with what is left to the profile filled in, so that what is stored is what runs."""
        return settings

    @classmethod
    def check(cls, schedule: Schedule, settings: Any) -> None:
        """Refuse a schedule that the policy cannot follow.

        Raises
        ------
        ValueError
            Naming the setting and what to do.
        """
        if cls.single and schedule.structure != "irregular":
            raise ValueError(
                f"--structure {schedule.structure} lets weights live and die together, and {cls.title} chooses single "
                "ones; use --structure irregular"
            )

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        """What tables add to a run's name, such as "by magnitude"."""
        return []

    @property
    def probes(self) -> bool:
        """Whether its scores ask for the probe gradients of equation 1."""
        return False

    @property
    def probe_samples(self) -> int:
        """The most samples of the current task that a probe uses."""
        return 0

    @property
    def initial_sparsity(self) -> Fraction:
        """The sparsity a run starts with."""
        return exact(self.schedule.sparsity)

    @property
    def least_sparsity(self) -> Fraction:
        """The sparsity at which most weights live."""
        return self.initial_sparsity

    @property
    def mean_sparsity(self) -> Fraction:
        """The sparsity at which an average step trains, as the paper's accounting charges it."""
        return exact(self.schedule.sparsity)

    def init(self, weight: np.ndarray, rng: Rng, *, active: int, sparsity: Fraction) -> np.ndarray:
        """The mask a run starts with, chosen among the initial values."""
        return self.rules.initial_mask(weight, rng, active=active, sparsity=sparsity)

    def actions(self, task: int, epoch: int, step: int = 0) -> tuple[Action, ...]:
        """The changes of the mask before a step, in the order to take them.

        Tasks and epochs count from 1, steps within the epoch from 0; only policies with `by_step` are asked for other
        steps than 0. A configuration asks for the first before there is a run: a schedule that cannot be followed may
        be refused here, by a ValueError that names the setting and what to do.
        """
        return ()

    #: Whether it chooses single weights and no others, by exact counts, whatever the profile's rules.
    single: ClassVar[bool] = False
    #: Whether the mask may change between the steps of an epoch.
    by_step: ClassVar[bool] = False
    #: Whether masks go by the gradient of a step's whole loss, and what the ledger calls the passes of that step: its
    #: actions come after the backward pass, when every sparsifiable parameter's ``grad`` is that of dead weights, too,
    #: and the step updates nothing. "" for others. A policy that spends moves by steps.
    spends: ClassVar[str] = ""

    def scores(self, parameters: Sequence[Parameter], probe: SizedProbe, rng: Rng) -> Scores:
        """What `drop` ranks by, one array per sparsifiable parameter.

        ``probe(parameters, samples)`` gives the probe gradients on so many samples of the current task and on the
        buffer; calling it costs passes.
        """
        return [np.abs(parameter.value) for parameter in parameters]

    @property
    def probes_to_grow(self) -> bool:
        """Whether `growth_scores` asks for probe gradients."""
        return False

    def growth_scores(self, parameters: Sequence[Parameter], probe: SizedProbe, rng: Rng) -> Scores | None:
        """What `grow` ranks by, as `scores`; None for a policy that grows by chance."""
        return None

    def accept(self, parameters: Sequence[Parameter]) -> None:
        """Refuse masks to which actions have led, by a ValueError that names the layer and what to do."""

    def drop(
        self, mask: np.ndarray, weight: np.ndarray, scores: np.ndarray, *, active: int, sparsity: Fraction
    ) -> np.ndarray:
        """The mask after the least important have left."""
        return self.rules.shrink(mask, weight, scores, active=active, sparsity=sparsity)

    def grow(
        self,
        mask: np.ndarray,
        weight: np.ndarray,
        rng: Rng,
        *,
        active: int,
        sparsity: Fraction,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        """The mask after others have joined."""
        return self.rules.grow(mask, weight, rng, active=active, sparsity=sparsity)
