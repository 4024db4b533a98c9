"""One convolution by itself, by the kernels that a compiled network is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparcl_ref.fast.conv import SparseConv
from sparcl_ref.fast.gradients import Packing
from sparcl_ref.fast.jit import expect_compiler
from sparcl_ref.fast.layout import Layout, Pool
from sparcl_ref.fast.nodes import Pass, Value, enter, leave
from sparcl_ref.fast.threads import TURN, single_threaded
from sparcl_ref.layers import Conv2d
from sparcl_ref.layers.checks import Pair, as_count, expect_dtype, expect_shape

FLOATS = (np.float32, np.float64)


class OneConvolution:
    """A convolution on batches of one shape, as it stands in a compiled network.

    What goes in and out has shape (N, C, H, W). Inside, the batch is the last axis, as a layer's neighbours leave and
    expect it in a network. So `read`, `read_upstream`, ``y`` and ``dx`` copy, and are no part of what a layer costs
    there; `forward` and `backward` are all of it. Parameters and masks are the layer's own, and may change in between.

    Parameters
    ----------
    layer : Conv2d
    shape : (int, int, int, int)
        Of the images read: at least one.

    Attributes
    ----------
    y : ndarray, shape (N, O, H', W')
        What the last `forward` gave.
    dx : ndarray, shape (N, C, H, W)
        What the last `backward` gave.

    Raises
    ------
    RuntimeError
        If Numba has been told not to compile.
    ValueError
        If the images do not fit the layer, or there are none.
    TypeError
        If the layer is no Conv2d.

    Examples
    --------
    >>> import numpy as np
    >>> from sparcl_ref.fast import OneConvolution
    >>> from sparcl_ref.layers import Conv2d
    >>> layer = Conv2d(2, 3, 3, padding=1, bias=False)
    >>> one = OneConvolution(layer, (8, 2, 5, 5))
    >>> one.read(np.ones((8, 2, 5, 5), np.float32))
    >>> one.forward()
    >>> one.y.shape
    (8, 3, 5, 5)
    """

    def __init__(self, layer: Conv2d, shape: tuple[int, ...]):
        expect_compiler()
        if not isinstance(layer, Conv2d):
            raise TypeError(f"OneConvolution takes a Conv2d, got {type(layer).__name__}")
        self.layer, self.shape = layer, tuple(shape)
        channels, rows, columns = layer.output_shape(self.shape[1:])
        batch = as_count(layer.label, "the number of images", self.shape[0])
        size = self.shape[2], self.shape[3]
        read = Layout(layer.in_channels, *size, layer.padding, layer.stride[1])
        self._input, self._output = Value(read, read), Value(*2 * (Layout(channels, rows, columns),))
        self._packing = Packing(layer.weight)
        self.node = SparseConv([self._input], self._output, layer, self._packing)
        halo = self.node.kernel.gradient_halo(size, (rows, columns))
        self._output.gradient = Layout(channels, rows, columns, halo)
        dtype = layer.weight.value.dtype
        self._run = Pass(batch, "train", dtype.type(0), Pool(dtype))
        self._run.new(self._input)
        self._run.new_grad(self._output)

    def read(self, x: np.ndarray) -> None:
        """Put images where `forward` and `backward` find them; raises ValueError or TypeError if they do not fit."""
        self._enter(x, self._run.arrays[self._input], self._input.layout, "images")

    def read_upstream(self, dy: np.ndarray) -> None:
        """Put dL/dy where `backward` finds it; raises as `read` does."""
        self._enter(dy, self._run.grads[self._output], self._output.gradient, "upstream gradient")

    def forward(self) -> None:
        """Compute y from the images read last."""
        run, output = self._run, self._output
        if output in run.arrays:
            run.pool.give(run.arrays.pop(output), output.layout, run.batch)
        with TURN, single_threaded():
            self.node.forward(run)

    def backward(self, *, need_dx: bool = True) -> None:
        """Compute dL/dx, and *set* the gradients of the layer's parameters, from what has been read last."""
        run, value = self._run, self._input
        if value in run.grads:
            run.pool.give(run.grads.pop(value), value.gradient, run.batch)
        self._packing.start()
        if self.layer.bias is not None:
            self.layer.bias.grad = np.zeros_like(self.layer.bias.value)
        with TURN, single_threaded():
            self.node.backward(run, need_dx)

    @property
    def y(self) -> np.ndarray:
        return self._leave(self._run.arrays, self._output, self._output.layout, "y", "forward()")

    @property
    def dx(self) -> np.ndarray:
        return self._leave(self._run.grads, self._input, self._input.gradient, "dx", "backward()")

    def _enter(self, images: np.ndarray, buffer: np.ndarray, layout: Layout, what: str) -> None:
        expected = self._run.batch, *layout.shape
        _expect_array(self.layer, what, images)
        if images.shape != expected:
            raise ValueError(f"{self.layer.label}: {what} must have shape {expected}, got {images.shape}")
        expect_dtype(self.layer.label, images, self.layer.weight.value.dtype)
        enter(images, buffer, layout)

    def _leave(self, buffers: dict, value: Value, layout: Layout, what: str, maker: str) -> np.ndarray:
        if value not in buffers:
            raise RuntimeError(f"{self.layer.label}: {what} is there after {maker} only; call it first")
        return leave(buffers[value], layout, self._run.batch)


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation of images with kernels of which zeros take no time.

    What `sparcl_ref.layers.Conv2d` computes without a bias, summed over the weights that are not zero. A zero is
    skipped, so even an infinite input under it leaves no trace. Sorting the weights and reordering the images is done
    at every call; `OneConvolution` does it once.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        float32 or float64.
    weight : ndarray, shape (O, C / groups, kh, kw)
        Of the same dtype.
    stride, padding, dilation : int or (int, int)
        One value for rows and columns, or a pair.
    groups : int
        Into how many convolutions of their own the channels are split.

    Returns
    -------
    ndarray, shape (N, O, H', W')

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a setting is out of range.
    TypeError
        If an array is none of float32 or float64, or the two are not of one dtype.
    RuntimeError
        If Numba has been told not to compile.

    Examples
    --------
    >>> import numpy as np
    >>> from sparcl_ref import fast
    >>> weight = np.zeros((1, 1, 3, 3))
    >>> weight[0, 0, 1, 0] = 2  # twice the pixel to the left
    >>> fast.conv2d(np.arange(6.0).reshape(1, 1, 2, 3), weight, padding=1)[0, 0]
    array([[0., 0., 2.],
           [0., 6., 8.]])
    """
    layer = _layer(weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    if not _count(layer, x):
        return layer.forward(x, mode="eval")
    one = OneConvolution(layer, x.shape)
    one.read(x)
    one.forward()
    return one.y


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    learning: np.ndarray | None = None,
    need_dx: bool = True,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> tuple[np.ndarray | None, np.ndarray]:
    """Gradients of a scalar loss L through `conv2d`, given that of its output.

    Parameters
    ----------
    dy : ndarray, shape (N, O, H', W')
        dL/dy.
    x, weight, stride, padding, dilation, groups
        As given to `conv2d`.
    learning : ndarray of bool, shape of ``weight``, optional
        Weights whose gradient is formed, none of them zero; all that are not zero unless given.
    need_dx : bool
        Whether dL/dx is wanted.

    Returns
    -------
    dx : ndarray, shape of ``x``, or None
    dw : ndarray, shape of ``weight``
        +0.0 where no gradient is formed.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `conv2d`, and ValueError or TypeError if ``dy`` or ``learning`` does not fit.
    """
    layer = _layer(weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    layer.weight.set_grad_mask(learning)
    if not _count(layer, x):
        _expect_array(layer, "upstream gradient", dy)
        layer.forward(x, mode="train")
        return layer.backward(dy, need_dx=need_dx), layer.weight.grad
    one = OneConvolution(layer, x.shape)
    one.read(x)
    one.read_upstream(dy)
    one.backward(need_dx=need_dx)
    return one.dx if need_dx else None, layer.weight.grad


def _layer(weight: np.ndarray, *, groups: int, **geometry: Any) -> Conv2d:
    """A layer with a copy of these weights, of which all but the zeros live."""
    if not isinstance(weight, np.ndarray) or weight.dtype not in FLOATS or weight.ndim != 4:
        got = f"{weight.dtype} of shape {weight.shape}" if isinstance(weight, np.ndarray) else type(weight).__name__
        raise (ValueError if isinstance(weight, np.ndarray) and weight.dtype in FLOATS else TypeError)(
            f"conv2d: weight must be a float32 or float64 array of shape (O, C / groups, kh, kw), got {got}"
        )
    outs, ins, rows, columns = weight.shape
    ins *= as_count("conv2d", "groups", groups)
    layer = Conv2d(ins, outs, (rows, columns), groups=groups, bias=False, dtype=weight.dtype, **geometry)
    layer.weight.value[...] = weight
    living = weight != 0
    layer.weight.set_mask(None if living.all() else living)
    return layer


def _count(layer: Conv2d, x: np.ndarray) -> int:
    """How many images there are, which have to fit the layer."""
    _expect_array(layer, "images", x)
    expect_shape(layer.label, x.shape[1:], layer.in_channels, "H", "W")
    expect_dtype(layer.label, x, layer.weight.value.dtype)
    return len(x)


def _expect_array(layer: Conv2d, what: str, array: np.ndarray) -> None:
    if not isinstance(array, np.ndarray):
        dtype = layer.weight.value.dtype
        raise TypeError(f"{layer.label}: {what} must be an array of {dtype}, got {type(array).__name__}")
