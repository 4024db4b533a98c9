"""Dropout."""

from __future__ import annotations

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import ANY, DX, DY, Y
from sparcl_ref.verify.function import Argument, Function
from sparcl_ref.verify.mistake import Mistake

KEEP = Argument("keep", "bool, shape of the input: the entries that are kept; this is the random draw")
P = Argument("p", "float, 0 <= p < 1: the probability with which an entry was dropped")


def dropout_forward(x, keep, p):
    # The layer draws for itself; here the draw is given.
    return layers.Dropout(p, rng=None)._thinned(x, keep)


def dropout_backward(dy, keep, p):
    return layers.Dropout(p, rng=None)._thinned(dy, keep)


def _divided_by_p(output, source):
    def outputs(keep, p, **given):
        if not p:
            raise ValueError("nobody divides by 0")
        return {output: given[source] * keep / p}

    return outputs


def _mistakes(output, source):
    return (
        Mistake("not divided by 1 - p", lambda **given: {output: given[source] * given["keep"]}),
        Mistake("divided by p instead of 1 - p", _divided_by_p(output, source)),
        Mistake("kept and dropped entries exchanged",
            lambda **given: {output: given[source] * ~given["keep"] / (1 - given["p"])}),
    )  # fmt: skip


DROPOUT_FORWARD = Function(
    "dropout_forward", "layers", (ANY, KEEP, P), (Y,),
    "y = x / (1 - p) where keep is set, else 0 (inverted dropout, train mode)",
    "Srivastava et al., 2014", dropout_forward,
    mistakes=_mistakes("y", "x"),
)  # fmt: skip

DROPOUT_BACKWARD = Function(
    "dropout_backward", "layers", (DY, KEEP, P), (DX,),
    "dx = dy / (1 - p) where keep is set, else 0",
    "derivative of dropout_forward", dropout_backward,
    mistakes=_mistakes("dx", "dy"),
)  # fmt: skip

FUNCTIONS = (DROPOUT_FORWARD, DROPOUT_BACKWARD)
