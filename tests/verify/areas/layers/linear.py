"""The linear layer: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.draws import floats, truths
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    for name, kind, note, (samples, features, outputs) in [
        ("three-samples", "regular", "the weight not transposed; gradients averaged over the batch", (3, 5, 4)),
        ("square", "regular", "the weight transposed, which shapes do not reveal when it is square", (4, 4, 4)),
        ("square-again", "regular", "the weight transposed, which shapes do not reveal when it is square", (2, 3, 3)),
        ("one-sample", "edge", "an axis of length 1 that is dropped or broadcast", (1, 6, 3)),
        ("one-output", "edge", "a column treated as a vector", (4, 3, 1)),
        ("long-sum", "adversarial", "products summed in float32 in a float64 run", (2, 257, 3)),
        ("many-samples", "adversarial", "samples summed in float32 in a float64 run", (129, 2, 3)),
    ]:
        x, weight = floats(f"linear x {name}", (samples, features)), floats(f"linear w {name}", (outputs, features))
        bias = None if name == "one-sample" else floats(f"linear b {name}", outputs)
        yield CaseSpec("linear_forward", name, kind, note, {"x": x, "weight": weight, "bias": bias})
        dy = floats(f"linear dy {name}", (samples, outputs))
        yield CaseSpec("linear_backward", name, kind, note, {"dy": dy, "x": x, "weight": weight})

    x, dy = floats("linear masked x", (5, 6)), floats("linear masked dy", (5, 4))
    living = truths("linear mask", (4, 6), count=9)
    living[1] = False
    sparse = np.where(living, floats("linear masked w", (4, 6)), 0.0)
    yield CaseSpec(
        "linear_forward", "all-dead-row", "edge",
        "a sparse product that skips an output without weights: it is its bias",
        {"x": x, "weight": sparse, "bias": floats("linear masked b", 4)},
    )  # fmt: skip
    masked = {"dy": dy, "x": x, "weight": sparse}
    yield CaseSpec(
        "linear_backward", "gradient-mask", "regular",
        "a gradient mask that also cuts dx or dbias; -0.0 from multiplying by it",
        {**masked, "grad_mask": living & truths("linear grad mask", (4, 6), count=14)},
    )  # fmt: skip
    yield CaseSpec(
        "linear_backward", "gradient-mask-all-dead", "edge", "an empty list of gradients; dx must still be formed",
        {**masked, "grad_mask": np.zeros((4, 6), dtype=bool)},
    )  # fmt: skip
    yield CaseSpec(
        "linear_backward", "infinite-input-under-a-dead-gradient", "adversarial",
        "a gradient mask applied by multiplying: 0 * infinity is NaN, dead gradients are assigned 0",
        {
            "dy": floats("linear infinite dy", (2, 2)),
            "x": np.array([[np.inf, 1.0], [0.5, -3.0]]),
            "weight": floats("linear infinite w", (2, 2)),
            "grad_mask": np.array([[False, True], [False, False]]),
        },
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def map_forward(operation: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None) -> Result:
    y = operation(x, weight, bias)
    absolute = operation(x.abs(), weight.abs(), None if bias is None else bias.abs())
    terms = weight[0].numel() + (bias is not None)
    return {"y": array(y)}, {"y": Tolerance(terms, largest(absolute), "products of inputs and weights, and the bias")}


def map_backward(
    operation: Callable[..., Tensor], dy: Tensor, x: Tensor, weight: Tensor, grad_mask: Tensor | None
) -> Result:
    bias = torch.zeros(len(weight), dtype=dy.dtype)
    names = ("dx", "dweight", "dbias")
    values = dict(zip(names, gradients(operation, [x, weight, bias], dy), strict=True))
    absolute = dict(zip(names, gradients(operation, [x.abs(), weight.abs(), bias], dy.abs()), strict=True))
    zeros = None
    if grad_mask is not None:
        zeros = array(~grad_mask)
        values["dweight"][~grad_mask] = 0.0
        absolute["dweight"][~grad_mask] = 0.0
    positions = dy.numel() // dy.shape[1]
    tolerances = {
        "dx": Tolerance(weight[:, 0].numel(), largest(absolute["dx"]), "products of upstream and weights"),
        "dweight": Tolerance(
            positions, largest(absolute["dweight"]), "products of upstream and inputs over samples and positions", zeros
        ),
        "dbias": Tolerance(positions, largest(absolute["dbias"]), "upstream over samples and positions"),
    }
    return {name: array(value) for name, value in values.items()}, tolerances


def linear_forward(a: Arguments) -> Result:
    """torch.nn.functional.linear in float64."""
    return map_forward(functional.linear, *(tensor(a[key]) for key in ("x", "weight", "bias")))


def linear_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.linear in float64; dweight cleared outside grad_mask."""
    return map_backward(functional.linear, *(tensor(a[key]) for key in ("dy", "x", "weight", "grad_mask")))


ORACLES: dict[str, Oracle] = {"linear_forward": linear_forward, "linear_backward": linear_backward}


# --- wrong implementations --------------------------------------------------------------------------------------------


def narrow(function, **arguments):
    """The whole computation in float32, dressed up in the type that came in."""
    wide = next(
        value.dtype for value in arguments.values() if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    )
    given = {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in arguments.items()
    }
    found = function(**given)
    return tuple(array.astype(wide) for array in found) if isinstance(found, tuple) else found.astype(wide)


def linear(x, weight, bias):
    return x @ weight.T + (0 if bias is None else bias)


def linear_backward_by_hand(dy, x, weight, grad_mask=None):
    dweight = dy.T @ x
    if grad_mask is not None:
        dweight[~grad_mask] = 0.0
    return dy @ weight, dweight, dy.sum(axis=0)


def linear_averaged(dy, **rest):
    dx, dweight, dbias = linear_backward_by_hand(dy, **rest)
    return dx, dweight / max(len(dy), 1), dbias / max(len(dy), 1)


WRONG = (
    Wrong("linear-float32", "linear_forward", "sums in float32 in a float64 case", partial(narrow, linear),
        likely="right to the precision of float32: something on the way is float32"),
    Wrong("linear-no-transpose", "linear_forward", "the weight is used as (in, out)",
        lambda x, weight, bias: linear(x, weight.reshape(weight.shape[::-1]).T, bias)),
    Wrong("linear-gradient-mean", "linear_backward", "weight gradients are batch means", linear_averaged,
        likely="parameter gradients averaged over the batch, whose upstream gradient is a mean's already"),
    Wrong("linear-mask-ignored", "linear_backward", "gradients of masked weights are formed",
        lambda grad_mask, **rest: linear_backward_by_hand(**rest), likely="the gradient mask ignored"),
)  # fmt: skip
