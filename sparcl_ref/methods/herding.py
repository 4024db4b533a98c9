"""Herding and nearest means: which samples stand for a class, and what stands nearest (Rebuffi et al. 2017)."""

from __future__ import annotations

import numpy as np


def normalised(rows: np.ndarray) -> np.ndarray:
    """Each row divided by its length; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def herd(features: np.ndarray, count: int) -> np.ndarray:
    """The samples whose running mean stays nearest to the mean of all, in the order in which they are chosen.

    Step k takes the one for which |mean - (sum of chosen + it) / k| is least, among equals the lowest index
    (algorithm 4 of iCaRL); a prefix is what a smaller count gives.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    count : int
        At most n are chosen.

    Returns
    -------
    ndarray of int, shape (min(count, n),)
    """
    mean, chosen_sum = features.mean(axis=0), np.zeros_like(features[0])
    left, chosen = np.ones(len(features), dtype=bool), []
    for step in range(1, min(count, len(features)) + 1):
        distance = np.linalg.norm(mean - (chosen_sum + features) / step, axis=1)
        best = int(np.argmin(np.where(left, distance, np.inf)))
        chosen.append(best)
        left[best] = False
        chosen_sum = chosen_sum + features[best]
    return np.array(chosen, dtype=np.int64)


def class_means(directions: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean direction of each class, brought to unit length, shape (classes, d); inf where a class has none."""
    means = np.full((classes, directions.shape[1]), np.inf, dtype=directions.dtype)
    for label in np.unique(labels):
        means[label] = normalised(directions[labels == label].mean(axis=0))
    return means


def nearness(features: np.ndarray, means: np.ndarray) -> np.ndarray:
    """-|phi / |phi| - mean|^2 of each sample and class, shape (n, classes); -inf where a mean is not finite."""
    directions = normalised(features)
    known = np.isfinite(means).all(axis=1)
    scores = np.full((len(features), len(means)), -np.inf, dtype=features.dtype)
    scores[:, known] = -((directions[:, None] - means[known]) ** 2).sum(axis=2)
    return scores
