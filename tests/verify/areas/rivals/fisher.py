"""Fisher information: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tests.verify.areas.losses.cross_entropy import head
from tests.verify.draws import floats, truths
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, largest, tensor


def cases() -> Iterator[CaseSpec]:
    base: dict[str, Any] = {
        "x": floats("fisher x", (5, 3)), "weight": floats("fisher w", (6, 3)) / 2, "bias": floats("fisher b", 6) / 4,
        "labels": np.array([4, 1, 3, 4, 1]), "draws": np.array([1, 3, 3, 4, 4]), "batch_size": 2,
    }  # fmt: skip
    living = truths("fisher living", (6, 3), count=10)
    sparse = {"mask": living, "weight": np.where(living, base["weight"], 0.0)}
    task = {"classes": [4, 1, 3]}
    likely = base["weight"] * 2
    for name, kind, note, changes in [
        ("sampled", "regular", "labels instead of draws; the square of the mean gradient", {}),
        ("empirical", "regular", "draws instead of labels; divided by batches times batch size",
         {"fisher": "empirical"}),
        ("task-head", "regular", "the whole head where the task's classes are asked", task),
        ("task-head-empirical", "regular", "the whole head where the task's classes are asked",
         {**task, "fisher": "empirical"}),
        ("mammoth", "regular", "its squares are weighted by p(y | x), and divided by 6 for 5 samples",
         {"form": "mammoth"}),
        ("mammoth-task-head", "adversarial", "mammoth takes the whole head and the label whatever is asked",
         {**task, "form": "mammoth", "fisher": "empirical"}),
        ("mammoth-large-batch", "adversarial", "one batch that is not full counts as full",
         {"form": "mammoth", "batch_size": 32}),
        ("mammoth-even", "edge", "batches that are all full", {"form": "mammoth", "batch_size": 5}),
        ("one-sample", "edge", "of one sample mean and square may change places",
         {name: base[name][:1] for name in ("x", "labels", "draws")}),
        ("opposite-gradients", "adversarial", "gradients that cancel in the mean: their squares do not",
         {"x": np.array([[1.0, 2.0, -0.5]] * 2), "weight": np.zeros((2, 3)), "bias": np.zeros(2),
          "labels": np.array([0, 1]), "draws": np.array([1, 0])}),
        ("sparse", "regular", "Fisher information at dead weights", sparse),
        ("sparse-mammoth", "regular", "Fisher information at dead weights", {**sparse, "form": "mammoth"}),
        ("sparse-empirical", "adversarial", "Fisher information at dead weights",
         {**sparse, **task, "fisher": "empirical", "batch_size": 4}),
        ("confident", "adversarial", "confident samples: small gradients, large weights in mammoth's form",
         {"weight": likely, "form": "mammoth", "batch_size": 3}),
        ("huge-logits", "adversarial", "exp overflows without subtracting the maximum",
         {"weight": base["weight"] * 1024, "bias": base["bias"] * 1024}),
    ]:  # fmt: skip
        yield CaseSpec("fisher_information", name, kind, note, base | changes)


# --- oracle -----------------------------------------------------------------------------------------------------------


def fisher_information(a: Arguments) -> Result:
    """torch.autograd of each sample's log probability alone, squared and added up, in float64."""
    mammoth = a["form"] == "mammoth"
    labels = a["draws"] if a["fisher"] == "sampled" and not mammoth else a["labels"]
    classes = None if mammoth else a["classes"]
    weight, bias = (tensor(a[name]).requires_grad_() for name in ("weight", "bias"))
    totals, reach = [torch.zeros_like(weight), torch.zeros_like(bias)], 0.0
    for x, label in zip(tensor(a["x"]), labels.tolist(), strict=True):
        logits = head((weight @ x + bias)[None], classes)[0]
        log_p = torch.log_softmax(logits, dim=0)[label]
        reach = max(reach, largest(logits[logits > -math.inf].detach()))
        share = float(log_p.detach().exp()) if mammoth else 1.0
        for total, g in zip(totals, torch.autograd.grad(log_p, (weight, bias)), strict=True):
            total += share * g**2
    n, size = len(labels), a["batch_size"]
    divisor = math.ceil(n / size) * size if mammoth else n
    outputs = {f"{name}_fisher": array(total) / divisor for name, total in zip(("weight", "bias"), totals, strict=True)}
    zeros = None if a["mask"] is None else ~a["mask"]
    if zeros is not None:
        outputs["weight_fisher"] = np.where(zeros, 0.0, outputs["weight_fisher"])
    # A probability lies in 0..1; its exponent may be off by the size of a logit, and so may a square of it.
    terms, grown = n + sum(a["weight"].shape) + 6, min(1.0, 2 * n / divisor) * (4 + 4 * reach)
    reason = "squares over samples; logits of this size in the exponent"
    return outputs, {
        "weight_fisher": Tolerance(terms, float(np.abs(a["x"]).max() ** 2) * grown, reason, zeros),
        "bias_fisher": Tolerance(terms, grown, reason),
    }


ORACLES: dict[str, Oracle] = {"fisher_information": fisher_information}


# --- wrong implementations --------------------------------------------------------------------------------------------


def information(x, weight, bias, mask, labels, draws, fisher, classes, batch_size, form, *, fault):
    """Gradients of the samples as an array, one after the other."""
    mammoth, n, count = form == "mammoth", len(x), len(bias)
    y = labels if mammoth or fisher == "empirical" else draws
    if not mammoth and fault in ("labels", "draws"):
        y = labels if fault == "labels" else draws
    inside = np.ones(count, dtype=bool)
    if classes is not None and not mammoth and fault != "head":
        inside = np.isin(np.arange(count), classes)
    z = np.where(inside, x @ weight.T + bias, -np.inf)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    if fault == "likeliest" and fisher == "sampled" and not mammoth:
        y = p.argmax(axis=1)
    shares = p[np.arange(n), labels] if mammoth != (fault == "shares") else np.ones(n, p.dtype)
    if fault == "inside" and mammoth:
        shares = shares**2

    def slopes(of):
        each = p.copy()
        each[np.arange(n), of] -= 1
        return each

    def squares(each):
        g = np.concatenate([(each[:, :, None] * x[:, None]).reshape(n, -1), each], axis=1)
        if fault in ("mean", "batches"):
            size = n if fault == "mean" else batch_size
            starts = range(0, n, size)
            # The mean loss of a batch, weighted as its mean: its square stands for all of its samples.
            return np.concatenate([np.repeat((g[s : s + size].mean(axis=0) ** 2)[None], len(g[s : s + size]), 0)
                * shares[s : s + size].mean() for s in starts])  # fmt: skip
        g = np.cumsum(g, axis=0) if fault == "piled" else g
        return (np.abs(g) if fault == "absolute" else g**2) * shares[:, None]

    if fault == "expected" and fisher == "sampled" and not mammoth:
        total = sum((p[:, c, None] * squares(slopes(np.full(n, c)))).sum(axis=0) for c in np.flatnonzero(inside))
    else:
        total = squares(slopes(y)).sum(axis=0)
    batches = -(-n // batch_size) * batch_size
    divisor = batches if mammoth != (fault == "divisor") else n
    total = total / (1 if fault == "sum" else divisor)
    found = total[: weight.size].reshape(weight.shape).astype(weight.dtype)
    found[np.zeros_like(found, dtype=bool) if mask is None or fault == "dead" else ~mask] = 0
    return found, total[weight.size :].astype(weight.dtype)


def divided_by_batches(x, batch_size, form, **rest):
    """The divisor of mammoth's form in both."""
    size = -(-len(x) // batch_size) * batch_size
    found = information(x=x, batch_size=batch_size, form=form, **rest, fault="none")
    return tuple(each if form == "mammoth" else each * each.dtype.type(len(x) / size) for each in found)


def divided_by_samples(x, batch_size, form, **rest):
    """The divisor of the paper's form in both."""
    size = -(-len(x) // batch_size) * batch_size
    found = information(x=x, batch_size=batch_size, form=form, **rest, fault="none")
    return tuple(each * each.dtype.type(size / len(x)) if form == "mammoth" else each for each in found)


def weighted(form, **rest):
    return information(form=form, **rest, fault="none" if form == "mammoth" else "shares")


def unweighted(form, **rest):
    return information(form=form, **rest, fault="shares" if form == "mammoth" else "none")


WRONG = (
    *(Wrong(f"fisher-{name}", "fisher_information", mistake, information, fault=fault, likely=likely)
        for name, mistake, fault, likely in (
            ("mean", "the gradient of the mean loss, squared", "mean",
                "the square of the mean gradient instead of the mean of squares"),
            ("batches", "one square for each batch", "batches", "squares of the gradients of batches"),
            ("piled", "no zero_grad", "piled", "gradients not cleared between samples"),
            ("labels", "the label for a draw", "labels", "labels where y is to be drawn from the model"),
            ("draws", "a draw for the label", "draws", "y drawn from the model where the label is asked"),
            ("likeliest", "argmax", "likeliest", "the likeliest class instead of a drawn one"),
            ("expected", "all classes, weighted", "expected", "the expectation over all classes"),
            ("absolute", "no square", "absolute", "absolute values of gradients instead of squares"),
            ("sum", "no mean", "sum", "the sum over samples instead of their mean"),
            ("head", "the whole head", "head", "the whole head where the task's classes are asked"),
            ("inside", "p before the square", "inside", "the weight p(y | x) squared with the gradient"),
            ("dead", "no mask", "dead", "Fisher information at dead weights"),
        )),
    Wrong("fisher-by-batches", "fisher_information", "mammoth's divisor", divided_by_batches,
        likely="divided by batches times batch size, which is mammoth's form"),
    Wrong("fisher-by-samples", "fisher_information", "the number of samples in mammoth's form, too", divided_by_samples,
        likely="divided by the number of samples, which mammoth's form does not do"),
    Wrong("fisher-weighted", "fisher_information", "mammoth's weights", weighted,
        likely="each square weighted by p(y | x), which is mammoth's form"),
    Wrong("fisher-unweighted", "fisher_information", "no weights in mammoth's form, either", unweighted,
        likely="squares without the weight p(y | x) of mammoth's form"),
)  # fmt: skip
