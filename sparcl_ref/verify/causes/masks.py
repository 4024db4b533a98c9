"""Known mistakes in rules for masks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from sparcl_ref.masks import erk_densities as capped_densities
from sparcl_ref.masks import exact
from sparcl_ref.verify.adapters import numpy_rules as right
from sparcl_ref.verify.causes.cause import Cause, instead

_EXCHANGE = ("value", "velocity", "mask")


def _living_share(given):
    return (1 - _limited(given["sparsity"])) * given["n"]


def _limited(sparsity):
    return min(max(exact(sparsity), Fraction(0)), Fraction(1))


def _budget(count):
    return lambda **given: {"active": count(given)}


def _uncapped(shapes, sparsity):
    """ERK densities with eps solved once."""
    sizes = [math.prod(shape) for shape in shapes]
    eps = (1 - exact(sparsity)) * sum(sizes) / sum(sum(shape) for shape in shapes)
    return [eps * Fraction(sum(shape), size) for shape, size in zip(shapes, sizes, strict=True)]


def _densities(limit):
    return lambda shapes, sparsity: {"densities": [float(min(d, limit)) for d in _uncapped(shapes, sparsity)]}


def _erk_budgets(limit):
    def outputs(shapes, sparsity, kind):
        if kind != "erk":
            raise ValueError("another kind")
        pairs = zip(_uncapped(shapes, sparsity), shapes, strict=True)
        return {"active": [math.floor(min(d, limit) * math.prod(shape) + Fraction(1, 2)) for d, shape in pairs]}

    return outputs


def _kernel_ignored(shapes, sparsity, **_):
    flat = [tuple(shape[:2]) for shape in shapes]
    raw = [Fraction(sum(shape), math.prod(shape)) for shape in flat]
    sizes = [math.prod(shape) for shape in shapes]
    eps = (1 - exact(sparsity)) * sum(sizes) / sum(r * n for r, n in zip(raw, sizes, strict=True))
    if max(eps * r for r in raw) >= 1:
        raise ValueError("a cap would bind")
    return {"densities": [float(eps * r) for r in raw]}


def _kept(order, candidates=None):
    """A selection with another order, or from other candidates."""

    def outputs(mask, importance, active):
        among = np.flatnonzero(mask) if candidates is None else candidates(mask)
        kept = np.zeros(mask.size, dtype=bool)
        kept[among[order(importance.reshape(-1)[among])[:active]]] = True
        return {"mask": kept.reshape(mask.shape)}

    return outputs


def falling(scores):
    return np.argsort(-scores, kind="stable")


def last_first(scores):
    return len(scores) - 1 - np.argsort(-scores[::-1], kind="stable")


def rising(scores):
    return np.argsort(scores, kind="stable")


def _everywhere(mask):
    return np.arange(mask.size)


def _gradient_kept(order, candidates=None):
    """`_kept`, with the budget of gradient masks."""

    def outputs(mask, importance, sparsity):
        count = min(np.count_nonzero(mask), right.budget(mask.size, sparsity))
        return _kept(order, candidates)(mask, importance, count)

    return outputs


def _share_of_the_living(mask, importance, sparsity):
    count = right.budget(int(np.count_nonzero(mask)), sparsity)
    return {"mask": right.gradient_mask(mask, importance, "0") & right.shrink(mask, importance, count)}


def _fortran(shape, flat):
    mask = np.zeros(math.prod(shape), dtype=bool)
    mask[flat] = True
    return mask.reshape(shape, order="F")


def _among_the_dead(mask, active, joining):
    dead = np.flatnonzero(~mask)
    return {"mask": mask | right.random_mask(mask.shape, len(joining), dead[joining])}


def _removed_keep_velocity(**given):
    found = instead(right.exchange, *_EXCHANGE)(**given)
    return found | {"velocity": np.where(given["mask"], given["velocity"], 0.0)}


def _multiplied(value, grad, velocity, mask):
    return {"value": value * mask, "grad": grad * mask, "velocity": velocity * mask}


def _untouched(name):
    def outputs(**given):
        found = instead(right.apply_mask, "value", "grad", "velocity")(**given)
        return found | {name: given[name]}

    return outputs


def _not_zeroed(*names):
    """Weights that were removed and redrawn keep what they had."""

    def outputs(**given):
        found = instead(right.exchange, *_EXCHANGE)(**given)
        for name in names:
            found[name] = np.where(found["mask"] & given["mask"], given[name], found[name])
        return found

    return outputs


_CHOICES = (
    ("ties broken from the other end", last_first, None),
    ("the least important kept instead of the most important", rising, None),
    ("dead entries compete and return", falling, _everywhere),
)

CAUSES = (
    Cause("budget", "floor without the half", _budget(lambda given: math.floor(_living_share(given)))),
    Cause("budget", "a half rounded to the even neighbour", _budget(lambda given: round(_living_share(given)))),
    Cause("budget", "the dead rounded half up, not the living",
          _budget(lambda given: given["n"] - math.floor(_limited(given["sparsity"]) * given["n"] + Fraction(1, 2)))),
    Cause("budget", "the living rounded up", _budget(lambda given: math.ceil(_living_share(given)))),
    *(Cause("budget", "binary floating point instead of the decimal as written",
            _budget(lambda given, read=read: math.floor((1 - float(read(given["sparsity"]))) * given["n"] + 0.5)))
      for read in (_limited, exact)),
    Cause("budget", "a sparsity outside 0..1 not limited to it",
          _budget(lambda given: math.floor((1 - exact(given["sparsity"])) * given["n"] + Fraction(1, 2)))),
    Cause("budget", "the number of the dead, not of the living",
          _budget(lambda given: given["n"] - right.budget(given["n"], given["sparsity"]))),
    Cause("budgets", "uniform budgets whatever the kind",
          instead(right.budgets, "active", kind=lambda given: "uniform")),
    Cause("budgets", "ERK without the cap at density 1", _erk_budgets(math.inf)),
    Cause("budgets", "ERK capped at density 1 without solving eps again for the rest", _erk_budgets(1)),
    Cause("budgets", "densities rounded down to weights",
          lambda shapes, sparsity, kind: {"active": [
              int(d * math.prod(shape))
              for d, shape in zip(capped_densities(list(map(tuple, shapes)), sparsity), shapes, strict=True)]}),
    Cause("erk_densities", "ERK without the cap at density 1", _densities(math.inf)),
    Cause("erk_densities", "ERK capped at density 1 without solving eps again for the rest", _densities(1)),
    Cause("erk_densities", "Erdos-Renyi densities that ignore the kernel's sides", _kernel_ignored),
    Cause("random_mask", "flat indices in Fortran order",
          lambda shape, active, chosen: {"mask": _fortran(shape, chosen)}),
    *(Cause("shrink", sentence, _kept(order, candidates)) for sentence, order, candidates in _CHOICES),
    *(Cause("gradient_mask", sentence, _gradient_kept(order, candidates)) for sentence, order, candidates in _CHOICES),
    Cause("gradient_mask", "s + q taken of the living weights instead of the whole layer", _share_of_the_living),
    Cause("grow", "flat indices in Fortran order",
          lambda mask, active, joining: {"mask": mask | _fortran(mask.shape, joining)}),
    Cause("grow", "the entries that join alone, without those that live",
          lambda mask, active, joining: {"mask": right.random_mask(mask.shape, len(joining), joining)}),
    Cause("grow", "indices taken for places among the dead entries", _among_the_dead),
    Cause("apply_mask", "multiplied by the mask, which leaves -0.0 and NaN", _multiplied),
    Cause("apply_mask", "mask not applied to the velocity", _untouched("velocity")),
    Cause("apply_mask", "mask not applied to the gradient", _untouched("grad")),
    Cause("apply_mask", "mask not applied to the value", _untouched("value")),
    Cause("exchange", "velocity of redrawn weights not zeroed", _not_zeroed("velocity")),
    Cause("exchange", "value of redrawn weights not zeroed", _not_zeroed("value")),
    Cause("exchange", "redrawn weights keep value and velocity", _not_zeroed("value", "velocity")),
    Cause("exchange", "removed weights keep their velocity", _removed_keep_velocity),
)  # fmt: skip
