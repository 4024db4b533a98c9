"""Of data that leave, gradients that count, and the step."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from tests.tutorials.wrong_answers.common import RIGHT, said


@said("+= through an index array")
def misclassification_counts(samples, positions, correct):
    counts = np.zeros(samples, dtype=int)
    counts[positions] += ~correct
    return counts


@said("correct presentations counted instead of wrong ones")
def misclassification_counts(samples, positions, correct):
    return np.bincount(positions[correct], minlength=samples)


@said("has shape")
def misclassification_counts(samples, positions, correct):
    return np.bincount(positions[~correct])


@said("a fraction of what is left instead of the task's size")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    sizes = [samples]
    for _ in range(cutoff):
        sizes.append(sizes[-1] - floor(Fraction(rho) * sizes[-1] / cutoff + Fraction(1, 2)))
    return sizes


@said("each stage rounded by itself instead of the total")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    each = floor(Fraction(rho) * samples / cutoff + Fraction(1, 2))
    return [samples - each * stage for stage in range(cutoff + 1)]


@said("binary floating point instead of the decimal as written")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    return [samples - floor(float(rho) * samples * stage / cutoff + 0.5) for stage in range(cutoff + 1)]


@said("has shape")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    return RIGHT["ddr_sizes"](samples, rho=rho, cutoff=cutoff)[1:]


@said("a stage that the task ends with removes data, too")
def completed_stage(epoch, epochs, delta_k=5, cutoff=4):
    stage, rest = divmod(epoch, delta_k)
    return stage if rest == 0 and stage <= cutoff else -1


@said("the cutoff ignored")
def completed_stage(epoch, epochs, delta_k=5, cutoff=4):
    stage, rest = divmod(epoch, delta_k)
    return stage if rest == 0 and epoch < epochs else -1


@said("a slice [-k:] that takes everything for k = 0")
def ddr_keep(counts, keep):
    return np.sort(np.argsort(counts, kind="stable")[-keep:])


@said("positions by count instead of ascending")
def ddr_keep(counts, keep):
    return np.argsort(counts, kind="stable")[len(counts) - keep :]


@said("the samples misclassified least kept")
def ddr_keep(counts, keep):
    return np.sort(np.argsort(counts, kind="stable")[:keep])


@said("the size of the gradients' sum instead of the sum of their sizes")
def cgi(grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(alpha * grad_current + beta * grad_buffer)


@said("alpha and beta exchanged")
def cgi(grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return beta * np.abs(grad_current) + alpha * np.abs(grad_buffer)


@said("q = 0.2 instead of 0.2 (1 - s)")
def gradient_sparsity(sparsity, q=None):
    return min(float(sparsity) + (0.2 if q is None else float(q)), 1.0)


@said("q = 0 taken for none given")
def gradient_sparsity(sparsity, q=None):
    s = Fraction(sparsity)
    return float(min(s + (Fraction(q or 0) or (1 - s) / 5), 1))


@said("s + q not limited to 1")
def gradient_sparsity(sparsity, q=None):
    s = Fraction(sparsity)
    return float(s + ((1 - s) / 5 if q is None else Fraction(q)))


@said("s + q taken of the living weights instead of the whole layer")
def gradient_mask(mask, importance, sparsity):
    living = np.count_nonzero(mask)
    return RIGHT["shrink"](mask, importance, RIGHT["budget"](living, sparsity))


@said("cannot keep")
def gradient_mask(mask, importance, sparsity):
    return RIGHT["shrink"](mask, importance, RIGHT["budget"](mask.size, sparsity))


def sgd(given, **changes):
    return RIGHT["sgd_step"](**given | changes)


def _both(mask, grad_mask, shape):
    mask = np.ones(shape, dtype=bool) if mask is None else mask
    return mask, mask if grad_mask is None else grad_mask


@said("velocity not masked: it lives on at dead entries")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    mask, formed = _both(mask, grad_mask, value.shape)
    g = np.where(formed, grad, 0.0) + weight_decay * value
    velocity = momentum * velocity + g
    step = g + momentum * velocity if nesterov else velocity
    return np.where(mask, value - lr * step, 0.0), velocity


@said("the gradient mask stops momentum and weight decay as well")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    new, moved = sgd(locals())
    mask, formed = _both(mask, grad_mask, value.shape)
    return np.where(mask & ~formed, value, new), np.where(mask & ~formed, velocity, moved)


@said("as a product with a mask leaves it")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    mask, formed = _both(mask, grad_mask, value.shape)
    g = np.where(formed, grad, 0.0) + weight_decay * value
    velocity = momentum * velocity + g
    step = g + momentum * velocity if nesterov else velocity
    return (value - lr * step) * mask, velocity * mask


@said("the gradient mask ignored")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    return sgd(locals(), grad_mask=None)
