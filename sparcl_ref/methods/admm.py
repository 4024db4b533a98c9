"""ADMM towards few weights, as pure rules (Boyd et al. 2011; as LPS, Learn-Prune-Share, uses it).

A variable v is to lie in a set without giving up a loss f: f(v) + rho/2 ||v - z + u||^2 pulls it towards its last
projection z, and u collects what the pull has not achieved. For the weights of a layer the set is "all but a share
are 0", for the multipliers of shared weights "a share is 1, the rest 0".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.masks import exact


class Split(NamedTuple):
    """The projected copy z of a variable, and the scaled dual variable u."""

    z: np.ndarray
    u: np.ndarray


def above_percentile(values: np.ndarray, share: float | Fraction) -> np.ndarray:
    """Where values reach the percentile 100 (1 - share), interpolated linearly between its neighbours.

    Among distinct values these are the floor(share (n - 1)) + 1 largest; equal ones go together. A value reaches what
    lies between two neighbours if it reaches the upper one, so that nothing is rounded.
    """
    if not values.size:
        return np.zeros(values.shape, dtype=bool)
    upper = math.ceil((1 - exact(share)) * (values.size - 1))
    return np.asarray(values >= np.partition(values.reshape(-1), upper)[upper])


def kept_weights(weight: np.ndarray, owned: np.ndarray, share: float | Fraction) -> np.ndarray:
    """Entries outside ``owned`` that are kept: |w| reaches the percentile of the layer, owned entries counting as 0.

    Zeros are not kept, whatever the percentile.
    """
    magnitudes = np.where(owned, 0, np.abs(weight))
    return above_percentile(magnitudes, share) & (magnitudes > 0)


def few_weights(weight: np.ndarray, owned: np.ndarray, share: float | Fraction) -> np.ndarray:
    """The nearest array whose entries outside ``owned`` are 0 but for `kept_weights`; it is 0 on ``owned``."""
    return np.where(kept_weights(weight, owned, share), weight, weight.dtype.type(0))


def kept_multipliers(multipliers: np.ndarray, owned: np.ndarray, share: float | Fraction) -> np.ndarray:
    """Entries of ``owned`` whose multiplier reaches the percentile of those of the layer's owned entries."""
    kept = np.zeros(owned.shape, dtype=bool)
    kept[owned] = above_percentile(multipliers[owned], share)
    return kept


def ones_and_zeros(multipliers: np.ndarray, owned: np.ndarray, share: float | Fraction) -> np.ndarray:
    """1 on `kept_multipliers`, 0 elsewhere."""
    return kept_multipliers(multipliers, owned, share).astype(multipliers.dtype)


def pull(value: np.ndarray, split: Split, rho: float, where: np.ndarray) -> tuple[float, np.ndarray]:
    """rho/2 ||v - z + u||^2 over the entries ``where``, summed in float64, and its gradient rho (v - z + u) there."""
    gap = np.where(where, value - split.z + split.u, value.dtype.type(0))
    return rho / 2 * float(np.sum(gap.astype(np.float64) ** 2)), rho * gap


def dual_step(value: np.ndarray, projected: np.ndarray, split: Split) -> Split:
    """The new z, which is the projection of v + u, and u + v - z with it."""
    return Split(projected, split.u + value - projected)


def is_due(epoch: int, every: int) -> bool:
    """Whether z and u move at the start of an epoch of a period, from 1: after every so many epochs, not before."""
    return epoch > 1 and (epoch - 1) % every == 0


def rate(epoch: int, *, highest: float, every: int) -> float:
    """The highest rate in every epoch whose number ``every`` divides, and a tenth of it after each third of the way on.

    Z and u move one epoch later than the rate restarts, as in the authors' code: the last epoch before they move has
    the highest rate.
    """
    return highest * 0.1 ** (3 * (epoch % every) // every)


class Pulled:
    """A parameter that is pulled into a set: ``project`` gives the nearest point, ``where`` its entries that move."""

    def __init__(self, parameter: Parameter, where: np.ndarray, project: Callable[[np.ndarray], np.ndarray]):
        self.parameter, self.where, self.project = parameter, where, project
        self.start()

    def start(self) -> None:
        """Let z be the projection, and u 0."""
        value = self.parameter.value
        self.split = Split(self.project(value), np.zeros_like(value))

    def move(self) -> None:
        """Take a `dual_step`."""
        value = self.parameter.value
        self.split = dual_step(value, self.project(value + self.split.u), self.split)

    def add(self, rho: float) -> None:
        """Add the gradient of `pull`."""
        self.parameter.add_grad(pull(self.parameter.value, self.split, rho, self.where)[1])
