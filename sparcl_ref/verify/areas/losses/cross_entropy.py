"""Cross-entropy of the full and of the single head."""

from __future__ import annotations

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


def classes_in_head(given):
    return given["logits"].shape[1]


def _zeroed_logits(logits, labels, classes):
    zeroed = np.zeros_like(logits)
    zeroed[:, classes] = logits[:, classes]
    return dict(zip(("per_sample", "dlogits"), cross_entropy(zeroed, labels), strict=True))


def _overflowing(logits, labels, classes):
    columns = np.arange(logits.shape[1]) if classes is None else np.asarray(classes)
    totals = np.exp(logits[:, columns]).sum(axis=1)
    return {"per_sample": np.log(totals) - logits[np.arange(len(labels)), labels]}


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
        scaled("the mean over samples and logits instead of over samples",
            dlogits=lambda given: 1 / classes_in_head(given)),
    ),
)  # fmt: skip
