"""ER-ACE: the classes that new and replayed samples are compared with, and the loss over them."""

from __future__ import annotations

import numpy as np

from sparcl_ref.losses import cross_entropy, mean_loss
from sparcl_ref.methods.er_ace import of_new_samples, of_replayed_samples
from sparcl_ref.verify.areas.losses.cross_entropy import LABELS, LOGITS
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead

SEEN = Argument("seen", "int (k,), ascending: classes that have occurred before this batch; may be empty")
CE_SET = Argument("ce_set",
    '"present": the classes of the batch; "seen": those before, too; "all": the head; "mammoth": those of the batch '
    "and all from the largest seen so far on, but in task 1 the head", "present")  # fmt: skip
TASK = Argument("task", "int: number of the task, from 1", 2)
_CACCIA = "Caccia et al., 2022; mammoth's code"


def er_ace_classes(labels, seen, head, ce_set, task):
    return of_new_samples(ce_set, labels, seen, head, task=task)


def er_ace_loss(logits, labels, replay_logits, replay_labels, seen, ce_set, task, weight):
    new = of_new_samples(ce_set, labels, seen, logits.shape[1], task=task)
    old = of_replayed_samples(ce_set, replay_labels, np.union1d(seen, labels))
    return _loss(logits, labels, replay_logits, replay_labels, weight, new=new, old=old)


def _loss(logits, labels, replay_logits, replay_labels, weight, *, new, old, **_):
    """The loss where new and replayed samples are compared with some classes each, None for the head."""
    current, dlogits = cross_entropy(logits, labels, classes=None if new is None else new.tolist())
    if not len(replay_logits):
        return mean_loss(current), dlogits, np.zeros_like(replay_logits)
    replay, dreplay = cross_entropy(replay_logits, replay_labels, classes=old)
    return mean_loss(current) + weight * mean_loss(replay), dlogits, weight * dreplay


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _of_set(ce_set, sentence, classes):
    """A mistake in one of the sets: ``classes`` takes labels, classes before and the head's width."""

    def outputs(labels, seen, head, **given):
        if given["ce_set"] != ce_set or (ce_set == "mammoth" and given["task"] == 1):
            return {}
        return {"classes": np.unique(classes(labels, seen, head))}

    return Mistake(sentence, outputs)


def _from(first, labels, head):
    return np.union1d(labels, np.arange(first, head))


def _present_alone(change):
    """A change for `instead`, of a case whose set is the paper's."""
    return lambda given: change if given["ce_set"] == "present" else given["ce_set"]


def _sets(labels, replay_labels, seen, logits, ce_set, task, **_):
    """The classes that new samples are compared with, and replayed ones."""
    new = er_ace_classes(labels, seen, logits.shape[1], ce_set, task)
    return new, of_replayed_samples(ce_set, replay_labels, np.union1d(seen, labels))


def _new_over(sentence, classes, applies=lambda given: True):
    """New samples compared with the classes that a function of labels and classes before gives."""

    def outputs(**given):
        if not applies(given):
            return {}
        loss, dlogits, _ = _loss(**given, new=classes(given["labels"], given["seen"]), old=_sets(**given)[1])
        return {"loss": loss, "dlogits": dlogits}

    return Mistake(sentence, outputs)


def _old_over(sentence, classes):
    """Replayed samples compared with the classes that a function of all labels and of classes before gives."""

    def outputs(**given):
        old = classes(given["labels"], given["seen"], given["replay_labels"])
        loss, _, dreplay = _loss(**given, new=_sets(**given)[0], old=None if old is None else old.tolist())
        return {"loss": loss, "dreplay_logits": dreplay}

    return Mistake(sentence, outputs)


def _zeroed(right, **given):
    """Logits of the batch times a mask of classes, over the whole head."""
    classes, _ = _sets(**given)
    masked = np.zeros_like(given["logits"])
    masked[:, classes] = given["logits"][:, classes]
    found = right(**given | {"ce_set": "all", "logits": masked})
    old = right(**given)["loss"] - right(**given | {"weight": 0.0})["loss"]
    return {"loss": right(**given | {"ce_set": "all", "logits": masked, "weight": 0.0})["loss"] + old,
            "dlogits": np.where(np.isin(np.arange(masked.shape[1]), classes), found["dlogits"], 0.0)}  # fmt: skip


def _gradient_masked(right, **given):
    """The gradient over the whole head, cut to the classes afterwards."""
    whole = right(**given | {"ce_set": "all"})["dlogits"]
    return {"dlogits": np.where(np.isin(np.arange(whole.shape[1]), _sets(**given)[0]), whole, 0.0)}


def _one_mean(right, **given):
    found, m, n = right(**given), len(given["replay_logits"]), len(given["logits"])
    new = right(**given | {"weight": 0.0})["loss"]
    loss = (n * new + m * (found["loss"] - new)) / (n + m)
    return {"loss": loss, "dlogits": found["dlogits"] * (n / (n + m)),
            "dreplay_logits": found["dreplay_logits"] * (m / (n + m))}  # fmt: skip


FUNCTIONS = (
    specify("er_ace_classes", "rivals", er_ace_classes, _CACCIA,
        "which classes the softmax on new samples compares",
        LABELS, SEEN, Argument("head", "int: width of the head"), CE_SET, TASK,
        exactly("classes", "int, ascending: the classes, each once"),
        instead("the classes seen where those of the batch are asked", ce_set=_present_alone("seen")),
        _of_set("present", "all classes from the batch's lowest to its highest",
            lambda labels, seen, head: np.arange(labels.min(), labels.max() + 1)),
        instead("the classes of the batch where those seen are asked",
            ce_set=lambda given: "present" if given["ce_set"] == "seen" else given["ce_set"]),
        _of_set("seen", "the batch itself left out of the classes seen", lambda labels, seen, head: seen),
        _of_set("seen", "classes seen taken for all up to the largest",
            lambda labels, seen, head: np.arange(max([*labels, *seen]) + 1)),
        _of_set("mammoth", "classes to come left out", lambda labels, seen, head: labels),
        _of_set("mammoth", "classes to come from the one after the largest seen on",
            lambda labels, seen, head: _from(max([*labels, *seen]) + 1, labels, head)),
        _of_set("mammoth", "classes to come from the largest of this batch on",
            lambda labels, seen, head: _from(labels.max(), labels, head)),
        _of_set("mammoth", "classes to come from the number of classes seen on",
            lambda labels, seen, head: _from(len({*labels, *seen}), labels, head)),
        instead("masked in task 1, too, where mammoth does not", task=2),
        Mistake("the whole head in task 1 whatever the set, which is mammoth's alone",
            lambda head, task, **_: {"classes": np.arange(head)} if task == 1 else {}),
    ),
    specify("er_ace_loss", "rivals", er_ace_loss, _CACCIA,
        "L = CE(B; er_ace_classes) + w CE(B'; all classes seen, this batch's and the replayed ones included; for "
        '"all" and "mammoth" the whole head): means over their own batches; the gradient is exactly +0.0 at classes '
        "left out; a batch of one class has loss 0 and no gradient",
        LOGITS, LABELS,
        Argument("replay_logits", "float (M, C): logits of the samples replayed; M may be 0"),
        Argument("replay_labels", "int (M,)"), SEEN, CE_SET, TASK, Argument("weight", "float: w", 1.0),
        Output("loss", "float"), Output("dlogits", "float (N, C): gradient with respect to logits"),
        Output("dreplay_logits", "float (M, C): gradient with respect to replay_logits"),
        _new_over("new samples compared with the whole head: plain experience replay", lambda labels, seen: None),
        _new_over("new samples compared with all classes seen", lambda labels, seen: np.union1d(labels, seen),
            lambda given: given["ce_set"] == "present"),
        _old_over("replayed samples compared with each other's classes only",
            lambda labels, seen, replayed: np.unique(replayed)),
        _old_over("replayed samples compared with the whole head, classes to come included",
            lambda labels, seen, replayed: None),
        _old_over("the classes of the batch left out where replayed samples are compared",
            lambda labels, seen, replayed: np.union1d(seen, replayed)),
        _old_over("replayed samples compared with the classes seen in mammoth's form, too, which takes the head",
            lambda labels, seen, replayed: np.union1d(np.union1d(seen, labels), replayed)),
        Mistake("logits left out set to 0 instead of minus infinity: a product with the mask", _zeroed, of_right=True),
        Mistake("the gradient of the whole head masked afterwards, instead of the softmax", _gradient_masked,
            of_right=True),
        Mistake("one mean over new and replayed samples", _one_mean, of_right=True),
        instead("the replay loss without its weight", "loss", "dreplay_logits", weight=1.0),
        instead("the replay gradient without its weight", "dreplay_logits", weight=1.0),
        instead("weight = 0 taken for the default", weight=lambda given: given["weight"] or 1.0),
        uses=("er_ace_classes", "cross_entropy"),
    ),
)  # fmt: skip
