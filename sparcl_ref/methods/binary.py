"""One binary decision for each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def binary_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, *, classes: Sequence[int], divisor: float
) -> tuple[np.ndarray, np.ndarray]:
    """sum over classes of log(1 + e^z) - t z, over a divisor: per-sample losses, and the gradient of their mean.

    The gradient is (sigmoid(z) - t) / (n divisor) in the columns of the classes, +0.0 elsewhere.
    """
    columns = np.asarray(classes)
    z, t = logits[:, columns], targets[:, columns]
    gradient = np.zeros_like(logits)
    gradient[:, columns] = (sigmoid(z) - t) / (divisor * len(z))
    return (np.logaddexp(0, z) - t * z).sum(axis=1) / divisor, gradient


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), without overflow."""
    return np.exp(-np.logaddexp(0, -z))


def class_losses(
    logits: np.ndarray, labels: np.ndarray, recorded: np.ndarray, *, old: Sequence[int], new: Sequence[int], form: str
) -> tuple[np.ndarray, np.ndarray]:
    """`binary_cross_entropy` of each class: sigmoids of recorded logits for old ones, labels for all others.

    Form "paper" sums over old and new classes, "mammoth" averages over the whole head.
    """
    targets = np.zeros_like(recorded)
    targets[np.arange(len(targets)), labels] = 1
    targets[:, list(old)] = sigmoid(recorded[:, list(old)])
    if form == "mammoth":
        head = logits.shape[1]
        return binary_cross_entropy(logits, targets, classes=range(head), divisor=float(head))
    return binary_cross_entropy(logits, targets, classes=[*old, *new], divisor=1.0)
