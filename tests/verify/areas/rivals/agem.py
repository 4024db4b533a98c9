"""A-GEM: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong

#: Products of 4097^2 and -4096 4098 are 1 together; float32 rounds the first to the second and loses all eight ones.
#: An entry of g that is 0 shows a projection that rounding hides in the others.
LOST = np.array([[4097.0] * 8, [4096.0] * 8]), np.array([[4097.0] * 8, [-4098.0] * 8])
G, R = ("weight_grad", "bias_grad"), ("weight_reference", "bias_reference")


def cases() -> Iterator[CaseSpec]:
    g, b = floats("agem g", (3, 4)), floats("agem b", 3)
    r, c = floats("agem r", (3, 4)), floats("agem c", 3)
    against = float((g * r).sum() + (b * c).sum())
    sign = -1.0 if against > 0 else 1.0
    # The two parts disagree: the weights' products decide in the first, the biases' in the second.
    split_g, split_r = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[-1.0, 2.0], [0.5, -1.0]])
    for name, kind, note, arrays in [
        ("against", "regular", "divided by a length instead of its square, or by the wrong one",
         (g, b, sign * r, sign * c)),
        ("with", "regular", "a gradient that agrees keeps its bits", (g, b, -sign * r, -sign * c)),
        ("against-by-weights", "adversarial", "each layer projected by itself: the biases agree",
         (split_g, np.array([1.0, 0.5]), split_r, np.array([2.0, 0.75]))),
        ("against-by-biases", "adversarial", "each layer projected by itself: the weights agree",
         (split_g, np.array([3.0, 2.0]), -split_r, np.array([-4.0, 1.0]))),
        ("with-by-weights", "adversarial", "biases that point against: as one vector both agree",
         (split_g, np.array([0.5, 1.0]), -split_r, np.array([-2.0, 0.25]))),
        ("with-by-biases", "adversarial", "weights that point against: as one vector both agree",
         (split_g, np.array([4.0, 1.0]), split_r, np.array([3.0, 2.0]))),
        ("right-angle", "edge", "g.r = 0 exactly: nothing to take away, to the bit",
         (np.array([[1.5, 2.0]]), np.array([4.0]), np.array([[2.0, 0.5]]), np.array([-1.0]))),
        ("no-reference", "edge", "r = 0: 0 / 0 is NaN",
         (g, b, np.zeros((3, 4)), np.zeros(3))),
        ("no-gradient", "edge", "g = 0 stays", (np.zeros((2, 2)), np.zeros(2), r[:2, :2], c[:2])),
        ("opposite", "edge", "nothing is left", (g, b, -2.0 * g, -2.0 * b)),
        ("short-reference", "adversarial", "a small number added to r.r, which outweighs it",
         (g, b, sign * r * 2.0**-22, sign * c * 2.0**-22)),
        ("long-reference", "adversarial", "the length of r does not matter",
         (g, b, sign * r * 2.0**20, sign * c * 2.0**20)),
        ("agreement-that-float32-loses", "adversarial", "sums in float32: products of 25 bits round to the other sign",
         (LOST[0], np.array([2.5, 0.0]), LOST[1], np.array([-3.0, 2.0]))),
        ("conflict-that-float32-loses", "adversarial", "sums in float32: products of 25 bits round to the other sign",
         (LOST[0], np.array([2.5, 0.0]), -LOST[1], np.array([3.0, 2.0]))),
        ("scalar-bias", "edge", "an axis of length 1", (g[:1], b[:1], -g[:1] + 0.25, c[:1])),
        ("many", "adversarial", "a sum of many products in float32 in a float64 run",
         (floats("agem many", (20, 12)), b, floats("agem many r", (20, 12)) - floats("agem many", (20, 12)) / 4, c)),
    ]:  # fmt: skip
        arrays = tuple(each.astype(np.float32) for each in arrays)
        yield CaseSpec("agem_project", name, kind, note, dict(zip(G + R, arrays, strict=True)))


# --- oracle -----------------------------------------------------------------------------------------------------------


def _fractions(array: np.ndarray) -> list[Fraction]:
    return [Fraction(value) for value in array.reshape(-1).tolist()]


def agem_project(a: Arguments) -> Result:
    """Fractions: exact sums over both arrays, and one rounding at the end."""
    g, r = ([value for name in names for value in _fractions(a[name])] for names in (G, R))
    product, square = sum(x * y for x, y in zip(g, r, strict=True)), sum(y * y for y in r)
    share = product / square if product < 0 else Fraction(0)
    left = [float(x - share * y) for x, y in zip(g, r, strict=True)]
    split = a["weight_grad"].size
    outputs = {
        name: np.array(part).reshape(a[name].shape) for name, part in zip(G, (left[:split], left[split:]), strict=True)
    }
    if not share:
        return outputs, dict.fromkeys(G, Tolerance(0, 0.0, "unchanged"))
    # The share is a quotient of float64 sums: it may be off by what their terms cancel.
    reach = float(sum(abs(x * y) for x, y in zip(g, r, strict=True)) / square * max(map(abs, r)) + max(map(abs, g)))
    return outputs, dict.fromkeys(G, Tolerance(4, reach, "products over all parameters, in float64"))


ORACLES: dict[str, Oracle] = {"agem_project": agem_project}


# --- wrong implementations --------------------------------------------------------------------------------------------


def projected(weight_grad, bias_grad, weight_reference, bias_reference, *, fault):
    flat = [np.concatenate([a.ravel(), b.ravel()]) for a, b in
            ((weight_grad, bias_grad), (weight_reference, bias_reference))]  # fmt: skip
    g, r = (each.astype(np.float32 if fault == "float32" else np.float64) for each in flat)
    product, square = g @ r, r @ r
    if fault == "no biases":
        size = weight_grad.size
        product, square = g[:size] @ r[:size], r[:size] @ r[:size]
        r = np.where(np.arange(len(r)) < size, r, 0.0)
    square = {"length": np.sqrt(square), "own": g @ g}.get(fault, square)
    square = square + float(fault) if fault.startswith("1e-") else square
    limit = {"always": np.inf, "at 0": np.nextafter(0, 1), "never": -np.inf}.get(fault, 0.0)
    if product < limit and (square > 0 or fault == "at 0"):
        with np.errstate(all="ignore"):
            share = float(product / square)
            flat[0] = flat[0] - (-share if fault == "added" else share) * r.astype(flat[0].dtype)
    size = weight_grad.size
    return flat[0][:size].reshape(weight_grad.shape), flat[0][size:].reshape(bias_grad.shape)


def per_layer(weight_grad, bias_grad, weight_reference, bias_reference):
    return tuple(
        g - min(0.0, float((g * r).sum())) / max(float((r * r).sum()), 1e-300) * r
        for g, r in ((weight_grad, weight_reference), (bias_grad, bias_reference))
    )


def _wrong(name, mistake, fault, likely):
    return Wrong(f"agem-{name}", "agem_project", mistake, projected, fault=fault, likely=likely)


WRONG = (
    Wrong("agem-per-layer", "agem_project", "each layer by itself", per_layer,
        likely="each parameter projected by itself instead of all as one vector"),
    _wrong("no-biases", "biases are not in the vector", "no biases", "biases left out of the vector"),
    _wrong("always", "no condition", "always", "projected although both gradients agree"),
    _wrong("never", "the condition turned round", "never", "nothing projected"),
    _wrong("at-0", "<= 0", "at 0", "projected where g.r = 0, too"),
    _wrong("length", "the norm, not its square", "length", "divided by the length of r instead of its square"),
    _wrong("own", "the square of the wrong vector", "own", "divided by g.g instead of r.r"),
    _wrong("added", "a sign", "added", "the part along r added"),
    *(_wrong(f"epsilon-{small}", "an epsilon below the line", small, "a small number added to r.r")
        for small in ("1e-12", "1e-8", "1e-6")),
    _wrong("float32", "sums in float32", "float32", "sums in float32"),
)  # fmt: skip
