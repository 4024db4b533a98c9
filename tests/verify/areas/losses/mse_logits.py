"""The squared distance to stored logits: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    for name, kind, note, shape in [
        ("four-samples", "regular", "the mean over samples alone, or the sum; a factor 2 missing", (4, 3)),
        ("one-sample", "edge", "an axis of length 1 that is dropped", (1, 5)),
        ("one-logit", "edge", "an axis of length 1 that is dropped", (5, 1)),
        ("many-logits", "adversarial", "squares summed in float32 in a float64 run", (2, 200)),
    ]:
        pair = {"logits": floats(f"mse z {name}", shape), "targets": floats(f"mse t {name}", shape)}
        yield CaseSpec("mse_logits", name, kind, note, pair)
    same = floats("mse same", (2, 4))
    yield CaseSpec(
        "mse_logits", "no-difference", "edge", "a distance instead of its square: its derivative is undefined here",
        {"logits": same, "targets": same},
    )  # fmt: skip
    yield CaseSpec(
        "mse_logits", "near-and-huge", "adversarial",
        "(a - b)^2 taken apart into squares and a product, which cancel in float32",
        {"logits": np.array([[4096.25, -(2.0**20)]]), "targets": np.array([[4096.0, -(2.0**20) + 0.5]])},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def squared(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.mse_loss(logits, targets) if len(logits) else logits.sum()


def mse_logits(a: Arguments) -> Result:
    """torch.nn.functional.mse_loss and autograd in float64."""
    logits, targets = tensor(a["logits"]), tensor(a["targets"])
    (dlogits,) = gradients(lambda z: squared(z, targets), [logits], torch.tensor(1.0, dtype=torch.float64))
    per_sample = functional.mse_loss(logits, targets, reduction="none").mean(dim=1)
    tolerances = {
        "per_sample": Tolerance(logits.shape[1] + 2, largest(per_sample), "squares over the logits of a sample"),
        "dlogits": Tolerance(3, largest(dlogits), "one difference, scaled"),
    }
    return {"per_sample": array(per_sample), "dlogits": array(dlogits)}, tolerances


ORACLES: dict[str, Oracle] = {"mse_logits": mse_logits}


# --- wrong implementations --------------------------------------------------------------------------------------------


def mse(logits, targets, *, factor=2.0):
    difference = logits - targets
    per_sample = (difference**2).mean(axis=1) if logits.size else np.zeros(len(logits), logits.dtype)
    return per_sample, difference * factor / max(difference.size, 1)


def mse_over_samples(logits, targets):
    difference = logits - targets
    return (difference**2).sum(axis=1), 2 * difference / len(logits)


WRONG = (
    Wrong("mse-half", "mse_logits", "the factor 2 of the gradient is missing", partial(mse, factor=1.0),
        likely="the factor 2 of the square's derivative missing"),
    Wrong("mse-over-samples", "mse_logits", "a mean over samples but a sum over logits", mse_over_samples,
        likely="mean over samples instead of over samples and logits"),
)  # fmt: skip
