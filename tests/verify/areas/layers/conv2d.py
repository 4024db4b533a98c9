"""Convolution: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.areas.layers.linear import map_backward, map_forward, narrow
from tests.verify.draws import floats, truths
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong
from tests.verify.tensors import tensor

#: name, kind, what both directions tell apart, image (N, C, H, W), out channels, kernel, further arguments.
CONVOLUTIONS: list[tuple[str, str, str, tuple[int, int, int, int], int, tuple[int, int], dict[str, Any]]] = [
    ("padded-3x3", "regular", "a kernel flipped as in the convolution of signal processing; rows and columns swapped",
     (2, 3, 5, 6), 4, (3, 3), {"padding": 1}),
    ("stride-2-odd", "regular",
     "an output size rounded up where the last window does not fit; padding on one side only", (2, 2, 6, 7), 3, (3, 3),
     {"stride": 2, "padding": 1}),
    ("shortcut-1x1", "regular",
     "a strided 1x1 shortcut that averages or takes the wrong pixel; input pixels never read get gradient 0",
     (2, 3, 5, 4), 2, (1, 1), {"stride": 2}),
    ("unequal-rows-and-columns", "edge", "pairs read as (columns, rows); dilation taken for stride", (1, 2, 6, 9), 3,
     (2, 3), {"stride": [2, 1], "padding": [0, 2], "dilation": [1, 2]}),
    ("dilated", "regular", "dilation left out, in either direction", (2, 2, 7, 8), 3, (3, 3),
     {"padding": 2, "dilation": 2}),
    ("oblong", "edge", "pairs read as (columns, rows); a stride and a dilation that are exchanged", (1, 3, 9, 7), 2,
     (3, 2), {"stride": [1, 3], "padding": [2, 1], "dilation": [2, 1]}),
    ("three-groups", "edge", "channels dealt to groups in turn instead of in blocks", (2, 6, 3, 4), 3, (2, 2),
     {"padding": 1, "groups": 3}),
    ("stride-2-even", "regular", "padding on one side only, as SAME has it: an even image is shifted by a pixel",
     (2, 2, 6, 8), 3, (3, 3), {"stride": 2, "padding": 1}),
    ("stride-3", "edge", "an input gradient spread to the wrong pixels of a stride", (1, 2, 8, 7), 2, (2, 3),
     {"stride": 3, "padding": 1}),
    ("groups", "edge", "channels dealt to groups in turn instead of in blocks", (2, 6, 4, 4), 4, (3, 3),
     {"padding": 1, "groups": 2}),
    ("depthwise", "edge", "one group per channel, two output channels each: the order of output channels", (1, 3, 4, 5),
     6, (3, 3), {"groups": 3}),
    ("kernel-larger-than-image", "edge",
     "taps that only ever see padding: they must read 0, and their weights get gradient 0", (1, 2, 2, 2), 2, (5, 5),
     {"padding": 2}),
    ("long-sum", "adversarial", "products summed in float32 in a float64 run", (1, 32, 4, 4), 2, (3, 3),
     {"padding": 1}),
]  # fmt: skip


def cases() -> Iterator[CaseSpec]:
    for name, kind, note, image, out_channels, kernel, options in CONVOLUTIONS:
        x, weight = _conv_arrays(name, image, out_channels, kernel, options)
        bias = floats(f"conv bias {name}", out_channels) if kind == "regular" else None
        yield CaseSpec("conv2d_forward", name, kind, note, {"x": x, "weight": weight, "bias": bias, **options})
        dy = floats(f"conv dy {name}", _conv_output(image, weight, **options))
        yield CaseSpec("conv2d_backward", name, kind, note, {"dy": dy, "x": x, "weight": weight, **options})

    image, options = (2, 3, 5, 5), {"padding": 1}
    x, weight = _conv_arrays("masked", image, 4, (3, 3), options)
    living = truths("conv mask", weight.shape, count=weight.size // 4)
    living[2] = False
    sparse = np.where(living, weight, 0.0)
    dy = floats("conv masked dy", (2, 4, 5, 5))
    yield CaseSpec(
        "conv2d_forward", "all-dead-filter", "edge",
        "a sparse kernel that shifts when an output channel has no weights: that channel is its bias alone",
        {"x": x, "weight": sparse, "bias": floats("conv masked bias", 4), **options},
    )  # fmt: skip
    masked = {"dy": dy, "x": x, "weight": sparse, **options}
    yield CaseSpec(
        "conv2d_backward", "gradient-mask", "regular",
        "a gradient mask that also cuts dx or dbias; -0.0 from multiplying by it",
        {**masked, "grad_mask": living & truths("conv grad mask", weight.shape, count=weight.size // 2)},
    )  # fmt: skip
    yield CaseSpec(
        "conv2d_backward", "gradient-mask-all-dead", "edge", "an empty list of gradients; dx must still be formed",
        {**masked, "grad_mask": np.zeros(weight.shape, dtype=bool)},
    )  # fmt: skip
    yield CaseSpec(
        "conv2d_backward", "infinite-input-under-a-dead-gradient", "adversarial",
        "a gradient mask applied by multiplying: 0 * infinity is NaN, dead gradients are assigned 0",
        {
            "dy": floats("conv infinite dy", (1, 2, 1, 1)),
            "x": np.array([[[[np.inf, 1.0]], [[2.0, -1.0]]]]),
            "weight": floats("conv infinite weight", (2, 2, 1, 2)),
            "grad_mask": np.array([[[[False, True]], [[True, True]]], [[[False, False]], [[True, False]]]]),
        },
        optional="an engine that transforms whole images, such as an FFT, spreads the infinity to other taps",
    )  # fmt: skip
    yield CaseSpec(
        "conv2d_backward", "zero-upstream", "edge", "a gradient divided by its norm or by a count of non-zeros",
        {**masked, "dy": np.zeros_like(dy)},
    )  # fmt: skip


def _conv_arrays(name: str, image, out_channels: int, kernel, options: dict) -> tuple[np.ndarray, np.ndarray]:
    shape = (out_channels, image[1] // options.get("groups", 1), *kernel)
    return floats(f"conv x {name}", image), floats(f"conv weight {name}", shape)


def _conv_output(image, weight: np.ndarray, *, stride=1, padding=0, dilation=1, groups=1) -> tuple[int, ...]:
    def pair(value):
        return value if isinstance(value, list) else [value, value]

    axes = zip(image[2:], weight.shape[2:], pair(stride), pair(padding), pair(dilation), strict=True)
    return image[0], len(weight), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)


# --- oracle -----------------------------------------------------------------------------------------------------------


def _convolution(arguments: Arguments) -> Callable[..., Tensor]:
    window = {key: arguments[key] for key in ("stride", "padding", "dilation", "groups")}
    return lambda x, weight, bias: functional.conv2d(x, weight, bias, **window)


def conv2d_forward(a: Arguments) -> Result:
    """torch.nn.functional.conv2d in float64."""
    return map_forward(_convolution(a), *(tensor(a[key]) for key in ("x", "weight", "bias")))


def conv2d_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.conv2d in float64; dweight cleared outside grad_mask."""
    return map_backward(_convolution(a), *(tensor(a[key]) for key in ("dy", "x", "weight", "grad_mask")))


ORACLES: dict[str, Oracle] = {"conv2d_forward": conv2d_forward, "conv2d_backward": conv2d_backward}


# --- wrong implementations --------------------------------------------------------------------------------------------


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


def same_padded(x, weight, bias, stride, padding, dilation, groups):
    """The windows lie as with SAME: what the stride leaves over is taken from the near side first."""
    frame = []
    for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], *map(pair, (stride, padding, dilation)), strict=True):
        near = max(0, p - ((n + 2 * p - d * (k - 1) - 1) % s + 1) // 2)
        frame.append((near, 2 * p - near))
    (top, bottom), (left, right) = frame
    shifted = functional.pad(tensor(x), (left, right, top, bottom))
    return convolve(shifted, tensor(weight), tensor(bias), stride, 0, dilation, groups).numpy()


def dx_shifted(stride, **rest):
    """Under a stride the input gradient lies one pixel further right and down."""
    dx, dweight, dbias = backward(stride=stride, **rest)
    rows, columns = (int(step > 1) for step in pair(stride))
    moved = np.zeros_like(dx)
    moved[:, :, rows:, columns:] = dx[:, :, : dx.shape[2] - rows, : dx.shape[3] - columns]
    return moved, dweight, dbias


def dx_without_dilation(dy, x, weight, stride, padding, dilation, groups, grad_mask=None):
    """Columns are gathered with dilation and put back without it."""
    _, dweight, dbias = backward(dy, x, weight, stride, padding, dilation, groups, grad_mask)
    window = {"stride": pair(stride), "padding": pair(padding), "groups": groups}
    leaf = tensor(np.zeros_like(x)).requires_grad_()
    y = functional.conv2d(leaf, tensor(weight), None, **window)[:, :, : dy.shape[2], : dy.shape[3]]
    return torch.autograd.grad(y, leaf, tensor(dy))[0].numpy(), dweight, dbias


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


WRONG = (
    Wrong("conv-same-padding", "conv2d_forward", "padding comes first on the far side, as with SAME", same_padded,
        likely="SAME padding: under a stride the windows begin further in"),
    Wrong("conv-dx-shifted", "conv2d_backward", "with a stride dX is shifted by a pixel", dx_shifted,
        likely="dx shifted by a pixel under a stride"),
    Wrong("conv-dx-dilation", "conv2d_backward", "dX is formed without the dilation", dx_without_dilation,
        likely="dilation forgotten where dx is formed"),
    Wrong("conv-kernel-flipped", "conv2d_forward", "a convolution instead of a correlation", flipped_kernel,
        likely="the kernel flipped: a convolution instead of a cross-correlation"),
    Wrong("conv-float32", "conv2d_forward", "sums in float32 in a float64 case", partial(narrow, forward),
        likely="right to the precision of float32: something on the way is float32"),
    Wrong("conv-edge-padding", "conv2d_forward", "the padding repeats the edge", repeated_edge,
        likely="padding that repeats the edge instead of zeros"),
    Wrong("conv-no-dilation", "conv2d_forward", "the dilation is ignored", no_dilation, likely="dilation left out"),
    Wrong("conv-pairs-swapped", "conv2d_forward", "rows and columns are swapped in pairs", swapped_pairs),
    Wrong("conv-groups-mixed", "conv2d_forward", "groups take every g-th channel", interleaved_groups),
    Wrong("conv-gradient-mean", "conv2d_backward", "weight gradients are batch means", averaged_over_batch,
        likely="parameter gradients averaged over the batch, whose upstream gradient is a mean's already"),
    Wrong("conv-dbias-mean", "conv2d_backward", "the bias gradient is a mean over positions", dbias_averaged,
        likely="bias gradient averaged over positions"),
    Wrong("conv-mask-ignored", "conv2d_backward", "gradients of masked weights are formed", mask_ignored,
        likely="the gradient mask ignored"),
    Wrong("conv-mask-product", "conv2d_backward", "the mask is multiplied, which leaves -0.0", mask_multiplied,
        likely="the gradient multiplied by its mask, which leaves -0.0"),
    Wrong("conv-dx-masked", "conv2d_backward", "the gradient mask also thins the weights in dX", dx_masked_too,
        likely="the gradient mask applied to the weight as well: dx is short of the silenced weights"),
    Wrong("conv-gradient-float32", "conv2d_backward", "sums in float32", partial(narrow, backward),
        likely="right to the precision of float32: something on the way is float32"),
)  # fmt: skip
