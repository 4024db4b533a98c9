"""Dropout: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tests.verify.draws import floats, truths
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, largest, tensor


def cases() -> Iterator[CaseSpec]:
    shape = (3, 8)
    half = truths("dropout keep", shape, count=13)
    for name, kind, note, keep, p in [
        ("half", "regular", "values not divided by 1 - p", half, 0.5),
        ("quarter", "regular", "p taken for the probability of keeping: 1/p instead of 1/(1 - p)", half, 0.25),
        ("nothing-kept", "edge", "a division by the number of kept entries", np.zeros(shape, dtype=bool), 0.5),
        ("everything-kept", "edge", "no division where nothing happened to be dropped", np.ones(shape, dtype=bool),
         0.5),
        ("p-zero", "edge", "p = 0 changes nothing", np.ones(shape, dtype=bool), 0.0),
        ("p-near-one", "adversarial", "1 / (1 - p) rounded or clipped", half, 0.984375),
    ]:  # fmt: skip
        yield CaseSpec(
            "dropout_forward", name, kind, note, {"x": floats(f"dropout {name}", shape), "keep": keep, "p": p}
        )
        dy = floats(f"dropout dy {name}", shape)
        yield CaseSpec("dropout_backward", name, kind, note, {"dy": dy, "keep": keep, "p": p})


# --- oracle -----------------------------------------------------------------------------------------------------------


def _dropped(name: str, values: Tensor, a: Arguments) -> Result:
    """What is kept, divided by 1 - p."""
    kept = torch.where(tensor(a["keep"]), values / (1 - a["p"]), torch.zeros_like(values))
    return {name: array(kept)}, {name: Tolerance(1, largest(kept), "one quotient, or a product with a rounded one")}


def dropout_forward(a: Arguments) -> Result:
    """torch.where of the kept inputs over 1 - p in float64."""
    return _dropped("y", tensor(a["x"]), a)


def dropout_backward(a: Arguments) -> Result:
    """torch.where of the kept upstream gradients over 1 - p in float64."""
    return _dropped("dx", tensor(a["dy"]), a)


ORACLES: dict[str, Oracle] = {"dropout_forward": dropout_forward, "dropout_backward": dropout_backward}


# --- wrong implementations --------------------------------------------------------------------------------------------

WRONG = (
    Wrong("dropout-unscaled", "dropout_forward", "what is kept is not scaled",
        lambda x, keep, p: np.where(keep, x, 0.0), likely="not divided by 1 - p"),
    Wrong("dropout-by-p", "dropout_backward", "the gradient is divided by p, not 1 - p",
        lambda dy, keep, p: np.where(keep, dy / p, 0.0) if p else dy, likely="divided by p instead of 1 - p"),
)  # fmt: skip
