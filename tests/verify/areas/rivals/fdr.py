"""FDR: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    z, past = floats("fdr z", (4, 6)), floats("fdr past", (4, 6))
    half = np.concatenate([past[:2], z[2:]])
    for name, kind, note, logits, stored in [
        ("usual", "regular", "the square of the distance; a divergence instead of it", z, past),
        ("one-sample", "edge", "an axis of length 1 that is dropped", z[:1], past[:1]),
        ("nothing-changed", "edge", "the length has no derivative at 0: it is taken as 0", z, z),
        ("some-unchanged", "adversarial", "one sample at 0 beside others: NaN there spoils all", z, half),
        ("shifted", "adversarial", "distance of logits: a constant added to all of them changes nothing",
         z, (past + 1.0).astype(np.float32)),
        ("near", "adversarial", "a small number below the square root", z,
         (z + floats("fdr near", (4, 6)) / 64).astype(np.float32)),
        ("two-classes", "edge", "the smallest softmax that can change", z[:, :2], past[:, :2]),
        ("one-class", "edge", "a softmax of one class is 1: the distance is 0", z[:, :1], past[:, :1]),
        ("opposite", "edge", "the largest distance: the square root of 2",
         np.array([[100.0, -100.0, 0.0]]), np.array([[-100.0, 100.0, 0.0]])),
        ("huge-logits", "adversarial", "exp overflows without subtracting the maximum",
         np.array([[1e3, 999.0, 0.0], [-2e3, -1999.0, -2e3]]), np.array([[998.0, 1e3, 0.0], [5.0, 4.0, 5.0]])),
        ("many-classes", "adversarial", "sums in float32 in a float64 run", floats("fdr wide", (2, 100)),
         floats("fdr wide past", (2, 100))),
    ]:  # fmt: skip
        yield CaseSpec("fdr_penalty", name, kind, note, {"logits": logits, "stored": stored})
    for name, kind, capacity, task, form, note in (
        ("third", "regular", 200, 3, "paper", "rounded up"),
        ("second", "regular", 500, 2, "paper", "tasks counted from 0"),
        ("first", "edge", 500, 1, "paper", "one task has all"),
        ("small", "edge", 3, 5, "paper", "more tasks than slots"),
        ("third-mammoth", "regular", 201, 3, "mammoth", "tasks counted from 1"),
        ("second-mammoth", "regular", 200, 2, "mammoth", "nothing is cut"),
        ("first-mammoth", "edge", 200, 1, "mammoth", "division by 0"),
        ("fifth-mammoth", "regular", 203, 5, "mammoth", "rounded up"),
    ):
        yield CaseSpec("fdr_quota", name, kind, note, {"capacity": capacity, "task": task, "form": form})


# --- oracle -----------------------------------------------------------------------------------------------------------


def fdr_penalty(a: Arguments) -> Result:
    """torch.linalg.vector_norm of a difference of softmaxes, and autograd where it is not 0, in float64."""
    z, past = tensor(a["logits"]), tensor(a["stored"])
    shift = z - past
    # A shift of all logits of a sample by one number is none: what rounding leaves of it has no direction.
    moved = (shift != shift[:, :1]).any(dim=1)

    def lengths(logits: Tensor) -> Tensor:
        return torch.linalg.vector_norm(torch.softmax(logits, dim=1) - torch.softmax(past, dim=1), dim=1)

    dlogits, distance = torch.zeros_like(z), torch.zeros(len(z), dtype=torch.float64)
    if moved.any():
        (found,) = gradients(lambda logits: lengths(logits)[moved].sum() / len(z), [z], torch.tensor(1.0).double())
        dlogits[moved], distance[moved] = found[moved], lengths(z)[moved].detach()
    reach = max(largest(z), largest(past)) + 2
    shortest = min([1.0, *distance[moved].tolist()])
    terms = z.shape[1] + 8
    return {"per_sample": array(distance), "dlogits": array(dlogits)}, {
        # Where no sample has moved both softmaxes are the same numbers, and nothing is rounded.
        "per_sample": Tolerance(terms, reach if moved.any() else 0.0,
            "exponentials over classes; logits of this size in the exponent"),
        "dlogits": Tolerance(terms, largest(dlogits) * reach / shortest if moved.any() else 0.0,
            "a difference of probabilities, divided by its length"),
    }  # fmt: skip


def fdr_quota(a: Arguments) -> Result:
    """One sample for each task after the other, while there is room."""
    sharing, given, left = a["task"] - (a["form"] == "mammoth"), 0, a["capacity"]
    while left >= max(sharing, 1):
        given, left = given + 1, left - max(sharing, 1)
    return {"quota": given}, {}


ORACLES: dict[str, Oracle] = {"fdr_penalty": fdr_penalty, "fdr_quota": fdr_quota}


# --- wrong implementations --------------------------------------------------------------------------------------------


def shares(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def penalty(logits, stored, *, fault):
    n, classes = logits.shape
    p = shares(logits)
    target = stored if fault == "probabilities" else shares(stored)
    off = logits - stored if fault == "logits" else p - target
    small = float(fault) if fault.startswith("1e-") else 0.0
    length = np.sqrt((off * off).sum(axis=1, keepdims=True) + off.dtype.type(small))
    with np.errstate(all="ignore"):
        slope = off / length
    if fault != "nan":
        slope = np.where(length > 0, slope, 0.0).astype(off.dtype)
    if fault in ("square", "mean square"):
        length, slope = length**2, 2 * off
    if fault == "mean square":
        length, slope = length / classes, slope / classes
    if fault == "absolute":
        length, slope = np.abs(off).sum(axis=1, keepdims=True), np.sign(off)
    if fault == "divergence":
        with np.errstate(all="ignore"):
            logs = np.where(target > 0, target * np.log(target / p), 0.0).astype(p.dtype)
        return logs.sum(axis=1), off / n
    if fault == "logits":
        return length[:, 0], slope / n
    inner = 0.0 if fault == "no denominator" else (p * slope).sum(axis=1, keepdims=True)
    found = length[:, 0]
    found = np.full_like(found, found.mean()) if fault == "mean for each" else found
    return found, p * (slope - inner) / (1 if fault == "sum" else n)


def share(capacity, task, form, *, fault):
    first = {"from 0": 0, "from 1": 1, "to come": (form == "paper") + 1}.get(fault, int(form == "paper"))
    tasks = max(task - 1 + first, 1)
    return capacity if fault == "all" else int(np.ceil(capacity / tasks)) if fault == "up" else int(capacity / tasks)


def _wrong(name, mistake, fault, likely):
    return Wrong(f"fdr-{name}", "fdr_penalty", mistake, penalty, fault=fault, likely=likely)


WRONG = (
    *(Wrong(f"fdr-quota-{name}", "fdr_quota", mistake, share, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("from-0", "an index for a count", "from 0", "tasks counted from 0, which is mammoth's form"),
            ("from-1", "the paper's count", "from 1", "tasks counted from 1 in mammoth's form, too"),
            ("to-come", "one task too many", "to come", "the task to come counted"),
            ("up", "ceil", "up", "rounded up"),
            ("all", "no quota", "all", "the capacity whatever the task"),
        )),
    _wrong("square", "the squared norm", "square", "the square of the length"),
    _wrong("mean-square", "mse_loss of probabilities", "mean square", "the mean square over classes"),
    _wrong("absolute", "the sum of differences", "absolute", "the sum of absolute differences"),
    _wrong("logits", "no softmax", "logits", "the distance of logits instead of probabilities"),
    _wrong("probabilities", "no softmax of what is stored", "probabilities", "stored logits taken for probabilities"),
    _wrong("nan", "nothing is done about 0", "nan", "0 divided by 0 where nothing has changed"),
    *(_wrong(f"epsilon-{small}", "an epsilon below the root", small, "a small number added below the square root")
        for small in ("1e-12", "1e-8", "1e-6")),
    _wrong("no-denominator", "p times the slope", "no denominator",
        "the derivative of the softmax without its shared denominator"),
    _wrong("divergence", "kl_div", "divergence", "the Kullback-Leibler divergence"),
    _wrong("sum", "no mean in the gradient", "sum", "the gradient of the sum over samples"),
    _wrong("mean-for-each", "one number for all", "mean for each", "the mean loss given to every sample"),
)  # fmt: skip
