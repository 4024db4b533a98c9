"""Fisher information by brute force: squared gradients of log p(y | x), one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sparcl_ref.layers.base import Mode
from sparcl_ref.losses import cross_entropy
from sparcl_ref.models import Network

#: Maps logits, shape (classes,), to the label whose log p is derived, and the weight of its squared gradient.
Choose = Callable[[np.ndarray], tuple[int, float]]


def probabilities(logits: np.ndarray, classes: Sequence[int] | None = None) -> np.ndarray:
    """Softmax of logits (classes,) over the classes given, by default all, and 0 elsewhere; in float64."""
    columns = np.arange(len(logits)) if classes is None else np.asarray(classes)
    z = logits[columns].astype(np.float64)
    p = np.zeros(len(logits))
    p[columns] = np.exp(z - z.max())
    return p / p.sum()


def squared_gradients(
    model: Network,
    samples: Iterable[tuple[np.ndarray, Choose]],
    *,
    classes: Sequence[int] | None = None,
    mode: Mode = "eval",
    totals: list[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Sum over samples of weight * (d log p(y | x) / d w)^2, for each parameter.

    Gradients are formed where the masks allow; lift gradient masks before, with `all_living`.

    Parameters
    ----------
    samples : iterable of (ndarray of shape (1, C, H, W), callable)
        A normalised image, and what chooses label and weight.
    classes : sequence of int, optional
        Of the softmax, by default all.
    mode : {"eval", "train"}
        "train" normalises each image by itself and moves the running statistics.
    totals : list of ndarray, optional
        What is added to, in place, instead of zeros.
    """
    totals = [np.zeros_like(parameter.value) for parameter in model.parameters()] if totals is None else totals
    saved = model.take_grads()
    for x, choose in samples:
        logits = model.forward(x, mode=mode)
        label, weight = choose(logits[0])
        model.zero_grads()
        model.backward(cross_entropy(logits, np.array([label]), classes=classes)[1], need_dx=False)
        for total, parameter in zip(totals, model.parameters(), strict=True):
            total += float(weight) * parameter.grad**2
    model.zero_grads()
    model.set_grads(saved)
    return totals
