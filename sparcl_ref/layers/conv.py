"""Convolution of images as a matrix product."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.layers.base import Layer, Mode
from sparcl_ref.layers.checks import Pair, as_count, as_float_dtype, as_pair, expect_dtype, expect_shape
from sparcl_ref.layers.costs import Footprint, Load, MultiplyAdds, Shape
from sparcl_ref.layers.parameter import Parameter
from sparcl_ref.layers.windows import Window

# Samples are taken in chunks, large enough for an efficient matrix product and small enough for the caches: the columns
# are written and read in order, but the output is reordered, which is slow outside a core's own cache.
COLUMN_BYTES = 8 * 2**20
OUTPUT_BYTES = 2**20


def im2col(x: np.ndarray, window: Window, out: Pair) -> np.ndarray:
    """Lay out, for each tap of the window, what every output position sees through it.

    ``cols[c, i, j, h, w, n] = padded[n, c, h * stride + i * dilation, w * stride + j * dilation]``

    From images (n, C, H, W) to columns (C, kh, kw, H', W', n), with ``out`` the window's output size (H', W'). The
    batch becomes the last axis, so that even for small images the copied runs of memory are long.
    """
    n, channels, height, width = x.shape
    size = height, width
    padded = x.transpose(1, 2, 3, 0)
    # Each pixel is read once per tap; a reordered copy pays from the second read on.
    if _reorders(window):
        padded = np.zeros((channels, *window.padded_size(size), n), dtype=x.dtype)
        padded[:, *window.inside(size)] = x.transpose(1, 2, 3, 0)
    cols = np.empty((channels, *window.kernel, *out, n), dtype=x.dtype)
    for i, j, rows, columns in window.taps(out):
        cols[:, i, j] = padded[:, rows, columns]
    return cols


def col2im(cols: np.ndarray, window: Window, size: Pair) -> np.ndarray:
    """Add every entry of the columns to the pixel `im2col` read it from: the transpose of that linear map.

    From columns (C, kh, kw, H', W', n) to images (n, C, H, W) of that size (H, W), a view that is not contiguous.
    """
    channels, _, _, height, width, n = cols.shape
    padded = np.zeros((channels, *window.padded_size(size), n), dtype=cols.dtype)
    for i, j, rows, columns in window.taps((height, width)):
        padded[:, rows, columns] += cols[:, i, j]
    return padded[:, *window.inside(size)].transpose(3, 0, 1, 2)


def _reorders(window: Window) -> bool:
    """Whether `im2col` makes a padded copy of the images first."""
    return window.kernel != (1, 1) or window.padding != (0, 0)


class Conv2d(Layer):
    """Cross-correlation of images with learned kernels, what deep learning calls convolution.

    Forward, for output channel o at position (h, w), with the input zero outside the image::

        y[n, o, h, w] = b[o] + sum over c, i, j of  W[o, c, i, j] * x[n, c, h*s - p + i*d, w*s - p + j*d]

    With the input values under the window in a column each (`im2col`) and the kernel of each output channel in a row
    of W, this is one matrix product::

        Y = W X           (O, H'W'n) = (O, C kh kw) (C kh kw, H'W'n)

    Backward. For a scalar loss L, dL = sum of dY * (dW X + W dX) over all entries; comparing coefficients gives

    - dL/dW = dY X^T
    - dL/dX = W^T dY. A pixel appears in several columns and influences the loss through each of them, so its
      derivative is the sum over its appearances (`col2im`).
    - dL/db = the sum of dY along its rows, since b[o] enters every entry of row o once.

    Groups split input and output channels into ``groups`` independent convolutions: the same products, stacked.

    The cache holds the input itself. Its columns, kh kw times as large, are made again in the backward pass.

    Parameters
    ----------
    in_channels, out_channels : int
        Both divisible by ``groups``.
    kernel_size, stride, padding, dilation : int or (int, int)
        One value for rows and columns, or a pair. ``padding`` zeros are added on each side.
    groups : int
    bias : bool
        Whether each output channel has an additive constant.
    dtype : numpy dtype
        float32 or float64, of the parameters and therefore of inputs and outputs.
    sparsifiable : bool
        Whether SparCL may prune the weight.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels / groups, kh, kw)
        Zero until initialised.
    bias : Parameter, shape (out_channels,), or None

    Raises
    ------
    ValueError
        If a size is out of range or the channels are not divisible by ``groups``.
    TypeError
        If a size is not an integer or the dtype is not supported.
    """

    kind = "conv"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        sparsifiable: bool = False,
    ):
        super().__init__()
        self.in_channels = as_count("Conv2d", "in_channels", in_channels)
        self.out_channels = as_count("Conv2d", "out_channels", out_channels)
        self.kernel_size = as_pair("Conv2d", "kernel_size", kernel_size)
        self.stride = as_pair("Conv2d", "stride", stride)
        self.padding = as_pair("Conv2d", "padding", padding, minimum=0)
        self.dilation = as_pair("Conv2d", "dilation", dilation)
        self.groups = as_count("Conv2d", "groups", groups)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"{self._label}: both channel counts must be divisible by groups={self.groups}")
        self._window = Window(self.kernel_size, self.stride, self.padding, self.dilation)
        dtype = as_float_dtype(self._label, dtype)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight = Parameter("weight", np.zeros(shape, dtype), sparsifiable=sparsifiable)
        self.bias = Parameter("bias", np.zeros(self.out_channels, dtype)) if bias else None

    def own_parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}

    @property
    def fan_in(self) -> int:
        return math.prod(self.weight.value.shape[1:])

    def output_shape(self, shape: Shape) -> Shape:
        return self.out_channels, *self._output_size(shape)

    def _output_size(self, shape: Shape) -> Pair:
        expect_shape(self._label, shape, self.in_channels, "H", "W")
        _, rows, columns = shape
        return self._window.output_size(self._label, (rows, columns))

    def multiply_adds(self, shape: Shape) -> MultiplyAdds:
        return MultiplyAdds({"weight": math.prod(self._output_size(shape))})

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        """Of a chunk of samples: columns X, product Y (backward: dY) and the padded images beside the columns.

        Names hold the arrays of one chunk until they are given those of the next; dX, in X's memory, does so longest.
        """
        out = self._output_size(shape)
        X, Y = self._sample_bytes(out, load.item_bytes)
        padded = self.in_channels * math.prod(self._window.padded_size((shape[1], shape[2]))) * load.item_bytes
        gathered = X + (padded if _reorders(self._window) else 0)
        dW = self.weight.value.size * load.item_bytes
        a = min(load.samples, self._samples_at_once(out, load.item_bytes))  # in one chunk
        b = min(load.samples - a, a)  # and in the next
        both = max(a * gathered, a * (X + Y) + b * gathered, b * X + (a + b) * Y)
        back = max(both, a * (X + Y) + dW)
        if load.need_dx:
            scatter = a * (X + Y + padded) + 3 * load.buffer_bytes
            back = max(both, (a + b) * (X + Y), (a + b) * X + a * Y + dW, scatter)
        return Footprint(keeps_input=True, forward_bytes=both, backward_bytes=dW + back)

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
        out = self._output_size(x.shape[1:])
        expect_dtype(self._label, x, self.weight.value.dtype)
        y = np.empty((len(x), self.out_channels, *out), dtype=x.dtype)
        W = self._weight_rows()
        for part in self._chunks(y):
            X = im2col(x[part], self._window, out).reshape(self.groups, W.shape[2], -1)
            Y = np.matmul(W, X).reshape(self.out_channels, *out, -1)
            y[part] = Y.transpose(3, 0, 1, 2)
        if self.bias is not None:
            y += self.bias.value[:, np.newaxis, np.newaxis]
        return y, x

    def _backward(self, dy: np.ndarray, x: np.ndarray, need_dx: bool) -> np.ndarray | None:
        out = self._output_size(x.shape[1:])
        W = self._weight_rows()
        dW = np.zeros_like(W)
        dx = np.empty(x.shape, dtype=x.dtype) if need_dx else None
        for part in self._chunks(dy):
            X = im2col(x[part], self._window, out).reshape(self.groups, W.shape[2], -1)
            dY = np.ascontiguousarray(dy[part].transpose(1, 2, 3, 0)).reshape(self.groups, W.shape[1], -1)
            dW += np.matmul(dY, X.swapaxes(1, 2))
            if self.bias is not None:
                self.bias.add_grad(dY.sum(axis=2).reshape(-1))
            if dx is not None:
                dX = np.matmul(W.swapaxes(1, 2), dY, out=X)  # the columns have served and lend their memory
                dX = dX.reshape(self.in_channels, *self.kernel_size, *out, -1)
                dx[part] = col2im(dX, self._window, (x.shape[2], x.shape[3]))
        self.weight.add_grad(dW.reshape(self.weight.value.shape))
        return dx

    def _weight_rows(self) -> np.ndarray:
        """The weight as matrices, one per group: (groups, out_channels / groups, in_channels / groups * kh * kw)."""
        return self.weight.value.reshape(self.groups, self.out_channels // self.groups, -1)

    def _chunks(self, y: np.ndarray) -> Iterator[slice]:
        """Yield the slices of the batch to work on one at a time; ``y`` is anything of the output's shape."""
        step = self._samples_at_once((y.shape[2], y.shape[3]), y.itemsize)
        for start in range(0, len(y), step):
            yield slice(start, start + step)

    def _samples_at_once(self, out: Pair, item_bytes: int) -> int:
        columns, product = self._sample_bytes(out, item_bytes)
        return max(1, min(COLUMN_BYTES // columns, OUTPUT_BYTES // product))

    def _sample_bytes(self, out: Pair, item_bytes: int) -> Pair:
        """Bytes of one sample's columns, and of its product with the weight."""
        row = math.prod(out) * item_bytes
        return self.in_channels * math.prod(self.kernel_size) * row, self.out_channels * row

    @property
    def _label(self) -> str:
        return f"Conv2d({self.in_channels}->{self.out_channels}, {self.kernel_size[0]}x{self.kernel_size[1]})"
