"""Inputs of the optimizer, of learning-rate schedules and of metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.verify.draws import floats, integers, truths
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    yield from _optimizer()
    yield from _schedules()
    yield from _correct()
    yield from _matrices()


def _optimizer() -> Iterator[CaseSpec]:
    shape = (4, 5)
    value, grad, velocity = (floats(f"sgd {name}", shape) for name in ("value", "grad", "velocity"))
    mask = truths("sgd mask", shape, count=11)
    grad_mask = mask & truths("sgd grad mask", shape, count=12)
    dense = {"value": value, "grad": grad, "velocity": velocity}
    masked = {
        "value": np.where(mask, value, 0.0),
        "grad": grad,
        "velocity": np.where(mask, velocity, 0.0),
        "mask": mask,
    }
    start = np.zeros(shape)
    poisoned = np.where(mask, grad, np.resize([np.nan, np.inf, -np.inf], shape))
    everything = {"momentum": 0.875, "nesterov": True, "weight_decay": 0.25}
    variants: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
        ("plain", "regular", "the sign of the step; a velocity that lingers without momentum", dense, {"lr": 0.03}),
        (
            "momentum",
            "regular",
            "dampening (1 - momentum) on the gradient; a learning rate inside the velocity",
            dense,
            {"lr": 0.03, "momentum": 0.9},
        ),
        (
            "first-step",
            "regular",
            "dampening at the first step, where the velocity becomes the gradient itself",
            {**dense, "velocity": start},
            {"lr": 0.03, "momentum": 0.9},
        ),
        (
            "nesterov",
            "regular",
            "the look-ahead with the old velocity instead of the new one",
            dense,
            {"lr": 0.5, "momentum": 0.875, "nesterov": True},
        ),
        (
            "weight-decay",
            "regular",
            "decay decoupled from the velocity, or divided by 2",
            dense,
            {"lr": 0.125, "momentum": 0.5, "weight_decay": 0.25},
        ),
        (
            "masked",
            "regular",
            "mask applied to weights but not to momentum: dead velocity gathers gradients",
            masked,
            {"lr": 0.125, **everything},
        ),
        (
            "gradient-mask",
            "regular",
            "a gradient mask that also stops momentum and weight decay of living weights",
            {**masked, "grad_mask": grad_mask},
            {"lr": 0.125, **everything},
        ),
        (
            "gradient-mask-plain",
            "edge",
            "silenced weights must keep their values to the bit without momentum and decay",
            {**masked, "grad_mask": grad_mask},
            {"lr": 0.03},
        ),
        (
            "gradient-mask-all-dead",
            "edge",
            "a layer whose gradients are all silenced skips its update: momentum and decay go on",
            {**masked, "grad_mask": np.zeros(shape, dtype=bool)},
            {"lr": 0.125, **everything},
        ),
        (
            "mask-all-dead",
            "edge",
            "a layer without living weights: everything becomes +0.0",
            {**dense, "mask": np.zeros(shape, dtype=bool)},
            {"lr": 0.125, **everything},
        ),
        (
            "negative-zeros",
            "adversarial",
            "dead entries multiplied by the mask: negative ones leave -0.0",
            {"value": -np.abs(value), "grad": np.abs(grad), "velocity": -np.abs(velocity), "mask": mask},
            {"lr": 0.125, "momentum": 0.5},
        ),
        (
            "poisoned-dead-gradients",
            "adversarial",
            "dead entries multiplied by the mask: NaN and infinity stay NaN",
            {**masked, "grad": poisoned},
            {"lr": 0.125, **everything},
        ),
        (
            "poisoned-silenced-gradients",
            "adversarial",
            "a gradient multiplied by its mask: NaN of a silenced living weight stays NaN",
            {**masked, "grad": np.where(grad_mask, grad, np.nan), "grad_mask": grad_mask},
            {"lr": 0.125, **everything},
        ),
        (
            "zero-learning-rate",
            "adversarial",
            "a step of 0 still moves the velocity and still clears what is dead",
            {**dense, "mask": mask},
            {"lr": 0.0, "momentum": 0.5},
        ),
        (
            "zero-gradient",
            "edge",
            "momentum goes on without a gradient",
            {**dense, "grad": start},
            {"lr": 1.0, "momentum": 0.5},
        ),
    ]
    for name, kind, note, arrays, settings in variants:
        yield CaseSpec("sgd_step", name, kind, note, {**arrays, **settings})


def _schedules() -> Iterator[CaseSpec]:
    for name, kind, note, arguments in [
        ("constant-last", "regular", "a rate that falls although it is constant", ("constant", 0.03, 50, 50)),
        ("cosine-first", "edge", "epochs counted from 0: the first epoch has the full rate", ("cosine", 0.1, 1, 10)),
        ("cosine-middle", "regular", "a cosine over epochs - 1", ("cosine", 0.1, 4, 10)),
        ("cosine-last", "edge", "a last epoch with rate 0", ("cosine", 0.1, 10, 10)),
        ("cosine-one-epoch", "edge", "a division by epochs - 1", ("cosine", 0.1, 1, 1)),
        ("step-at-milestone", "edge", "the rate falls after epoch 5, not at its start", ("step", 0.1, 5, 10)),
        ("step-after-milestone", "regular", "the default factor 0.1, once", ("step", 0.1, 6, 10)),
        (
            "step-odd-epochs",
            "adversarial",
            "halves rounded down: of 7 epochs, 4 have the full rate",
            ("step", 0.1, 4, 7),
        ),
        ("step-three-quarters", "adversarial", "three quarters of 7 epochs round up to 6", ("step", 0.1, 6, 7)),
        ("step-given", "regular", "given milestones and factor ignored", ("step", 0.5, 9, 10, [2, 3, 8], 0.5)),
        ("step-no-milestones", "adversarial", "an empty list taken for the default", ("step", 0.5, 9, 10, [], 0.5)),
    ]:
        names = ("schedule", "base", "epoch", "epochs", "milestones", "gamma")
        yield CaseSpec("learning_rate", name, kind, note, dict(zip(names, arguments, strict=False)))


def _correct() -> Iterator[CaseSpec]:
    logits = floats("correct z", (6, 8))
    best = np.array([2, 5, 7, 1, 0, 3])
    logits[np.arange(6), best] = 4.0
    in_task = np.array([6, 1, 4, 1, 6, 4])
    logits[np.arange(6), in_task] = [3.0, 3.0, -1.5, 4.0, 3.0, 3.0]
    tied = np.zeros((5, 8))
    tied[0, [3, 6]] = 1.0
    tied[1, [3, 6]] = 1.0
    tied[2, [1, 4, 6]] = 1.0
    tied[3, [1, 4, 6]] = 1.0
    for name, kind, note, z, labels, classes in [
        (
            "class-il",
            "regular",
            "Task-IL reported as Class-IL",
            logits,
            np.where(np.arange(6) % 2, in_task, best),
            None,
        ),
        ("task-il", "regular", "Class-IL reported as Task-IL; positions taken for classes", logits, in_task, [6, 1, 4]),
        ("one-sample", "edge", "an axis of length 1 that is dropped", logits[3:4], np.array([1]), None),
        ("one-class", "edge", "a task of one class is always right", logits[:2], np.array([4, 4]), [4]),
        ("ties", "adversarial", "among equal logits the lowest class wins", tied, np.array([3, 6, 1, 4, 0]), None),
        (
            "ties-unsorted-classes",
            "adversarial",
            "among equal logits the first class of the list wins instead of the lowest",
            tied,
            np.array([6, 6, 1, 6, 1]),
            [6, 4, 1],
        ),
        (
            "all-negative",
            "adversarial",
            "other classes set to 0 instead of left out: 0 beats the task's negative logits",
            floats("correct negative", (6, 8), low=-9.0, high=-1.0),
            in_task,
            [6, 1, 4],
        ),
    ]:
        yield CaseSpec("correct", name, kind, note, {"logits": z, "labels": labels, "classes": classes})


def _matrices() -> Iterator[CaseSpec]:
    five = integers("accuracies", (6, 5), low=6, high=60) / 64
    # Task 1 is best before the end but not when it was learned; task 2 before it was learned; task 3 in the last row.
    five[:, 0] = np.array([40, 48, 60, 52, 20, 32]) / 64
    five[:, 1] = np.array([30, 62, 50, 44, 40, 24]) / 64
    five[:, 2] = np.array([4, 8, 12, 40, 36, 64]) / 64
    perfect = np.tri(4, 3, -1)
    notes = {
        "average_accuracy": "the mean over the whole matrix or its diagonal; the last task left out",
        "forgetting": "a maximum over the last row too, or rows before the task was learned; the last task counted",
        "backward_transfer": "the sign; the last task, which is always 0, in the mean",
        "forward_transfer": "no baseline of the untrained network; the diagonal shifted to the wrong side",
        "learning_accuracy": "the last row, or the row before, taken for the diagonal",
    }
    for function, note in notes.items():
        for name, kind, why, matrix in [
            ("five-tasks", "regular", note, five),
            ("two-tasks", "edge", f"{note}; a mean over one task", integers("two", (3, 2), low=0, high=65) / 64),
            ("one-task", "edge", "a mean over no task divided by 1, or refused", np.array([[0.25], [0.75]])),
            ("nothing-forgotten", "edge", "perfect and untouched later: zeros and ones", perfect),
            (
                "later-tasks-helped",
                "adversarial",
                "a forgetting that is cut off at 0; a transfer without its sign",
                np.array([[16, 8, 4], [32, 20, 12], [40, 36, 8], [56, 48, 60]]) / 64,
            ),
        ]:
            yield CaseSpec(function, name, kind, why, {"matrix": matrix})
