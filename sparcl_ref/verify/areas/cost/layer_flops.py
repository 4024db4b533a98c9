"""Work of one layer under masks, in FLOPs: a multiply-add is 2."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.cost import FLOPS_PER_MAC, LayerSpec
from sparcl_ref.cost import flops as ledger
from sparcl_ref.layers.windows import Window
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

BATCH = Argument("batch", "int: samples", 1)
ACTIVE = Argument("active", "int: living weights; None for all", None)
GRAD_ACTIVE = Argument("grad_active", "int: weights whose gradient is formed; None for the living", None)
NEED_DX = Argument("need_dx", "bool: False for the first layer, whose input gradient nobody needs", True)
PASS = (
    exactly("forward", "int: FLOPs"),
    exactly("dx", "int: FLOPs of the gradient of the input"),
    exactly("dw", "int: FLOPs of the gradient of the weight"),
)
EXACT = "The exact convention: the work that a sparse engine needs"


def conv2d_flops(in_channels, out_channels, kernel, size, stride, padding, groups, batch, active, grad_active, need_dx):
    window = Window(tuple(kernel), (stride, stride), (padding, padding))
    output = window.output_size("conv2d_flops", tuple(size))
    layer = LayerSpec(
        "layer", "conv", (out_channels, in_channels // groups, *kernel), (in_channels, *size), (out_channels, *output),
        groups=groups, needs_dx=need_dx,
    )  # fmt: skip
    return _flops(layer, batch, active, grad_active)


def linear_flops(in_features, out_features, batch, active, grad_active, need_dx):
    layer = LayerSpec("layer", "linear", (out_features, in_features), (in_features,), (out_features,), needs_dx=need_dx)
    return _flops(layer, batch, active, grad_active)


def _flops(layer, batch, active, grad_active):
    macs = ledger.pass_macs(layer, active=active, grad_active=grad_active)
    return tuple(FLOPS_PER_MAC * batch * one for one in macs)


def _in_floats(dtype, right, **given):
    return {name: dtype(count) for name, count in right(**given).items()}


_MISTAKES = (
    scaled("MACs reported as FLOPs", forward=0.5, dx=0.5, dw=0.5),
    *(Mistake("FLOPs counted in floating point: from some size on not every one", partial(_in_floats, dtype),
        of_right=True) for dtype in (np.float32, np.float64)),
    instead("a dense count: dead weights counted as well", active=None, grad_active=None),
    instead("a dense count: dead weights counted as well", active=None),
    instead("the weight gradient counted for all living weights", grad_active=None),
    instead("the input gradient of the first layer counted", need_dx=True),
    instead("one sample instead of the batch", batch=1),
    Mistake("the input gradient counted for weights with a gradient only",
        lambda right, **given: {"dx": right(**given)["dw"] if given["need_dx"] else 0}, of_right=True),
)  # fmt: skip


def _biases_counted(flops):
    return lambda **given: {"forward": linear_flops(**given)[0] + flops * given["batch"] * given["out_features"]}


FUNCTIONS = (
    specify("conv2d_flops", "cost", conv2d_flops, EXACT,
        "a living weight costs one multiply-add, 2 FLOPs, per output position and sample, padding included; dX as "
        "many; dW as many for each weight whose gradient is formed",
        Argument("in_channels", "int"), Argument("out_channels", "int"), Argument("kernel", "list of int: kh, kw"),
        Argument("size", "list of int: H, W of the input"), Argument("stride", "int", 1),
        Argument("padding", "int", 0), Argument("groups", "int", 1), BATCH, ACTIVE, GRAD_ACTIVE, NEED_DX,
        *PASS,
        *_MISTAKES,
        # Only positions at which the kernel lies inside the image.
        instead("positions on the padding not counted", padding=0),
        instead("groups ignored", groups=1),
        instead("the input's size instead of the output's",
            stride=1, padding=lambda given: (given["kernel"][0] - 1) // 2),
    ),
    specify("linear_flops", "cost", linear_flops, EXACT,
        "a living weight costs 2 FLOPs per sample in the forward pass, in dX, and in dW where its gradient is formed",
        Argument("in_features", "int"), Argument("out_features", "int"), BATCH, ACTIVE, GRAD_ACTIVE, NEED_DX,
        *PASS,
        *_MISTAKES,
        *(Mistake("biases counted", _biases_counted(flops)) for flops in (2, 1)),
    ),
)  # fmt: skip
