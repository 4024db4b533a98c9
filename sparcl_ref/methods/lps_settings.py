"""Settings of LPS, and what they say of a task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from sparcl_ref.settings import OwnSettings, setting


@dataclass(frozen=True)
class LPSSettings(OwnSettings):
    """Defaults are those of the authors' script, but for the optimiser's rate; see `sparcl_ref.methods.lps.LPS`."""

    shares: str = setting(
        "", "parts of a layer that tasks get, joined by commas; unset: 5 for the first task, 1 for each other"
    )
    rho: float = setting(0.01, "strength of the pull towards few weights, in the first period", at_least=0)
    rho_num: int = setting(3, "periods, each with ten times the strength of the one before", at_least=1, at_most=9)
    admm_epochs: int = setting(3, "epochs between projections of weights", at_least=1)
    mask_admm_epochs: int = setting(10, "epochs between projections of multipliers", at_least=1)
    adaptive_ratio: float = setting(
        0.9, "fraction of earlier tasks' weights of a layer that a task uses", above=0, at_most=1
    )
    share_by_choice: bool = setting(True, "whether a task chooses among earlier tasks' weights, or uses all")
    prune_epochs: int | None = setting(None, "epochs of each period; unset: as many as --epochs", at_least=1)
    retrain_epochs: int | None = setting(None, "epochs of retraining; unset: as many as --epochs", at_least=0)
    prune_lr: float = setting(0.01, "learning rate of periods, at its highest, and of retraining", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._parts()

    def idle(self) -> Iterator[tuple[str, str]]:
        if not self.share_by_choice:
            yield from ((name, "--no-share-by-choice") for name in ("adaptive_ratio", "mask_admm_epochs"))
        if self.rho == 0:
            yield "mask_admm_epochs", "--rho 0"

    def _parts(self) -> list[Fraction]:
        try:
            parts = [Fraction(part.strip()) for part in self.shares.split(",")] if self.shares else []
        except (ValueError, ZeroDivisionError):
            parts = [Fraction(0)]
        if any(part <= 0 for part in parts):
            raise ValueError(f"--shares must be numbers above 0 joined by commas, such as 5,1,1, got {self.shares!r}")
        return parts

    def share(self, task: int, tasks: int) -> Fraction:
        """What a task gets of each layer: c_t / sum c.

        Raises
        ------
        ValueError
            If there are parts for another number of tasks.
        """
        parts = self._parts() or [Fraction(5), *[Fraction(1)] * (tasks - 1)]
        if len(parts) != tasks:
            raise ValueError(f"--shares of lps must have a part for each of {tasks} tasks, got {self.shares}")
        return parts[task - 1] / sum(parts)

    def prunes(self, task: int, tasks: int) -> bool:
        """Whether a task gives weights back: the last keeps what there is."""
        return task < tasks

    def shares_by_choice(self, task: int) -> bool:
        """Whether a task chooses among the weights of earlier ones."""
        return self.share_by_choice and task > 1

    def acts(self, task: int, tasks: int) -> bool:
        """Whether there is something to prune or to choose."""
        return self.prunes(task, tasks) or self.shares_by_choice(task)

    def epochs_of(self, epochs: int) -> tuple[int, int]:
        """Of each period and of retraining, after so many of learning."""
        pulled, retrained = self.prune_epochs, self.retrain_epochs
        return epochs if pulled is None else pulled, epochs if retrained is None else retrained
