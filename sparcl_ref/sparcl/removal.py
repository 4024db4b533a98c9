"""By what the samples are ranked that leave a task: the profile's counts, and what there is to compare them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparcl_ref.registry import Registry

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Removal:
    """A ranking of the samples that remain: those with the lowest scores leave, among equals the lowest index first.

    Attributes
    ----------
    score : callable
        ``(scores, earlier, chance) -> ndarray, shape (n,)``. ``scores`` are the profile's, of the stage that ends
        (under "paper" how often each sample was misclassified), ``earlier`` their sums over the task's stages before.
        ``chance`` has a number in [0, 1) for each sample, zeros if the ranking draws nothing.
    draws : bool
        Whether it needs chance.
    """

    score: Score
    draws: bool = False

    def __call__(self, scores: np.ndarray, earlier: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """The samples' ranks or scores.

        Raises
        ------
        ValueError
            If the function gives another number of them.
        """
        found = self.score(scores, earlier, chance)
        if np.shape(found) != np.shape(scores):
            shapes = f"shape {np.shape(scores)}, got {np.shape(found)}"
            raise ValueError(f"a ranking for removal must give a score for each sample, {shapes}")
        return found


def by_mistakes(scores: np.ndarray, earlier: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The profile's scores of the stage (equation 2)."""
    return scores


def shuffled(scores: np.ndarray, earlier: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The same order, ties broken by chance instead of by the order of the file; a sample's score is its rank."""
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.lexsort((chance, scores))] = np.arange(len(scores))
    return ranks


def all_stages(scores: np.ndarray, earlier: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Scores summed over all stages of the task so far, ties broken by chance.

    Every sample that remains has been through equally many stages, so that sums rank as means do.
    """
    return shuffled(scores + earlier, earlier, chance)


def at_random(scores: np.ndarray, earlier: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Chance alone: the control."""
    return chance


REMOVALS: Registry[Removal] = Registry(
    "removal",
    {
        "mistakes": Removal(by_mistakes),
        "shuffled": Removal(shuffled, draws=True),
        "all_stages": Removal(all_stages, draws=True),
        "random": Removal(at_random, draws=True),
    },
    base=Removal,
)
#: Add a ranking of one's own: ``register("mine", Removal(my_score))``.
register = REMOVALS.register
