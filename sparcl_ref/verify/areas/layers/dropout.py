"""Dropout."""

from __future__ import annotations

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import ANY, DX, DY, Y
from sparcl_ref.verify.function import Argument, drawn, specify
from sparcl_ref.verify.mistake import Mistake

KEEP = drawn("keep", "bool, shape of the input: the entries that are kept; this is the random draw")
P = Argument("p", "float, 0 <= p < 1: the probability with which an entry was dropped")


def dropout_forward(x, keep, p):
    # The layer draws for itself; here the draw is given.
    return layers.Dropout(p, rng=None)._thinned(x, keep)


def dropout_backward(dy, keep, p):
    return dropout_forward(dy, keep, p)


def _mistakes(output, source):
    return (
        Mistake("not divided by 1 - p", lambda keep, **given: {output: given[source] * keep}),
        # Nobody divides by 0.
        Mistake("divided by p instead of 1 - p",
            lambda keep, p, **given: {output: given[source] * keep / p} if p else {}),
        Mistake("kept and dropped entries exchanged",
            lambda keep, p, **given: {output: given[source] * ~keep / (1 - p)}),
    )  # fmt: skip


FUNCTIONS = (
    specify("dropout_forward", "layers", dropout_forward, "Srivastava et al., 2014",
        "y = x / (1 - p) where keep is set, else 0 (inverted dropout, train mode)",
        ANY, KEEP, P, Y,
        *_mistakes("y", "x"),
    ),
    specify("dropout_backward", "layers", dropout_backward, "derivative of dropout_forward",
        "dx = dy / (1 - p) where keep is set, else 0",
        DY, KEEP, P, DX,
        *_mistakes("dx", "dy"),
    ),
)  # fmt: skip
