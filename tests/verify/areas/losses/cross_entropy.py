"""Cross-entropy: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.draws import floats, integers
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor

#: Classes of a current task that are neither sorted nor the first ones, in a head of 8.
TASK = [6, 1, 4]


def cases() -> Iterator[CaseSpec]:
    logits = floats("ce logits", (4, 8), low=-3.0, high=3.0)
    labels = np.array([1, 6, 4, 6])
    outsider = logits.copy()
    outsider[:, [0, 7]] = [2.0**20, 30.0]
    for name, kind, note, z, y, classes in [
        ("full-head", "regular", "the gradient of the sum instead of the mean", logits, labels, None),
        ("single-head-unsorted", "regular",
         "full-head loss where single-head is asked; labels taken as positions in a sorted list of classes", logits,
         labels, TASK),
        ("one-sample", "edge", "an axis of length 1 that is dropped", logits[:1], labels[:1], None),
        ("one-class", "edge", "a head of a single class: loss 0 and gradient 0", logits[:2], np.array([4, 4]), [4]),
        ("equal-logits", "edge", "loss log C in nats, not bits", np.zeros((2, 8)), labels[:2], None),
        ("huge-logits", "adversarial",
         "exp overflows without subtracting the maximum; log of a probability that is rounded to 0",
         np.array([[1e3, -1e3, 0.0, 12.5], [-2e3, -2e3, -1999.5, -2e3], [800.0, 801.0, 799.0, 800.0]]),
         np.array([1, 2, 1]), None),
        ("huge-logit-outside-the-head", "adversarial",
         "the maximum over all logits subtracted before those of other classes are left out: everything underflows",
         outsider, labels, TASK),
        ("huge-logits-in-the-head", "adversarial",
         "exp overflows without subtracting the maximum; log of a probability that is rounded to 0",
         np.array([[0.0, 900.0, 5.0, 5.0, 200.0, 1.0, -900.0, 0.0], [0.0, 0.0, 0.0, 0.0, 850.0, 0.0, 851.0, 9.0]]),
         np.array([4, 4]), TASK),
        ("far-below", "adversarial", "-1e4 or the like instead of minus infinity for classes left out",
         np.where(np.isin(np.arange(8), TASK), -(2.0**15), 0.0) + integers("ce far", (3, 8), low=0, high=32) / 8,
         labels[:3], TASK),
        ("further-below", "adversarial", "-1e30 or the like instead of minus infinity for classes left out",
         np.array([[1.0, -(2.0**110), 1.0, 1.0, -(2.0**109), 1.0, -(2.0**111), 1.0]] * 2), labels[:2], TASK),
        ("furthest-below", "adversarial", "-1e30 or the like instead of minus infinity for classes left out",
         np.array([[2.0**9, 0.0, 3.0, 0.0, -(2.0**112), -(2.0**113)]] * 3), np.array([5, 4, 5]), [5, 4]),
        ("beyond-8-bits-in-the-head", "adversarial", "labels that 8 bits do not hold",
         floats("ce beyond head", (3, 512)), np.array([511, 256, 2]), [511, 2, 256, 300]),
        ("beyond-8-bits", "adversarial", "labels that 8 bits do not hold", floats("ce beyond", (2, 300)),
         np.array([260, 299]), None),
        ("consecutive-head", "regular", "a head that is right only where its classes are 0, 1, 2, ...", logits,
         np.array([3, 2, 4, 2]), [2, 3, 4]),
        ("many-classes", "adversarial", "exponentials summed in float32 in a float64 run", floats("ce wide", (2, 200)),
         np.array([199, 3]), None),
    ]:  # fmt: skip
        yield CaseSpec("cross_entropy", name, kind, note, {"logits": z, "labels": y, "classes": classes})


# --- oracle -----------------------------------------------------------------------------------------------------------


def head(logits: Tensor, classes: list[int] | None) -> Tensor:
    """Logits with those of other classes at minus infinity, as the paper writes the single head."""
    if classes is None:
        return logits
    out = torch.ones(logits.shape[1], dtype=torch.bool)
    out[classes] = False
    return logits.masked_fill(out, -math.inf)


def ce(logits: Tensor, labels: Tensor, classes: list[int] | None = None, reduction: str = "mean") -> Tensor:
    if len(labels) == 0:
        return logits.sum()  # 0, and an empty gradient
    return functional.cross_entropy(head(logits, classes), labels, reduction=reduction)


def ce_reach(logits: Tensor, classes: list[int] | None) -> tuple[float, float]:
    """Magnitudes of a sample's loss and of the gradient of their mean.

    The loss is log C and two logits at most, whichever way the maximum is taken out. A probability lies in 0..1; its
    exponent may be off by the size of a logit.
    """
    if len(logits) == 0:
        return 0.0, 0.0
    z = logits if classes is None else logits[:, classes]
    reach = 2 * largest(z) + math.log(z.shape[1])
    return reach, (2 + reach) / len(z)


CE_REASON = "exponentials over the classes; logits of this size in the exponent"


def cross_entropy(a: Arguments) -> Result:
    """torch.nn.functional.cross_entropy and autograd in float64, classes left out at minus infinity."""
    logits, labels, classes = tensor(a["logits"]), tensor(a["labels"]), a["classes"]
    (dlogits,) = gradients(lambda z: ce(z, labels, classes), [logits], torch.tensor(1.0, dtype=torch.float64))
    count, samples = logits.shape[1], len(logits)
    loss_reach, gradient_reach = ce_reach(logits, classes)
    zeros = None
    if classes is not None:
        out = np.ones(logits.shape, dtype=bool)
        out[:, classes] = False
        zeros = out
        dlogits[torch.tensor(out)] = 0.0
    per_sample = ce(logits, labels, classes, reduction="none")
    tolerances = {
        "per_sample": Tolerance(count + 3, loss_reach, CE_REASON),
        "dlogits": Tolerance(count + 4 + (samples > 1), gradient_reach, CE_REASON, zeros),
    }
    return {"per_sample": array(per_sample), "dlogits": array(dlogits)}, tolerances


ORACLES: dict[str, Oracle] = {"cross_entropy": cross_entropy}


# --- wrong implementations --------------------------------------------------------------------------------------------


def softmax_loss(logits, labels, classes=None):
    """Losses and the gradient of their mean, right."""
    columns = np.arange(logits.shape[1]) if classes is None else np.array(classes)
    z = logits[:, columns]
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    hit = columns == labels[:, None]
    dlogits = np.zeros_like(logits)
    dlogits[:, columns] = (p - hit) / max(len(logits), 1)
    return np.log(np.exp(z).sum(axis=1)) - (z * hit).sum(axis=1), dlogits


def full_head(logits, labels, classes):
    return softmax_loss(logits, labels)


def no_shift(logits, labels, classes):
    columns = list(range(logits.shape[1])) if classes is None else classes
    exponentials = np.zeros_like(logits)
    with np.errstate(all="ignore"):
        exponentials[:, columns] = np.exp(logits[:, columns])
        p = exponentials / exponentials.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        per_sample, dlogits = -np.log(p[rows, labels]), p.copy()
    dlogits[rows, labels] -= 1
    return per_sample, dlogits / len(labels)


def floor_inside_logarithm(logits, labels, classes):
    per_sample, dlogits = softmax_loss(logits, labels, classes)
    return -np.log(np.exp(-per_sample) + per_sample.dtype.type(1e-8)), dlogits


def clipped(logits, labels, classes):
    per_sample, dlogits = softmax_loss(logits, labels, classes)
    return -np.log(np.maximum(np.exp(-per_sample), 1e-12)), dlogits


def others_multiplied(logits, labels, classes):
    """The gradient of the full softmax's shape times a mask of classes: -0.0 where it was negative."""
    per_sample, dlogits = softmax_loss(logits, labels, classes)
    inside = np.isin(np.arange(logits.shape[1]), np.arange(logits.shape[1]) if classes is None else classes)
    return per_sample, np.where(inside, dlogits, -1.0) * inside


def smoothed(logits, labels, classes):
    """Label smoothing of 0.01."""
    per_sample, dlogits = softmax_loss(logits, labels, classes)
    columns = np.arange(logits.shape[1]) if classes is None else np.array(classes)
    dlogits[:, columns] -= 0.01 / len(columns) / len(logits)
    dlogits[np.arange(len(labels)), labels] += 0.01 / len(logits)
    return per_sample, dlogits


def summed(logits, labels, classes):
    per_sample, dlogits = softmax_loss(logits, labels, classes)
    return per_sample, dlogits * len(logits)


def sorted_classes(logits, labels, classes):
    """Places among the classes as given, columns in sorted order."""
    if classes is None:
        return softmax_loss(logits, labels)
    places = np.array([classes.index(label) for label in labels.tolist()])
    return softmax_loss(logits, np.array(sorted(classes))[places], classes)


def low_others(logits, labels, classes, *, fault):
    """Logits of other classes are set to some low number, not to minus infinity."""
    if classes is not None and fault != "none":
        others = np.setdiff1d(np.arange(logits.shape[1]), classes)
        logits = logits.copy()
        logits[:, others] = float(fault)
        per_sample, dlogits = softmax_loss(logits, labels)
        dlogits[:, others] = 0.0
        return per_sample, dlogits
    return softmax_loss(logits, labels, classes)


def from_the_lowest(logits, labels, classes):
    """Labels less the lowest class are taken for places among the sorted classes."""
    if classes is None:
        return softmax_loss(logits, labels)
    columns = sorted(classes)
    places = np.minimum(labels - columns[0], len(columns) - 1)
    return softmax_loss(logits, np.array(columns)[places], classes)


def as_a_range(logits, labels, classes):
    """The classes are taken for as many from the lowest on."""
    if classes is None:
        return softmax_loss(logits, labels)
    return softmax_loss(logits, labels, list(range(min(classes), min(classes) + len(classes))))


def broadcast_mean(logits, labels, classes):
    per_sample, dlogits = softmax_loss(logits, labels, classes)
    return np.full_like(per_sample, per_sample.mean()), dlogits


def masked_by_zero(logits, labels, classes):
    """Logits of other classes are set to 0, not to minus infinity."""
    if classes is not None:
        others = np.setdiff1d(np.arange(logits.shape[1]), classes)
        logits = logits.copy()
        logits[:, others] = 0
    return softmax_loss(logits, labels)


WRONG = (
    Wrong("ce-full-head", "cross_entropy", "the full-head loss where the single head is asked", full_head,
        likely="full-head loss where single-head is asked"),
    Wrong("ce-overflow", "cross_entropy", "exponentials without subtracting the maximum", no_shift,
        likely="exponentials that overflow"),
    Wrong("ce-floor", "cross_entropy", "1e-8 is added inside the logarithm", floor_inside_logarithm),
    Wrong("ce-clipped", "cross_entropy", "probabilities are at least 1e-12", clipped),
    Wrong("ce-mask-product", "cross_entropy", "the mask of classes is multiplied: -0.0", others_multiplied),
    Wrong("ce-smoothed", "cross_entropy", "labels are smoothed by 0.01", smoothed),
    Wrong("ce-sum", "cross_entropy", "the gradient is that of the sum, not of the mean", summed,
        likely="the gradient of the sum over samples instead of their mean"),
    Wrong("ce-classes-sorted", "cross_entropy", "classes are sorted, labels keep their places", sorted_classes),
    *(Wrong(f"ce-{low}", "cross_entropy", f"{low} instead of minus infinity", low_others, fault=low,
        likely="another number instead of minus infinity for classes left out")
        for low in ("-100", "-1e4", "-1e9", "-1e30")),
    Wrong("ce-lowest", "cross_entropy", "labels are remapped by the lowest class", from_the_lowest,
        likely="labels remapped by subtracting the lowest class"),
    Wrong("ce-range", "cross_entropy", "the classes are taken for a range", as_a_range,
        likely="the task's classes taken for a range from the lowest on"),
    Wrong("ce-mean", "cross_entropy", "every sample has the mean loss", broadcast_mean,
        likely="the mean loss given to every sample"),
    Wrong("ce-uint8", "cross_entropy", "labels are bytes",
        lambda logits, labels, classes: softmax_loss(logits, labels.astype(np.uint8), classes)),
    Wrong("ce-zero-mask", "cross_entropy", "other logits are set to 0, not to -inf", masked_by_zero,
        likely="logits outside the task set to 0 instead of minus infinity"),
)  # fmt: skip
