"""Cross-entropy of the full and of the single head."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.losses import cross_entropy
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

LOGITS = Argument("logits", "float (N, C)")
LABELS = Argument("labels", "int (N,): classes of the whole head, 0..C-1")
CLASSES = Argument("classes",
    "list of int in any order, or None: the classes that take part (single head); None means all (full head)",
    None)  # fmt: skip
PER_SAMPLE = Output("per_sample", "float (N,): the loss of each sample")
MEAN_FOR_EACH = Mistake(
    "the mean loss given to every sample",
    lambda right, **given: {"per_sample": np.full(len(given["logits"]), right(**given)["per_sample"].mean())},
    of_right=True,
)


LOW_NUMBER = "another number instead of minus infinity for classes left out"
LOW_NUMBERS = (-1e2, -1e3, -1e4, -1e5, -1e9, -1e30)
RANGE = "the task's classes taken for a range from the lowest on"


def as_range(classes):
    """As many classes from the lowest on."""
    return np.arange(min(classes), min(classes) + len(classes))


def classes_in_head(given):
    return given["logits"].shape[1]


def _zeroed_logits(logits, labels, classes):
    zeroed = np.zeros_like(logits)
    zeroed[:, classes] = logits[:, classes]
    return dict(zip(("per_sample", "dlogits"), cross_entropy(zeroed, labels), strict=True))


def _low_others(low, logits, labels, classes):
    if classes is None:
        return {}
    others = np.setdiff1d(np.arange(logits.shape[1]), classes)
    filled = logits.copy()
    filled[:, others] = low
    per_sample, dlogits = cross_entropy(filled, labels)
    dlogits[:, others] = 0.0
    return {"per_sample": per_sample, "dlogits": dlogits}


def _over_a_range(logits, labels, classes):
    if classes is None:
        return {}
    columns, dlogits = as_range(classes), np.zeros_like(logits)
    z = logits[:, columns] - logits[:, columns].max(axis=1, keepdims=True)
    own = columns == labels[:, None]
    dlogits[:, columns] = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - own) / len(logits)
    return {"per_sample": np.log(np.exp(z).sum(axis=1)) - (z * own).sum(axis=1), "dlogits": dlogits}


def _less_the_lowest(given):
    """Labels as they come out when they are taken, less the lowest class, for places among the sorted classes."""
    columns = np.sort(given["classes"])
    return columns[np.minimum(given["labels"] - columns[0], len(columns) - 1)]


def _overflowing(logits, labels, classes):
    columns = np.arange(logits.shape[1]) if classes is None else np.asarray(classes)
    totals = np.exp(logits[:, columns]).sum(axis=1)
    return {"per_sample": np.log(totals) - logits[np.arange(len(labels)), labels]}


def _through_softmax(logits, labels, classes, *, shifted):
    """The logarithm of a probability, which may have been rounded to 0 or be infinity over infinity."""
    columns = np.arange(logits.shape[1]) if classes is None else np.asarray(classes)
    largest = logits[:, columns].max(axis=1, keepdims=True) if shifted else 0.0
    powers = np.exp(logits - largest)
    p = powers[np.arange(len(labels)), labels] / powers[:, columns].sum(axis=1)
    return {"per_sample": -np.log(p)}


def _softmax_alone(right, **given):
    outputs, rows = right(**given), np.arange(len(given["labels"]))
    outputs["dlogits"][rows, given["labels"]] += 1 / len(rows)
    return {"dlogits": outputs["dlogits"]}


FUNCTIONS = (
    specify("cross_entropy", "losses", cross_entropy, "method, losses; equation (1) for the single head",
        "loss = log(sum over the classes that take part of exp(logit)) - the label's logit; the gradient of the "
        "mean over samples is (softmax - one-hot) / N, and exactly +0.0 for classes that take no part",
        LOGITS, LABELS, CLASSES,
        PER_SAMPLE, Output("dlogits", "float (N, C): gradient of the mean loss; +0.0 for classes left out"),
        instead("full-head loss where single-head is asked", classes=None),
        scaled("the gradient of the sum over samples instead of their mean",
            dlogits=lambda given: len(given["logits"])),
        Mistake("logits outside the task set to 0 instead of minus infinity", _zeroed_logits),
        Mistake("exponentials that overflow: the largest logit is not subtracted first", _overflowing),
        Mistake("exponentials that overflow: the largest logit is not subtracted first",
            partial(_through_softmax, shifted=False)),
        Mistake("the logarithm of a probability that is rounded to 0, instead of log-sum-exp minus the logit",
            partial(_through_softmax, shifted=True)),
        Mistake("the softmax alone as gradient: 1 is not subtracted at the label", _softmax_alone, of_right=True),
        *(Mistake(LOW_NUMBER, partial(_low_others, low)) for low in LOW_NUMBERS),
        instead("labels remapped by subtracting the lowest class", labels=_less_the_lowest),
        Mistake(RANGE, _over_a_range),
        MEAN_FOR_EACH,
        scaled("the mean over samples and logits instead of over samples",
            dlogits=lambda given: 1 / classes_in_head(given)),
    ),
)  # fmt: skip
