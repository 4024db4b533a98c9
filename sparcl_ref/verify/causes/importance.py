"""Known mistakes in importance scores and in the probe behind them."""

from __future__ import annotations

import numpy as np

from sparcl_ref.verify.adapters import numpy_rules as right
from sparcl_ref.verify.causes.cause import Cause, instead, of, scaled


def _importance(score):
    """Equation 1 or 3 with another formula of |w| (None in equation 3), a g and b g'."""

    def outputs(grad_current, grad_buffer, alpha, beta, weight=None):
        return {"importance": score(weight, alpha * grad_current, beta * grad_buffer, alpha, beta)}

    return outputs


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
            total = total + right.probe_gradient(**chunk) * weigh(len(parts))
        return {"dweight": total}

    return outputs


CAUSES = (
    Cause("cwi", "|w| counted twice with zero gradients", _importance(lambda w, g, b, *_: 2 * np.abs(w))),
    Cause("cwi", "the weights in place of their gradients: |w| + alpha |w| + beta |w|",
          _importance(lambda w, g, b, alpha, beta: (1 + alpha + beta) * np.abs(w))),
    Cause("cwi", "plain magnitude: the gradients are left out, or zero",
          _importance(lambda w, g, b, *_: np.abs(w))),
    Cause("cwi", "the gradient on the buffer left out", _importance(lambda w, g, b, *_: np.abs(w) + np.abs(g))),
    Cause("cwi", "one coefficient for both gradients, as in the published code",
          _importance(lambda w, g, b, alpha, beta: np.abs(w) + 0.5 * np.abs(g / alpha + b / beta))),
    Cause("cwi", "the size of the gradients' sum instead of the sum of their sizes",
          _importance(lambda w, g, b, *_: np.abs(w) + np.abs(g + b))),
    Cause("cwi", "signs kept: no absolute values", _importance(lambda w, g, b, *_: w + g + b)),
    Cause("cwi", "the size of weight plus gradients instead of the sum of sizes",
          _importance(lambda w, g, b, *_: np.abs(w + g + b))),
    Cause("cwi", "the sign of the weight kept", _importance(lambda w, g, b, *_: w + np.abs(g) + np.abs(b))),
    Cause("cwi", "weight times gradient instead of their sum",
          _importance(lambda w, g, b, *_: np.abs(w) * (np.abs(g) + np.abs(b)))),
    Cause("cwi", "alpha and beta exchanged",
          instead(right.cwi, "importance", alpha=of("beta"), beta=of("alpha"))),
    Cause("cwi", "gradient importance (equation 3) without the weight's size",
          _importance(lambda w, g, b, *_: np.abs(g) + np.abs(b))),
    Cause("cgi", "the size of the gradients' sum instead of the sum of their sizes",
          _importance(lambda w, g, b, *_: np.abs(g + b))),
    Cause("cgi", "signs kept: no absolute values", _importance(lambda w, g, b, *_: g + b)),
    Cause("cgi", "the gradient on the buffer left out", _importance(lambda w, g, b, *_: np.abs(g))),
    Cause("cgi", "squares instead of absolute values",
          _importance(lambda w, g, b, alpha, beta: g**2 / alpha + b**2 / beta)),
    Cause("cgi", "one coefficient for both gradients, as in the published code",
          _importance(lambda w, g, b, alpha, beta: 0.5 * (np.abs(g / alpha) + np.abs(b / beta)))),
    Cause("cgi", "alpha and beta exchanged",
          instead(right.cgi, "importance", alpha=of("beta"), beta=of("alpha"))),
    Cause("probe_gradient", "batch statistics over all samples instead of each chunk's",
          instead(right.probe_gradient, "dweight", batch_size=lambda given: max(1, len(given["x"])))),
    Cause("probe_gradient", "chunks weighted equally instead of by their samples", _probe(lambda parts: 1 / parts)),
    Cause("probe_gradient", "chunks' gradients summed", _probe(lambda parts: 1.0)),
    Cause("probe_gradient", "only the first chunk read",
          instead(right.probe_gradient, "dweight", x=_first_chunk("x"), labels=_first_chunk("labels"))),
    Cause("probe_gradient", "a short last chunk left out",
          instead(right.probe_gradient, "dweight", x=_whole_chunks("x"), labels=_whole_chunks("labels"))),
    Cause("probe_gradient", "the gradient of the summed loss instead of its mean",
          scaled(right.probe_gradient, "dweight", dweight=lambda given: len(given["x"]))),
    Cause("probe_gradient", "full-head loss where single-head is asked",
          instead(right.probe_gradient, "dweight", classes=lambda given: None)),
)  # fmt: skip
