"""Importance scores and the probe behind them."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers, losses
from sparcl_ref.models import Network
from sparcl_ref.sparcl import importance
from sparcl_ref.sparcl.importance import cgi, cwi
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake, instead, of, scaled

ALPHA = Argument("alpha", "float: coefficient of the current task's gradient", 0.5)
BETA = Argument("beta", "float: coefficient of the buffer's gradient", 1.0)
_EQ1 = "SparCL, equation (1)"


def _importance(score):
    """Equation 1 or 3 with another formula of |w| (None in equation 3), a g and b g'."""

    def outputs(grad_current, grad_buffer, alpha, beta, weight=None):
        return {"importance": score(weight, alpha * grad_current, beta * grad_buffer, alpha, beta)}

    return outputs


CGI = Function(
    "cgi", "importance",
    (
        Argument("grad_current", "float, any shape: gradient on the current task"),
        Argument("grad_buffer", "float, shape of grad_current: gradient on the buffer, zeros if it is empty"),
        ALPHA, BETA,
    ),
    (Output("importance", "float, shape of grad_current"),),
    "continual gradient importance is alpha |g_current| + beta |g_buffer|: each part's size, not the size of the sum",
    "SparCL, equation (3)", cgi,
    mistakes=(
        Mistake("the size of the gradients' sum instead of the sum of their sizes",
            _importance(lambda w, g, b, *_: np.abs(g + b))),
        Mistake("signs kept: no absolute values", _importance(lambda w, g, b, *_: g + b)),
        Mistake("the gradient on the buffer left out", _importance(lambda w, g, b, *_: np.abs(g))),
        Mistake("squares instead of absolute values",
            _importance(lambda w, g, b, alpha, beta: g**2 / alpha + b**2 / beta)),
        Mistake("one coefficient for both gradients, as in the published code",
            _importance(lambda w, g, b, alpha, beta: 0.5 * (np.abs(g / alpha) + np.abs(b / beta)))),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
    ),
)  # fmt: skip

CWI = Function(
    "cwi", "importance",
    (
        Argument("weight", "float, any shape"),
        Argument("grad_current", "float, shape of weight"),
        Argument("grad_buffer", "float, shape of weight"),
        ALPHA, BETA,
    ),
    (Output("importance", "float, shape of weight"),),
    "continual weight importance is |w| + alpha |g_current| + beta |g_buffer|; the gradients are those of the losses, "
    "not the weights again",
    _EQ1, cwi,
    mistakes=(
        Mistake("|w| counted twice with zero gradients", _importance(lambda w, g, b, *_: 2 * np.abs(w))),
        Mistake("the weights in place of their gradients: |w| + alpha |w| + beta |w|",
            _importance(lambda w, g, b, alpha, beta: (1 + alpha + beta) * np.abs(w))),
        Mistake("plain magnitude: the gradients are left out, or zero", _importance(lambda w, g, b, *_: np.abs(w))),
        Mistake("the gradient on the buffer left out", _importance(lambda w, g, b, *_: np.abs(w) + np.abs(g))),
        Mistake("one coefficient for both gradients, as in the published code",
            _importance(lambda w, g, b, alpha, beta: np.abs(w) + 0.5 * np.abs(g / alpha + b / beta))),
        Mistake("the size of the gradients' sum instead of the sum of their sizes",
            _importance(lambda w, g, b, *_: np.abs(w) + np.abs(g + b))),
        Mistake("signs kept: no absolute values", _importance(lambda w, g, b, *_: w + g + b)),
        Mistake("the size of weight plus gradients instead of the sum of sizes",
            _importance(lambda w, g, b, *_: np.abs(w + g + b))),
        Mistake("the sign of the weight kept", _importance(lambda w, g, b, *_: w + np.abs(g) + np.abs(b))),
        Mistake("weight times gradient instead of their sum",
            _importance(lambda w, g, b, *_: np.abs(w) * (np.abs(g) + np.abs(b)))),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        Mistake("gradient importance (equation 3) without the weight's size",
            _importance(lambda w, g, b, *_: np.abs(g) + np.abs(b))),
    ),
)  # fmt: skip


def probe_gradient(x, labels, classes, weight, bias, gamma, beta, batch_size, eps):
    norm = layers.BatchNorm2d(len(gamma), eps=eps, dtype=x.dtype)
    linear = layers.Linear(weight.shape[1], len(weight), dtype=x.dtype)
    body = layers.Sequential([norm, layers.Flatten(), linear])
    model = Network("probed", body, input_shape=x.shape[1:], classes=len(weight))
    for parameter, value in zip(model.parameters(), (gamma, beta, weight, bias), strict=True):
        parameter.value[...] = value

    def loss(logits, wanted):
        return losses.cross_entropy(logits, wanted, classes=classes)

    return importance.probe_gradients(model, [linear.weight], x, labels, loss, batch_size=batch_size)[0]


def _first_chunk(name):
    return lambda given: given[name][: given["batch_size"]]


def _whole_chunks(name):
    return lambda given: given[name][: len(given[name]) // given["batch_size"] * given["batch_size"]]


def _probe(weigh):
    """The probe with chunks weighted otherwise."""

    def outputs(**given):
        size, total = given["batch_size"], np.zeros_like(given["weight"])
        parts = [slice(start, start + size) for start in range(0, len(given["x"]), size)]
        for part in parts:
            chunk = given | {"x": given["x"][part], "labels": given["labels"][part]}
            total = total + probe_gradient(**chunk) * weigh(len(parts))
        return {"dweight": total}

    return outputs


PROBE_GRADIENT = Function(
    "probe_gradient", "importance",
    (
        Argument("x", "float (N, C, H, W): the samples, not augmented"),
        Argument("labels", "int (N,)"),
        Argument("classes", "list of int: classes of the task, in any order; None for the whole head", None),
        Argument("weight", "float (K, C H W): of the linear layer"),
        Argument("bias", "float (K,)"),
        Argument("gamma", "float (C,): batch-norm's weight"),
        Argument("beta", "float (C,): batch-norm's bias"),
        Argument("batch_size", "int: samples of a chunk; the last chunk may be smaller"),
        Argument("eps", "float: batch-norm's", 1e-5),
    ),
    (Output("dweight", "float (K, C H W)"),),
    "the gradient of the mean cross-entropy of batch-norm, flatten, linear, formed in chunks with each chunk's own "
    "batch-norm statistics and weighted by the chunk's number of samples; no samples give zeros",
    f"{_EQ1}; chunked probe", probe_gradient,
    mistakes=(
        instead("batch statistics over all samples instead of each chunk's",
            batch_size=lambda given: max(1, len(given["x"]))),
        Mistake("chunks weighted equally instead of by their samples", _probe(lambda parts: 1 / parts)),
        Mistake("chunks' gradients summed", _probe(lambda parts: 1.0)),
        instead("only the first chunk read", x=_first_chunk("x"), labels=_first_chunk("labels")),
        instead("a short last chunk left out", x=_whole_chunks("x"), labels=_whole_chunks("labels")),
        scaled("the gradient of the summed loss instead of its mean", dweight=lambda given: len(given["x"])),
        instead("full-head loss where single-head is asked", classes=None),
    ),
)  # fmt: skip

FUNCTIONS = (CGI, CWI, PROBE_GRADIENT)
