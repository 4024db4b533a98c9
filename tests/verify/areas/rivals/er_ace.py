"""ER-ACE: inputs, oracle and wrong implementations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.verify.areas.losses.cross_entropy import ce, ce_reach, softmax_loss
from tests.verify.areas.losses.replay import of_passes, scaled
from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong
from tests.verify.tensors import tensor

NONE = np.zeros(0, dtype=np.int64)


def cases() -> Iterator[CaseSpec]:
    # Name, kind, set, labels, classes before, head, task, what it is there for.
    for name, kind, ce_set, labels, seen, head, task, note in (
        ("present", "regular", "present", [6, 2, 6], [0, 1, 2, 3], 8, 2, "all classes seen, or the range of a batch's"),
        ("present-first", "edge", "present", [1, 0, 1], [], 8, 1, "nothing has been seen before"),
        ("present-one-class", "edge", "present", [5, 5], [0, 5], 6, 3, "each class once"),
        ("present-gaps", "adversarial", "present", [7, 0, 3], [1, 2], 9, 1, "the range of a batch's classes"),
        ("seen", "regular", "seen", [4, 5, 4], [0, 1, 2], 8, 2, "the batch itself belongs to the classes seen"),
        ("seen-unsorted", "adversarial", "seen", [9, 0], [3, 7], 12, 3, "classes that come in no order: no range"),
        ("seen-first", "edge", "seen", [2, 2], [], 5, 1, "nothing has been seen before"),
        ("all", "regular", "all", [4, 5, 4], [0, 1, 2], 8, 2, "plain replay"),
        ("mammoth", "regular", "mammoth", [2, 3], [0, 1, 2, 3], 8, 2, "classes to come stay, from the largest seen on"),
        ("mammoth-before", "adversarial", "mammoth", [2, 2], [0, 1, 2, 5], 8, 3,
         "the largest class seen is not one of the batch's"),
        ("mammoth-unsorted", "adversarial", "mammoth", [1, 4], [0, 6], 10, 2, "classes that come in no order"),
        ("mammoth-task-1", "edge", "mammoth", [1, 3], [0, 1], 6, 1, "task 1 is not masked"),
        ("mammoth-last", "edge", "mammoth", [7, 6], [0, 1, 2, 3, 4, 5], 8, 4, "no class is to come"),
        ("beyond-8-bits", "adversarial", "present", [300, 44], [0, 256], 400, 2, "labels that 8 bits do not hold"),
    ):  # fmt: skip
        yield CaseSpec("er_ace_classes", name, kind, note,
            {"labels": np.array(labels), "seen": np.array(seen, dtype=np.int64), "head": head, "ce_set": ce_set,
             "task": task})  # fmt: skip

    new = {"logits": floats("ace z", (4, 8)), "labels": np.array([6, 2, 6, 2]), "seen": np.array([0, 1, 2, 4])}
    old = {"replay_logits": floats("ace old z", (3, 8)), "replay_labels": np.array([1, 0, 1])}
    empty = {"replay_logits": np.zeros((0, 8)), "replay_labels": NONE}
    one = {"logits": floats("ace one", (3, 8)), "labels": np.array([5, 5, 5]), "seen": np.array([0, 1, 2])}
    variants: list[tuple[str, str, str, dict[str, Any]]] = [
        ("present", "regular", "old classes pushed down by new samples; classes to come in the replay's softmax",
         {**new, **old}),
        ("seen", "regular", "the classes of the batch alone", {**new, **old, "ce_set": "seen"}),
        ("all", "regular", "plain replay: nothing is masked", {**new, **old, "ce_set": "all"}),
        ("mammoth", "regular", "classes to come stay in; replay goes over the head", {**new, **old,
            "ce_set": "mammoth"}),
        ("mammoth-task-1", "edge", "task 1 is not masked", {**new, **empty, "ce_set": "mammoth", "task": 1}),
        ("one-class", "edge", "a batch of one class teaches nothing: loss 0, gradient exactly 0", {**one, **empty}),
        ("one-class-and-replay", "edge", "a batch of one class does not silence replay", {**one, **old}),
        ("empty-buffer", "edge", "the mean over no replayed sample is NaN: it adds 0", {**new, **empty}),
        ("weight", "regular", "the weight missing in loss or gradient", {**new, **old, "weight": 0.375}),
        ("weight-zero", "edge", "a weight of 0 is not a missing weight", {**new, **old, "weight": 0.0}),
        ("replayed-strangers", "adversarial", "replayed labels that were not seen in this run belong to the classes",
         {**new, "replay_logits": floats("ace strange", (2, 8)), "replay_labels": np.array([3, 7]), "weight": 2.5}),
        ("huge-logits-outside", "adversarial", "logits of masked classes that overflow everything else",
         {"logits": np.array([[2.0**20, 3.0, 1.0, 900.0, -5.0], [900.0, 800.0, 801.5, 2.0**19, 0.0]]),
          "labels": np.array([1, 2]), "seen": np.array([0, 1]),
          "replay_logits": np.array([[0.0, 1.0, 2.0, 2.0**20, 2.0**19]]), "replay_labels": np.array([0])}),
        ("first-batch", "edge", "nothing has been seen before; the replay is of this batch's classes",
         {"logits": floats("ace first", (2, 4)), "labels": np.array([0, 3]), "seen": NONE, "task": 1,
          "replay_logits": floats("ace first old", (2, 4)), "replay_labels": np.array([3, 3])}),
    ]  # fmt: skip
    for name, kind, note, arguments in variants:
        yield CaseSpec("er_ace_loss", name, kind, note, arguments)


# --- oracle -----------------------------------------------------------------------------------------------------------


def _compared(a: Arguments, head: int) -> list[int]:
    here, before = set(a["labels"].tolist()), set(a["seen"].tolist())
    largest = max(here | before)
    mammoth = range(head) if a["task"] == 1 else here | {c for c in range(head) if c >= largest}
    return sorted({"present": here, "seen": here | before, "all": range(head), "mammoth": mammoth}[a["ce_set"]])


def er_ace_classes(a: Arguments) -> Result:
    """Sets of Python numbers."""
    return {"classes": np.array(_compared(a, a["head"]))}, {}


def er_ace_loss(a: Arguments) -> Result:
    """torch.nn.functional.cross_entropy and autograd in float64, classes left out at minus infinity."""
    labels, old = tensor(a["labels"]), tensor(a["replay_labels"])
    passes = {name: tensor(a[name]) for name in ("logits", "replay_logits")}
    head = a["logits"].shape[1]
    new_classes = _compared(a, head)
    everything = {*a["labels"].tolist(), *a["seen"].tolist(), *a["replay_labels"].tolist()}
    old_classes = sorted(everything) if a["ce_set"] in ("present", "seen") else list(range(head))
    reaches = {
        "logits": ce_reach(passes["logits"], new_classes),
        "replay_logits": scaled(ce_reach(passes["replay_logits"], old_classes), a["weight"]),
    }
    values, tolerances = of_passes(
        a, passes, lambda z, again: ce(z, labels, new_classes) + a["weight"] * ce(again, old, old_classes), reaches
    )
    for name, classes in (("dlogits", new_classes), ("dreplay_logits", old_classes)):
        left_out = ~np.isin(np.arange(head), classes) & np.ones((len(values[name]), 1), dtype=bool)
        values[name] = np.where(left_out, 0.0, values[name])
        if left_out.any():
            tolerances[name] = dataclasses.replace(tolerances[name], zeros=left_out)
    return values, tolerances


ORACLES: dict[str, Oracle] = {"er_ace_classes": er_ace_classes, "er_ace_loss": er_ace_loss}


# --- wrong implementations --------------------------------------------------------------------------------------------


def classes_of(labels, seen, head, ce_set, task, *, fault=""):
    """The classes, by marks for each class of the head."""
    marks = np.zeros(head, dtype=bool)
    marks[labels] = True
    whole = {"task 1 masked": (), "task 1 whole": ("mammoth", "present", "seen")}.get(fault, ("mammoth",))
    if ce_set == "all" or (task == 1 and ce_set in whole):
        marks[:] = True
    elif ce_set == "present" and fault == "seen":
        marks[seen] = True
    elif ce_set == "present" and fault == "range":
        marks[labels.min() : labels.max() + 1] = True
    elif ce_set == "seen":
        if fault == "before":
            marks[labels] = False
        if fault == "up to":
            marks[: max([*labels, *seen]) + 1] = True
        if fault != "present":
            marks[seen] = True
    elif ce_set == "mammoth":
        first = {"batch": labels.max(), "count": len(set(labels) | set(seen)), "future": head}
        largest = max(seen.max(initial=0), labels.max())
        marks[first.get(fault, largest + (fault == "after")) :] = True
    return np.flatnonzero(marks)


def loss_of(logits, labels, replay_logits, replay_labels, seen, ce_set, task, weight, *, fault):
    head = logits.shape[1]
    weight = weight or 1.0 if fault == "or default" else weight
    new = classes_of(labels, seen, head, "all" if fault == "whole head" else ce_set, task)
    if fault == "seen" and ce_set == "present":
        new = np.union1d(seen, labels)
    per_sample, dlogits = softmax_loss(logits, labels, new)
    if fault in ("zeroed", "gradient masked"):
        inside = np.isin(np.arange(head), new)
        whole, dlogits = softmax_loss(np.where(inside, logits, 0.0 if fault == "zeroed" else logits), labels)
        dlogits = np.where(inside, dlogits, 0.0).astype(logits.dtype)
        per_sample = whole if fault == "zeroed" else per_sample
    old = np.union1d(np.union1d(seen, labels), replay_labels)
    old = {"replay present": np.unique(replay_labels), "replay before": np.union1d(seen, replay_labels)}.get(fault, old)
    if fault == "replay whole" or (ce_set in ("all", "mammoth") and not fault.startswith("replay ")):
        old = np.arange(head)
    if not len(replay_logits):
        return per_sample.mean(), dlogits, replay_logits
    again, dagain = softmax_loss(replay_logits, replay_labels, old)
    scale = 1.0 if fault in ("unweighted", "gradient unweighted") else weight
    again = (1.0 if fault == "unweighted" else weight) * again
    if fault == "one mean":
        n, m = len(logits), len(replay_logits)
        loss = np.concatenate([per_sample, again]).mean()
        return loss, dlogits * (n / (n + m)), scale * dagain * (m / (n + m))
    return per_sample.mean() + again.mean(), dlogits, scale * dagain


def _classes(name, mistake, fault, likely):
    return Wrong(f"ace-set-{name}", "er_ace_classes", mistake, classes_of, fault=fault, likely=likely)


def _loss(name, mistake, fault, likely=""):
    return Wrong(f"ace-{name}", "er_ace_loss", mistake, loss_of, fault=fault, likely=likely)


WRONG = (
    _classes("seen", "all classes seen", "seen", "the classes seen where those of the batch are asked"),
    _classes("range", "a slice of the head", "range", "all classes from the batch's lowest to its highest"),
    _classes("present", "the batch's classes for those seen", "present",
        "the classes of the batch where those seen are asked"),
    _classes("before", "updated after the loss", "before", "the batch itself left out of the classes seen"),
    _classes("up-to", "a count of classes", "up to", "classes seen taken for all up to the largest"),
    _classes("after", "off by one", "after", "classes to come from the one after the largest seen on"),
    _classes("batch", "the batch's largest", "batch", "classes to come from the largest of this batch on"),
    _classes("count", "how many classes were seen", "count", "classes to come from the number of classes seen on"),
    _classes("future", "no class to come", "future", "classes to come left out"),
    _classes("task-1-masked", "masks in task 1", "task 1 masked", "masked in task 1, too"),
    _classes("task-1-whole", "no mask in task 1", "task 1 whole", "the whole head in task 1 whatever the set"),
    _loss("whole-head", "no mask at all", "whole head", "new samples compared with the whole head"),
    _loss("seen", "new samples over all classes seen", "seen", "new samples compared with all classes seen"),
    _loss("replay-present", "the same mask rule for replay", "replay present",
        "replayed samples compared with each other's classes only"),
    _loss("replay-whole", "no mask on replay", "replay whole", "replayed samples compared with the whole head"),
    _loss("replay-before", "classes seen as they were", "replay before",
        "the classes of the batch left out where replayed samples are compared"),
    _loss("replay-seen", "classes seen for every set", "replay seen",
        "replayed samples compared with the classes seen in mammoth's form, too"),
    _loss("one-mean", "both batches in one", "one mean", "one mean over new and replayed samples"),
    _loss("zeroed", "logits times the mask", "zeroed", "logits left out set to 0"),
    _loss("gradient-masked", "the mask on the gradient", "gradient masked",
        "the gradient of the whole head masked afterwards"),
    _loss("unweighted", "no weight", "unweighted", "the replay loss without its weight"),
    _loss("gradient-unweighted", "no weight in the gradient", "gradient unweighted",
        "the replay gradient without its weight"),
    _loss("or-default", "a weight of 0 is none", "or default", "weight = 0 taken for the default"),
)  # fmt: skip
