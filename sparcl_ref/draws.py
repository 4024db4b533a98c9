"""The door for whoever compares implementations: random decisions and initial weights given instead of drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.methods import Batch
from sparcl_ref.streams import AUGMENTATIONS, Dataset, Task


class Place(NamedTuple):
    """Where a run stands when it decides something: task and epoch from 1, step within the epoch from 0."""

    task: int
    epoch: int
    step: int


@dataclass(frozen=True)
class Draws:
    """What a run takes from outside instead of drawing it; what is None it draws from its own named streams.

    A decision that is given draws nothing: the stream it would have come from stays where it is.

    Attributes
    ----------
    weights : mapping of str to ndarray, optional
        Initial values and running statistics, all names of the model's `state_dict`.
    initial_masks : mapping of str to ndarray of bool, optional
        For each sparsifiable parameter.
    order : callable, optional
        ``(place, count) -> ndarray of int``: a permutation of the task's ``count`` remaining samples, when an
        epoch begins; batches are cut from it.
    images : callable, optional
        ``(place, term, images) -> ndarray``: augmented images of a batch, ``term`` being "current" or "replay"; as
        stored, before normalisation.
    replay : callable, optional
        ``(place, draw) -> ndarray of int``: buffer slots of draw number 0, 1, ... of a step.
    reservoir : callable, optional
        ``(place, ranks) -> ndarray of int``: for each presented sample of rank i a number in 0..i.
    removal : callable, optional
        ``(place, count) -> ndarray of float``: a number in [0, 1) for each of the task's ``count`` remaining samples,
        by which removal ranks them or breaks ties, where ``ddr_by`` asks for chance.
    growth : callable, optional
        ``(place, name) -> ndarray of int``: flat indices of the dead entries of a parameter that join.
    """

    weights: Mapping[str, np.ndarray] | None = None
    initial_masks: Mapping[str, np.ndarray] | None = None
    order: Callable[[Place, int], np.ndarray] | None = None
    images: Callable[[Place, str, np.ndarray], np.ndarray] | None = None
    replay: Callable[[Place, int], np.ndarray] | None = None
    reservoir: Callable[[Place, np.ndarray], np.ndarray] | None = None
    removal: Callable[[Place, int], np.ndarray] | None = None
    growth: Callable[[Place, str], np.ndarray] | None = None


class Decisions:
    """Every random decision about samples: taken from `Draws` where given, else drawn from the stream of its name."""

    def __init__(
        self, config: Config, dataset: Dataset, generators: Mapping[str, np.random.Generator], draws: Draws
    ) -> None:
        self.config, self.dataset, self.dtype = config, dataset, np.dtype(config.dtype)
        self.generators, self.draws = generators, draws

    def order(self, place: Place, count: int) -> np.ndarray:
        """The order in which an epoch presents the task's remaining samples."""
        if self.draws.order is None:
            return self.generators["order"].permutation(count)
        order = np.asarray(self.draws.order(place, count))
        if not np.array_equal(np.sort(order), np.arange(count)):
            raise ValueError(f"the given order must be a permutation of 0..{count - 1}, got {len(order)} numbers")
        return order

    def batch(self, place: Place, task: Task, indices: np.ndarray) -> Batch:
        """Training samples as stored, and as the network sees them."""
        images = self.dataset.train_x[indices]
        x = self.prepare(self._augmented(place, "current", images, self.config.augmentation))
        positions = np.searchsorted(task.train_index, indices)
        return Batch(images, x, self.dataset.train_y[indices], task.classes, task.number, positions)

    def replayed(self, place: Place, images: np.ndarray) -> np.ndarray:
        """Images from the buffer as the network sees them."""
        augmentation = self.config.augmentation if self.config.rules.augment_replay else "none"
        return self.prepare(self._augmented(place, "replay", images, augmentation))

    def slots(self, place: Place, draws: int) -> list[np.ndarray] | None:
        """Buffer slots of each draw of a step; None where the method draws them itself."""
        replay = self.draws.replay
        return None if replay is None else [replay(place, number) for number in range(draws)]

    def reservoir(self, place: Place, ranks: np.ndarray) -> np.ndarray:
        """For each presented sample of rank i the number in 0..i that decides on its slot."""
        if self.draws.reservoir is None:
            return self.generators["reservoir"].integers(0, ranks + 1)
        return self.draws.reservoir(place, ranks)

    def chance(self, place: Place, count: int) -> np.ndarray:
        """For each remaining sample a number in [0, 1), where the ranking for removal draws."""
        if self.draws.removal is None:
            return self.generators["removal"].random(count)
        return self.draws.removal(place, count)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Images as stored, normalised."""
        return self.dataset.normalise(images, self.dtype)

    def _augmented(self, place: Place, term: str, images: np.ndarray, augmentation: str) -> np.ndarray:
        if self.draws.images is not None:
            return self.draws.images(place, term, images)
        return AUGMENTATIONS[augmentation](images, self.generators["augment"])
