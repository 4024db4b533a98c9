"""Wrong convolutions and linear layers."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch.nn import functional

from tests.verify.wrong.entry import Wrong


def tensor(array):
    return None if array is None else torch.from_numpy(np.array(array))


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def convolve(x, weight, bias, stride, padding, dilation, groups):
    window = {"stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation), "groups": groups}
    return functional.conv2d(x, weight, bias, **window)


def forward(x, weight, bias, stride, padding, dilation, groups):
    return convolve(tensor(x), tensor(weight), tensor(bias), stride, padding, dilation, groups).numpy()


def backward(dy, x, weight, stride, padding, dilation, groups, grad_mask=None):
    x, weight = tensor(x).requires_grad_(), tensor(weight).requires_grad_()
    y = convolve(x, weight, None, stride, padding, dilation, groups)
    dx, dweight = (grad.numpy() for grad in torch.autograd.grad(y, (x, weight), tensor(dy)))
    if grad_mask is not None:
        dweight[~grad_mask] = 0.0
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def flipped_kernel(weight, **rest):
    return forward(weight=weight[:, :, ::-1, ::-1], **rest)


def narrow(function, **arguments):
    """The whole computation in float32, dressed up in the type that came in."""
    wide = next(
        value.dtype for value in arguments.values() if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    )
    given = {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in arguments.items()
    }
    found = function(**given)
    return tuple(array.astype(wide) for array in found) if isinstance(found, tuple) else found.astype(wide)


def repeated_edge(x, padding, **rest):
    rows, columns = pair(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), mode="edge")
    return forward(x=padded, padding=0, **rest)


def no_dilation(dilation, **rest):
    return forward(dilation=1, **rest)


def swapped_pairs(stride, padding, dilation, **rest):
    stride, padding, dilation = (pair(value)[::-1] for value in (stride, padding, dilation))
    return forward(stride=list(stride), padding=list(padding), dilation=list(dilation), **rest)


def interleaved_groups(x, groups, **rest):
    samples, channels, *size = x.shape
    mixed = x.reshape(samples, channels // groups, groups, *size).swapaxes(1, 2).reshape(x.shape)
    return forward(x=mixed, groups=groups, **rest)


def averaged_over_batch(dy, **rest):
    dx, dweight, dbias = backward(dy, **rest)
    return dx, dweight / len(dy), dbias / len(dy)


def dbias_averaged(dy, **rest):
    dx, dweight, _ = backward(dy, **rest)
    return dx, dweight, dy.sum(axis=0).mean(axis=(1, 2))


def mask_ignored(grad_mask, **rest):
    return backward(**rest)


def mask_multiplied(grad_mask, **rest):
    dx, dweight, dbias = backward(**rest)
    return dx, dweight if grad_mask is None else dweight * grad_mask, dbias


def dx_masked_too(weight, grad_mask, **rest):
    dx, dweight, dbias = backward(weight=weight, grad_mask=grad_mask, **rest)
    if grad_mask is not None:
        dx = backward(weight=weight * grad_mask, **rest)[0]
    return dx, dweight, dbias


def linear(x, weight, bias):
    return x @ weight.T + (0 if bias is None else bias)


def linear_backward(dy, x, weight, grad_mask=None):
    dweight = dy.T @ x
    if grad_mask is not None:
        dweight[~grad_mask] = 0.0
    return dy @ weight, dweight, dy.sum(axis=0)


def linear_averaged(dy, **rest):
    dx, dweight, dbias = linear_backward(dy, **rest)
    return dx, dweight / max(len(dy), 1), dbias / max(len(dy), 1)


WRONG = (
    Wrong("conv-kernel-flipped", "layers", "conv2d_forward", "a convolution instead of a correlation", flipped_kernel),
    Wrong("conv-float32", "layers", "conv2d_forward", "sums in float32 in a float64 case", partial(narrow, forward)),
    Wrong("conv-edge-padding", "layers", "conv2d_forward", "the padding repeats the edge", repeated_edge),
    Wrong("conv-no-dilation", "layers", "conv2d_forward", "the dilation is ignored", no_dilation),
    Wrong("conv-pairs-swapped", "layers", "conv2d_forward", "rows and columns are swapped in pairs", swapped_pairs),
    Wrong("conv-groups-mixed", "layers", "conv2d_forward", "groups take every g-th channel", interleaved_groups),
    Wrong("conv-gradient-mean", "layers", "conv2d_backward", "weight gradients are batch means", averaged_over_batch),
    Wrong("conv-dbias-mean", "layers", "conv2d_backward", "the bias gradient is a mean over positions", dbias_averaged),
    Wrong("conv-mask-ignored", "layers", "conv2d_backward", "gradients of masked weights are formed", mask_ignored),
    Wrong(
        "conv-mask-product", "layers", "conv2d_backward", "the mask is multiplied, which leaves -0.0", mask_multiplied
    ),
    Wrong(
        "conv-dx-masked", "layers", "conv2d_backward", "the gradient mask also thins the weights in dX", dx_masked_too
    ),
    Wrong("conv-gradient-float32", "layers", "conv2d_backward", "sums in float32", partial(narrow, backward)),
    Wrong("linear-float32", "layers", "linear_forward", "sums in float32 in a float64 case", partial(narrow, linear)),
    Wrong(
        "linear-no-transpose",
        "layers",
        "linear_forward",
        "the weight is used as (in, out)",
        lambda x, weight, bias: linear(x, weight.reshape(weight.shape[::-1]).T, bias),
    ),
    Wrong("linear-gradient-mean", "layers", "linear_backward", "weight gradients are batch means", linear_averaged),
    Wrong(
        "linear-mask-ignored",
        "layers",
        "linear_backward",
        "gradients of masked weights are formed",
        lambda grad_mask, **rest: linear_backward(**rest),
    ),
)
