"""Losses with replay: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.verify.areas.losses.cross_entropy import CE_REASON, TASK, ce, ce_reach, softmax_loss
from tests.verify.areas.losses.mse_logits import mse, squared
from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    current = {"logits": floats("replay z", (4, 8)), "labels": np.array([6, 1, 4, 6])}
    dark = {"dark_logits": floats("dark z", (3, 8)), "dark_targets": floats("dark t", (3, 8))}
    replay = {"replay_logits": floats("old z", (2, 8)), "replay_labels": np.array([0, 7])}
    no_dark = {name: np.zeros((0, 8)) for name in dark}
    no_replay = {"replay_logits": np.zeros((0, 8)), "replay_labels": np.zeros(0, dtype=np.int64)}
    huge = {
        "logits": np.array([[1e3, 0.0, -1e3], [2e3, 2e3, 0.0]]),
        "labels": np.array([2, 0]),
        "replay_logits": np.array([[-1e3, 1e3, 0.0]]),
        "replay_labels": np.array([0]),
    }
    variants: list[tuple[str, str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ("full-head", "regular", "one mean over all samples instead of one for each batch", current, dark, replay),
        ("single-head", "regular",
         "full-head loss where single-head is asked; the single head on replayed samples, whose labels lie outside",
         {**current, "classes": TASK}, dark, replay),
        ("one-sample-each", "edge", "an axis of length 1 that is dropped",
         {"logits": current["logits"][:1], "labels": current["labels"][:1]},
         {name: values[:1] for name, values in dark.items()}, {name: values[:1] for name, values in replay.items()}),
        ("empty-buffer", "edge", "the mean over no replayed sample is NaN: it adds 0", current, no_dark, no_replay),
        (
            "huge-logits",
            "adversarial",
            "exp overflows without subtracting the maximum",
            {name: huge[name] for name in ("logits", "labels")},
            {"dark_logits": np.array([[1e3, 0.0, 1.0]]), "dark_targets": np.array([[-1e3, 0.5, 1.0]])},
            {name: huge[name] for name in ("replay_logits", "replay_labels")},
        ),
    ]  # fmt: skip
    for name, kind, note, batch, darks, olds in variants:
        yield CaseSpec("er_loss", name, kind, note, {**batch, **olds})
        yield CaseSpec("derpp_loss", name, kind, note, {**batch, **darks, **olds})
    yield CaseSpec(
        "er_loss", "weight", "regular", "the weight on the wrong term, or missing in the gradient",
        {**current, **replay, "weight": 0.375},
    )  # fmt: skip
    yield CaseSpec(
        "er_loss", "single-head-weight", "regular", "the single head on replayed samples; a weight fixed in the code",
        {"logits": floats("replay z again", (3, 6)), "labels": np.array([5, 2, 5]), "classes": [5, 2],
         "replay_logits": floats("old z again", (3, 6)), "replay_labels": np.array([1, 2, 0]), "weight": 2.5},
    )  # fmt: skip
    yield CaseSpec(
        "derpp_loss", "single-head-coefficients", "regular",
        "the single head on replayed samples; coefficients fixed in the code",
        {"logits": floats("dark step z", (3, 6)), "labels": np.array([5, 2, 5]), "classes": [5, 2],
         "dark_logits": floats("dark z again", (2, 6)), "dark_targets": floats("dark t again", (2, 6)),
         "replay_logits": floats("old z third", (3, 6)), "replay_labels": np.array([1, 2, 0]), "alpha": 0.625,
         "beta": 1.5},
    )  # fmt: skip
    yield CaseSpec(
        "er_loss", "weight-zero-single-head", "edge", "a weight of 0 is not a missing weight",
        {**current, "classes": TASK, **replay, "weight": 0.0},
    )  # fmt: skip
    yield CaseSpec(
        "derpp_loss", "both-zero", "edge", "neither 0 is a missing coefficient",
        {**current, **dark, **replay, "alpha": 0.0, "beta": 0.0},
    )  # fmt: skip
    yield CaseSpec(
        "er_loss", "weight-zero", "edge", "a weight of 0 is not a missing weight", {**current, **replay, "weight": 0.0},
    )  # fmt: skip
    for zero in ("alpha", "beta"):
        yield CaseSpec(
            "derpp_loss", f"{zero}-zero", "edge", f"an {zero} of 0 is not a missing {zero}",
            {**current, **dark, **replay, zero: 0.0},
        )  # fmt: skip
    yield CaseSpec(
        "derpp_loss", "coefficients", "regular", "a and b exchanged; a coefficient in the loss that the gradient lacks",
        {**current, **dark, **replay, "alpha": 0.75, "beta": 0.25},
    )  # fmt: skip
    yield CaseSpec(
        "derpp_loss", "der", "edge", "DER is DER++ without labels: nothing of an empty second draw may enter",
        {**current, **dark, **no_replay, "alpha": 0.3, "beta": 0.0},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def of_passes(a: Arguments, passes: dict[str, Tensor], loss, reaches: dict[str, tuple[float, float]]) -> Result:
    """Loss and gradients of several passes; ``reaches``: magnitude of loss and gradient of each, with coefficient."""
    inputs = list(passes.values())
    found = gradients(loss, inputs, torch.tensor(1.0, dtype=torch.float64))
    values = {"loss": array(loss(*inputs))} | {f"d{k}": array(g) for k, g in zip(passes, found, strict=True)}
    classes = max(z.shape[1] for z in inputs)
    longest = max(z.numel() for z in inputs)
    total = sum(reach for reach, _ in reaches.values())
    tolerances = {"loss": Tolerance(longest + classes + 6, total, "means over samples of exponentials over classes")}
    for name, (_, reach) in reaches.items():
        tolerances[f"d{name}"] = Tolerance(classes + 6, reach, CE_REASON)
    return values, tolerances


def scaled(reach: tuple[float, float], factor: float) -> tuple[float, float]:
    return factor * reach[0], factor * reach[1]


def er_loss(a: Arguments) -> Result:
    """The sum of torch.nn.functional.cross_entropy over both batches, and autograd, in float64."""
    labels, old = tensor(a["labels"]), tensor(a["replay_labels"])
    passes = {name: tensor(a[name]) for name in ("logits", "replay_logits")}
    reaches = {
        "logits": ce_reach(passes["logits"], a["classes"]),
        "replay_logits": scaled(ce_reach(passes["replay_logits"], None), a["weight"]),
    }
    return of_passes(
        a, passes, lambda z, replayed: ce(z, labels, a["classes"]) + a["weight"] * ce(replayed, old), reaches
    )


def derpp_loss(a: Arguments) -> Result:
    """The weighted sum of PyTorch's cross_entropy and mse_loss over three batches, and autograd, in float64."""
    labels, old, targets = (tensor(a[name]) for name in ("labels", "replay_labels", "dark_targets"))
    passes = {name: tensor(a[name]) for name in ("logits", "dark_logits", "replay_logits")}
    dark = passes["dark_logits"]
    differences = dark - targets
    mean = float((differences**2).mean()) if len(dark) else 0.0
    slope = 2 * largest(differences) / max(1, dark.numel())
    reaches = {
        "logits": ce_reach(passes["logits"], a["classes"]),
        "dark_logits": scaled((mean, slope), a["alpha"]),
        "replay_logits": scaled(ce_reach(passes["replay_logits"], None), a["beta"]),
    }

    def loss(z: Tensor, dark_z: Tensor, old_z: Tensor) -> Tensor:
        return ce(z, labels, a["classes"]) + a["alpha"] * squared(dark_z, targets) + a["beta"] * ce(old_z, old)

    return of_passes(a, passes, loss, reaches)


ORACLES: dict[str, Oracle] = {"er_loss": er_loss, "derpp_loss": derpp_loss}


# --- wrong implementations --------------------------------------------------------------------------------------------


def mean(losses):
    return losses.mean() if len(losses) else 0.0


def er(logits, labels, replay_logits, replay_labels, classes, weight, *, fault):
    weight = weight or 1.0 if fault == "or default" else weight
    now, dnow = softmax_loss(logits, labels, classes)
    if fault == "one mean":
        both = np.concatenate([logits, replay_logits]), np.concatenate([labels, replay_labels])
        losses, gradient = softmax_loss(*both)
        return mean(losses), gradient[: len(logits)], gradient[len(logits) :]
    again, dagain = softmax_loss(replay_logits, replay_labels)
    scale = 1.0 if fault == "gradient unweighted" else weight
    return mean(now) + weight * mean(again), dnow, scale * dagain


def replay_masked(logits, labels, replay_logits, replay_labels, classes, weight):
    """The head mask of the task also hides classes of replayed samples, as a large negative logit."""
    now, dnow = softmax_loss(logits, labels, classes)
    hidden = replay_logits.copy()
    if classes is not None:
        hidden[:, np.setdiff1d(np.arange(logits.shape[1]), classes)] -= 100
    again, dagain = softmax_loss(hidden, replay_labels)
    return mean(now) + weight * mean(again), dnow, weight * dagain


def derpp(logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes, alpha, beta, *, fault):
    if fault == "swapped":
        alpha, beta = beta, alpha
    alpha = alpha or 0.1 if fault == "alpha or default" else alpha
    beta = beta or 0.5 if fault == "beta or default" else beta
    now, dnow = softmax_loss(logits, labels, None if fault == "full head" else classes)
    dark, ddark = mse(dark_logits, dark_targets)
    again, dagain = softmax_loss(replay_logits, replay_labels)
    if fault == "half":
        dark, ddark = dark / 2, ddark / 2
    if fault == "unweighted":
        ddark = ddark / alpha if alpha else ddark
    return mean(now) + alpha * mean(dark) + beta * mean(again), dnow, alpha * ddark, beta * dagain


WRONG = (
    Wrong("er-one-mean", "er_loss", "one mean over new and replayed samples", er, fault="one mean"),
    Wrong("er-gradient-unweighted", "er_loss", "w weighs the loss but not the gradient", er,
        fault="gradient unweighted", likely="gradients of replayed samples without their weights"),
    Wrong("er-replay-masked", "er_loss", "the head mask hides classes of replayed samples", replay_masked,
        likely="single-head loss on replayed samples, which are always over all logits"),
    Wrong("er-or-default", "er_loss", "a weight of 0 is taken for none given", er, fault="or default",
        likely="weight = 0 taken for the default"),
    *(Wrong(f"derpp-{name}-or-default", "derpp_loss", f"an {name} of 0 is taken for none given", derpp,
        fault=f"{name} or default", likely=f"{name} = 0 taken for the default") for name in ("alpha", "beta")),
    Wrong("derpp-swapped", "derpp_loss", "alpha and beta are swapped", derpp, fault="swapped",
        likely="alpha and beta exchanged"),
    Wrong("derpp-full-head", "derpp_loss", "the current batch is always over the full head", derpp, fault="full head",
        likely="full-head loss where single-head is asked"),
    Wrong("derpp-half", "derpp_loss", "the squared error is halved", derpp, fault="half"),
    Wrong("derpp-unweighted", "derpp_loss", "alpha is missing in the gradient", derpp, fault="unweighted"),
)  # fmt: skip
