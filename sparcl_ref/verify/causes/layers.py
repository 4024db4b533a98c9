"""Known mistakes in layers but for batch normalisation."""

from __future__ import annotations

import numpy as np

from sparcl_ref.verify.adapters import numpy_layers as right
from sparcl_ref.verify.causes.cause import Cause, instead, scaled

_GRADS = ("dx", "dweight", "dbias")


def _flipped(given):
    return given["weight"][:, :, ::-1, ::-1].copy()


def _per_sample(given):
    return 1 / len(given["dy"])


def _windows(x, kernel_size, stride, padding, fill):
    """Padded input and, for each output position, its window's slices."""
    kh, kw = np.broadcast_to(kernel_size, 2)
    sh, sw = (kh, kw) if stride is None else np.broadcast_to(stride, 2)
    ph, pw = np.broadcast_to(padding, 2)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    rows, columns = (padded.shape[2] - kh) // sh + 1, (padded.shape[3] - kw) // sw + 1
    places = [
        (p, q, slice(p * sh, p * sh + kh), slice(q * sw, q * sw + kw)) for p in range(rows) for q in range(columns)
    ]
    return padded, places, (slice(ph, ph + x.shape[2]), slice(pw, pw + x.shape[3]))


def _zeros_win(x, kernel_size, stride, padding):
    padded, places, _ = _windows(x, kernel_size, stride, padding, 0.0)
    y = np.stack([padded[:, :, rows, columns].max(axis=(2, 3)) for _, _, rows, columns in places], axis=-1)
    return {"y": y.reshape(*x.shape[:2], places[-1][0] + 1, places[-1][1] + 1)}


def _pool_gradient(share, add=True):
    def outputs(dy, x, kernel_size, stride, padding):
        padded, places, inside = _windows(x, kernel_size, stride, padding, -np.inf)
        dx = np.zeros_like(padded)
        for p, q, rows, columns in places:
            part = share(padded[:, :, rows, columns]) * dy[:, :, p, q, None, None]
            if add:
                dx[:, :, rows, columns] += part
            else:
                dx[:, :, rows, columns] = np.where(part != 0, part, dx[:, :, rows, columns])
        return {"dx": dx[:, :, *inside]}

    return outputs


def _last_winner(window):
    flat = window.reshape(*window.shape[:2], -1)
    place = flat.shape[2] - 1 - flat[:, :, ::-1].argmax(axis=2)
    return (np.arange(flat.shape[2]) == place[:, :, None]).reshape(window.shape)


def _first_winner(window):
    flat = window.reshape(*window.shape[:2], -1)
    return (np.arange(flat.shape[2]) == flat.argmax(axis=2)[:, :, None]).reshape(window.shape)


def _all_winners(window):
    return window == window.max(axis=(2, 3), keepdims=True)


def _padding_not_counted(x, kernel_size, stride, padding):
    total = right.avg_pool2d_forward(x, kernel_size, stride, padding)
    return {"y": total / right.avg_pool2d_forward(np.ones_like(x), kernel_size, stride, padding)}


def _window_size(given):
    return float(np.prod(np.broadcast_to(given["kernel_size"], 2)))


def _pixels(given):
    return float(np.prod(given["x"].shape[2:]))


def _mask_multiplied(function):
    unmasked = instead(function, *_GRADS, grad_mask=lambda given: None)
    return lambda **given: {"dweight": unmasked(**given)["dweight"] * given["grad_mask"]}


def _edge_padded(x, weight, bias, stride, padding, dilation, groups):
    rows, columns = np.broadcast_to(padding, 2)
    padded = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), mode="edge")
    return {"y": right.conv2d_forward(padded, weight, bias, stride, 0, dilation, groups)}


def _averaged_over_positions(given):
    return given["dy"].shape[0] * given["dy"].shape[1] / given["dy"].size


def _divided_by_p(output, source):
    def outputs(keep, p, **given):
        if not p:
            raise ValueError("nobody divides by 0")
        return {output: given[source] * keep / p}

    return outputs


_CONV = "conv2d_backward", right.conv2d_backward
_LINEAR = "linear_backward", right.linear_backward

CAUSES = (
    Cause("conv2d_forward", "the kernel flipped: a convolution instead of a cross-correlation",
          instead(right.conv2d_forward, "y", weight=_flipped)),
    Cause("conv2d_forward", "the bias left out", instead(right.conv2d_forward, "y", bias=lambda given: None)),
    Cause("conv2d_forward", "dilation left out", instead(right.conv2d_forward, "y", dilation=lambda given: 1)),
    Cause("conv2d_forward", "padding left out", instead(right.conv2d_forward, "y", padding=lambda given: 0)),
    Cause("conv2d_forward", "stride left out", instead(right.conv2d_forward, "y", stride=lambda given: 1)),
    Cause("conv2d_backward", "dx through the kernel that is flipped, or not flipped, once too often",
          lambda **given: {"dx": instead(_CONV[1], *_GRADS, weight=_flipped)(**given)["dx"]}),
    Cause("linear_forward", "the bias left out", instead(right.linear_forward, "y", bias=lambda given: None)),
    Cause("linear_forward", "the weight not transposed",
          lambda x, weight, bias: {"y": x @ weight + (0 if bias is None else bias)}),
    *(cause for name, function in (_CONV, _LINEAR) for cause in (
        Cause(name, "parameter gradients averaged over the batch, whose upstream gradient is a mean's already",
              scaled(function, *_GRADS, dweight=_per_sample, dbias=_per_sample)),
        Cause(name, "bias gradient averaged over the batch", scaled(function, *_GRADS, dbias=_per_sample)),
        Cause(name, "weight gradient averaged over the batch", scaled(function, *_GRADS, dweight=_per_sample)),
        Cause(name, "the gradient mask ignored", instead(function, *_GRADS, grad_mask=lambda given: None)),
        Cause(name, "the gradient multiplied by its mask, which leaves -0.0", _mask_multiplied(function)),
        Cause(name, "the gradient mask applied to the weight as well: dx is short of the silenced weights",
              instead(function, *_GRADS, weight=lambda given: given["weight"] * given["grad_mask"])),
    )),
    Cause("conv2d_backward", "bias gradient averaged over samples and positions",
          scaled(right.conv2d_backward, *_GRADS, dbias=lambda given: given["dy"].shape[1] / given["dy"].size)),
    Cause("conv2d_forward", "padding that repeats the edge instead of zeros", _edge_padded),
    Cause("conv2d_backward", "bias gradient averaged over positions",
          scaled(right.conv2d_backward, *_GRADS, dbias=_averaged_over_positions)),
    Cause("relu_forward", "NaN turned into 0", lambda x: {"y": np.fmax(x, 0)}),
    Cause("relu_backward", "the derivative taken from the output with >=, which lets everything through",
          lambda dy, x: {"dx": dy}),
    Cause("relu_backward", "the derivative at 0 taken as 1: >= instead of >", lambda dy, x: {"dx": dy * (x >= 0)}),
    Cause("relu_backward", "the sign of dy looked at instead of x", lambda dy, x: {"dx": dy * (dy > 0)}),
    Cause("relu_backward", "the derivative at 0 taken as 1/2", lambda dy, x: {"dx": dy * np.heaviside(x, 0.5)}),
    *(Cause("relu_forward", f"a leak of {slope} below 0", lambda x, slope=slope: {"y": np.where(x > 0, x, slope * x)})
      for slope in (0.01, 0.1)),
    Cause("max_pool2d_forward", "padded with zeros, which win against negative entries", _zeros_win),
    Cause("max_pool2d_backward", "ties broken from the other end", _pool_gradient(_last_winner)),
    Cause("max_pool2d_backward", "every tied entry gets the gradient", _pool_gradient(_all_winners)),
    Cause("max_pool2d_backward", "gradients of overlapping windows overwritten instead of added",
          _pool_gradient(_first_winner, add=False)),
    Cause("avg_pool2d_forward", "the zeros of the padding not counted", _padding_not_counted),
    Cause("avg_pool2d_forward", "the sum of a window instead of its mean",
          scaled(right.avg_pool2d_forward, "y", y=_window_size)),
    Cause("avg_pool2d_backward", "not divided by the window's size",
          scaled(right.avg_pool2d_backward, "dx", dx=_window_size)),
    Cause("global_avg_pool2d_forward", "the sum instead of the mean",
          scaled(right.global_avg_pool2d_forward, "y", y=_pixels)),
    Cause("global_avg_pool2d_backward", "not divided by the number of pixels",
          scaled(right.global_avg_pool2d_backward, "dx", dx=_pixels)),
    *(cause for name, output, source in (("dropout_forward", "y", "x"), ("dropout_backward", "dx", "dy")) for cause in (
        Cause(name, "not divided by 1 - p",
              lambda output=output, source=source, **given: {output: given[source] * given["keep"]}),
        Cause(name, "divided by p instead of 1 - p", _divided_by_p(output, source)),
        Cause(name, "kept and dropped entries exchanged",
              lambda output=output, source=source, **given: {
                  output: given[source] * ~given["keep"] / (1 - given["p"])}),
    )),
)  # fmt: skip
