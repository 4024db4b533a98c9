"""The rectified linear unit."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import ANY, DX, DY, Y, through
from sparcl_ref.verify.function import Function
from sparcl_ref.verify.mistake import Mistake


def relu_forward(x):
    return layers.ReLU().forward(x, mode="train")


def relu_backward(dy, x):
    return through(layers.ReLU(), x, dy)


RELU_FORWARD = Function(
    "relu_forward", "layers", (ANY,), (Y,),
    "y = max(x, 0) entry by entry; NaN stays NaN",
    "rectified linear unit", relu_forward,
    mistakes=(
        Mistake("NaN turned into 0", lambda x: {"y": np.fmax(x, 0)}),
        *(Mistake(f"a leak of {slope} below 0", lambda x, slope=slope: {"y": np.where(x > 0, x, slope * x)})
            for slope in (0.01, 0.1)),
    ),
)  # fmt: skip

RELU_BACKWARD = Function(
    "relu_backward", "layers", (DY, ANY), (DX,),
    "dx = dy where x > 0, else 0: the derivative at 0 is taken as 0",
    "derivative of relu_forward", relu_backward,
    mistakes=(
        Mistake("the derivative taken from the output with >=, which lets everything through",
            lambda dy, x: {"dx": dy}),
        Mistake("the derivative at 0 taken as 1: >= instead of >", lambda dy, x: {"dx": dy * (x >= 0)}),
        Mistake("the sign of dy looked at instead of x", lambda dy, x: {"dx": dy * (dy > 0)}),
        Mistake("the derivative at 0 taken as 1/2", lambda dy, x: {"dx": dy * np.heaviside(x, 0.5)}),
    ),
)  # fmt: skip

FUNCTIONS = (RELU_FORWARD, RELU_BACKWARD)
