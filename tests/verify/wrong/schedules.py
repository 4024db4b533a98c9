"""Wrong mask schedules, data removal and gradient masks."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

import numpy as np

from tests.verify.wrong.budgets import count
from tests.verify.wrong.entry import Wrong
from tests.verify.wrong.masks import kept

SHRINK, EXPAND = 0, 1


def limited(sparsity):
    return float(min(max(sparsity, 0), 1))


def actions(task, epoch, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, inter, intra = Fraction(sparsity), Fraction(p_inter), Fraction(p_intra)
    if fault == "mixed up":
        inter, intra = intra, inter
    if fault == "from zero":
        epoch -= 1
    found = []
    if epoch == (0 if fault == "from zero" else 1) and (task > 1 or fault == "first task"):
        found.append((EXPAND, s - inter))
    if epoch and epoch % delta_k == 0 and not (fault == "first delta" and task > 1 and epoch == delta_k):
        if fault == "shrink first" and task > 1 and epoch == delta_k:
            found.append((SHRINK, s))
        found += [(SHRINK, s + intra), (EXPAND, s)]
        if fault == "no regrowth":
            found.pop()
    elif fault == "first delta" and epoch == delta_k:
        found.append((SHRINK, s))
    if fault == "expand first":
        found = found[::-1]
    targets = [float(target) if fault == "unlimited" else limited(target) for _, target in found]
    return [kind for kind, _ in found], targets


def active_counts(n, task, epochs, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, start = Fraction(sparsity), Fraction(sparsity) - Fraction(p_inter)
    if fault == "floats":
        s, start = float(sparsity), float(sparsity) - float(p_inter)
        one = [math.floor((1 - max(number, 0.0)) * n + 0.5) for number in (start, s)]
    else:
        one = [count(n, start), count(n, s)]
    last = delta_k if fault == "one epoch more" else delta_k - 1
    if fault == "never back":
        last = epochs
    expanded = task > 1 or fault == "first task"
    return [one[0] if expanded and epoch <= last else one[1] for epoch in range(1, epochs + 1)]


def sizes(samples, rho, cutoff, *, fault):
    share, left = Fraction(rho), [samples]
    for stage in range(1, cutoff + 1):
        gone = share * samples * stage / cutoff
        if fault == "floats":
            left.append(samples - math.floor(float(rho) * samples * stage / cutoff + 0.5))
        elif fault == "down":
            left.append(samples - math.floor(gone))
        elif fault == "half to even":
            left.append(samples - round(gone))
        elif fault == "of the rest":
            left.append(left[-1] - math.floor(share / cutoff * left[-1] + Fraction(1, 2)))
        elif fault == "each stage":
            left.append(left[-1] - math.floor(share * samples / cutoff + Fraction(1, 2)))
        else:
            left.append(samples - math.floor(gone + Fraction(1, 2)))
    return left


def counts(samples, positions, correct, *, fault):
    wrong, before = np.zeros(samples, np.int64), np.zeros(samples, bool)
    if fault == "once":
        wrong[positions] += ~correct
        return wrong
    for position, right in zip(positions, correct, strict=True):
        counted = {"right ones": right, "flips": before[position] and not right}
        wrong[position] += counted.get(fault, not right)
        before[position] = right
    return np.minimum(wrong, 1) if fault == "ever wrong" else wrong


def stage(epoch, epochs, delta_k, cutoff, *, fault):
    number, rest = divmod(epoch if fault != "from zero" else epoch - 1, delta_k)
    due = rest == 0 and (epoch < epochs or fault == "last epoch") and (number <= cutoff or fault == "cutoff")
    if fault == "before cutoff":
        due = due and number < cutoff
    return number if due else -1


def keep_samples(counts, keep, *, fault):
    n = len(counts)
    if fault == "easy stay":
        return np.sort(np.argsort(counts, kind="stable")[:keep])
    if fault == "highest first":
        return np.sort(np.argsort(-counts, kind="stable")[:keep])
    order = np.argsort(counts, kind="stable")[n - keep :]
    return order[::-1] if fault == "by count" else np.sort(order)


def masked_fraction(sparsity, q, *, fault):
    s = Fraction(sparsity)
    if fault == "fixed":
        return limited(s + (Fraction(1, 20) if q is None else Fraction(q)))
    if fault == "zero is none":
        return limited(s + (Fraction(q) if q is not None and Fraction(q) else (1 - s) / 5))
    if fault == "scaled":
        return limited(s + (1 - s) * (Fraction(1, 5) if q is None else Fraction(q)))
    total = s + ((1 - s) / 5 if q is None else Fraction(q))
    return float(total) if fault == "unlimited" else limited(total)


def silence(mask, importance, sparsity, *, fault):
    wanted = count(mask.size, sparsity)
    living = int(mask.sum())
    if fault == "of the living":
        return kept(mask, importance, count(living, sparsity))
    if fault == "percentile":
        scores = np.nan_to_num(importance)
        return mask & (scores >= np.percentile(scores, 100 * float(sparsity)))
    if fault == "all entries":
        everywhere = kept(np.ones_like(mask), np.nan_to_num(importance), wanted)
        return everywhere & mask
    if fault == "dead too":
        return kept(np.ones_like(mask), np.nan_to_num(importance), wanted)
    if fault == "nonzero only":
        return kept(mask, importance, min(wanted, living)) & (importance != 0)
    if fault == "other end":
        turned = kept(mask.reshape(-1)[::-1], importance.reshape(-1)[::-1], min(wanted, living))
        return turned[::-1].reshape(mask.shape)
    return kept(mask, importance, min(wanted, living))


def step(iteration, interval, mask, grad_mask, grad_current, grad_replay, sparsity, alpha, beta, *, fault):
    total = grad_current + grad_replay
    if iteration % interval == (1 if fault == "late" else 0):
        current, replay = grad_current, grad_replay
        if fault == "already masked":
            current, replay = (np.where(grad_mask, part, 0.0) for part in (current, replay))
        scores = alpha * np.abs(current) + beta * np.abs(replay)
        if fault == "of the total":
            scores = np.abs(total)
        if fault == "current only":
            scores = np.abs(current)
        if fault == "swapped":
            scores = beta * np.abs(current) + alpha * np.abs(replay)
        before = grad_mask
        grad_mask = kept(mask, scores, min(int(mask.sum()), count(mask.size, sparsity)))
        if fault == "narrows":
            grad_mask = grad_mask & before
    elif fault == "no mask between":
        grad_mask = mask
    return grad_mask, total * grad_mask if fault == "product" else np.where(grad_mask, total, 0.0)


def entry(area, name, function, mistake, broken, fault):
    return Wrong(name, area, function, mistake, partial(broken, fault=fault))


WRONG = (
    entry("tdm", "tdm-from-zero", "tdm_actions", "epochs are counted from 0", actions, "from zero"),
    entry("tdm", "tdm-first-task", "tdm_actions", "the first task expands too", actions, "first task"),
    entry("tdm", "tdm-mixed-up", "tdm_actions", "p_inter and p_intra are mixed up", actions, "mixed up"),
    entry(
        "tdm",
        "tdm-shrink-first",
        "tdm_actions",
        "epoch delta_k shrinks to s before its action",
        actions,
        "shrink first",
    ),
    entry("tdm", "tdm-first-delta", "tdm_actions", "epoch delta_k only shrinks back to s", actions, "first delta"),
    entry("tdm", "tdm-no-regrowth", "tdm_actions", "nothing joins after a shrink", actions, "no regrowth"),
    entry("tdm", "tdm-expand-first", "tdm_actions", "weights join before others leave", actions, "expand first"),
    entry("tdm", "tdm-unlimited", "tdm_actions", "targets are not limited to 0..1", actions, "unlimited"),
    entry("tdm", "counts-floats", "tdm_active_counts", "targets are sums of floats", active_counts, "floats"),
    entry(
        "tdm", "counts-one-more", "tdm_active_counts", "expanded through epoch delta_k", active_counts, "one epoch more"
    ),
    entry("tdm", "counts-never-back", "tdm_active_counts", "the expansion stays", active_counts, "never back"),
    entry("tdm", "counts-first-task", "tdm_active_counts", "the first task is expanded", active_counts, "first task"),
    entry("ddr", "ddr-floats", "ddr_sizes", "rho is a binary number", sizes, "floats"),
    entry("ddr", "ddr-down", "ddr_sizes", "rounded down", sizes, "down"),
    entry("ddr", "ddr-half-even", "ddr_sizes", "halves are rounded to even", sizes, "half to even"),
    entry("ddr", "ddr-of-the-rest", "ddr_sizes", "each stage removes a fraction of what is left", sizes, "of the rest"),
    entry("ddr", "ddr-each-stage", "ddr_sizes", "each stage is rounded by itself", sizes, "each stage"),
    entry("ddr", "ddr-counted-once", "misclassification_counts", "a repeated sample counts once", counts, "once"),
    entry(
        "ddr", "ddr-right-ones", "misclassification_counts", "correct presentations are counted", counts, "right ones"
    ),
    entry("ddr", "ddr-flips", "misclassification_counts", "only flips from correct to wrong count", counts, "flips"),
    entry("ddr", "ddr-ever-wrong", "misclassification_counts", "ever wrong instead of how often", counts, "ever wrong"),
    entry("ddr", "stage-last-epoch", "completed_stage", "data leave after the last epoch", stage, "last epoch"),
    entry("ddr", "stage-cutoff", "completed_stage", "stages after the cutoff remove data", stage, "cutoff"),
    entry("ddr", "stage-before-cutoff", "completed_stage", "the stage at the cutoff does not", stage, "before cutoff"),
    entry("ddr", "stage-from-zero", "completed_stage", "epochs are counted from 0", stage, "from zero"),
    entry("ddr", "keep-easy", "ddr_keep", "the easiest samples stay", keep_samples, "easy stay"),
    entry("ddr", "keep-ties", "ddr_keep", "among equals the highest index goes first", keep_samples, "highest first"),
    entry("ddr", "keep-order", "ddr_keep", "positions come by count, not ascending", keep_samples, "by count"),
    entry("dgm", "dgm-fixed", "gradient_sparsity", "q is 0.05 at every sparsity", masked_fraction, "fixed"),
    entry(
        "dgm", "dgm-zero-is-none", "gradient_sparsity", "a q of 0 is taken for none", masked_fraction, "zero is none"
    ),
    entry("dgm", "dgm-scaled", "gradient_sparsity", "a given q is scaled by 1 - s", masked_fraction, "scaled"),
    entry("dgm", "dgm-unlimited", "gradient_sparsity", "s + q is not limited to 1", masked_fraction, "unlimited"),
    entry("dgm", "silence-living", "gradient_mask", "a fraction of the living weights", silence, "of the living"),
    entry("dgm", "silence-all", "gradient_mask", "ranked among all entries, the dead too", silence, "all entries"),
    entry("dgm", "silence-percentile", "gradient_mask", "a percentile over all, not the living", silence, "percentile"),
    entry("dgm", "silence-dead", "gradient_mask", "dead weights get gradients", silence, "dead too"),
    entry("dgm", "silence-nonzero", "gradient_mask", "gradients of importance 0 are left out", silence, "nonzero only"),
    entry("dgm", "silence-ties", "gradient_mask", "ties are broken from the other end", silence, "other end"),
    Wrong(
        "refresh-from-one",
        "dgm",
        "is_refresh",
        "iterations are counted from 1",
        lambda iteration, interval: (iteration + 1) % interval == 0,
    ),
    Wrong(
        "refresh-not-first",
        "dgm",
        "is_refresh",
        "the first iteration does not refresh",
        lambda iteration, interval: iteration > 0 and iteration % interval == 0,
    ),
    entry("dgm", "step-already-masked", "dgm_step", "importance of already masked gradients", step, "already masked"),
    entry("dgm", "step-of-total", "dgm_step", "importance of the summed gradient", step, "of the total"),
    entry("dgm", "step-current-only", "dgm_step", "importance of the current batch alone", step, "current only"),
    entry("dgm", "step-swapped", "dgm_step", "alpha and beta are swapped", step, "swapped"),
    entry("dgm", "step-narrows", "dgm_step", "a refresh only narrows the mask in force", step, "narrows"),
    entry("dgm", "step-late", "dgm_step", "refreshed one iteration late", step, "late"),
    entry("dgm", "step-no-mask", "dgm_step", "no mask between refreshes", step, "no mask between"),
    entry("dgm", "step-product", "dgm_step", "the mask is multiplied, which leaves -0.0 and NaN", step, "product"),
)
