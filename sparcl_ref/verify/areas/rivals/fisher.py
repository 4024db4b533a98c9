"""Fisher information of a classifier, as EWC and online EWC take it."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from sparcl_ref import layers
from sparcl_ref.methods.oewc import OnlineEWC
from sparcl_ref.models import Network
from sparcl_ref.own_training import finish
from sparcl_ref.verify.areas.losses.cross_entropy import LABELS
from sparcl_ref.verify.function import Argument, Output, drawn, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

KIRKPATRICK = "Kirkpatrick et al., 2017"
SCHWARZ = "Schwarz et al., 2018"
FORM = Argument("form", '"paper", or "mammoth": the code base behind published figures', "paper")


@dataclass(frozen=True)
class _Data:
    """Vectors as a method's hooks see the images of a task."""

    x: np.ndarray
    labels: np.ndarray
    task: SimpleNamespace
    batch_size: int
    epochs: int = 1

    def __len__(self) -> int:
        return len(self.x)

    def take(self, part: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(x=self.x[part], labels=self.labels[part])


class _Given:
    """In the place of a random stream: what is drawn, in order."""

    def __init__(self, values: np.ndarray):
        self.values = iter(values.tolist())

    def choice(self, count: int, p: np.ndarray) -> int:
        return next(self.values)


def fisher_information(x, weight, bias, mask, labels, draws, fisher, classes, batch_size, form):
    layer = layers.Linear(x.shape[1], len(weight), dtype=weight.dtype)
    layer.weight.value[...], layer.bias.value[...] = weight, bias
    layer.weight.set_mask(mask)
    body = layers.Sequential([layers.Flatten(), layer])
    model = Network("classifier", body, input_shape=(x.shape[1], 1, 1), classes=len(weight))
    head = "full" if classes is None else "single"
    method = OnlineEWC(model, own_rng=_Given(draws), head=head, fisher=fisher, form=form)
    finish(method, _Data(x[:, :, None, None], labels, SimpleNamespace(classes=classes), batch_size))
    return tuple(method.anchors[0].fisher)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _information(
    x, weight, bias, mask, labels, draws, fisher, classes, batch_size, form, *,
    grouped=None, squared=True, expected=False, likeliest=False, share=None, piled=False,
):  # fmt: skip
    """Fisher information written out: squares of the gradients of groups of samples, of each by default."""
    kept = np.ones(weight.shape, dtype=bool) if mask is None else mask
    columns = np.arange(len(weight)) if classes is None or form == "mammoth" else np.asarray(classes)
    z = x @ np.where(kept, weight, 0.0).T + bias
    p = np.zeros_like(z)
    p[:, columns] = np.exp(z[:, columns] - z[:, columns].max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    chosen = draws if fisher == "sampled" and form == "paper" else labels
    chosen = p.argmax(axis=1) if likeliest else chosen
    weights = p[np.arange(len(x)), labels] if form == "mammoth" else np.ones(len(x))
    weights = share(p, labels, form) if share else weights
    totals, size = [np.zeros_like(weight), np.zeros_like(bias)], grouped(len(x), batch_size) if grouped else 1

    def add(slopes, factors):
        for start in range(0, len(x), size):
            part, held = slice(start, start + size), slice(0 if piled else start, start + size)
            count = len(x[part])
            gradients = slopes[held].T @ x[held] / count, slopes[held].sum(axis=0) / count
            for total, g in zip(totals, gradients, strict=True):
                total += factors[part].mean() * count * (g**2 if squared else np.abs(g))

    if expected:
        for label in columns:
            add(p - np.eye(len(bias))[label], weights * p[:, label])
    else:
        add(p - np.eye(len(bias))[chosen], weights)
    divisor = -(-len(x) // batch_size) * batch_size if form == "mammoth" else len(x)
    return {"weight_fisher": np.where(kept, totals[0], 0.0) / divisor, "bias_fisher": totals[1] / divisor}


def _written_out(sentence, **changes):
    return Mistake(sentence, lambda **given: _information(**given, **changes))


def _where(applies, mistake):
    """The mistake where its arguments are such."""
    return Mistake(mistake.sentence, lambda **given: mistake.outputs(**given) if applies(given) else {})


def _sampled(given):
    return given["fisher"] == "sampled" and given["form"] == "paper"


def _batches(given):
    """By how much batches times batch size exceed the number of samples."""
    size = given["batch_size"]
    return -(-len(given["x"]) // size) * size / len(given["x"])


def _in_form(form, factor):
    """A factor for `scaled` in the cases of one form."""
    return lambda given: factor(given) if given["form"] == form else 1.0


def _true_labels(given):
    return given["labels"] if _sampled(given) else given["draws"]


def _both(factor):
    return {"weight_fisher": factor, "bias_fisher": factor}


FUNCTIONS = (
    specify("fisher_information", "rivals", fisher_information, f"{KIRKPATRICK}; {SCHWARZ}; mammoth's code",
        "of the classifier logits = x weight^T + bias: mean over samples of g^2, g the gradient of log p(y | x) for "
        'one sample alone; y drawn from the model ("sampled") or the label ("empirical"). mammoth takes the label '
        "and the softmax over the head, weighs each g^2 by p(y | x), and divides by batches times batch size; "
        "exactly +0.0 at dead weights",
        Argument("x", "float (N, D): one sample a row"), Argument("weight", "float (C, D): dead entries are 0"),
        Argument("bias", "float (C,)"), Argument("mask", "bool (C, D), or None: the living weights; None: all", None),
        LABELS, drawn("draws", "int (N,): y of each sample as drawn from the model; read where it is sampled"),
        Argument("fisher", '"sampled" or "empirical"', "sampled"),
        Argument("classes", "list of int, or None: the classes of the softmax; None: the head", None),
        Argument("batch_size", "int: of the batches that mammoth counts", 32), FORM,
        Output("weight_fisher", "float (C, D)"), Output("bias_fisher", "float (C,)"),
        _written_out("the square of the mean gradient instead of the mean of squares", grouped=lambda n, size: n),
        _written_out("squares of the gradients of batches instead of samples", grouped=lambda n, size: size),
        _written_out("gradients not cleared between samples: each adds to those before", piled=True),
        scaled("the sum over samples instead of their mean", **_both(lambda given: len(given["x"]) * _batches(given)
            if given["form"] == "mammoth" else len(given["x"]))),
        instead("labels where y is to be drawn from the model", draws=_true_labels),
        _where(lambda given: given["fisher"] == "empirical" and given["form"] == "paper",
            Mistake("y drawn from the model where the label is asked",
                lambda **given: _information(**given | {"fisher": "sampled"}))),
        _where(_sampled, _written_out("the likeliest class instead of a drawn one", likeliest=True)),
        _where(_sampled, _written_out("the expectation over all classes instead of a drawn one", expected=True)),
        _written_out("absolute values of gradients instead of squares", squared=False),
        scaled("divided by batches times batch size, which is mammoth's form",
            **_both(_in_form("paper", lambda given: 1 / _batches(given)))),
        scaled("divided by the number of samples, which mammoth's form does not do",
            **_both(_in_form("mammoth", _batches))),
        _where(lambda given: given["form"] == "paper",
            _written_out("each square weighted by p(y | x), which is mammoth's form",
                share=lambda p, labels, form: p[np.arange(len(p)), labels])),
        _where(lambda given: given["form"] == "mammoth",
            _written_out("squares without the weight p(y | x) of mammoth's form",
                share=lambda p, labels, form: np.ones(len(p)))),
        _where(lambda given: given["form"] == "mammoth",
            _written_out("the weight p(y | x) squared with the gradient",
                share=lambda p, labels, form: p[np.arange(len(p)), labels] ** 2)),
        instead("the whole head where the task's classes are asked", classes=None),
        Mistake("Fisher information at dead weights", lambda right, **given: {
            "weight_fisher": right(**given | {"mask": None})["weight_fisher"]}, of_right=True),
    ),
)  # fmt: skip
