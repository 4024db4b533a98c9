"""Of masks and their calendar."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from tests.tutorials.wrong_answers.common import RIGHT, said


@said("multiplied by the mask, which leaves -0.0 and NaN")
def apply_mask(value, grad, velocity, mask):
    return value * mask, grad * mask, velocity * mask


@said("mask not applied to the velocity")
def apply_mask(value, grad, velocity, mask):
    return np.where(mask, value, 0.0), np.where(mask, grad, 0.0), velocity


@said("binary floating point instead of the decimal as written")
def budget(n, sparsity):
    return floor((1 - min(max(float(sparsity), 0), 1)) * n + 0.5)


@said("a half rounded to the even neighbour")
def budget(n, sparsity):
    return round((1 - min(max(Fraction(sparsity), 0), 1)) * n)


@said("floor without the half")
def budget(n, sparsity):
    return floor((1 - min(max(Fraction(sparsity), 0), 1)) * n)


@said("the dead counted instead of the living")
def budget(n, sparsity):
    return floor(min(max(Fraction(sparsity), 0), 1) * n + Fraction(1, 2))


@said("has true and false exchanged")
def random_mask(shape, active, chosen):
    mask = np.ones(shape, dtype=bool)
    mask.flat[chosen] = False
    return mask


@said("flat indices in Fortran order")
def random_mask(shape, active, chosen):
    mask = np.zeros(int(np.prod(shape)), dtype=bool)
    mask[chosen] = True
    return mask.reshape(shape, order="F")


@said("indices are not sorted")
def random_mask(shape, active, chosen):
    mask = np.zeros(shape, dtype=bool)
    mask.flat[:active] = True
    return mask


@said("dead entries compete and return")
def shrink(mask, importance, active):
    kept = np.zeros_like(mask)
    kept.flat[np.argsort(-importance, axis=None, kind="stable")[:active]] = True
    return kept


@said("ties broken from the other end")
def shrink(mask, importance, active):
    living = np.flatnonzero(mask)
    kept = np.zeros_like(mask)
    order = np.argsort(importance.flat[living], kind="stable")
    kept.flat[living[order[len(living) - active :]]] = True
    return kept


@said("the least important kept instead of the most important")
def shrink(mask, importance, active):
    living = np.flatnonzero(mask)
    kept = np.zeros_like(mask)
    kept.flat[living[np.argsort(importance.flat[living], kind="stable")[:active]]] = True
    return kept


@said("indices taken for places among the dead entries")
def grow(mask, active, joining):
    grown = mask.copy()
    dead = np.flatnonzero(~mask)
    grown.flat[dead[joining]] = True
    return grown


@said("the entries that join alone, without those that live")
def grow(mask, active, joining):
    grown = np.zeros_like(mask)
    grown.flat[joining] = True
    return grown


@said("plain magnitude: the gradients are left out, or zero")
def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight)


@said("the size of the gradients' sum instead of the sum of their sizes")
def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight) + np.abs(alpha * grad_current + beta * grad_buffer)


@said("alpha and beta exchanged")
def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight) + beta * np.abs(grad_current) + alpha * np.abs(grad_buffer)


def actions(task, epoch, sparsity, delta_k, p_inter, p_intra):
    return RIGHT["tdm_actions"](task, epoch, sparsity, delta_k, p_inter, p_intra)


@said("an expansion before the first task, too")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    return actions(max(task, 2), epoch, sparsity, delta_k, p_inter, p_intra)


@said("nothing joins after a shrink")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    kinds, targets = actions(task, epoch, sparsity, delta_k, p_inter, p_intra)
    count = 1 if epoch % delta_k == 0 else len(kinds)
    return kinds[:count], targets[:count]


@said("epochs counted from 0")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    return actions(task, epoch + 1, sparsity, delta_k, p_inter, p_intra)


@said("targets that are not limited to 0..1")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    kinds, _ = actions(task, epoch, sparsity, delta_k, p_inter, p_intra)
    s = Fraction(sparsity)
    if epoch % delta_k == 0:
        return kinds, np.array([float(s + Fraction(p_intra)), float(s)])
    return kinds, np.full(len(kinds), float(s - Fraction(p_inter)))
