"""Wrong rules of the published code."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong
from tests.verify.wrong.schedules import EXPAND, SHRINK, limited

PATTERNS = ("4578", "3467", "1245", "0134", "5678", "3457", "1457", "1347")


def percentile(scores, sparsity):
    return np.percentile(scores, 100 * min(max(float(sparsity), 0.0), 1.0))


def initial(weight, sparsity, *, fault):
    size = weight if fault == "signed" else np.abs(weight)
    threshold = percentile(size, sparsity)
    if fault == "counted":
        live = math.floor((1 - Fraction(sparsity)) * weight.size + Fraction(1, 2))
        alive = np.zeros(weight.size, bool)
        alive[np.argsort(-size.reshape(-1), kind="stable")[:live]] = True
        return alive.reshape(weight.shape)
    return size >= threshold if fault == "at the threshold" else size > threshold


def shrunk(weight, importance, sparsity, *, fault):
    ranked = importance[weight != 0] if fault == "of the living" and weight.any() else importance
    threshold = percentile(ranked, sparsity)
    above = importance >= threshold if fault == "at the threshold" else importance > threshold
    return above if fault == "zeros live" else above & (weight != 0)


def actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, intra = Fraction(sparsity), Fraction(p_inter if fault == "p_inter" else p_intra)
    now = epoch if fault == "from one" else epoch - 1
    if now % delta_k:
        return [], []
    if now < epochs - delta_k or fault == "grows to the end":
        return [SHRINK, EXPAND], [limited(s + intra), limited(s)]
    return [SHRINK], [limited(s + intra if fault == "final overshoot" else s)]


def sparsities(task, epochs, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, start = Fraction(sparsity), Fraction(sparsity) - Fraction(p_inter)
    last = delta_k - 1 if fault == "paper" else delta_k
    expanded = task > 1 if fault == "second task" else True
    return [limited(start if expanded and epoch <= last else s) for epoch in range(1, epochs + 1)]


def joined(weight, joining, *, zero):
    alive = ~zero(weight).reshape(-1)
    alive[joining] = True
    return alive.reshape(weight.shape)


def growing(weight, sparsity, *, fault):
    zeros = int((weight == 0).sum())
    if fault == "exact":
        return max(0, math.floor(zeros - Fraction(sparsity) * weight.size))
    if fault == "rounded":
        return max(0, round(zeros - float(sparsity) * weight.size))
    if fault == "negative":
        return int(zeros - float(sparsity) * weight.size)
    if fault == "signed zero":
        zeros = int(((weight == 0) & ~np.signbit(weight)).sum())
    target = float(sparsity) * weight.size
    return max(0, int(zeros - (int(target) if fault == "target" else target)))


def silenced(grad, sparsity, *, fault):
    size = np.abs(grad)
    ranked = size[grad != 0] if fault == "of the nonzero" and grad.any() else size
    threshold = percentile(ranked, sparsity)
    if fault == "lower neighbour":
        threshold = np.percentile(size, 100 * float(sparsity), method="lower")
    above = size > threshold if fault == "strict" else size >= threshold
    return above if fault == "zeros kept" else above & (grad != 0)


def flips(samples, positions, correct, *, fault):
    count, ever = np.zeros(samples, np.int64), np.zeros(samples, bool)
    last: dict[int, bool] = {}
    before = None
    for position, right in zip(positions.tolist(), correct.tolist(), strict=True):
        was = before if fault == "interleaved" else last.get(position, fault == "starts correct")
        count[position] += was is not None and (bool(was) != right if fault == "both ways" else bool(was) and not right)
        ever[position] |= right
        last[position] = before = right
    return count, ever


def frozen(value, *, fault):
    zeros = int((value == 0).sum())
    due = {"more than a tenth": 10 * zeros > value.size, "always": True, "never": False}
    due = due.get(fault, 10 * zeros >= value.size)
    return value != 0 if due else np.ones(value.shape, bool)


def patterns(weight, *, power=2, table=PATTERNS, zeros_live=False):
    found = []
    for kernel in weight.reshape(-1, 9):
        energies = [sum(abs(kernel[int(k)]) ** power for k in pattern) for pattern in table]
        best = table[int(np.argmax(energies))]
        found.append([str(k) in best and (zeros_live or kernel[k] != 0) for k in range(9)])
    return np.array(found).reshape(weight.shape)


def entry(name, function, mistake, broken, fault):
    return Wrong(name, "released", function, mistake, partial(broken, fault=fault))


WRONG = (
    entry("initial-threshold", "magnitude_initial_mask", "ties at the threshold live", initial, "at the threshold"),
    entry("initial-signed", "magnitude_initial_mask", "signed weights are ranked", initial, "signed"),
    entry("initial-counted", "magnitude_initial_mask", "an exact number lives", initial, "counted"),
    entry("shrunk-threshold", "shrink_above_percentile", "ties at the threshold live", shrunk, "at the threshold"),
    entry("shrunk-living", "shrink_above_percentile", "the percentile is over the living", shrunk, "of the living"),
    entry("shrunk-zeros", "shrink_above_percentile", "weights of value 0 live", shrunk, "zeros live"),
    entry("actions-from-one", "released_tdm_actions", "epochs are counted from 1", actions, "from one"),
    entry("actions-to-the-end", "released_tdm_actions", "weights join to the end", actions, "grows to the end"),
    entry("actions-overshoot", "released_tdm_actions", "the last shrink is to s + p_intra", actions, "final overshoot"),
    entry("actions-p-inter", "released_tdm_actions", "the shrink is by p_inter", actions, "p_inter"),
    entry("sparsities-second", "released_sparsities", "the first task does not expand", sparsities, "second task"),
    entry("sparsities-paper", "released_sparsities", "one epoch less, as in the paper", sparsities, "paper"),
    Wrong(
        "last-one",
        "released",
        "last_gradient_importance",
        "a coefficient of 1",
        lambda weight, last_grad: np.abs(weight) + np.abs(last_grad),
    ),
    Wrong(
        "last-signed",
        "released",
        "last_gradient_importance",
        "the size of weight plus gradient",
        lambda weight, last_grad: np.abs(weight + last_grad / 2),
    ),
    entry("growing-exact", "grow_count_by_value", "an exact product", growing, "exact"),
    entry("growing-rounded", "grow_count_by_value", "rounded to the nearest", growing, "rounded"),
    entry("growing-negative", "grow_count_by_value", "a negative count", growing, "negative"),
    entry("growing-signed-zero", "grow_count_by_value", "-0.0 is not zero", growing, "signed zero"),
    entry("growing-target", "grow_count_by_value", "the target is cut off before the difference", growing, "target"),
    Wrong(
        "joined-signed-zero",
        "released",
        "grow_by_value",
        "-0.0 is alive",
        lambda weight, joining, **_: joined(weight, joining, zero=lambda w: (w == 0) & ~np.signbit(w)),
    ),
    Wrong(
        "joined-nonzero-only",
        "released",
        "grow_by_value",
        "weights that join stay dead until they have a value",
        lambda weight, **_: weight != 0,
    ),
    entry("silenced-strict", "percentile_gradient_mask", "ties at the threshold are silenced", silenced, "strict"),
    entry(
        "silenced-nonzero", "percentile_gradient_mask", "the percentile is over nonzeros", silenced, "of the nonzero"
    ),
    entry(
        "silenced-lower", "percentile_gradient_mask", "a percentile without interpolation", silenced, "lower neighbour"
    ),
    entry("silenced-zeros", "percentile_gradient_mask", "zeros at the threshold are kept", silenced, "zeros kept"),
    entry("flips-both-ways", "flip_counts", "flips to correct count too", flips, "both ways"),
    entry("flips-interleaved", "flip_counts", "flips between different samples", flips, "interleaved"),
    entry("flips-first", "flip_counts", "a wrong first presentation is a flip", flips, "starts correct"),
    Wrong("score-never-zero", "released", "flip_score", "never correct scores 0", lambda flips, **_: flips),
    Wrong(
        "score-added",
        "released",
        "flip_score",
        "never correct adds the epochs once too often",
        lambda flips, ever_correct, epochs: flips + np.where(ever_correct, 0, epochs + 1),
    ),
    entry("frozen-more", "frozen_zeros", "exactly a tenth freezes nothing", frozen, "more than a tenth"),
    entry("frozen-always", "frozen_zeros", "a single zero is frozen", frozen, "always"),
    entry("frozen-never", "frozen_zeros", "biases train", frozen, "never"),
    Wrong("pattern-sizes", "released", "best_patterns", "sizes are added, not squares", partial(patterns, power=1)),
    Wrong(
        "pattern-corners",
        "released",
        "best_patterns",
        "only the four corner patterns",
        partial(patterns, table=PATTERNS[:4]),
    ),
    Wrong(
        "pattern-zeros", "released", "best_patterns", "zeros within a pattern live", partial(patterns, zeros_live=True)
    ),
)
