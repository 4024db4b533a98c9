"""LwF: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor

OLD = [4, 0, 3]


def cases() -> Iterator[CaseSpec]:
    z, past = floats("lwf z", (4, 7)), floats("lwf past", (4, 7))
    coarse, far = np.round(past * 4096) / 4096, z.copy()
    far[:, [5, 6]] = [300.0, -300.0]
    for name, kind, note, arguments in [
        ("usual", "regular", "the factor T^2 of Hinton's distillation; new classes in the softmax", {}),
        ("warm", "regular", "the temperature in one place only, or fixed in the code", {"temperature": 4.0}),
        ("cold", "regular", "the temperature in one place only", {"temperature": 0.5, "weight": 0.75}),
        ("temperature-1", "edge", "nothing is divided", {"temperature": 1.0}),
        ("weight", "regular", "the weight missing in loss or gradient", {"weight": 3.0}),
        ("weight-zero", "edge", "a weight of 0 is not a missing weight", {"weight": 0.0}),
        ("nothing-changed", "edge", "the gradient is 0 where both say the same; the loss is the entropy and not 0",
         {"recorded": z}),
        ("shifted", "edge", "a constant added to all logits changes nothing", {"logits": coarse + 3.0,
            "recorded": coarse}),
        ("one-sample", "edge", "an axis of length 1 that is dropped", {"logits": z[:1], "recorded": past[:1]}),
        ("one-class", "edge", "a softmax of one class is 1", {"classes": [2]}),
        ("first-classes", "regular", "old classes that happen to be the first", {"classes": [0, 1, 2, 3]}),
        ("whole-head", "edge", "all classes are old", {"classes": [6, 5, 4, 3, 2, 1, 0], "temperature": 3.0}),
        ("large-logits-of-new-classes", "adversarial", "new classes in the softmax, where they outweigh the old",
         {"logits": far}),
        ("huge-logits", "adversarial", "exp overflows without subtracting the maximum",
         {"logits": np.array([[2e3, -1e3, 0.0, 12.5], [-4e3, -4e3, -3999.0, 0.0]]),
          "recorded": np.array([[1e3, 990.0, 998.5, 0.0], [-1e3, -1e3, -1e3, 5.0]]), "classes": [0, 1, 2]}),
    ]:  # fmt: skip
        yield CaseSpec("lwf_distillation", name, kind, note,
            {"logits": z, "recorded": past, "classes": OLD, **arguments})  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def lwf_distillation(a: Arguments) -> Result:
    """torch.softmax and torch.log_softmax of the earlier columns, and autograd, in float64."""
    z, past, classes, temperature = tensor(a["logits"]), tensor(a["recorded"]), a["classes"], a["temperature"]
    said = torch.softmax(past[:, classes] / temperature, dim=1)

    def loss(logits: Tensor) -> Tensor:
        return -a["weight"] * (said * torch.log_softmax(logits[:, classes] / temperature, dim=1)).sum(dim=1).mean()

    (found,) = gradients(loss, [z], torch.tensor(1.0, dtype=torch.float64))
    dlogits = array(found)
    same = z[:, classes] - past[:, classes]
    dlogits[(same == same[:, :1]).all(dim=1).numpy() | (len(classes) == 1)] = 0.0  # not the rounding of autograd
    left_out = np.ones(dlogits.shape, dtype=bool)
    left_out[:, classes] = False
    dlogits = np.where(left_out | (dlogits == 0), 0.0, dlogits)
    reach = 2 * max(largest(z[:, classes]), largest(past[:, classes])) / temperature + math.log(len(classes))
    slope = a["weight"] * (2 + 2 * reach) / (temperature * len(z))
    reason = "exponentials over the earlier classes; logits of this size in the exponent"
    return {"loss": array(loss(z)), "dlogits": dlogits}, {
        "loss": Tolerance(len(classes) + len(z) + 6, a["weight"] * (reach + 1), reason),
        "dlogits": Tolerance(len(classes) + 6, slope, reason, left_out if left_out.any() else None),
    }


ORACLES: dict[str, Oracle] = {"lwf_distillation": lwf_distillation}


# --- wrong implementations --------------------------------------------------------------------------------------------


def log_shares(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def distilled(logits, recorded, classes, temperature, weight, *, fault):
    head, n = logits.shape[1], len(logits)
    if fault == "default temperature":
        temperature = 2.0
    if fault == "or default":
        weight = weight or 1.0
    if fault == "exchanged":
        logits, recorded = recorded, logits
    if fault in ("whole head", "first"):
        classes = list(range(head if fault == "whole head" else len(classes)))
    warm = {"no temperature": (1.0, 1.0), "past unscaled": (temperature, 1.0), "new unscaled": (1.0, temperature)}
    t_new, t_old = warm.get(fault, (temperature, temperature))
    if fault == "cut late":
        log_q, past = log_shares(logits / t_new), np.exp(log_shares(recorded / t_old))
        outside = np.setdiff1d(np.arange(head), classes)
        past[:, outside] = 0.0
        dlogits = (past.sum(axis=1, keepdims=True) * np.exp(log_q) - past) / t_new
        losses = -np.where(past > 0, past * log_q, 0.0).sum(axis=1)
    else:
        log_q, past = log_shares(logits[:, classes] / t_new), recorded[:, classes]
        if fault != "probabilities":
            past = np.exp(log_shares(past / t_old))
        losses = -(past * log_q).sum(axis=1)
        dlogits = np.zeros_like(logits)
        dlogits[:, classes] = (past.sum(axis=1, keepdims=True) * np.exp(log_q) - past) / t_new
    if fault == "divergence":
        losses = losses + (past * log_shares(recorded[:, classes] / t_old)).sum(axis=1)
    divisor = {"sum": 1, "both means": n * len(classes)}.get(fault, n)
    grown = {"squared": temperature**2, "once": temperature}.get(fault, 1.0)
    slope = {"no 1/T": temperature, "1/T twice": 1 / temperature, "gradient sum": n}.get(fault, 1.0)
    factor = grown * (1.0 if fault == "unweighted" else weight)
    slope *= 1.0 if fault == "gradient unweighted" else factor
    return factor * losses.sum() / divisor, (slope * dlogits / divisor).astype(logits.dtype)


def _wrong(name, mistake, fault, likely):
    return Wrong(f"lwf-{name}", "lwf_distillation", mistake, distilled, fault=fault, likely=likely)


WRONG = (
    _wrong("squared", "Hinton's factor", "squared", "multiplied by T^2"),
    _wrong("once", "one factor T", "once", "multiplied by T"),
    _wrong("no-inner", "the chain rule forgets T", "no 1/T", "the factor 1/T of the gradient missing"),
    _wrong("inner-twice", "T counted twice", "1/T twice", "the factor 1/T twice in the gradient"),
    _wrong("no-temperature", "no temperature", "no temperature", "the temperature left out"),
    _wrong("fixed", "T = 2 in the code", "default temperature", "the default temperature fixed in the code"),
    _wrong("past-unscaled", "only new logits are divided", "past unscaled",
        "recorded logits not divided by the temperature"),
    _wrong("new-unscaled", "only old logits are divided", "new unscaled", "new logits not divided by the temperature"),
    _wrong("whole-head", "new classes too", "whole head", "over the whole head, new classes included"),
    _wrong("first", "the first columns", "first", "the earlier classes taken for the first ones"),
    _wrong("cut-late", "softmax first, columns afterwards", "cut late", "the softmax of the whole head, cut"),
    _wrong("probabilities", "no softmax of what was recorded", "probabilities",
        "recorded logits taken for probabilities"),
    _wrong("exchanged", "arguments exchanged", "exchanged", "new and recorded logits exchanged"),
    _wrong("divergence", "kl_div", "divergence", "the Kullback-Leibler divergence"),
    _wrong("both-means", "kl_div with reduction mean", "both means", "the mean over samples and classes"),
    _wrong("sum", "no mean", "sum", "the sum over samples instead of their mean"),
    _wrong("gradient-sum", "no mean in the gradient", "gradient sum", "the gradient of the sum over samples"),
    _wrong("unweighted", "no weight", "unweighted", "without its weight"),
    _wrong("gradient-unweighted", "no weight in the gradient", "gradient unweighted",
        "the gradient without its weight"),
    _wrong("or-default", "a weight of 0 is none", "or default", "weight = 0 taken for the default"),
)  # fmt: skip
