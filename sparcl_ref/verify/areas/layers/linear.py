"""The linear layer."""

from __future__ import annotations

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers.common import (
    BIAS,
    DBIAS,
    DWEIGHT,
    DX,
    GRAD_MASK,
    GRADIENT_MISTAKES,
    MASKED,
    Y,
    filled,
    through,
)
from sparcl_ref.verify.function import Argument, Function
from sparcl_ref.verify.mistake import Mistake, instead

FEATURES = Argument("x", "float (N, I): the input of the layer")
LINEAR_WEIGHT = Argument("weight", "float (O, I)")


def affine(weight, bias, grad_mask=None) -> layers.Linear:
    """A linear layer with the given weight."""
    return filled(layers.Linear(weight.shape[1], len(weight), dtype=weight.dtype), weight, bias, grad_mask)


def linear_forward(x, weight, bias):
    return affine(weight, bias).forward(x, mode="train")


def linear_backward(dy, x, weight, grad_mask):
    layer = affine(weight, None, grad_mask)
    return through(layer, x, dy), layer.weight.grad, layer.bias.grad


LINEAR_FORWARD = Function(
    "linear_forward", "layers", (FEATURES, LINEAR_WEIGHT, BIAS), (Y,),
    "y = x weight^T + bias",
    "affine map", linear_forward,
    mistakes=(
        instead("the bias left out", bias=None),
        Mistake("the weight not transposed", lambda x, weight, bias: {"y": x @ weight + (0 if bias is None else bias)}),
    ),
)  # fmt: skip

LINEAR_BACKWARD = Function(
    "linear_backward", "layers", (Argument("dy", "float (N, O)"), FEATURES, LINEAR_WEIGHT, GRAD_MASK),
    (DX, DWEIGHT, DBIAS),
    "dx = dy weight, dweight = dy^T x, dbias = sum of dy over samples; nothing is averaged" + MASKED,
    "derivative of linear_forward", linear_backward,
    mistakes=(*GRADIENT_MISTAKES,),
)  # fmt: skip

FUNCTIONS = (LINEAR_FORWARD, LINEAR_BACKWARD)
