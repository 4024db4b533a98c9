"""How many weights live: budgets of one layer and of a network."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

import numpy as np

from sparcl_ref import masks
from sparcl_ref.masks import budget, exact
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead

SPARSITY = Argument("sparsity", 'str, a decimal such as "0.75": fraction of dead weights, limited to 0..1')
SECTION = "SparCL, section 3 (task-aware dynamic masking), budgets"


def _limited(sparsity):
    return min(max(exact(sparsity), Fraction(0)), Fraction(1))


def _budget(count, share=lambda s: 1 - _limited(s)):
    """The budget counted otherwise from n and the share of the living, or from another share of the sparsity."""
    return lambda n, sparsity: {"active": count(n, share(sparsity))}


def _half_up(n, share):
    return math.floor(share * n + Fraction(1, 2))


def budgets(shapes, sparsity, kind):
    return masks.budgets([tuple(shape) for shape in shapes], sparsity, kind)


def _uncapped(shapes, sparsity):
    """ERK densities with eps solved once."""
    sizes = [math.prod(shape) for shape in shapes]
    eps = (1 - exact(sparsity)) * sum(sizes) / sum(sum(shape) for shape in shapes)
    return [eps * Fraction(sum(shape), size) for shape, size in zip(shapes, sizes, strict=True)]


def _erk_budgets(limit, shapes, sparsity, kind):
    pairs = zip(_uncapped(shapes, sparsity), shapes, strict=True)
    active = [math.floor(min(d, limit) * math.prod(shape) + Fraction(1, 2)) for d, shape in pairs]
    return {"active": active} if kind == "erk" else {}


def erk_densities(shapes, sparsity):
    return [float(density) for density in masks.erk_densities([tuple(shape) for shape in shapes], sparsity)]


def _densities(limit):
    return lambda shapes, sparsity: {"densities": [float(min(d, limit)) for d in _uncapped(shapes, sparsity)]}


def _kernel_ignored(shapes, sparsity, **_):
    flat = [tuple(shape[:2]) for shape in shapes]
    raw = [Fraction(sum(shape), math.prod(shape)) for shape in flat]
    sizes = [math.prod(shape) for shape in shapes]
    eps = (1 - exact(sparsity)) * sum(sizes) / sum(r * n for r, n in zip(raw, sizes, strict=True))
    capped = max(eps * r for r in raw) >= 1
    return {} if capped else {"densities": [float(eps * r) for r in raw]}


_AT_LEAST_ONE = Mistake(
    "at least one weight lives", lambda right, **given: {"active": np.maximum(right(**given)["active"], 1)},
    of_right=True,
)  # fmt: skip


FUNCTIONS = (
    specify("budget", "masks", budget, SECTION,
        "of n weights floor((1 - s) n + 1/2) live, in exact decimals: a half rounds up, and s is the decimal as "
        "written",
        Argument("n", "int: weights of the layer"), SPARSITY, exactly("active", "int: living weights"),
        Mistake("the dead counted instead of the living", _budget(_half_up, _limited)),
        Mistake("floor without the half", _budget(lambda n, share: math.floor(share * n))),
        Mistake("a half rounded to the even neighbour", _budget(lambda n, share: round(share * n))),
        Mistake("the dead rounded half up, not the living", _budget(lambda n, share: n - _half_up(n, 1 - share))),
        Mistake("the living rounded up", _budget(lambda n, share: math.ceil(share * n))),
        Mistake("binary floating point instead of the decimal as written",
            _budget(_half_up, lambda s: 1 - float(_limited(s)))),
        Mistake("binary floating point instead of the decimal as written",
            _budget(_half_up, lambda s: 1 - float(exact(s)))),
        Mistake("rounded to the nearest in floating point: halves to even, decimals in binary",
            _budget(lambda n, share: round(share * n), lambda s: 1 - float(_limited(s)))),
        Mistake("floor without the half, of a product in floating point",
            _budget(lambda n, share: math.floor(share * n), lambda s: 1 - float(_limited(s)))),
        _AT_LEAST_ONE,
        Mistake("a sparsity outside 0..1 not limited to it", _budget(_half_up, lambda s: 1 - exact(s))),
        Mistake("the number of the dead, not of the living",
            lambda n, sparsity: {"active": n - budget(n, sparsity)}),
    ),
    specify("budgets", "masks", budgets, f"{SECTION}; Evci et al., RigL, 2020",
        "uniform budgets give every layer one sparsity, ERK each layer its density, global one number for all weights",
        Argument("shapes", "list of list of int: weight shapes (out, in, kh, kw) or (out, in), in network order"),
        SPARSITY, Argument("kind", 'str: "uniform", "erk" or "global"', "uniform"),
        exactly("active", 'int (layers,), or (1,) for "global"'),
        instead("uniform budgets whatever the kind", kind="uniform"),
        _AT_LEAST_ONE,
        Mistake("ERK without the cap at density 1", partial(_erk_budgets, math.inf)),
        Mistake("ERK capped at density 1 without solving eps again for the rest", partial(_erk_budgets, 1)),
        Mistake("densities rounded down to weights",
            lambda shapes, sparsity, kind: {"active": [
                int(d * math.prod(shape))
                for d, shape in zip(masks.erk_densities(list(map(tuple, shapes)), sparsity), shapes, strict=True)]}),
        uses=("budget", "erk_densities"),
    ),
    specify("erk_densities", "masks", erk_densities, "Evci et al., RigL, 2020, Erdos-Renyi-kernel",
        "a layer's density is eps (sum of its dimensions) / (product of its dimensions); layers that would pass 1 "
        "are dense and eps is solved again for the rest, so that (1 - s) of all weights live",
        Argument("shapes", "list of list of int: weight shapes"), SPARSITY,
        Output("densities", "float (layers,), each in 0..1"),
        Mistake("ERK without the cap at density 1", _densities(math.inf)),
        Mistake("ERK capped at density 1 without solving eps again for the rest", _densities(1)),
        Mistake("Erdos-Renyi densities that ignore the kernel's sides", _kernel_ignored),
    ),
)  # fmt: skip
