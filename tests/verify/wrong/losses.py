"""Wrong losses and DER++ steps."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong


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


def masked_by_zero(logits, labels, classes):
    """Logits of other classes are set to 0, not to minus infinity."""
    if classes is not None:
        others = np.setdiff1d(np.arange(logits.shape[1]), classes)
        logits = logits.copy()
        logits[:, others] = 0
    return softmax_loss(logits, labels)


def mse(logits, targets, *, factor=2.0):
    difference = logits - targets
    per_sample = (difference**2).mean(axis=1) if logits.size else np.zeros(len(logits), logits.dtype)
    return per_sample, difference * factor / max(difference.size, 1)


def mse_over_samples(logits, targets):
    difference = logits - targets
    return (difference**2).sum(axis=1), 2 * difference / len(logits)


def mean(losses):
    return losses.mean() if len(losses) else 0.0


def er(logits, labels, replay_logits, replay_labels, classes, weight, *, fault):
    now, dnow = softmax_loss(logits, labels, classes)
    if fault == "one mean":
        both = np.concatenate([logits, replay_logits]), np.concatenate([labels, replay_labels])
        losses, gradient = softmax_loss(*both)
        return mean(losses), gradient[: len(logits)], gradient[len(logits) :]
    again, dagain = softmax_loss(replay_logits, replay_labels)
    scale = 1.0 if fault == "gradient unweighted" else weight
    return mean(now) + weight * mean(again), dnow, scale * dagain


def replay_masked(logits, labels, replay_logits, replay_labels, classes, weight):
    """The head mask of the task also hides classes of replayed samples, as a large negative logit."""
    now, dnow = softmax_loss(logits, labels, classes)
    hidden = replay_logits.copy()
    if classes is not None:
        hidden[:, np.setdiff1d(np.arange(logits.shape[1]), classes)] -= 100
    again, dagain = softmax_loss(hidden, replay_labels)
    return mean(now) + weight * mean(again), dnow, weight * dagain


def derpp(logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes, alpha, beta, *, fault):
    if fault == "swapped":
        alpha, beta = beta, alpha
    now, dnow = softmax_loss(logits, labels, None if fault == "full head" else classes)
    dark, ddark = mse(dark_logits, dark_targets)
    again, dagain = softmax_loss(replay_logits, replay_labels)
    if fault == "half":
        dark, ddark = dark / 2, ddark / 2
    if fault == "unweighted":
        ddark = ddark / alpha if alpha else ddark
    return mean(now) + alpha * mean(dark) + beta * mean(again), dnow, alpha * ddark, beta * dagain


def step(
    w1, b1, w2, b2, images, labels, classes, buffer_images, buffer_labels, buffer_logits, dark_draw, replay_draw, head,
    alpha, beta, lr, *, fault,
):  # fmt: skip
    if fault == "shared draw":
        replay_draw = dark_draw
    old = [array.copy() for array in (w1, b1, w2, b2)]
    grads = [np.zeros_like(array) for array in old]

    def one_pass(x):
        hidden = np.maximum(x @ old[0].T + old[1], 0)
        return hidden, hidden @ old[2].T + old[3]

    def descend(x, hidden, dlogits):
        dhidden = (dlogits @ old[2]) * (hidden > 0)
        for grad, part in zip(grads, (dhidden.T @ x, dhidden.sum(0), dlogits.T @ hidden, dlogits.sum(0)), strict=True):
            grad += part
        if fault == "step by step":
            for array, grad in zip(old, grads, strict=True):
                array -= lr * grad
                grad[...] = 0

    hidden, logits = one_pass(images)
    descend(images, hidden, softmax_loss(logits, labels, classes if head == "single" else None)[1])
    x = buffer_images[dark_draw]
    hidden, dark = one_pass(x)
    if len(x):
        targets = dark.copy() if fault == "targets now" else buffer_logits[dark_draw]
        descend(x, hidden, alpha * mse(dark, targets)[1])
    x = buffer_images[replay_draw]
    hidden, again = one_pass(x)
    if len(x):
        descend(x, hidden, beta * softmax_loss(again, buffer_labels[replay_draw])[1])
    old = [array - lr * grad for array, grad in zip(old, grads, strict=True)]
    if fault == "logits after update":
        logits = one_pass(images)[1]
    if fault == "logits masked" and head == "single":
        logits = np.where(np.isin(np.arange(logits.shape[1]), classes), logits, 0.0)
    return *old, logits


WRONG = (
    Wrong("ce-full-head", "losses", "cross_entropy", "the full-head loss where the single head is asked", full_head),
    Wrong("ce-overflow", "losses", "cross_entropy", "exponentials without subtracting the maximum", no_shift),
    Wrong("ce-floor", "losses", "cross_entropy", "1e-8 is added inside the logarithm", floor_inside_logarithm),
    Wrong("ce-clipped", "losses", "cross_entropy", "probabilities are at least 1e-12", clipped),
    Wrong("ce-mask-product", "losses", "cross_entropy", "the mask of classes is multiplied: -0.0", others_multiplied),
    Wrong("ce-smoothed", "losses", "cross_entropy", "labels are smoothed by 0.01", smoothed),
    Wrong("ce-sum", "losses", "cross_entropy", "the gradient is that of the sum, not of the mean", summed),
    Wrong(
        "ce-classes-sorted", "losses", "cross_entropy", "classes are sorted, labels keep their places", sorted_classes
    ),
    Wrong("ce-zero-mask", "losses", "cross_entropy", "other logits are set to 0, not to -inf", masked_by_zero),
    Wrong("mse-half", "losses", "mse_logits", "the factor 2 of the gradient is missing", partial(mse, factor=1.0)),
    Wrong("mse-over-samples", "losses", "mse_logits", "a mean over samples but a sum over logits", mse_over_samples),
    Wrong("er-one-mean", "losses", "er_loss", "one mean over new and replayed samples", partial(er, fault="one mean")),
    Wrong(
        "er-gradient-unweighted",
        "losses",
        "er_loss",
        "w weighs the loss but not the gradient",
        partial(er, fault="gradient unweighted"),
    ),
    Wrong("er-replay-masked", "losses", "er_loss", "the head mask hides classes of replayed samples", replay_masked),
    Wrong("derpp-swapped", "losses", "derpp_loss", "alpha and beta are swapped", partial(derpp, fault="swapped")),
    Wrong(
        "derpp-full-head",
        "losses",
        "derpp_loss",
        "the current batch is always over the full head",
        partial(derpp, fault="full head"),
    ),
    Wrong("derpp-half", "losses", "derpp_loss", "the squared error is halved", partial(derpp, fault="half")),
    Wrong(
        "derpp-unweighted",
        "losses",
        "derpp_loss",
        "alpha is missing in the gradient",
        partial(derpp, fault="unweighted"),
    ),
    Wrong(
        "step-shared-draw",
        "losses",
        "derpp_step",
        "one draw serves both replay terms",
        partial(step, fault="shared draw"),
    ),
    Wrong(
        "step-logits-later",
        "losses",
        "derpp_step",
        "the stored logits are those after the update",
        partial(step, fault="logits after update"),
    ),
    Wrong(
        "step-logits-masked",
        "losses",
        "derpp_step",
        "the stored logits are those after the head mask",
        partial(step, fault="logits masked"),
    ),
    Wrong(
        "step-targets-now",
        "losses",
        "derpp_step",
        "the replayed logits are compared with themselves",
        partial(step, fault="targets now"),
    ),
    Wrong(
        "step-by-step",
        "losses",
        "derpp_step",
        "an update after each of the three passes",
        partial(step, fault="step by step"),
    ),
)
