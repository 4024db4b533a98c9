"""Herding and nearest means: inputs, oracles and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal, localcontext

import numpy as np
import torch
from torch.nn import functional

from tests.verify.draws import floats, permutation
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, tensor


def cases() -> Iterator[CaseSpec]:
    yield from _herding()
    rising = permutation("exemplars", 12) * 7 + 3
    for name, kind, exemplars, capacity, classes, note in (
        ("even", "regular", rising, 24, 4, "cut from the front; the order lost"),
        ("remainder", "adversarial", rising, 27, 4, "the share rounded up"),
        ("third-task", "regular", rising[:7], 31, 6, "one class too few counted"),
        ("fewer-than-the-share", "edge", rising[:3], 24, 4, "a class may have fewer: all stay"),
        ("as-many", "edge", rising[:6], 24, 4, "nothing goes"),
        ("more-classes-than-slots", "edge", rising, 3, 4, "nothing stays: not [-0:], which is all"),
        ("one-class", "edge", rising, 5, 1, "the whole capacity"),
    ):
        given = {"exemplars": exemplars, "capacity": capacity, "classes": classes}
        yield CaseSpec("cut_exemplars", name, kind, note, given)
    yield from _nearest()


def _herding() -> Iterator[CaseSpec]:
    eight, many = floats("herd eight", (8, 3), low=-1.0, high=3.0), floats("herd many", (30, 6), low=-1.0, high=2.0)
    lengths = np.array([1, 8, 0.25, 2, 16, 0.5, 4, 1])[:, None]
    twice = np.concatenate([eight[:4], eight[1:2], eight[:2], eight[5:6]])
    # Along the axes lengths are exact, so that equal distances are equal to the bit.
    axes = np.array([[0.0, 2.0], [3.0, 0.0], [0.0, -1.0], [-4.0, 0.0], [0.0, 5.0], [1.0, 0.0]])
    dead = eight.copy()
    dead[[2, 5]] = 0.0
    for name, kind, features, count, note in (
        ("four-of-eight", "regular", eight, 4, "the nearest to the mean, each by itself"),
        ("two-of-eight", "regular", eight, 2, "fewer are a prefix of more"),
        ("all-of-eight", "regular", eight, 8, "fewer are a prefix of more; one that is taken twice"),
        ("many", "regular", many, 9, "the nearest to the mean, each by itself"),
        ("lengths", "adversarial", eight * lengths, 5, "features of different lengths: all count alike"),
        ("more-than-there-are", "edge", eight[:3], 7, "all are taken, once"),
        ("one-sample", "edge", eight[:1], 2, "an axis of length 1 that is dropped"),
        ("none", "edge", eight, 0, "nothing is asked for"),
        ("equal-features", "adversarial", twice, 6, "among equals the lowest index first"),
        ("axes", "adversarial", axes, 4, "among equals the lowest index first"),
        ("dead-features", "edge", dead, 6, "a feature of zeros has no length to be divided by"),
        ("one-dimension", "edge", np.array([[2.0], [-1.0], [5.0], [3.0], [-2.0]]), 4, "features are signs alone"),
    ):
        yield CaseSpec("herding_order", name, kind, note, {"features": features, "count": count})


def _nearest() -> Iterator[CaseSpec]:
    labels = np.array([4, 1, 4, 6, 1, 6, 4])
    centres = floats("mean centres", (7, 4))
    exemplars = (centres[labels] + floats("mean spread", (7, 4)) * 0.75).astype(np.float32)
    mirrored = (exemplars + floats("mean mirrored", (7, 4)) * 0.5).astype(np.float32)
    lengths = np.array([1, 8, 0.25, 2, 0.5, 16, 4])[:, None]
    queries = floats("mean queries", (24, 4))
    spread = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.125], [1.0, 0.25]])
    # Two classes of opposite exemplars: a mean that is short before it is brought to unit length.
    apart = np.array([[3.0, 4.0], [-4.0, 3.0], [8.0, 6.0], [6.0, 8.0]])
    for name, kind, given, note in (
        ("usual", "regular", {}, "means not brought to unit length"),
        ("lengths", "adversarial", {"exemplars": exemplars * lengths}, "exemplars of different lengths count alike"),
        ("long-queries", "regular", {"features": queries * 64}, "the length of a feature does not matter"),
        ("mirrored", "regular", {"mirrored": mirrored}, "mirror images left out"),
        ("mirrored-lengths", "adversarial", {"exemplars": exemplars * lengths, "mirrored": mirrored},
         "an image and its mirror image count alike, however long their features"),
        ("spread", "adversarial", {"exemplars": spread, "labels": np.array([0, 0, 1, 1]), "features": queries[:, :2]},
         "a class whose exemplars point apart has a short mean until it is brought to unit length"),
        ("apart", "adversarial", {"exemplars": apart, "labels": np.array([3, 3, 2, 2]), "features": queries[:, 2:]},
         "a class whose exemplars point apart has a short mean until it is brought to unit length"),
        ("equally-near", "adversarial",
         {"exemplars": np.array([[0.0, 2.0], [3.0, 0.0], [0.0, -1.0]]), "labels": np.array([5, 2, 8]),
          "features": np.array([[4.0, 4.0], [0.0, 0.0], [1.0, -1.0], [-2.0, -2.0]])},
         "among equally near means the lowest class"),
        ("one-class", "edge", {"labels": np.full(7, 3)}, "one mean for all"),
        ("one-each", "edge", {"exemplars": exemplars[:3], "labels": np.array([2, 0, 5])}, "a mean of one"),
        ("dead-exemplar", "edge", {"exemplars": np.where(np.arange(7)[:, None] == 3, 0.0, exemplars)},
         "a feature of zeros has no length to be divided by"),
    ):  # fmt: skip
        yield CaseSpec("nearest_mean", name, kind, note,
            {"exemplars": exemplars, "labels": labels, "features": queries, **given})  # fmt: skip


# --- oracles ----------------------------------------------------------------------------------------------------------

#: Two distances are equal, or this far apart at least: so that float32 decides as exact arithmetic does.
GAP = Decimal("1e-5")


def herding_order(a: Arguments) -> Result:
    """All that is left is tried at each step, with 60 digits."""
    with localcontext(Context(prec=60)):
        rows = [[Decimal(value) for value in row] for row in a["features"].tolist()]
        lengths = [sum(value * value for value in row).sqrt() or Decimal(1) for row in rows]
        rows = [[value / length for value in row] for row, length in zip(rows, lengths, strict=True)]
        mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        taken: list[int] = []
        while len(taken) < min(a["count"], len(rows)):
            left = [one for one in range(len(rows)) if one not in taken]
            far = [_distance(mean, [rows[k] for k in (*taken, one)]) for one in left]
            near = [one for one, distance in zip(left, far, strict=True) if distance - min(far) < Decimal("1e-50")]
            assert sum(distance - min(far) < GAP for distance in far) == len(near)
            taken.append(near[0])
    return {"order": np.array(taken, dtype=np.int64)}, {}


def _distance(mean: list[Decimal], rows: list[list[Decimal]]) -> Decimal:
    reached = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return sum(((m - r) ** 2 for m, r in zip(mean, reached, strict=True)), Decimal(0))


def cut_exemplars(a: Arguments) -> Result:
    """One by one while they fit."""
    kept = [one for place, one in enumerate(a["exemplars"].tolist(), start=1) if place * a["classes"] <= a["capacity"]]
    return {"kept": np.array(kept, dtype=np.int64)}, {}


def nearest_mean(a: Arguments) -> Result:
    """torch.nn.functional.normalize and torch.cdist in float64."""
    exemplars, labels = functional.normalize(tensor(a["exemplars"])), tensor(a["labels"])
    if a["mirrored"] is not None:
        exemplars = exemplars + functional.normalize(tensor(a["mirrored"]))
    classes = labels.unique()
    means = functional.normalize(torch.stack([exemplars[labels == c].mean(dim=0) for c in classes]))
    far = torch.cdist(functional.normalize(tensor(a["features"])), means, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = far.min(dim=1, keepdim=True).values
    tied = far - nearest < 1e-12
    assert bool(((far - nearest > float(GAP)) | tied).all())
    predicted = [int(classes[row].min()) for row in tied]
    # A mean is divided by its length, which may be short: directions that cancel are off by their own rounding.
    shortest = float(torch.stack([exemplars[labels == c].mean(dim=0).norm() for c in classes]).clamp(min=0.1).min())
    tolerance = Tolerance(len(labels) + exemplars.shape[1] + 4, 2 / shortest, "directions over exemplars, and a length")
    return {"means": array(means), "predicted": np.array(predicted)}, {"means": tolerance}


ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in (herding_order, cut_exemplars, nearest_mean)}


# --- wrong implementations --------------------------------------------------------------------------------------------


def unit(rows):
    lengths = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
    return rows / np.where(lengths > 0, lengths, 1)


def herded(features, count, *, fault):
    directions = features if fault == "raw" else unit(features)
    mean = directions.mean(axis=0)
    mean = unit(mean) if fault == "unit mean" else mean
    order, left = [], list(range(len(features)))
    for k in range(1, min(count, len(features)) + 1):
        divisor = {"one too few": max(1, k - 1), "sum": 1, "final": min(count, len(features))}.get(fault, k)
        far = []
        for one in left:
            reached = directions[[*order, one]].sum(axis=0) / divisor
            far.append(np.linalg.norm(mean - (directions[one] if fault == "each" else reached)))
        near = [one for one, d in zip(left, far, strict=True) if d <= min(far) + 1e-9]
        order.append(near[-1] if fault == "last" else near[0])
        if fault != "again":
            left.remove(order[-1])
    return np.array(sorted(order) if fault == "sorted" else order, dtype=np.int64)


def cut(exemplars, capacity, classes, *, fault):
    share = -(-capacity // classes) if fault == "up" else capacity // classes
    share = capacity // max(1, classes - 1) if fault == "without" else capacity if fault == "whole" else share
    if fault == "front":
        return exemplars[max(len(exemplars) - share, 0) :]
    exemplars = np.sort(exemplars) if fault == "sorted first" else exemplars
    return np.sort(exemplars[:share]) if fault == "sorted" else exemplars[:share]


def nearest(exemplars, labels, features, mirrored, *, fault):
    raw = fault in ("raw exemplars", "raw")
    rows = exemplars if raw else unit(exemplars)
    if mirrored is not None and fault == "together":
        rows = unit(exemplars + mirrored)
    elif mirrored is not None and fault != "no mirror":
        rows = (rows + (mirrored if raw else unit(mirrored))) / 2
    classes = sorted(set(labels.tolist()))
    means = np.array([rows[labels == c].mean(axis=0) for c in classes])
    means = means if fault in ("short means", "raw", "inner") else unit(means)
    queries = features if fault == "raw" else unit(features)
    points = unit(rows) if fault == "exemplar" else means
    scores = queries @ points.T if fault == "inner" else -np.linalg.norm(queries[:, None] - points, axis=2)
    near = scores >= scores.max(axis=1, keepdims=True) - 1e-9
    places = [np.flatnonzero(row)[-1 if fault == "last" else 0] for row in near]
    names = labels if fault == "exemplar" else np.array(classes)
    return means.astype(exemplars.dtype), np.array(places) if fault == "places" else names[places]


WRONG = (
    *(Wrong(f"herding-{name}", "herding_order", mistake, herded, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("each", "a sort by distance to the mean", "each", "the samples nearest to the mean, each by itself"),
            ("raw", "no normalisation", "raw", "features not divided by their lengths"),
            ("again", "what is taken is not struck out", "again", "a sample taken more than once"),
            ("last", "ties from the other end", "last", "the highest index among equals"),
            ("unit-mean", "the mean is normalised", "unit mean", "the class's mean brought to unit length first"),
            ("one-too-few", "k from 0", "one too few", "the running mean of one sample too few"),
            ("sum", "no division", "sum", "the sum of those taken instead of their mean"),
            ("final", "division by m", "final", "the sum divided by the final count"),
            ("sorted", "a mask, read from the front", "sorted", "the order lost: sorted by index"),
        )),
    *(Wrong(f"cut-{name}", "cut_exemplars", mistake, cut, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("front", "the last ones stay", "front", "cut from the front"),
            ("up", "ceil", "up", "the share rounded up"),
            ("without", "the share of before", "without", "the newest class not counted"),
            ("whole", "no share", "whole", "the whole capacity for each class"),
            ("sorted", "sorted afterwards", "sorted", "the order lost: sorted by index"),
            ("sorted-first", "sorted before", "sorted first", "sorted by index, then cut"),
        )),
    *(Wrong(f"nearest-{name}", "nearest_mean", mistake, nearest, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("short-means", "means as they are", "short means", "means not brought to unit length"),
            ("raw-exemplars", "means of raw features", "raw exemplars",
                "features of exemplars not divided by their lengths"),
            ("raw", "no normalisation", "raw", "no length divided by at all"),
            ("inner", "inner products with means as they are", "inner",
                "means not brought to unit length, and compared by inner products"),
            ("together", "one normalisation for both", "together", "the feature added to its mirror image's"),
            ("no-mirror", "no mirror images", "no mirror", "mirror images left out"),
            ("exemplar", "the nearest neighbour", "exemplar", "the nearest exemplar instead of the nearest mean"),
            ("places", "argmin", "places", "the place of a class among those with exemplars"),
            ("last", "ties from the other end", "last", "the highest class among equals"),
        )),
)  # fmt: skip
