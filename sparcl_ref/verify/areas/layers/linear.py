"""The linear layer."""

from __future__ import annotations

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers import common
from sparcl_ref.verify.areas.layers.common import filled, through
from sparcl_ref.verify.function import Argument, specify
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


FUNCTIONS = (
    specify("linear_forward", "layers", linear_forward, "affine map",
        "y = x weight^T + bias",
        FEATURES, LINEAR_WEIGHT, common.BIAS, common.Y,
        instead("the bias left out", bias=None),
        Mistake("the weight not transposed", lambda x, weight, bias: {"y": x @ weight + (0 if bias is None else bias)}),
    ),
    specify("linear_backward", "layers", linear_backward, "derivative of linear_forward",
        "dx = dy weight, dweight = dy^T x, dbias = sum of dy over samples; nothing is averaged" + common.MASKED,
        Argument("dy", "float (N, O)"), FEATURES, LINEAR_WEIGHT, common.GRAD_MASK, *common.GRADIENTS,
        *common.GRADIENT_MISTAKES,
    ),
)  # fmt: skip
