"""iCaRL's loss: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    base = {
        "logits": floats("icarl z", (4, 8)), "labels": np.array([5, 1, 6, 5]), "recorded": floats("icarl past", (4, 8)),
        "old": [4, 1, 0], "new": [6, 5],
    }  # fmt: skip
    for name, kind, note, changes in [
        ("usual", "regular", "labels for old classes; a softmax for sigmoids", {}),
        ("mammoth", "regular", "the sum over classes, or the mean over those that there are", {"form": "mammoth"}),
        ("first-task", "edge", "no class is old: labels alone", {"old": [], "labels": np.array([5, 6, 6, 5])}),
        ("first-task-mammoth", "edge", "no class is old: labels alone",
         {"old": [], "labels": np.array([5, 6, 6, 5]), "form": "mammoth"}),
        ("exemplars", "adversarial", "samples of old classes have no label of their own",
         {"labels": np.array([4, 0, 1, 1])}),
        ("no-class-to-come", "regular", "all classes take part", {"old": [0, 1, 2, 3, 4], "new": [5, 6, 7]}),
        ("one-sample", "edge", "an axis of length 1 that is dropped",
         {name: base[name][:1] for name in ("logits", "labels", "recorded")}),
        ("nothing-changed", "edge", "what is said of old classes is what was said: no gradient there",
         {"logits": base["recorded"]}),
        ("huge-logits", "adversarial", "log(1 + e^z) overflows; log of a sigmoid that is rounded to 0",
         {"logits": np.array([[1e3, -1e3, 0.0, 20.0], [-2e3, 3e3, -40.0, 1.0]]), "labels": np.array([2, 3]),
          "recorded": np.array([[900.0, -2e3, 0.0, 0.0], [1e3, 30.0, 0.0, 0.0]]), "old": [1, 0], "new": [2, 3]}),
    ]:  # fmt: skip
        yield CaseSpec("icarl_loss", name, kind, note, base | changes)


# --- oracle -----------------------------------------------------------------------------------------------------------


def icarl_loss(a: Arguments) -> Result:
    """torch.nn.functional.binary_cross_entropy_with_logits and autograd in float64."""
    z, head = tensor(a["logits"]), a["logits"].shape[1]
    targets = functional.one_hot(tensor(a["labels"]), head).double()
    targets[:, a["old"]] = torch.sigmoid(tensor(a["recorded"]))[:, a["old"]]
    mammoth = a["form"] == "mammoth"
    columns = list(range(head)) if mammoth else [*a["old"], *a["new"]]

    def losses(logits: Tensor) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(logits[:, columns], targets[:, columns], reduction="none")
        return each.mean(dim=1) if mammoth else each.sum(dim=1)

    (found,) = gradients(lambda logits: losses(logits).mean(), [z], torch.tensor(1.0, dtype=torch.float64))
    left_out = ~np.isin(np.arange(head), columns) & np.ones((len(z), 1), dtype=bool)
    divisor = head if mammoth else 1
    size = largest(z[:, columns]) + 1
    terms, reason = len(columns) + 6, "one logarithm and one product for each class"
    return {"per_sample": array(losses(z)), "dlogits": np.where(left_out, 0.0, array(found))}, {
        "per_sample": Tolerance(terms, 2 * size * len(columns) / divisor, reason),
        # A sigmoid's exponent is off by the size of a logit only where the sigmoid is small.
        "dlogits": Tolerance(8, 2 / (divisor * len(z)), "two sigmoids", left_out if left_out.any() else None),
    }


ORACLES: dict[str, Oracle] = {"icarl_loss": icarl_loss}


# --- wrong implementations --------------------------------------------------------------------------------------------


def sigmoid(z):
    with np.errstate(over="ignore"):
        return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))))


def shares(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def class_by_class(logits, labels, recorded, old, new, form, *, fault):
    n, head = logits.shape
    mammoth = form == "mammoth"
    taking_part = {*old, *new}
    over = set(range(head)) if mammoth or fault == "to come" else taking_part
    if fault == "distillation alone" and old and not mammoth:
        over = set(old)
    losses, dlogits = np.zeros(n, logits.dtype), np.zeros_like(logits)
    for c in sorted(over):
        t = (labels == c).astype(logits.dtype)
        if c in old and fault != "labels":
            past = recorded[:, old]
            t = {
                "softmax": shares(recorded)[:, c],
                "old softmax": shares(past)[:, old.index(c)],
                "logits": recorded[:, c],
                "hard": (recorded[:, c] > 0).astype(logits.dtype),
                "label too": np.maximum(t, sigmoid(recorded[:, c])),
            }.get(fault, sigmoid(recorded[:, c]))
        z = logits[:, c]
        losses += np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - t * z
        dlogits[:, c] = (sigmoid(z) - t) / n
    divisor = head if mammoth else 1
    divisor = {"sum": 1, "mean": divisor if mammoth else len(taking_part),
               "so far": len(taking_part) if mammoth else 1}.get(fault, divisor)  # fmt: skip
    losses, dlogits = losses / divisor, dlogits / divisor
    losses = np.full_like(losses, losses.mean()) if fault == "mean for each" else losses
    return losses, dlogits * (n if fault == "gradient sum" else 1)


def _wrong(name, mistake, fault, likely):
    return Wrong(f"icarl-{name}", "icarl_loss", mistake, class_by_class, fault=fault, likely=likely)


WRONG = (
    _wrong("mean", "a mean over classes", "mean", "the mean over classes instead of their sum"),
    _wrong("sum", "a sum over classes", "sum", "the sum over classes instead of mammoth's mean"),
    _wrong("so-far", "a mean over classes so far", "so far", "mammoth's mean over the classes that there are so far"),
    _wrong("to-come", "the whole head", "to come", "classes to come with a target of 0"),
    _wrong("distillation", "old classes alone", "distillation alone", "new classes left out"),
    _wrong("labels", "labels alone", "labels", "labels for old classes, too"),
    _wrong("softmax", "a softmax over the head", "softmax", "softmax of the recorded logits instead of sigmoids"),
    _wrong("old-softmax", "a softmax over old classes", "old softmax",
        "softmax of the recorded logits over old classes"),
    _wrong("logits", "no sigmoid", "logits", "recorded logits themselves for targets"),
    _wrong("hard", "predictions for targets", "hard", "recorded sigmoids rounded to 0 and 1"),
    _wrong("label-too", "labels win over what was recorded", "label too", "a target of 1 for the label of a sample"),
    _wrong("gradient-sum", "no mean in the gradient", "gradient sum", "the gradient of the sum over samples"),
    _wrong("mean-for-each", "one number for all", "mean for each", "the mean loss given to every sample"),
)  # fmt: skip
