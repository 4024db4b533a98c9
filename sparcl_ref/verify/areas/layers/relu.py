"""The rectified linear unit."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import ANY, DX, DY, Y, through
from sparcl_ref.verify.function import specify
from sparcl_ref.verify.mistake import Mistake


def relu_forward(x):
    return layers.ReLU().forward(x, mode="train")


def relu_backward(dy, x):
    return through(layers.ReLU(), x, dy)


FUNCTIONS = (
    specify("relu_forward", "layers", relu_forward, "rectified linear unit",
        "y = max(x, 0) entry by entry; NaN stays NaN",
        ANY, Y,
        Mistake("NaN turned into 0", lambda x: {"y": np.fmax(x, 0)}),
        Mistake("x multiplied by x > 0, which makes NaN of an infinity", lambda x: {"y": x * (x > 0)}),
        *(Mistake(f"a leak of {slope} below 0", lambda x, slope=slope: {"y": np.where(x > 0, x, slope * x)})
            for slope in (0.01, 0.1)),
    ),
    specify("relu_backward", "layers", relu_backward, "derivative of relu_forward",
        "dx = dy where x > 0, else 0: the derivative at 0 is taken as 0",
        DY, ANY, DX,
        Mistake("the derivative taken from the output with >=, which lets everything through",
            lambda dy, x: {"dx": dy}),
        Mistake("the derivative at 0 taken as 1: >= instead of >", lambda dy, x: {"dx": dy * (x >= 0)}),
        Mistake("the sign of dy looked at instead of x", lambda dy, x: {"dx": dy * (dy > 0)}),
        Mistake("the derivative itself: not multiplied by dy", lambda dy, x: {"dx": np.where(x > 0, 1.0, 0.0)}),
        Mistake("the derivative at 0 taken as 1/2", lambda dy, x: {"dx": dy * np.heaviside(x, 0.5)}),
    ),
)  # fmt: skip
