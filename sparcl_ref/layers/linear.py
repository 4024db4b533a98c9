"""Fully connected layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.layers.base import Layer, Mode
from sparcl_ref.layers.checks import as_count, as_float_dtype, expect_dtype, expect_shape
from sparcl_ref.layers.costs import Footprint, Load, MultiplyAdds, Shape
from sparcl_ref.layers.parameter import Parameter


class Linear(Layer):
    """Weighted sums of the features: ``y = x W^T + b``.

    Forward, for sample n and output o::

        y[n, o] = b[o] + sum over i of  W[o, i] * x[n, i]

    Backward. W[o, i] appears in y[n, o] of every sample, with factor x[n, i]; x[n, i] appears in every output of its
    own sample, with factor W[o, i]; b[o] in y[n, o] of every sample, with factor 1. Summing dL/dy over these
    appearances gives

    - dL/dW[o, i] = sum over n of dy[n, o] * x[n, i], that is dL/dW = dy^T x
    - dL/dx[n, i] = sum over o of dy[n, o] * W[o, i], that is dL/dx = dy W
    - dL/db[o] = sum over n of dy[n, o]

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether each output has an additive constant.
    dtype : numpy dtype
        float32 or float64, of the parameters and therefore of inputs and outputs.
    sparsifiable : bool
        Whether SparCL may prune the weight.

    Attributes
    ----------
    weight : Parameter, shape (out_features, in_features)
        Zero until initialised.
    bias : Parameter, shape (out_features,), or None

    Raises
    ------
    ValueError
        If a size is below 1.
    TypeError
        If a size is not an integer or the dtype is not supported.
    """

    kind = "linear"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        sparsifiable: bool = False,
    ):
        super().__init__()
        self.in_features = as_count("Linear", "in_features", in_features)
        self.out_features = as_count("Linear", "out_features", out_features)
        dtype = as_float_dtype(self._label, dtype)
        shape = (self.out_features, self.in_features)
        self.weight = Parameter("weight", np.zeros(shape, dtype), sparsifiable=sparsifiable)
        self.bias = Parameter("bias", np.zeros(self.out_features, dtype)) if bias else None

    def own_parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}

    @property
    def fan_in(self) -> int:
        return self.in_features

    def output_shape(self, shape: Shape) -> Shape:
        expect_shape(self._label, shape, self.in_features)
        return (self.out_features,)

    def multiply_adds(self, shape: Shape) -> MultiplyAdds:
        return MultiplyAdds({"weight": 1})

    def footprint(self, shape: Shape, load: Load) -> Footprint:
        dx = load.size(shape) if load.need_dx else 0
        # dy^T x is added to the gradient and gone before dL/dx is made.
        return Footprint(keeps_input=True, backward_bytes=max(0, self.weight.value.size * load.item_bytes - dx))

    def _forward(self, x: np.ndarray, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
        self.output_shape(x.shape[1:])
        expect_dtype(self._label, x, self.weight.value.dtype)
        y = x @ self.weight.value.T
        if self.bias is not None:
            y += self.bias.value
        return y, x

    def _backward(self, dy: np.ndarray, x: np.ndarray, need_dx: bool) -> np.ndarray | None:
        self.weight.add_grad(dy.T @ x)
        if self.bias is not None:
            self.bias.add_grad(dy.sum(axis=0))
        return dy @ self.weight.value if need_dx else None

    @property
    def _label(self) -> str:
        return f"Linear({self.in_features}->{self.out_features})"
