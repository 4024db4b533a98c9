"""Convolution with SciPy's compressed sparse rows: what sparsity gives without kernels made for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from sparcl_ref.layers import Conv2d, Sequential
from sparcl_ref.layers.checks import expect_dtype
from sparcl_ref.layers.conv import col2im, im2col
from sparcl_ref.models import Network


@dataclass(frozen=True, eq=False)
class Rows:
    """Chosen entries of a matrix, row by row."""

    index: np.ndarray  #: flat indices in the parameter, ascending
    columns: np.ndarray  #: of each entry
    starts: np.ndarray  #: where each row begins, and the end


class CSRConv2d(Conv2d):
    """`Conv2d` whose products are sparse: Y = W X and dX = W^T dY by SciPy, dW at living weights only.

    SciPy has no product of two dense matrices at chosen places, so for dW each output channel multiplies the rows of X
    that its living weights see. All of it runs in one thread, as SciPy's sparse products do. What derives from the
    masks is made again when a mask has changed.
    """

    _version = -1  # of the masks that the matrices were made from

    @classmethod
    def sharing(cls, layer: Conv2d) -> CSRConv2d:
        """A layer of the same geometry that shares the parameters of another."""
        twin = cls(
            layer.in_channels, layer.out_channels, layer.kernel_size, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups, bias=False, dtype=layer.weight.value.dtype,
        )  # fmt: skip
        twin.weight, twin.bias = layer.weight, layer.bias
        return twin

    def _forward(self, x, mode):
        expect_dtype(self._label, x, self.weight.value.dtype)
        self._refresh()
        out = self.output_shape(x.shape[1:])[1:]
        y = np.empty((len(x), self.out_channels, *out), dtype=x.dtype)
        for part in self._chunks(y):
            X = im2col(x[part], self._window, out).reshape(self._matrix.shape[1], -1)
            y[part] = (self._matrix @ X).reshape(self.out_channels, *out, -1).transpose(3, 0, 1, 2)
        if self.bias is not None:
            y += self.bias.value[:, np.newaxis, np.newaxis]
        return y, x

    def _backward(self, dy, x, need_dx):
        out = dy.shape[2:]
        self._refresh()
        learning = self._learning
        dW = np.zeros_like(self.weight.value)
        found = np.zeros(len(learning.index), dtype=x.dtype)
        dx = np.empty(x.shape, dtype=x.dtype) if need_dx else None
        for part in self._chunks(dy):
            X = im2col(x[part], self._window, out).reshape(self._matrix.shape[1], -1)
            dY = np.ascontiguousarray(dy[part].transpose(1, 2, 3, 0)).reshape(self.out_channels, -1)
            for row in range(self.out_channels):
                here = slice(learning.starts[row], learning.starts[row + 1])
                found[here] += X[learning.columns[here]] @ dY[row]
            if self.bias is not None:
                self.bias.add_grad(dY.sum(axis=1))
            if dx is not None:
                dX = (self._transposed @ dY).reshape(self.in_channels, *self.kernel_size, *out, -1)
                dx[part] = col2im(dX, self._window, x.shape[2:])
        dW.reshape(-1)[learning.index] = found
        self.weight.add_grad(dW)
        return dx

    def _refresh(self) -> None:
        """Bring the matrices up to date: their structure if a mask has changed, their values always."""
        weight = self.weight
        if self._version != weight.version:
            living, formed = self._rows(weight.mask), weight.effective_grad_mask
            self._learning = living if formed is weight.mask else self._rows(formed)
            shape = self.out_channels, self.in_channels * math.prod(self.kernel_size)
            empty = np.zeros(len(living.index), dtype=weight.value.dtype)
            self._matrix = csr_matrix((empty, living.columns, living.starts), shape=shape)
            row = np.repeat(np.arange(shape[0]), np.diff(living.starts))
            # Sorted by column, the same entries are the rows of the transpose.
            order = np.argsort(living.columns, kind="stable")
            starts = _starts(living.columns, shape[1])
            self._transposed = csr_matrix((empty.copy(), row[order], starts), shape=shape[::-1])
            self._living, self._order, self._version = living.index, order, weight.version
        values = weight.value.reshape(-1)[self._living]
        self._matrix.data[...] = values
        self._transposed.data[...] = values[self._order]

    def _rows(self, mask: np.ndarray | None) -> Rows:
        """The entries of a mask as entries of W; a group's channels stand beside those of the groups before it."""
        size = self.weight.value.size
        index = np.arange(size) if mask is None else np.flatnonzero(mask)
        wide = size // self.out_channels
        row = index // wide
        columns = index % wide + row // (self.out_channels // self.groups) * wide
        return Rows(index, columns, _starts(row, self.out_channels))


def _starts(places: np.ndarray, count: int) -> np.ndarray:
    """Where each of ``count`` places begins in a list sorted by place, and the end."""
    return np.concatenate([[0], np.cumsum(np.bincount(places, minlength=count))])


def with_csr(network: Network) -> Network:
    """Put a `CSRConv2d` in the place of every masked convolution of a network, which is changed and returned."""
    for _, layer in network.named_layers():
        if isinstance(layer, Sequential):
            layer.layers = {
                name: CSRConv2d.sharing(child) if type(child) is Conv2d and child.weight.mask is not None else child
                for name, child in layer.layers.items()
            }
    return network
