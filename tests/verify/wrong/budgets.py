"""Wrong budgets."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

from tests.verify.wrong.entry import Wrong


def count(n, sparsity):
    return math.floor((1 - min(max(Fraction(sparsity), 0), 1)) * n + Fraction(1, 2))


def in_floats(n, sparsity):
    return math.floor((1 - min(max(float(sparsity), 0.0), 1.0)) * n + 0.5)


def unlimited(n, sparsity):
    return math.floor((1 - Fraction(sparsity)) * n + Fraction(1, 2))


def densities(shapes, sparsity, *, cap):
    sizes = [math.prod(shape) for shape in shapes]
    wanted = (1 - Fraction(sparsity)) * sum(sizes)
    eps = wanted / sum(sum(shape) for shape in shapes)
    found = [eps * sum(shape) / size for shape, size in zip(shapes, sizes, strict=True)]
    return [min(density, Fraction(1)) for density in found] if cap else found


def solved_once_more(shapes, sparsity):
    """After the first capping the rest is solved again, and clipped."""
    sizes = [math.prod(shape) for shape in shapes]
    first = densities(shapes, sparsity, cap=True)
    dense = {i for i, density in enumerate(first) if density == 1}
    free = [i for i in range(len(shapes)) if i not in dense]
    left = (1 - Fraction(sparsity)) * sum(sizes) - sum(sizes[i] for i in dense)
    eps = left / sum(sum(shapes[i]) for i in free) if free else 0
    return [1.0 if i in dense else min(1.0, float(eps * sum(shapes[i]) / sizes[i])) for i in range(len(shapes))]


def by_density(shapes, sparsity, kind, *, cap):
    if kind != "erk":
        return right_budgets(shapes, sparsity, kind)
    pairs = zip(shapes, densities(shapes, sparsity, cap=cap), strict=True)
    return [math.floor(math.prod(shape) * density + Fraction(1, 2)) for shape, density in pairs]


def right_budgets(shapes, sparsity, kind):
    sizes = [math.prod(shape) for shape in shapes]
    return [count(sum(sizes), sparsity)] if kind == "global" else [count(size, sparsity) for size in sizes]


def layer_by_layer(shapes, sparsity, kind):
    """Global budgets as the sum of uniform ones; ERK is left out."""
    if kind == "erk":
        raise NotImplementedError
    each = [count(math.prod(shape), sparsity) for shape in shapes]
    return [sum(each)] if kind == "global" else each


def kernels_forgotten(shapes, sparsity):
    """Erdos-Renyi: the sides of the kernel do not count among the dimensions."""
    flat = [shape[:2] for shape in shapes]
    sizes = [math.prod(shape) for shape in shapes]
    raw = [Fraction(sum(sides), math.prod(sides)) for sides in flat]
    dense: set[int] = set()
    wanted = (1 - Fraction(sparsity)) * sum(sizes)
    while free := [i for i in range(len(shapes)) if i not in dense]:
        eps = (wanted - sum(sizes[i] for i in dense)) / sum(raw[i] * sizes[i] for i in free)
        over = {i for i in free if eps * raw[i] >= 1}
        if not over:
            break
        dense |= over
    return [1.0 if i in dense else float(eps * raw[i]) for i in range(len(shapes))]


WRONG = (
    Wrong("budget-floats", "masks", "budget", "the product is formed in floating point", in_floats),
    Wrong(
        "budget-down",
        "masks",
        "budget",
        "rounded down",
        lambda n, sparsity: math.floor((1 - min(max(Fraction(sparsity), 0), 1)) * n),
    ),
    Wrong(
        "budget-half-even",
        "masks",
        "budget",
        "halves are rounded to even",
        lambda n, sparsity: round((1 - min(max(Fraction(sparsity), 0), 1)) * n),
    ),
    Wrong("budget-unlimited", "masks", "budget", "sparsities outside 0..1 are not limited", unlimited),
    Wrong(
        "budget-dead",
        "masks",
        "budget",
        "the dead are rounded, the living are what is left",
        lambda n, sparsity: n - count(n, 1 - min(max(Fraction(sparsity), 0), 1)),
    ),
    Wrong(
        "erk-uncapped",
        "masks",
        "erk_densities",
        "ERK without the cap",
        lambda **a: [float(d) for d in densities(**a, cap=False)],
    ),
    Wrong(
        "erk-clipped",
        "masks",
        "erk_densities",
        "densities are clipped at 1 and eps is not solved again",
        lambda **a: [float(d) for d in densities(**a, cap=True)],
    ),
    Wrong("erk-one-round", "masks", "erk_densities", "eps is solved again only once", solved_once_more),
    Wrong("erk-no-kernel", "masks", "erk_densities", "kernel sides do not count as dimensions", kernels_forgotten),
    Wrong("budgets-erk-uncapped", "masks", "budgets", "ERK without the cap", partial(by_density, cap=False)),
    Wrong(
        "budgets-erk-clipped", "masks", "budgets", "ERK clipped, so that too few live", partial(by_density, cap=True)
    ),
    Wrong("budgets-by-layer", "masks", "budgets", "a global budget is the sum of the layers' budgets", layer_by_layer),
)
