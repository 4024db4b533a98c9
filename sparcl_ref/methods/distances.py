"""How far a network's answers are from those that were recorded earlier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def function_distance(logits: np.ndarray, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """||p - p'||_2 of each sample, not squared, with p and p' the softmaxes of both; and the gradient of their mean.

    With u = (p - p') / ||p - p'||, or 0 where both agree, it is p (u - sum_c p_c u_c) / n.
    """

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        shares: np.ndarray = e / e.sum(axis=1, keepdims=True)
        return shares

    p = softmax(logits)
    difference = p - softmax(stored)
    distance = np.linalg.norm(difference, axis=1)
    unit = np.divide(difference, distance[:, None], out=np.zeros_like(p), where=distance[:, None] > 0)
    return distance, p * (unit - (p * unit).sum(axis=1, keepdims=True)) / len(p)


def distillation(
    logits: np.ndarray, old: np.ndarray, *, classes: Sequence[int], temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """-sum over c of q'_c log q_c, with q = softmax(z / T) over the classes, q' the same of the old logits.

    Per-sample losses, and the gradient of their mean: (q - q') / (T n) in the columns of the classes, +0.0 elsewhere.
    """
    columns = np.asarray(classes)

    def log_softmax(z: np.ndarray) -> np.ndarray:
        z = z[:, columns] / temperature
        z = z - z.max(axis=1, keepdims=True)
        shifted: np.ndarray = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return shifted

    log_q, old_q = log_softmax(logits), np.exp(log_softmax(old))
    gradient = np.zeros_like(logits)
    gradient[:, columns] = (np.exp(log_q) - old_q) / (temperature * len(logits))
    return -(old_q * log_q).sum(axis=1), gradient
