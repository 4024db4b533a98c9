"""Budgets: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from tests import exact
from tests.torch_twin import masks
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _budget()
    yield from _budgets()
    yield from _erk_densities()


#: A small network whose middle layers are small enough for ERK to make some of them dense.
SHAPES = [[8, 3, 3, 3], [8, 8, 3, 3], [16, 8, 3, 3], [16, 16, 3, 3], [4, 16]]


def _budget() -> Iterator[CaseSpec]:
    for name, kind, n, sparsity, note in (
        ("resnet-layer", "regular", 147456, "0.75", "a layer of ResNet-18 at the published sparsity"),
        ("fraction-above-half", "regular", 7, "0.75", "1.75 weights: rounding down gives 1"),
        ("fraction-below-half", "regular", 9, "0.75", "2.25 weights: rounding up gives 3"),
        ("half-up", "adversarial", 10, "0.75", "2.5 weights: rounding half to even gives 2"),
        ("decimal", "adversarial", 5, "0.9",
         "0.5 weights: in floating point (1 - 0.9) * 5 is below a half and gives 0"),
        ("decimal-shifted", "adversarial", 100, "0.905", "9.5 weights: floating point is below a half"),
        ("large-odd", "adversarial", 33554433, "0.5", "float32 has no digit left for the half"),
        ("dense", "edge", 7, "0", "nothing is dead"),
        ("empty", "edge", 7, "1", "nothing lives"),
        ("no-weights", "edge", 0, "0.5", "a layer without weights"),
        ("almost-empty", "edge", 1000, "0.9995", "half a weight rounds up to one"),
        ("beyond-one", "edge", 1000, "1.005", "sparsity is limited to 1; a negative count is none"),
        ("small-fraction", "regular", 13, "0.9", "1.3 weights: rounding up gives 2"),
        ("beyond-float64", "adversarial", 2**53 + 1, "0", "float64 has no digit left for one weight"),
        ("beyond-float64-again", "adversarial", 2**56 + 2, "0.5", "float64 has no digit left for one weight"),
        ("odd-half", "adversarial", 6, "0.75", "1.5 weights: the living are rounded, not the dead, and to even agrees"),
        ("below-zero", "edge", 1000, "-0.01", "sparsity is limited to 0; more than all cannot live"),
    ):  # fmt: skip
        yield CaseSpec("budget", name, kind, note, {"n": n, "sparsity": sparsity}, "paper")


def _budgets() -> Iterator[CaseSpec]:
    for name, kind, shapes, sparsity, budgets, note in (
        ("uniform", "regular", SHAPES, "0.75", "uniform", "each layer rounds for itself"),
        ("erk", "regular", SHAPES, "0.95", "erk", "densities differ between layers; no layer is dense"),
        ("erk-capped", "adversarial", SHAPES, "0.5", "erk",
         "without the cap a layer has more living weights than weights"),
        ("erk-capped-twice", "adversarial", SHAPES, "0.25", "erk",
         "solving again after the cap makes another layer dense"),
        ("global", "regular", SHAPES, "0.9", "global", "one number for all weights, rounded once"),
        ("global-half", "adversarial", [[2, 5], [3, 5]], "0.9", "global",
         "2.5 weights: rounded per layer there are 3 too"),
        ("global-rounding", "adversarial", [[5], [5], [5]], "0.9", "global",
         "1.5 rounds to 2; layer by layer 3 would live"),
        ("uniform-decimal", "adversarial", [[5], [5], [5]], "0.9", "uniform", "half a weight in each layer rounds up"),
        ("erk-dense", "edge", SHAPES, "0", "erk", "every layer is dense"),
        ("erk-empty", "edge", SHAPES, "1", "erk", "no layer has weights"),
        ("global-again", "adversarial", [[7], [7], [7]], "0.75", "global",
         "5.25 rounds to 5; layer by layer 6 would live"),
        ("uniform-empty-layers", "edge", [[3], [40], [2, 1]], "0.9", "uniform", "0.3 and 0.2 weights are none"),
        ("global-empty", "edge", [[2], [3]], "0.95", "global", "a quarter of a weight is none"),
        ("uniform-one-layer", "edge", [[10]], "0.75", "uniform", "one layer, 2.5 weights"),
    ):  # fmt: skip
        yield CaseSpec("budgets", name, kind, note, {"shapes": shapes, "sparsity": sparsity, "kind": budgets}, "paper")


def _erk_densities() -> Iterator[CaseSpec]:
    for name, kind, shapes, sparsity, note in (
        ("free", "regular", SHAPES, "0.95", "no layer reaches 1: one eps for all"),
        ("capped", "adversarial", SHAPES, "0.5", "densities above 1 without the cap"),
        ("capped-twice", "adversarial", SHAPES, "0.25", "one capping is not enough: eps is solved until none passes"),
        ("linear", "regular", [[100, 784], [10, 100]], "0.99", "linear layers have two dimensions"),
        ("free-again", "regular", [[32, 16, 3, 3], [32, 32, 3, 3], [10, 32]], "0.9", "kernels of two sizes"),
        ("dense", "edge", SHAPES, "0", "all 1"),
        ("one-layer", "edge", [[16, 16, 3, 3]], "0.75", "a single layer has the density asked for"),
    ):
        yield CaseSpec("erk_densities", name, kind, note, {"shapes": shapes, "sparsity": sparsity}, "paper")


# --- oracle -----------------------------------------------------------------------------------------------------------


def budget(a: Arguments) -> Result:
    """Integer arithmetic on the decimal as written."""
    return {"active": exact.living(a["n"], a["sparsity"])}, {}


def named(shapes: list[list[int]]) -> dict[str, tuple[int, ...]]:
    return {f"layer{k}": tuple(shape) for k, shape in enumerate(shapes)}


def budgets(a: Arguments) -> Result:
    """The PyTorch twin, in exact fractions."""
    counts = masks.budgets(named(a["shapes"]), a["sparsity"], a["kind"])
    return {"active": np.array(list(counts.values()), dtype=np.int64)}, {}


def erk_densities(a: Arguments) -> Result:
    """The PyTorch twin, in exact fractions."""
    shapes = named(a["shapes"])
    densities = masks.erk_densities(shapes, a["sparsity"])
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    wanted = exact.living(sum(sizes.values()), a["sparsity"])
    # eps is a difference of weight counts over a sum of dimensions: what cancels there is at most all weights.
    free = sum(sum(shapes[name]) for name, density in densities.items() if density < 1) or sum(sizes.values())
    steepest = max(sum(shape) / sizes[name] for name, shape in shapes.items())
    magnitude = max(1.0, steepest * (wanted + sum(sizes.values())) / free)
    tolerance = Tolerance(len(shapes) + 4, magnitude, "weights less those of dense layers, over a sum of dimensions")
    return {"densities": np.array([float(density) for density in densities.values()])}, {"densities": tolerance}


ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in (budget, budgets, erk_densities)}


# --- wrong implementations --------------------------------------------------------------------------------------------


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


def without_erk(shapes, sparsity, kind):
    """Right; ERK is left out."""
    if kind == "erk":
        raise NotImplementedError
    return right_budgets(shapes, sparsity, kind)


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
    Wrong("budget-floats", "budget", "the product is formed in floating point", in_floats,
        likely="binary floating point instead of the decimal as written"),
    Wrong("budget-down", "budget", "rounded down",
        lambda n, sparsity: math.floor((1 - min(max(Fraction(sparsity), 0), 1)) * n), likely="floor without the half"),
    Wrong("budget-float-down", "budget", "Python's int of a product of floats",
        lambda n, sparsity: int((1 - min(max(float(sparsity), 0.0), 1.0)) * n),
        likely="floor without the half, of a product in floating point"),
    Wrong("budget-half-even", "budget", "halves are rounded to even",
        lambda n, sparsity: round((1 - min(max(Fraction(sparsity), 0), 1)) * n),
        likely="a half rounded to the even neighbour"),
    Wrong("budget-float-even", "budget", "Python's round of a product of floats",
        lambda n, sparsity: round((1 - min(max(float(sparsity), 0.0), 1.0)) * n),
        likely="rounded to the nearest in floating point: halves to even, decimals in binary"),
    Wrong("budget-unlimited", "budget", "sparsities outside 0..1 are not limited", unlimited,
        likely="a sparsity outside 0..1 not limited to it"),
    Wrong("budget-dead", "budget", "the dead are rounded, the living are what is left",
        lambda n, sparsity: n - count(n, 1 - min(max(Fraction(sparsity), 0), 1)),
        likely="the dead rounded half up, not the living"),
    Wrong("budget-float32", "budget", "weights are counted in float32",
        lambda n, sparsity: int(np.float32(count(n, sparsity)))),
    Wrong("budget-float64", "budget", "weights are counted in float64",
        lambda n, sparsity: int(float(count(n, sparsity)))),
    Wrong("budget-at-least-one", "budget", "at least one weight lives",
        lambda n, sparsity: max(1, count(n, sparsity)), likely="at least one weight lives"),
    Wrong("budgets-at-least-one", "budgets", "at least one weight of each layer lives",
        lambda **given: [max(1, active) for active in without_erk(**given)], likely="at least one weight lives"),
    Wrong("budgets-erk-uncapped", "budgets", "ERK without the cap", partial(by_density, cap=False),
        likely="ERK without the cap at density 1"),
    Wrong("budgets-erk-clipped", "budgets", "ERK clipped, so that too few live", partial(by_density, cap=True),
        likely="ERK capped at density 1 without solving eps again for the rest"),
    Wrong("budgets-by-layer", "budgets", "a global budget is the sum of the layers' budgets", layer_by_layer),
    Wrong("erk-uncapped", "erk_densities", "ERK without the cap",
        lambda **a: [float(d) for d in densities(**a, cap=False)], likely="ERK without the cap at density 1"),
    Wrong("erk-clipped", "erk_densities", "densities are clipped at 1 and eps is not solved again",
        lambda **a: [float(d) for d in densities(**a, cap=True)],
        likely="ERK capped at density 1 without solving eps again for the rest"),
    Wrong("erk-one-round", "erk_densities", "eps is solved again only once", solved_once_more),
    Wrong("erk-no-kernel", "erk_densities", "kernel sides do not count as dimensions", kernels_forgotten),
)  # fmt: skip
