"""The rectified linear unit: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tests.verify.draws import floats, integers, truths
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, tensor


def cases() -> Iterator[CaseSpec]:
    images = floats("relu x", (2, 3, 2, 2))
    zeros = np.array([0.0, -0.0, 1.0, -1.0, 0.0])
    smallest = np.array([2.0**-126, -(2.0**-126), 2.0**127, -(2.0**127)])
    for name, kind, note, x in [
        ("images", "regular", "a leak below zero; an absolute value", images),
        ("zeros", "edge", "the derivative at 0 taken as 1, as with y >= 0 or x >= 0", zeros),
        ("smallest-and-largest", "edge", "a threshold that is not 0: however small, x > 0 passes", smallest),
        ("one-value", "edge", "an axis of length 1 that is dropped", np.array([[3.5]])),
        ("after-a-relu", "edge", "the derivative at 0 taken as 1 or 1/2, where an input is mostly zeros",
         np.maximum(floats("relu after", (2, 5)), 0.0)),
    ]:  # fmt: skip
        yield CaseSpec("relu_forward", name, kind, note, {"x": x})
        dy = floats(f"relu dy {name}", x.shape, low=0.5, high=2.0) * np.where(
            integers(name, x.shape, low=0, high=2), 1, -1
        )
        yield CaseSpec("relu_backward", name, kind, note, {"dy": dy, "x": x})
    yield CaseSpec(
        "relu_forward", "not-a-number", "adversarial", "a comparison that turns NaN into 0 and hides a diverged run",
        {"x": np.array([np.nan, -1.0, np.inf, -np.inf])},
    )  # fmt: skip
    yield CaseSpec(
        "relu_forward", "images-with-not-a-number", "adversarial", "one sample's NaN that is hidden, or spreads",
        {"x": np.where(truths("relu nan", (3, 4), count=2), np.nan, floats("relu nan x", (3, 4)))},
    )  # fmt: skip
    yield CaseSpec(
        "relu_backward", "negative-upstream", "adversarial",
        "the upstream gradient cut instead of the input: negative dy passes where x > 0",
        {"dy": np.array([-1.5, -2.5, 3.0, -0.5]), "x": np.array([0.5, -0.5, -4.0, 2.0])},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------

EQUAL = Tolerance(0, 0.0, "values are selected, not computed")


def relu_forward(a: Arguments) -> Result:
    """torch.relu in float64."""
    return {"y": array(torch.relu(tensor(a["x"])))}, {"y": EQUAL}


def relu_backward(a: Arguments) -> Result:
    """Autograd of torch.relu in float64."""
    (dx,) = gradients(torch.relu, [tensor(a["x"])], tensor(a["dy"]))
    return {"dx": array(dx)}, {"dx": EQUAL}


ORACLES: dict[str, Oracle] = {"relu_forward": relu_forward, "relu_backward": relu_backward}


# --- wrong implementations --------------------------------------------------------------------------------------------

WRONG = (
    Wrong("relu-leaky", "relu_forward", "a slope of 0.01 is left below 0",
        lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)), likely="a leak of 0.01 below 0"),
    Wrong("relu-output-ge", "relu_backward", "the derivative is taken from the output with >=",
        lambda dy, x: np.where(np.maximum(x, 0) >= 0, dy, 0.0),
        likely="the derivative taken from the output with >=, which lets everything through"),
    Wrong("relu-product", "relu_forward", "x times its step function", lambda x: np.heaviside(x, 0.0) * x,
        likely="x multiplied by x > 0, which makes NaN of an infinity"),
    Wrong("relu-hides-nan", "relu_forward", "NaN becomes 0", lambda x: np.fmax(x, 0), likely="NaN turned into 0"),
    Wrong("relu-half-at-zero", "relu_backward", "the derivative at 0 is taken as 1/2",
        lambda dy, x: dy * np.heaviside(x, 0.5), likely="the derivative at 0 taken as 1/2"),
)  # fmt: skip
