"""FDR: the distance between what is said of a stored sample and what was said of it."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.methods import quotas
from sparcl_ref.methods.distances import function_distance
from sparcl_ref.verify.areas.losses.cross_entropy import LOGITS, MEAN_FOR_EACH, PER_SAMPLE
from sparcl_ref.verify.areas.rivals.fisher import FORM
from sparcl_ref.verify.areas.rivals.lwf import softmax
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, more, scaled

#: Numbers that are added below a square root so that its derivative at 0 exists.
SMALL = (1e-16, 1e-12, 1e-10, 1e-8, 1e-6)


def fdr_penalty(logits, stored):
    return function_distance(logits, stored)


def fdr_quota(capacity, task, form):
    return quotas.fdr_quota(form, capacity, task)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _throughsoftmax(p, slope):
    """The gradient of the mean loss with respect to logits, of one with respect to probabilities."""
    return p * (slope - (p * slope).sum(axis=1, keepdims=True)) / len(p)


def _squared(logits, stored):
    p = softmax(logits)
    off = p - softmax(stored)
    return {"per_sample": (off**2).sum(axis=1), "dlogits": _throughsoftmax(p, 2 * off)}


def _mean_squared(logits, stored):
    classes = logits.shape[1]
    return {name: value / classes for name, value in _squared(logits, stored).items()}


def _absolute(logits, stored):
    p = softmax(logits)
    off = p - softmax(stored)
    return {"per_sample": np.abs(off).sum(axis=1), "dlogits": _throughsoftmax(p, np.sign(off))}


def _taken_for_probabilities(logits, stored):
    p = softmax(logits)
    off = p - stored
    length = np.linalg.norm(off, axis=1)
    return {"per_sample": length, "dlogits": _throughsoftmax(p, off / length[:, None])}


def _of_logits(logits, stored):
    off = logits - stored
    length = np.linalg.norm(off, axis=1)
    unit = np.divide(off, length[:, None], out=np.zeros_like(off), where=length[:, None] > 0)
    return {"per_sample": length, "dlogits": unit / len(off)}


def _divided_by_zero(logits, stored):
    p = softmax(logits)
    off = p - softmax(stored)
    return {"dlogits": _throughsoftmax(p, off / np.linalg.norm(off, axis=1)[:, None])}


def _with_epsilon(small, logits, stored):
    p = softmax(logits)
    off = p - softmax(stored)
    length = np.sqrt((off**2).sum(axis=1) + small)
    return {"per_sample": length, "dlogits": _throughsoftmax(p, off / length[:, None])}


def _own_terms_alone(logits, stored):
    """The derivative of the softmax without its shared denominator."""
    p = softmax(logits)
    off = p - softmax(stored)
    length = np.linalg.norm(off, axis=1, keepdims=True)
    unit = np.divide(off, length, out=np.zeros_like(off), where=length > 0)
    return {"dlogits": p * unit / len(p)}


def _divergence(logits, stored):
    p, target = softmax(logits), softmax(stored)
    return {"per_sample": (target * np.log(target / p)).sum(axis=1), "dlogits": (p - target) / len(p)}


FUNCTIONS = (
    specify("fdr_penalty", "rivals", fdr_penalty, "Benjamin et al., 2019",
        "loss of a sample = |softmax(z) - softmax(z')|, the Euclidean length and not its square; with u the "
        "difference divided by its length, 0 where the length is 0, the gradient of the mean over samples is "
        "p (u - sum of p u) / N, p = softmax(z)",
        LOGITS, Argument("stored", "float (N, C): logits recorded with the samples"),
        PER_SAMPLE, Output("dlogits", "float (N, C): gradient of the mean over samples"),
        Mistake("the square of the length", _squared),
        Mistake("the mean square over classes", _mean_squared),
        Mistake("the sum of absolute differences", _absolute),
        Mistake("the distance of logits instead of probabilities", _of_logits),
        Mistake("stored logits taken for probabilities", _taken_for_probabilities),
        Mistake("0 divided by 0 where nothing has changed: the derivative there is taken as 0", _divided_by_zero),
        *(Mistake("a small number added below the square root", partial(_with_epsilon, small)) for small in SMALL),
        Mistake("the derivative of the softmax without its shared denominator", _own_terms_alone),
        Mistake("the Kullback-Leibler divergence instead of the distance", _divergence),
        scaled("the gradient of the sum over samples instead of their mean",
            dlogits=lambda given: len(given["logits"])),
        MEAN_FOR_EACH,
    ),
    specify("fdr_quota", "rivals", fdr_quota, "Benjamin et al., 2019; mammoth's code",
        "after a task each task has floor(capacity / tasks seen) samples; mammoth counts tasks from 0, so that after "
        "task 2 nothing is cut, and after task 1, where that is 0, the capacity stands",
        Argument("capacity", "int: of the buffer"), Argument("task", "int: number of the task just learned, from 1"),
        FORM, exactly("quota", "int: samples of each task"),
        instead("tasks counted from 0, which is mammoth's form", form="mammoth"),
        instead("tasks counted from 1 in mammoth's form, too", form="paper"),
        instead("the task to come counted", task=more("task", 1)),
        Mistake("rounded up", lambda capacity, task, form: {
            "quota": -(-capacity // (max(1, task - 1) if form == "mammoth" else task))}),
        Mistake("the capacity whatever the task", lambda capacity, **_: {"quota": capacity}),
    ),
)  # fmt: skip
