"""Importance scores and the probe behind them."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref import layers, losses
from sparcl_ref.models import Network
from sparcl_ref.sparcl import importance
from sparcl_ref.sparcl.importance import cgi, cwi
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, of, scaled

ALPHA = Argument("alpha", "float: coefficient of the current task's gradient", 0.5)
BETA = Argument("beta", "float: coefficient of the buffer's gradient", 1.0)
_EQ1 = "SparCL, equation (1)"


def _scored(sentence, score):
    """Equation 1 or 3 with another formula of w (None in equation 3), a g, b g', a and b."""

    def outputs(grad_current, grad_buffer, alpha, beta, weight=None):
        return {"importance": score(weight, alpha * grad_current, beta * grad_buffer, alpha, beta)}

    return Mistake(sentence, outputs)


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


def _fewer_samples(sentence, count):
    """The probe of the first samples only."""
    changes = {name: lambda given, name=name: given[name][: count(given)] for name in ("x", "labels")}
    return instead(sentence, **changes)


def _probe(weigh, **given):
    """The probe with chunks weighted otherwise."""
    size, total = given["batch_size"], np.zeros_like(given["weight"])
    parts = [slice(start, start + size) for start in range(0, len(given["x"]), size)]
    for part in parts:
        chunk = given | {"x": given["x"][part], "labels": given["labels"][part]}
        total = total + probe_gradient(**chunk) * weigh(len(parts))
    return {"dweight": total}


def _last_chunk_left_out(only_one, weighs, **given):
    """The probe without a short last chunk, or without one of one sample only, which may weigh all the same."""
    count, short = len(given["x"]), len(given["x"]) % given["batch_size"]
    if not short or (only_one and short > 1):
        return {}
    kept = {name: given[name][: count - short] for name in ("x", "labels")}
    found = probe_gradient(**given | kept)
    return {"dweight": found * (count - short) / count if weighs else found}


_OR_DEFAULT = (
    instead("alpha = 0 taken for the default", alpha=lambda given: given["alpha"] or ALPHA.default),
    instead("beta = 0 taken for the default", beta=lambda given: given["beta"] or BETA.default),
)


FUNCTIONS = (
    specify("cgi", "importance", cgi, "SparCL, equation (3)",
        "continual gradient importance is alpha |g_current| + beta |g_buffer|: each part's size, not the size of "
        "the sum",
        Argument("grad_current", "float, any shape: gradient on the current task"),
        Argument("grad_buffer", "float, shape of grad_current: gradient on the buffer, zeros if it is empty"),
        ALPHA, BETA,
        Output("importance", "float, shape of grad_current"),
        _scored("the size of the gradients' sum instead of the sum of their sizes", lambda w, g, b, *_: np.abs(g + b)),
        _scored("signs kept: no absolute values", lambda w, g, b, *_: g + b),
        _scored("the gradient on the buffer left out", lambda w, g, b, *_: np.abs(g)),
        Mistake("squares instead of absolute values", lambda grad_current, grad_buffer, alpha, beta: {
            "importance": alpha * grad_current**2 + beta * grad_buffer**2}),
        instead("one coefficient for both gradients, as in the published code", alpha=0.5, beta=0.5),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        *_OR_DEFAULT,
    ),
    specify("cwi", "importance", cwi, _EQ1,
        "continual weight importance is |w| + alpha |g_current| + beta |g_buffer|; the gradients are those of the "
        "losses, not the weights again",
        Argument("weight", "float, any shape"), Argument("grad_current", "float, shape of weight"),
        Argument("grad_buffer", "float, shape of weight"), ALPHA, BETA,
        Output("importance", "float, shape of weight"),
        _scored("|w| counted twice with zero gradients", lambda w, g, b, *_: 2 * np.abs(w)),
        _scored("the weights in place of their gradients: |w| + alpha |w| + beta |w|",
            lambda w, g, b, alpha, beta: (1 + alpha + beta) * np.abs(w)),
        _scored("plain magnitude: the gradients are left out, or zero", lambda w, g, b, *_: np.abs(w)),
        _scored("the gradient on the buffer left out", lambda w, g, b, *_: np.abs(w) + np.abs(g)),
        Mistake("one coefficient for both gradients, as in the published code",
            lambda weight, grad_current, grad_buffer, **_: {
                "importance": np.abs(weight) + 0.5 * np.abs(grad_current + grad_buffer)}),
        _scored("the size of the gradients' sum instead of the sum of their sizes",
            lambda w, g, b, *_: np.abs(w) + np.abs(g + b)),
        _scored("signs kept: no absolute values", lambda w, g, b, *_: w + g + b),
        _scored("the size of weight plus gradients instead of the sum of sizes", lambda w, g, b, *_: np.abs(w + g + b)),
        _scored("the sign of the weight kept", lambda w, g, b, *_: w + np.abs(g) + np.abs(b)),
        _scored("weight times gradient instead of their sum", lambda w, g, b, *_: np.abs(w) * (np.abs(g) + np.abs(b))),
        _scored("weight times gradient instead of their sum", lambda w, g, b, *_: np.abs(w * (g + b))),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        _scored("gradient importance (equation 3) without the weight's size",
            lambda w, g, b, *_: np.abs(g) + np.abs(b)),
        *_OR_DEFAULT,
        uses=("cgi",),
    ),
    specify("probe_gradient", "importance", probe_gradient, f"{_EQ1}; chunked probe",
        "the gradient of the mean cross-entropy of batch-norm, flatten, linear, formed in chunks with each chunk's "
        "own batch-norm statistics and weighted by the chunk's number of samples; no samples give zeros",
        Argument("x", "float (N, C, H, W): the samples, not augmented"), Argument("labels", "int (N,)"),
        Argument("classes", "list of int: classes of the task, in any order; None for the whole head", None),
        Argument("weight", "float (K, C H W): of the linear layer"), Argument("bias", "float (K,)"),
        Argument("gamma", "float (C,): batch-norm's weight"), Argument("beta", "float (C,): batch-norm's bias"),
        Argument("batch_size", "int: samples of a chunk; the last chunk may be smaller"),
        Argument("eps", "float: batch-norm's", 1e-5),
        Output("dweight", "float (K, C H W)"),
        instead("batch statistics over all samples instead of each chunk's",
            batch_size=lambda given: max(1, len(given["x"]))),
        Mistake("chunks weighted equally instead of by their samples", partial(_probe, lambda parts: 1 / parts)),
        Mistake("chunks' gradients summed", partial(_probe, lambda parts: 1.0)),
        _fewer_samples("only the first chunk read", lambda given: given["batch_size"]),
        *(Mistake(sentence, partial(_last_chunk_left_out, only_one, weighs)) for weighs in (False, True)
            for sentence, only_one in
                (("a short last chunk left out", False), ("a chunk of one sample left out", True))),
        instead("eps fixed at 1e-5 in the code", eps=1e-5),
        scaled("the gradient of the summed loss instead of its mean", dweight=lambda given: len(given["x"])),
        instead("full-head loss where single-head is asked", classes=None),
        uses=("cross_entropy", "batchnorm2d_forward", "linear_forward", "linear_backward"),
    ),
)  # fmt: skip
