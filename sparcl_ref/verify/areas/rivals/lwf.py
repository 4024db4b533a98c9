"""LwF: the distillation loss."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.losses import mean_loss
from sparcl_ref.methods.distances import distillation
from sparcl_ref.verify.areas.losses.cross_entropy import LOGITS
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, of, scaled


def lwf_distillation(logits, recorded, classes, temperature, weight):
    per_sample, pull = distillation(logits, recorded, classes=classes, temperature=temperature)
    return weight * mean_loss(per_sample), weight * pull


# --- mistakes ---------------------------------------------------------------------------------------------------------


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _written_out(
    logits, recorded, classes, temperature, weight, *, new=None, old=None, cut_late=False, raw=False, less_entropy=False
):  # fmt: skip
    """The loss with other temperatures for new and old logits, or softmaxes that are taken otherwise."""
    new, old = new or temperature, old or temperature
    if cut_late:  # the softmax of the head, of which some classes are taken
        q, target = softmax(logits / new), softmax(recorded / old)
        inside = np.isin(np.arange(logits.shape[1]), classes)
        target = np.where(inside, target, 0.0)
        loss = -(target[:, classes] * np.log(q[:, classes])).sum(axis=1).mean()
        slope = target.sum(axis=1, keepdims=True) * q - target
        return {"loss": weight * loss, "dlogits": weight * slope / (new * len(logits))}
    q, target = softmax(logits[:, classes] / new), recorded[:, classes]
    target = target if raw else softmax(target / old)
    loss = -(target * np.log(q)).sum(axis=1)
    if less_entropy:
        return {"loss": weight * (loss + (target * np.log(target)).sum(axis=1)).mean()}
    dlogits = np.zeros_like(logits)
    dlogits[:, classes] = weight * (target.sum(axis=1, keepdims=True) * q - target) / (new * len(logits))
    return {"loss": weight * loss.mean(), "dlogits": dlogits}


def _otherwise(sentence, **changes):
    return Mistake(sentence, partial(_written_out, **changes))


def _first(count):
    return list(range(count))


def _all(factor):
    return {"loss": factor, "dlogits": factor}


FUNCTIONS = (
    specify("lwf_distillation", "rivals", lwf_distillation, "Li and Hoiem, 2016",
        "with q = softmax(z / T) over the earlier classes alone, and q' the same of recorded logits: loss = -a times "
        "the mean over samples of the sum of q' log q, gradient a (q - q') / (T N), exactly +0.0 at all other "
        "classes; no factor T^2",
        LOGITS, Argument("recorded", "float (N, C): logits of the network before the task, on the same samples"),
        Argument("classes", "list of int in any order: the earlier classes"),
        Argument("temperature", "float: T", 2.0), Argument("weight", "float: a", 1.0),
        Output("loss", "float"), Output("dlogits", "float (N, C): gradient with respect to logits"),
        scaled("multiplied by T^2, as in distillation after Hinton", **_all(lambda given: given["temperature"] ** 2)),
        scaled("multiplied by T", **_all(lambda given: given["temperature"])),
        scaled("the factor 1/T of the gradient missing", dlogits=lambda given: given["temperature"]),
        scaled("the factor 1/T twice in the gradient", dlogits=lambda given: 1 / given["temperature"]),
        instead("the temperature left out", temperature=1.0),
        instead("the default temperature fixed in the code", temperature=2.0),
        _otherwise("recorded logits not divided by the temperature", old=1.0),
        _otherwise("new logits not divided by the temperature", new=1.0),
        instead("over the whole head, new classes included", classes=lambda given: _first(given["logits"].shape[1])),
        instead("the earlier classes taken for the first ones", classes=lambda given: _first(len(given["classes"]))),
        _otherwise("the softmax of the whole head, cut to the earlier classes", cut_late=True),
        _otherwise("recorded logits taken for probabilities", raw=True),
        instead("new and recorded logits exchanged", logits=of("recorded"), recorded=of("logits")),
        _otherwise("the Kullback-Leibler divergence: less the entropy of the recorded, which has the same gradient",
            less_entropy=True),
        scaled("the mean over samples and classes instead of over samples",
            **_all(lambda given: 1 / len(given["classes"]))),
        scaled("the sum over samples instead of their mean", **_all(lambda given: len(given["logits"]))),
        scaled("the gradient of the sum over samples instead of their mean",
            dlogits=lambda given: len(given["logits"])),
        instead("without its weight", weight=1.0),
        instead("the gradient without its weight", "dlogits", weight=1.0),
        instead("weight = 0 taken for the default", weight=lambda given: given["weight"] or 1.0),
    ),
)  # fmt: skip
