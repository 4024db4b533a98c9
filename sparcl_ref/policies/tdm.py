"""TDM, task-aware dynamic masking (Algorithm 1): masks make room for each task and exchange weights within it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from sparcl_ref.layers import Parameter
from sparcl_ref.masks import exact
from sparcl_ref.policies.base import Action, Policy, Schedule
from sparcl_ref.settings import OwnSettings, setting
from sparcl_ref.sparcl.decisions import IMPORTANCES
from sparcl_ref.sparcl.rule import Rng, Scores, SizedProbe
from sparcl_ref.sparcl.rules import Rules


class TDM(Policy):
    """The least important leave, random ones join, when and as the profile's rules say."""

    title = "TDM"

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        p_inter: float = setting(0.01, "sparsity given up at the start of a task", at_least=0, at_most=1)
        p_intra: float | None = setting(
            None, "sparsity exchanged at each adjustment; unset: the profile's", at_least=0, at_most=1
        )
        importance: str = setting("cwi", "which weights to keep when shrinking", choices=IMPORTANCES)
        importance_samples: int = setting(256, "samples of the task that a probe of the importance uses", at_least=1)

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.p_inter == 0 and self.p_intra == 0:
                yield from ((name, "--p-inter 0 --p-intra 0") for name in ("importance", "importance_samples"))
            elif self.importance in ("magnitude", "random"):
                yield "importance_samples", f"--importance {self.importance}"

    def __init__(self, schedule: Schedule, rules: Rules, settings: Any):
        super().__init__(schedule, rules, settings)
        self.importance = IMPORTANCES[settings.importance](rules.importance)

    @classmethod
    def settled(cls, settings: Any, rules: Rules) -> Any:
        return replace(settings, p_intra=rules.p_intra) if settings.p_intra is None else settings

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        return [] if settings.importance == "cwi" else [f"by {settings.importance.replace('_', ' ')}"]

    @property
    def probes(self) -> bool:
        return self.importance.probes

    @property
    def probe_samples(self) -> int:
        return int(self.settings.importance_samples)

    @property
    def least_sparsity(self) -> Fraction:
        s = exact(self.schedule.sparsity)
        return s - exact(self.settings.p_inter) if s else s

    def actions(self, task: int, epoch: int, step: int = 0) -> tuple[Action, ...]:
        if step:
            return ()
        return self.rules.schedule(
            task,
            epoch,
            epochs=self.schedule.epochs,
            sparsity=self.schedule.sparsity,
            delta_k=self.schedule.delta_k,
            p_inter=self.settings.p_inter,
            p_intra=self.settings.p_intra,
        )

    def scores(self, parameters: Sequence[Parameter], probe: SizedProbe, rng: Rng) -> Scores:
        alpha, beta = self.schedule.alpha, self.schedule.beta
        return self.importance(parameters, lambda some: probe(some, self.probe_samples), rng, alpha=alpha, beta=beta)
