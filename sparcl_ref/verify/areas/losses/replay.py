"""Losses on a batch and on what is replayed beside it: ER and DER++."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref import losses
from sparcl_ref.losses import cross_entropy, mse_logits
from sparcl_ref.verify.areas.losses.cross_entropy import CLASSES, LABELS, LOGITS
from sparcl_ref.verify.areas.losses.mse_logits import BUZZEGA
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, of

_REPLAY = (
    Argument("replay_logits", "float (M, C): logits of the samples replayed with labels; M = 0 with an empty buffer"),
    Argument("replay_labels", "int (M,)"),
)
_DLOGITS = Output("dlogits", "float (N, C): gradient with respect to logits")
_DREPLAY = Output("dreplay_logits", "float (M, C): gradient with respect to replay_logits")
_LOSS = Output("loss", "float: the weighted sum of mean losses")


def er_loss(logits, labels, replay_logits, replay_labels, classes, weight):
    current, dlogits = cross_entropy(logits, labels, classes=classes)
    replay, dreplay = _replayed(cross_entropy, replay_logits, replay_labels, weight)
    return losses.mean_loss(current) + replay, dlogits, dreplay


def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes, alpha, beta
):  # fmt: skip
    current, dlogits = cross_entropy(logits, labels, classes=classes)
    dark, ddark = _replayed(mse_logits, dark_logits, dark_targets, alpha)
    replay, dreplay = _replayed(cross_entropy, replay_logits, replay_labels, beta)
    return losses.mean_loss(current) + dark + replay, dlogits, ddark, dreplay


def _replayed(loss, logits, targets, weight):
    """Weighted mean loss and gradient of a replayed batch; nothing for an empty one."""
    if not len(logits):
        return 0.0, np.zeros_like(logits)
    per_sample, dlogits = loss(logits, targets)
    return weight * losses.mean_loss(per_sample), weight * dlogits


def _single_head_replay(coefficient, replay_logits, replay_labels, classes, **given):
    """The replayed samples' loss over the current task's classes, too."""
    kept = np.full(replay_logits.shape, -np.inf)
    kept[:, classes] = replay_logits[:, classes]
    dreplay = np.exp(kept - kept.max(axis=1, keepdims=True))
    dreplay /= dreplay.sum(axis=1, keepdims=True)
    dreplay[np.arange(len(dreplay)), replay_labels] -= 1
    return {"dreplay_logits": given[coefficient] * dreplay / len(dreplay)}


def _or_default(name, default):
    return lambda given: given[name] or default


def _mistakes(weights, *replayed):
    """Those of both losses; the last of the weights, given with defaults, is that of samples replayed with labels."""
    ones = dict.fromkeys(weights, 1.0)
    return (
        instead("full-head loss where single-head is asked", classes=None),
        Mistake("single-head loss on replayed samples, which are always over all logits",
            partial(_single_head_replay, list(weights)[-1])),
        instead("replay terms without their weights", **ones),
        *(instead(f"{name} = 0 taken for the default", **{name: _or_default(name, default)})
            for name, default in weights.items()),
        instead("gradients of replayed samples without their weights", *replayed, **ones),
    )  # fmt: skip


FUNCTIONS = (
    specify("er_loss", "losses", er_loss, "experience replay; method, losses",
        "L = CE~(B) + w CE(B'): means over their own batches; classes restricts the current batch alone, replayed "
        "samples are always over all logits; an empty replay adds 0",
        LOGITS, LABELS, *_REPLAY, CLASSES, Argument("weight", "float: w", 1.0),
        _LOSS, _DLOGITS, _DREPLAY,
        *_mistakes({"weight": 1.0}, "dreplay_logits"),
        uses=("cross_entropy",),
    ),
    specify("derpp_loss", "losses", derpp_loss, f"{BUZZEGA}, equation of DER++",
        "L = CE~(B) + a MSE(logits(B'), stored logits) + b CE(B''): three passes, two independent draws; an empty "
        "draw adds 0 (b = 0 with an empty B'' is DER)",
        LOGITS, LABELS,
        Argument("dark_logits", "float (K, C): logits of the samples replayed with stored logits; K may be 0"),
        Argument("dark_targets", "float (K, C): their stored logits"), *_REPLAY, CLASSES,
        Argument("alpha", "float: a", 0.1), Argument("beta", "float: b", 0.5),
        _LOSS, _DLOGITS, Output("ddark_logits", "float (K, C): gradient with respect to dark_logits"), _DREPLAY,
        *_mistakes({"alpha": 0.1, "beta": 0.5}, "ddark_logits", "dreplay_logits"),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        uses=("cross_entropy", "mse_logits"),
    ),
)  # fmt: skip
