"""Losses on logits: each gives every sample's loss and the gradient of their mean.

The mean is what one training step descends on; the single losses are what reports and data removal look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, *, classes: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Softmax cross-entropy over the whole head, or over the classes of one task.

    With logits z and label y of one sample, and S the set of classes that take part,

    .. math:: \ell = \log \sum_{j \in S} e^{z_j} - z_y .

    *Gradient.* The first term has the derivative e^{z_j} / sum_k e^{z_k} = p_j, the softmax; the second is -1 at
    j = y. So d l / d z_j = p_j - [j = y] for j in S, and 0 for every other class; the mean over N samples divides
    by N.

    *Safety.* Subtracting m = max_{j in S} z_j from all logits changes neither l nor p, because e^{-m} cancels. Then no
    exponent is positive, one is 0, and their sum lies between 1 and |S|: neither exp nor log can overflow.

    *Single head.* Equation (1) of the paper (Wang et al., "SparCL", 2022) writes it with a tilde and sets the logits of
    classes outside the task to minus infinity. Their exponentials are then 0, which is the sum over S alone; leaving
    them out gives the same numbers without computing with infinities.

    Parameters
    ----------
    logits : ndarray of float32 or float64, shape (N, C)
        N >= 1. Infinite or NaN logits are not refused here; they give NaN, which `SGD.step` refuses.
    labels : ndarray of int, shape (N,)
        Values in 0..C-1, and in ``classes`` if that is given.
    classes : sequence of int, optional
        The classes that take part (single head), each once, in any order. By default all of them (full head).

    Returns
    -------
    per_sample : ndarray, shape (N,)
        Loss of each sample in nats, dtype of ``logits``.
    dlogits : ndarray, shape (N, C)
        Gradient of the mean loss, dtype of ``logits``; exactly +0.0 for classes that take no part.

    Raises
    ------
    TypeError
        If the logits are not floating point, or the labels or classes not integers.
    ValueError
        If shapes do not fit, the batch is empty, a label lies outside the head or outside ``classes``, or ``classes``
        is empty, repeats a class or leaves the head.
    """
    columns, position = _checked("cross_entropy", logits, labels, classes)
    rows = np.arange(len(logits))

    z = logits[:, columns]
    z = z - z.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):  # what rounds to 0 is no fault, whatever the caller wants to hear of
        exponentials = np.exp(z)
    totals = exponentials.sum(axis=1)
    per_sample = np.log(totals) - z[rows, position]

    dz = exponentials / totals[:, None]
    dz[rows, position] -= 1
    # Zeros that are assigned nowhere, not products with a mask: those would be -0.0 here and there.
    dlogits = np.zeros(logits.shape, dtype=logits.dtype)
    dlogits[:, columns] = dz / len(logits)
    return per_sample, dlogits


def mse_logits(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean squared difference between logits and the logits stored with a sample (Buzzega et al., DER, NeurIPS 2020).

    .. math:: \ell_n = \frac{1}{C} \sum_j (z_{nj} - t_{nj})^2, \qquad L = \frac{1}{N} \sum_n \ell_n

    *Gradient.* Only one term of L holds z_{nj}, so d L / d z_{nj} = 2 (z_{nj} - t_{nj}) / (N C). The targets are data:
    they get no gradient.

    Parameters
    ----------
    logits : ndarray of float32 or float64, shape (N, C)
        N >= 1 and C >= 1.
    targets : ndarray of the same shape and dtype

    Returns
    -------
    per_sample : ndarray, shape (N,)
        Mean over the logits of each sample, in squared logits.
    dlogits : ndarray, shape (N, C)
        Gradient of the mean over samples and logits.

    Raises
    ------
    TypeError
        If the logits are not floating point or the targets have another dtype.
    ValueError
        If the shapes differ or the batch is empty.
    """
    _check_logits("mse_logits", logits)
    if not isinstance(targets, np.ndarray) or targets.dtype != logits.dtype:
        raise TypeError(f"mse_logits: targets must have the logits' dtype {logits.dtype}, got {_kind(targets)}")
    if targets.shape != logits.shape:
        raise ValueError(f"mse_logits: targets must have the logits' shape {logits.shape}, got {targets.shape}")
    difference = logits - targets
    return np.mean(difference**2, axis=1), difference * (2 / difference.size)


def mean_loss(per_sample: np.ndarray) -> float:
    """The loss of a batch: the mean over its samples, summed in float64; ValueError if there are none."""
    if len(per_sample) == 0:
        raise ValueError("mean_loss: the mean over no samples is undefined; the batch must not be empty")
    return float(np.mean(per_sample, dtype=np.float64))


def correct(logits: np.ndarray, labels: np.ndarray, *, classes: Sequence[int] | None = None) -> np.ndarray:
    """Which samples are classified correctly, shape (N,): the largest logit is the label's.

    Takes and refuses what `cross_entropy` does; ``classes`` are those to choose among (Task-IL), by default the whole
    head (Class-IL). Among equal logits the lowest class wins. A sample with a NaN among its logits predicts nothing and
    is wrong.
    """
    columns, _ = _checked("correct", logits, labels, classes)
    columns = np.sort(columns)
    z = logits[:, columns]
    return (columns[z.argmax(axis=1)] == labels) & ~np.isnan(z).any(axis=1)


def _checked(
    call: str, logits: np.ndarray, labels: np.ndarray, classes: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Refuse unfit input; return the columns that take part and each label's position among them."""
    _check_logits(call, logits)
    samples, head = logits.shape
    if not isinstance(labels, np.ndarray) or not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{call}: labels must be an array of integers, got {_kind(labels)}")
    if labels.shape != (samples,):
        raise ValueError(f"{call}: labels must have shape ({samples},), one per row of logits, got {labels.shape}")
    columns = np.arange(head) if classes is None else np.asarray(classes)
    if columns.ndim != 1 or columns.size == 0:
        raise ValueError(f"{call}: classes must be a sequence of at least one class, got {classes!r}")
    if not np.issubdtype(columns.dtype, np.integer):
        raise TypeError(f"{call}: classes must be integers, got {classes!r}")
    if np.unique(columns).size < columns.size or columns.min() < 0 or columns.max() >= head:
        raise ValueError(f"{call}: classes must be distinct and lie in 0..{head - 1}, got {columns.tolist()}")
    if labels.min() < 0 or labels.max() >= head:
        raise ValueError(f"{call}: labels must lie in 0..{head - 1}, got {labels.min()}..{labels.max()}")
    position = np.full(head, -1)
    position[columns] = np.arange(len(columns))
    positions = position[labels]
    if (positions < 0).any():
        stranger = labels[positions < 0][0]
        raise ValueError(f"{call}: label {stranger} is not among the classes {columns.tolist()}")
    return columns, positions


def _check_logits(call: str, logits: np.ndarray) -> None:
    if not isinstance(logits, np.ndarray) or logits.dtype not in (np.float32, np.float64):
        raise TypeError(f"{call}: logits must be a float32 or float64 array, got {_kind(logits)}")
    if logits.ndim != 2:
        raise ValueError(f"{call}: logits must have shape (N, C), got {logits.shape}")
    if logits.size == 0:
        raise ValueError(f"{call}: the batch must not be empty, got logits of shape {logits.shape}")


def _kind(thing: object) -> str:
    """How errors call the type of something that should have been an array of another kind."""
    return f"dtype {thing.dtype}" if isinstance(thing, np.ndarray) else type(thing).__name__
