"""Of rehearsal and what it is measured by."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

import numpy as np

from tests.tutorials.wrong_answers.common import RIGHT, said


@said("the whole head decides where the task's classes are asked")
def correct(logits, labels, classes=None):
    return logits.argmax(axis=1) == labels


@said("places among the task's classes taken for classes")
def correct(logits, labels, classes=None):
    if classes is None:
        return logits.argmax(axis=1) == labels
    return logits[:, classes].argmax(axis=1) == labels


@said("among equals the class listed first wins")
def correct(logits, labels, classes=None):
    allowed = np.arange(logits.shape[1]) if classes is None else np.array(classes)
    return allowed[logits[:, allowed].argmax(axis=1)] == labels


@said("the last row")
def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[j + 1 :, j].max() - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


@said("backward transfer with the other sign")
def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[j + 1, j] - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


@said("before a task was learned are candidates")
def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[:tasks, j].max() - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


@said("presentations counted from 1")
def reservoir_slot(presented, capacity, draw):
    if presented + 1 < capacity:
        return presented + 1
    return draw if draw < capacity else -1


@said("the draw used while a slot is free")
def reservoir_slot(presented, capacity, draw):
    return draw if draw < capacity else -1


@said("<= instead of <")
def reservoir_slot(presented, capacity, draw):
    if presented < capacity:
        return presented
    return draw if draw <= capacity else -1


@said("the batch size whatever the buffer holds")
def replay_size(batch_size, presented, capacity):
    return batch_size


@said("the capacity taken for what is filled")
def replay_size(batch_size, presented, capacity):
    return min(batch_size, capacity)


@said("the factor 2 of the square's derivative missing")
def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).mean(axis=1), off / off.size


@said("dlogits has the wrong sign")
def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).mean(axis=1), -2 * off / off.size


@said("mean over samples instead of over samples and logits")
def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).sum(axis=1), 2 * off / len(off)


@said("full-head loss where single-head is asked")
def cross_entropy(logits, labels, classes=None):
    return RIGHT["cross_entropy"](logits, labels, classes=None)


@said("logits outside the task set to 0 instead of minus infinity")
def cross_entropy(logits, labels, classes=None):
    inside = np.zeros_like(logits)
    taking_part = slice(None) if classes is None else classes
    inside[:, taking_part] = logits[:, taking_part]
    per_sample, dlogits = RIGHT["cross_entropy"](inside, labels, classes=None)
    return per_sample, dlogits


@said("another number instead of minus infinity for classes left out")
def cross_entropy(logits, labels, classes=None):
    inside = np.full_like(logits, -1e9)
    taking_part = slice(None) if classes is None else classes
    inside[:, taking_part] = logits[:, taking_part]
    return RIGHT["cross_entropy"](inside, labels, classes=None)


def derpp(given, **changes):
    return RIGHT["derpp_loss"](**given | changes)


@said("full-head loss where single-head is asked")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    return derpp(locals(), classes=None)


@said("alpha and beta exchanged")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    return derpp(locals(), alpha=beta, beta=alpha)


@said("gradients of replayed samples without their weights")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    given = locals()
    (loss, dlogits, *_), (*_, ddark, dreplay) = derpp(given), derpp(given, alpha=1.0, beta=1.0)
    return loss, dlogits, ddark, dreplay


@said("the mean over no replayed sample is NaN: it adds 0")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    loss, *gradients = derpp(locals())
    loss *= len(dark_logits) // len(dark_logits)
    return loss, *gradients
