"""EWC and online EWC: inputs, oracles and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, largest, tensor


def cases() -> Iterator[CaseSpec]:
    old, new = floats("fisher old", (3, 4), low=0.0), floats("fisher new", (3, 4), low=0.0)
    for name, kind, gamma, note in (
        ("fading", "regular", 0.75, "a moving average; the new information fades instead of the old"),
        ("half", "regular", 0.5, "at 0.5 a moving average is the mean"),
        ("all-kept", "edge", 1.0, "the sum over tasks, not their mean"),
        ("last-alone", "edge", 0.0, "a gamma of 0 is not a missing gamma"),
    ):
        yield CaseSpec("accumulated_fisher", name, kind, note, {"old": old, "new": new, "gamma": gamma})
    given = {"old": floats("fisher row", 5, low=0.0), "new": np.zeros(5), "gamma": 0.25}
    yield CaseSpec("accumulated_fisher", "nothing-new", "edge", "what a task does not need fades all the same", given)
    yield from _penalty()


def _penalty() -> Iterator[CaseSpec]:
    weights = {"weight": floats("ewc w", (3, 4)), "bias": floats("ewc b", 3)}
    anchors = {"weight_anchor": floats("ewc w*", (3, 4)), "bias_anchor": floats("ewc b*", 3)}
    fisher = {"weight_fisher": floats("ewc F", (3, 4), low=0.0), "bias_fisher": floats("ewc Fb", 3, low=0.0)}
    base = {**weights, **anchors, **fisher}
    one = {name: value[:1] for name, value in base.items()}
    for name, kind, note, changes in [
        ("usual", "regular", "lambda for lambda / 2; the factor 2 of the derivative missing", {}),
        ("mammoth", "regular", "lambda / 2 for lambda", {"form": "mammoth"}),
        ("strong", "regular", "a strength fixed in the code", {"strength": 700.0}),
        ("strong-mammoth", "regular", "a strength fixed in the code", {"strength": 0.125, "form": "mammoth"}),
        ("strength-zero", "edge", "a strength of 0 is not a missing strength", {"strength": 0.0}),
        ("at-the-anchor", "edge", "no penalty and no gradient",
         {"weight": anchors["weight_anchor"], "bias": anchors["bias_anchor"]}),
        ("no-information", "edge", "what tasks do not need moves freely",
         {"weight_fisher": np.zeros((3, 4)), "bias_fisher": np.zeros(3)}),
        ("biases-alone", "adversarial", "biases take part", {"weight_fisher": np.zeros((3, 4))}),
        ("one-row", "edge", "an axis of length 1 that is dropped", one),
        ("large-information", "adversarial", "the square root of the information; a sum in float32",
         {"weight_fisher": fisher["weight_fisher"] * 2.0**12, "bias_fisher": fisher["bias_fisher"] * 2.0**-12}),
    ]:  # fmt: skip
        yield CaseSpec("ewc_penalty", name, kind, note, base | changes)


# --- oracles ----------------------------------------------------------------------------------------------------------


def accumulated_fisher(a: Arguments) -> Result:
    """torch.add with a factor, in float64."""
    found = torch.add(tensor(a["new"]), tensor(a["old"]), alpha=a["gamma"])
    return {"fisher": array(found)}, {"fisher": Tolerance(2, largest(found), "one product and one sum")}


def ewc_penalty(a: Arguments) -> Result:
    """A quadratic form in PyTorch, and autograd, in float64."""
    leaves = [tensor(a[name]).requires_grad_() for name in ("weight", "bias")]
    factor = a["strength"] if a["form"] == "mammoth" else a["strength"] / 2
    loss = sum(
        factor * functional.mse_loss(leaf, tensor(a[f"{name}_anchor"]), reduction="none").mul(
            tensor(a[f"{name}_fisher"])).sum() for leaf, name in zip(leaves, ("weight", "bias"), strict=True)
    )  # fmt: skip
    found = torch.autograd.grad(loss, leaves)
    gradients = {f"{name}_gradient": array(g) for name, g in zip(("weight", "bias"), found, strict=True)}
    count, reason = sum(leaf.numel() for leaf in leaves), "a difference, squared and scaled, over all parameters"
    return {"loss": array(loss), **gradients}, {
        "loss": Tolerance(count + 5, float(loss.detach()), reason),
        **{name: Tolerance(5, float(np.abs(g).max()), "one difference, scaled") for name, g in gradients.items()},
    }


ORACLES: dict[str, Oracle] = {"accumulated_fisher": accumulated_fisher, "ewc_penalty": ewc_penalty}


# --- wrong implementations --------------------------------------------------------------------------------------------


def accumulated(old, new, gamma, *, fault):
    if fault == "or default":
        gamma = gamma or 1.0
    if fault == "larger":
        return np.where(gamma * old > new, gamma * old, new)
    factors = {"average": (gamma, 1 - gamma), "new": (1, gamma), "both": (gamma, gamma), "mean": (gamma / 2, 0.5),
               "kept": (1, 1), "last": (0, 1)}  # fmt: skip
    one, other = factors.get(fault, (gamma, 1))
    return one * old + other * new


def penalty(
    weight, bias, weight_anchor, bias_anchor, weight_fisher, bias_fisher, strength, form, *, fault
):  # fmt: skip
    if fault == "or default":
        strength = strength or 10.0
    if fault == "fixed":
        strength = 10.0
    half = {"mammoth": False, "half": True}.get(fault, form == "paper")
    loss, gradients, count = 0.0, [], weight.size + bias.size
    for w, start, f in ((weight, weight_anchor, weight_fisher), (bias, bias_anchor, bias_fisher)):
        moved = w if fault == "no anchor" else w - start
        f = {"no fisher": np.ones_like(f), "root": np.sqrt(f)}.get(fault, f)
        f = np.zeros_like(f) if fault == "no biases" and w is bias else f
        loss += (strength / 2 if half else strength) * float((f * moved * moved).sum())
        slope = strength * (1 if half else 2)
        slope *= {"no 2": 0.5, "steep": 2, "sign": -1, "mean": 1 / count}.get(fault, 1)
        gradients.append(w.dtype.type(slope) * f * moved)
    loss *= {"mean": 1 / count, "loss alone": 2}.get(fault, 1)
    return loss, *gradients


WRONG = (
    *(Wrong(f"fading-{name}", "accumulated_fisher", mistake, accumulated, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("average", "an exponential average", "average", "a moving average"),
            ("new", "the wrong one fades", "new", "the new information fades instead of the old"),
            ("both", "gamma for both", "both", "both fade"),
            ("mean", "halved", "mean", "the mean of both"),
            ("larger", "maximum", "larger", "the larger of both"),
            ("kept", "no gamma", "kept", "nothing fades"),
            ("or-default", "a gamma of 0 is none", "or default", "gamma = 0 taken for the default"),
            ("last", "overwritten", "last", "the last task alone"),
        )),
    *(Wrong(f"ewc-{name}", "ewc_penalty", mistake, penalty, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("mammoth", "no 1/2", "mammoth", "lambda without the 1/2, which is mammoth's form"),
            ("half", "1/2 in mammoth's form, too", "half", "lambda / 2 where mammoth has lambda"),
            ("loss-alone", "no 1/2 in the loss", "loss alone", "lambda instead of lambda / 2 in the loss alone"),
            ("no-2", "1/2 in the gradient, too", "no 2", "the factor 2 of the square's derivative missing"),
            ("steep", "no 1/2 in the gradient", "steep", "the gradient of lambda times the square"),
            ("no-anchor", "weight decay", "no anchor", "weights not measured from their anchors"),
            ("no-fisher", "L2", "no fisher", "the Fisher information left out"),
            ("root", "a norm", "root", "the square root of the Fisher information"),
            ("mean", "a mean", "mean", "the mean over parameters instead of their sum"),
            ("no-biases", "weights alone", "no biases", "biases left out"),
            ("sign", "a sign", "sign", "a gradient with the wrong sign"),
            ("or-default", "a strength of 0 is none", "or default", "strength = 0 taken for the default"),
            ("fixed", "10 in the code", "fixed", "the default strength fixed in the code"),
        )),
)  # fmt: skip
