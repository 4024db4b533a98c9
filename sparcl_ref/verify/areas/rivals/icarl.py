"""iCaRL: one binary loss for each class."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.methods.binary import class_losses
from sparcl_ref.verify.areas.losses.cross_entropy import LABELS, LOGITS, MEAN_FOR_EACH, PER_SAMPLE
from sparcl_ref.verify.areas.rivals.fisher import FORM
from sparcl_ref.verify.areas.rivals.lwf import softmax
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled


def icarl_loss(logits, labels, recorded, old, new, form):
    return class_losses(logits, labels, recorded, old=old, new=new, form=form)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _of_targets(change, logits, labels, recorded, old, new, form, *, classes=None):
    """The loss for other targets, which a function makes of recorded logits, one-hot labels and old classes."""
    hot = np.eye(logits.shape[1])[labels]
    targets = hot.copy()
    targets[:, old] = _sigmoid(recorded[:, old])
    targets = change(targets, recorded, hot, old)
    columns = np.arange(logits.shape[1]) if form == "mammoth" else np.array(classes or [*old, *new])
    divisor = logits.shape[1] if form == "mammoth" else 1
    z, t, dlogits = logits[:, columns], targets[:, columns], np.zeros_like(logits)
    dlogits[:, columns] = (_sigmoid(z) - t) / (divisor * len(z))
    return {"per_sample": (np.logaddexp(0, z) - t * z).sum(axis=1) / divisor, "dlogits": dlogits}


def _targets(sentence, change):
    return Mistake(sentence, partial(_of_targets, change))


def _old_columns(made):
    """A change of the targets of old classes alone."""

    def change(targets, recorded, hot, old):
        changed = targets.copy()
        changed[:, old] = made(recorded, hot, old)
        return changed

    return change


def _old_samples(targets, recorded, hot, old):
    """A sample of an old class has its label, as well."""
    return np.maximum(targets, hot)


def _compared(given):
    """How many classes take part."""
    return len(given["old"]) + len(given["new"])


def _both(factor):
    return {"per_sample": factor, "dlogits": factor}


FUNCTIONS = (
    specify("icarl_loss", "rivals", icarl_loss, "Rebuffi et al., 2017; mammoth's code",
        "the sum over old and new classes of log(1 + e^z) - t z, t the sigmoid of the recorded logit for an old class "
        "and one-hot for a new one; gradient of the mean over samples (sigmoid(z) - t) / N, exactly +0.0 at classes "
        "to come. mammoth takes the mean over the whole head, classes to come with t = 0",
        LOGITS, LABELS, Argument("recorded", "float (N, C): logits of the network before the task; not read without "
            "old classes"),
        Argument("old", "list of int: classes of earlier tasks; may be empty"),
        Argument("new", "list of int: classes of the task"), FORM,
        PER_SAMPLE, Output("dlogits", "float (N, C): gradient of the mean over samples"),
        scaled("the mean over classes instead of their sum", **_both(lambda given:
            1 / _compared(given) if given["form"] == "paper" else 1.0)),
        scaled("the sum over classes instead of mammoth's mean", **_both(lambda given:
            given["logits"].shape[1] if given["form"] == "mammoth" else 1.0)),
        scaled("mammoth's mean over the classes that there are so far instead of the head", **_both(lambda given:
            given["logits"].shape[1] / _compared(given) if given["form"] == "mammoth" else 1.0)),
        instead("classes to come with a target of 0, which is mammoth's form", new=lambda given: [
            one for one in range(given["logits"].shape[1]) if one not in given["old"]]),
        Mistake("new classes left out: distillation alone", lambda **given: _of_targets(
            lambda targets, *_: targets, **given, classes=given["old"])
            if given["old"] and given["form"] == "paper" else {}),
        instead("labels for old classes, too: no distillation", old=[],
            new=lambda given: [*given["old"], *given["new"]]),
        _targets("softmax of the recorded logits instead of sigmoids",
            _old_columns(lambda recorded, hot, old: softmax(recorded)[:, old])),
        _targets("softmax of the recorded logits over old classes instead of sigmoids",
            _old_columns(lambda recorded, hot, old: softmax(recorded[:, old]))),
        _targets("recorded logits themselves for targets",
            _old_columns(lambda recorded, hot, old: recorded[:, old])),
        _targets("recorded sigmoids rounded to 0 and 1",
            _old_columns(lambda recorded, hot, old: (recorded[:, old] > 0).astype(float))),
        _targets("a target of 1 for the label of a sample of an old class", _old_samples),
        scaled("the gradient of the sum over samples instead of their mean",
            dlogits=lambda given: len(given["logits"])),
        MEAN_FOR_EACH,
    ),
)  # fmt: skip
