"""Convolution."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers
from sparcl_ref.verify.areas.layers import common
from sparcl_ref.verify.areas.layers.common import PADDING, X, filled, through
from sparcl_ref.verify.function import Argument, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

CONV_WEIGHT = Argument("weight", "float (O, C / groups, kh, kw)")
WINDOW = (
    Argument("stride", "int, or [rows, columns]", 1),
    PADDING,
    Argument("dilation", "int, or [rows, columns]: distance between the taps of the kernel", 1),
    Argument("groups", "int: number of independent convolutions the channels are split into, in order", 1),
)


def convolution(x, weight, bias, stride, padding, dilation, groups, grad_mask=None) -> layers.Conv2d:
    """A convolution with the given weight; without a bias its gradient is asked for all the same, so it has one."""
    layer = layers.Conv2d(
        x.shape[1], len(weight), weight.shape[2:],
        stride=stride, padding=padding, dilation=dilation, groups=groups, dtype=x.dtype,
    )  # fmt: skip
    return filled(layer, weight, bias, grad_mask)


def conv2d_forward(x, weight, bias, stride, padding, dilation, groups):
    return convolution(x, weight, bias, stride, padding, dilation, groups).forward(x, mode="train")


def conv2d_backward(dy, x, weight, stride, padding, dilation, groups, grad_mask):
    layer = convolution(x, weight, None, stride, padding, dilation, groups, grad_mask)
    return through(layer, x, dy), layer.weight.grad, layer.bias.grad


def _flipped(given):
    return given["weight"][:, :, ::-1, ::-1].copy()


def _edge_padded(x, weight, bias, stride, padding, dilation, groups):
    rows, columns = np.broadcast_to(padding, 2)
    padded = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), mode="edge")
    return {"y": conv2d_forward(padded, weight, bias, stride, 0, dilation, groups)}


def _far_side_first(x, weight, bias, stride, padding, dilation, groups):
    """Where the windows lie with SAME padding: a stride's remainder is taken from the near side first."""
    frame = []
    pairs = (np.broadcast_to(value, 2) for value in (stride, padding, dilation))
    for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], *pairs, strict=True):
        near = max(0, p - ((n + 2 * p - d * (k - 1) - 1) % s + 1) // 2)
        frame.append((near, 2 * p - near))
    return {"y": conv2d_forward(np.pad(x, ((0, 0), (0, 0), *frame)), weight, bias, stride, 0, dilation, groups)}


def _shifted_under_stride(right, stride, **given):
    dx = right(stride=stride, **given)["dx"]
    rows, columns = (int(step > 1) for step in np.broadcast_to(stride, 2))
    moved = np.zeros_like(dx)
    moved[:, :, rows:, columns:] = dx[:, :, : dx.shape[2] - rows, : dx.shape[3] - columns]
    return {"dx": moved}


def _back_without_dilation(dy, x, weight, stride, padding, dilation, groups, grad_mask):
    """dx where columns are gathered with the dilation and put back without it."""
    layer = convolution(x, weight, None, stride, padding, 1, groups)
    y = layer.forward(x, mode="train")
    wide = np.zeros_like(y)
    wide[:, :, : dy.shape[2], : dy.shape[3]] = dy
    return {"dx": layer.backward(wide)}


def _last_window_alone(dy, x, weight, stride, padding, dilation, groups, grad_mask):
    """Each pixel's dx from the last tap that saw it, taps in row-major order."""
    if groups != 1:
        return {}
    s, p, d = (np.broadcast_to(value, 2) for value in (stride, padding, dilation))
    dpadded = np.zeros((*x.shape[:2], x.shape[2] + 2 * p[0], x.shape[3] + 2 * p[1]), x.dtype)
    for tap in np.ndindex(weight.shape[2:]):
        rows, columns = (
            slice(t * q, t * q + step * count, step) for t, q, step, count in zip(tap, d, s, dy.shape[2:], strict=True)
        )
        dpadded[:, :, rows, columns] = np.einsum("nohw,oc->nchw", dy, weight[:, :, *tap])
    return {"dx": dpadded[:, :, p[0] : p[0] + x.shape[2], p[1] : p[1] + x.shape[3]]}


def _averaged_over_positions(given):
    return given["dy"].shape[0] * given["dy"].shape[1] / given["dy"].size


FUNCTIONS = (
    specify("conv2d_forward", "layers", conv2d_forward, "cross-correlation",
        "y[n,o,h,w] = bias[o] + sum over c,i,j of weight[o,c,i,j] * x[n, c, h*stride - padding + i*dilation, w*stride "
        "- padding + j*dilation], with x zero outside the image: cross-correlation, the kernel is not flipped",
        X, CONV_WEIGHT, common.BIAS, *WINDOW, common.Y,
        instead("the kernel flipped: a convolution instead of a cross-correlation", weight=_flipped),
        instead("the bias left out", bias=None),
        instead("dilation left out", dilation=1),
        instead("padding left out", padding=0),
        instead("stride left out", stride=1),
        Mistake("padding that repeats the edge instead of zeros", _edge_padded),
        Mistake("SAME padding: under a stride the windows begin further in", _far_side_first),
    ),
    specify("conv2d_backward", "layers", conv2d_backward, "derivative of conv2d_forward",
        "dweight sums dy times the input each tap saw over samples and positions, dx sums dy times weight over the "
        "positions and taps that saw the pixel, dbias sums dy; nothing is averaged" + common.MASKED,
        common.DY, X, CONV_WEIGHT, *WINDOW, common.GRAD_MASK, *common.GRADIENTS,
        instead("dx through the kernel that is flipped, or not flipped, once too often", "dx", weight=_flipped),
        Mistake("dx shifted by a pixel under a stride", _shifted_under_stride, of_right=True),
        Mistake("dilation forgotten where dx is formed", _back_without_dilation),
        Mistake("each pixel's dx from one window alone: assigned instead of added up", _last_window_alone),
        *common.GRADIENT_MISTAKES,
        scaled("bias gradient averaged over samples and positions",
            dbias=lambda given: given["dy"].shape[1] / given["dy"].size),
        scaled("bias gradient averaged over positions", dbias=_averaged_over_positions),
    ),
)  # fmt: skip
