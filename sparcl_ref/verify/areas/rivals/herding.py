"""Herding, what is kept of its order, and the nearest mean of exemplars, as iCaRL has them."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.methods.herding import class_means, herd, nearness, normalised
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead

_REBUFFI = "Rebuffi et al., 2017"


def herding_order(features, count):
    return herd(normalised(features), count)


def cut_exemplars(exemplars, capacity, classes):
    return exemplars[: capacity // classes]


def nearest_mean(exemplars, labels, features, mirrored):
    directions = normalised(exemplars)
    if mirrored is not None:
        directions = directions + normalised(mirrored)
    means = class_means(directions, labels, int(labels.max()) + 1)
    return means[np.unique(labels)], nearness(features, means).argmax(axis=1)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _herd(
    features, count, *, raw=False, still=False, again=False, last=False, unit=False, divided=None, sum_alone=False
):  # fmt: skip
    """Herding with parts of it done otherwise; ``divided`` gives the divisor of a step and the count."""
    rows = features if raw else normalised(features)
    mean = normalised(rows.mean(axis=0)) if unit else rows.mean(axis=0)
    chosen, total, count = [], np.zeros_like(mean), min(count, len(rows))
    for step in range(1, count + 1):
        reached = rows if still else (total + rows) / (divided(step, count) if divided else step)
        distance = ((mean - reached) ** 2).sum(axis=1)
        if not again:
            distance[chosen] = np.inf
        # Features that are equal have equal distances, but for rounding.
        nearest = np.flatnonzero(distance <= distance.min() + 1e-12)
        chosen.append(int(nearest[-1 if last else 0]))
        total = total + rows[chosen[-1]]
    return {"order": np.array(chosen, dtype=np.int64)}


def _herding(sentence, **changes):
    return Mistake(sentence, partial(_herd, **changes))


def _sorted(name):
    """A mistake that spoils the order of an output."""
    return Mistake("the order lost: sorted by index",
        lambda right, **given: {name: np.sort(right(**given)[name])}, of_right=True)  # fmt: skip


def _rounded_up(given):
    """A capacity with which the share is one more where it does not divide evenly."""
    return -(-given["capacity"] // given["classes"]) * given["classes"]


def _nearest(
    exemplars, labels, features, mirrored, *,
    raw=False, raw_query=False, unit=True, together=False, positions=False, last=False, dot=False, each=False,
):  # fmt: skip
    """Means and answers with parts of them done otherwise."""
    directions = exemplars if raw else normalised(exemplars)
    if mirrored is not None:
        beside = mirrored if raw else normalised(mirrored)
        directions = normalised(exemplars + mirrored) if together else (directions + beside) / 2
    classes = np.unique(labels)
    means = np.stack([directions[labels == label].mean(axis=0) for label in classes])
    means = normalised(means) if unit else means
    queries = features if raw_query else normalised(features)
    compared, named = (normalised(directions), labels) if each else (means, classes)
    distance = ((queries[:, None] - compared) ** 2).sum(axis=2)
    distance = -(queries @ compared.T) if dot else distance
    place = [np.flatnonzero(row <= row.min() + 1e-12)[-1 if last else 0] for row in distance]
    predicted = np.array(place) if positions else named[place]
    return {"predicted": predicted} if last or positions or each else {"means": means, "predicted": predicted}


def _nearest_otherwise(sentence, **changes):
    return Mistake(sentence, partial(_nearest, **changes))


FUNCTIONS = (
    specify("herding_order", "rivals", herding_order, f"{_REBUFFI}, algorithm 4",
        "features divided by their lengths (zeros stay); step k takes, of those not yet taken, the sample for which "
        "|mean - (sum of taken + it) / k| is least, among equals the lowest index; all if there are fewer than asked. "
        "The mean is not brought to unit length; fewer samples are a prefix of more",
        Argument("features", "float (n, d): of the samples of one class"),
        Argument("count", "int: how many to take"),
        exactly("order", "int (min(count, n),): indices of the samples, as they were taken"),
        _herding("the samples nearest to the mean, each by itself: no running mean", still=True),
        _herding("features not divided by their lengths", raw=True),
        _herding("a sample taken more than once", again=True),
        _herding("the highest index among equals", last=True),
        _herding("the class's mean brought to unit length first", unit=True),
        _herding("the running mean of one sample too few", divided=lambda step, count: max(1, step - 1)),
        _herding("the sum of those taken instead of their mean", divided=lambda step, count: 1),
        _herding("the sum divided by the final count, so that fewer samples are no prefix of more",
            divided=lambda step, count: count),
        _sorted("order"),
    ),
    specify("cut_exemplars", "rivals", cut_exemplars, f"{_REBUFFI}, algorithm 5",
        "of a class the first floor(capacity / classes seen) exemplars stay, in the order of herding",
        Argument("exemplars", "int (m,): samples of one class in the order of herding"),
        Argument("capacity", "int: exemplars of all classes together"),
        Argument("classes", "int: classes seen by now, new ones included"),
        exactly("kept", "int: those that stay, in the same order"),
        Mistake("cut from the front: those taken first go", lambda exemplars, capacity, classes: {
            "kept": exemplars[max(0, len(exemplars) - capacity // classes):]}),
        instead("the share rounded up", capacity=_rounded_up),
        instead("the newest class not counted", classes=lambda given: max(1, given["classes"] - 1)),
        Mistake("the whole capacity for each class",
            lambda exemplars, capacity, classes: {"kept": exemplars[:capacity]}),
        _sorted("kept"),
        Mistake("sorted by index, then cut",
            lambda exemplars, capacity, classes: {"kept": np.sort(exemplars)[: capacity // classes]}),
    ),
    specify("nearest_mean", "rivals", nearest_mean, f"{_REBUFFI}, algorithm 1; mammoth's code",
        "the mean of a class is that of its exemplars' features, each divided by its length (zeros stay), and is "
        "itself divided by its length; mirrored images, if given, add their features, divided by their lengths, "
        "before; a sample's class is that of the mean nearest to its feature, among equals the lowest",
        Argument("exemplars", "float (m, d): features of all exemplars"), Argument("labels", "int (m,): their classes"),
        Argument("features", "float (n, d): of the samples to classify"),
        Argument("mirrored", "float (m, d), or None: features of the exemplars' mirror images (mammoth)", None),
        Output("means", "float (classes, d): by ascending class, of the classes that have exemplars"),
        exactly("predicted", "int (n,): the class of each sample"),
        _nearest_otherwise("means not brought to unit length", unit=False),
        _nearest_otherwise("features of exemplars not divided by their lengths", raw=True),
        _nearest_otherwise("no length divided by at all", raw=True, unit=False, raw_query=True),
        _nearest_otherwise("means not brought to unit length, and compared by inner products", unit=False, dot=True),
        _nearest_otherwise("the feature added to its mirror image's before it is divided by its length", together=True),
        instead("mirror images left out", mirrored=None),
        _nearest_otherwise("the nearest exemplar instead of the nearest mean", each=True),
        _nearest_otherwise("the place of a class among those with exemplars taken for the class", positions=True),
        _nearest_otherwise("the highest class among equals", last=True),
    ),
)  # fmt: skip
