"""What every contender's step is fed: the same images, labels and stored logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.bench.shapes import IMAGE

CLASSES = 10
#: DER++'s coefficients of the logit loss and of the label loss.
ALPHA, BETA = 0.1, 0.5
LEARNING_RATE = 0.03


@dataclass(frozen=True)
class StepData:
    """One batch of new samples and as many replayed ones.

    Attributes
    ----------
    new, replayed : ndarray of float32, shape (batch, 3, 32, 32)
    new_labels, replayed_labels : ndarray of int64, shape (batch,)
    logits : ndarray of float32, shape (batch, classes)
        Stored with the replayed samples.
    """

    new: np.ndarray
    new_labels: np.ndarray
    replayed: np.ndarray
    replayed_labels: np.ndarray
    logits: np.ndarray


def step_data(batch: int) -> StepData:
    """Random images, the same at every call."""
    rng = np.random.default_rng(1)

    def images() -> np.ndarray:
        return rng.standard_normal((batch, 3, IMAGE, IMAGE), dtype=np.float32)

    labels = np.arange(batch) % CLASSES
    return StepData(images(), labels, images(), labels[::-1].copy(), rng.standard_normal((batch, CLASSES), np.float32))
