"""What functions of several layers share: arguments, outputs, running a layer, mistakes in gradients."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers import Layer
from sparcl_ref.layers.base import Mode
from sparcl_ref.verify.function import Argument, Output
from sparcl_ref.verify.mistake import Mistake, instead, scaled

X = Argument("x", "float (N, C, H, W): the input of the layer")
ANY = Argument("x", "float, any shape: the input of the layer")
DY = Argument("dy", "float, shape of the output: gradient of the loss with respect to the output")
BIAS = Argument("bias", "float (O,), or None for a layer without one", None)
GRAD_MASK = Argument(
    "grad_mask", "bool, shape of weight, or None: the entries whose gradient is formed; None means all", None
)
PADDING = Argument("padding", "int, or [rows, columns]: on each side", 0)
Y = Output("y", "float: the output of the layer")
DX = Output("dx", "float, shape of x: gradient with respect to the input")
#: Of a layer with parameters.
GRADIENTS = (
    DX,
    Output("dweight", "float, shape of weight"),
    Output("dbias", "float, one per output channel or feature; formed whether or not the layer has a bias"),
)
MASKED = "; exactly +0.0 in dweight where grad_mask is not set"


def filled(layer, weight, bias, grad_mask):
    layer.weight.value[...] = weight
    if bias is not None:
        layer.bias.value[...] = bias
    layer.weight.set_grad_mask(grad_mask)
    return layer


def through(layer: Layer, x: np.ndarray, dy: np.ndarray, mode: Mode = "train") -> np.ndarray | None:
    """Forward and backward; returns dx, gradients stay in the layer."""
    layer.forward(x, mode=mode)
    return layer.backward(dy)


def per_sample(given):
    return 1 / len(given["dy"])


def _mask_multiplied(right, grad_mask, **given):
    return {"dweight": right(grad_mask=None, **given)["dweight"] * grad_mask}


#: In the backward pass of a layer with a weight matrix.
GRADIENT_MISTAKES = (
    scaled("parameter gradients averaged over the batch, whose upstream gradient is a mean's already",
        dweight=per_sample, dbias=per_sample),
    scaled("bias gradient averaged over the batch", dbias=per_sample),
    scaled("weight gradient averaged over the batch", dweight=per_sample),
    instead("the gradient mask ignored", grad_mask=None),
    Mistake("the gradient multiplied by its mask, which leaves -0.0", _mask_multiplied, of_right=True),
    instead("the gradient mask applied to the weight as well: dx is short of the silenced weights",
        weight=lambda given: given["weight"] * given["grad_mask"]),
)  # fmt: skip
