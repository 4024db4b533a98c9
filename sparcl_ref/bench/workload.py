"""The convolutions of resnet18, and what one of them costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.layers import Conv2d
from sparcl_ref.masks import budget, random_mask

#: Side of the images.
IMAGE = 32


@dataclass(frozen=True)
class ConvShape:
    """A convolution with padding kernel // 2 on square images.

    Attributes
    ----------
    fan_in, fan_out : int
        Channels.
    size : int
        Side of the images read.
    kernel, stride : int
    first : bool
        Whether it reads the images themselves, so that no one needs the gradient of its input.
    """

    fan_in: int
    fan_out: int
    size: int
    kernel: int
    stride: int
    first: bool = False

    @property
    def name(self) -> str:
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return f"{self.kernel}x{self.kernel} {self.fan_in}->{self.fan_out}, {self.size}x{self.size}{stride}"

    @property
    def sparsifiable(self) -> bool:
        """Whether SparCL prunes it: all but the stem and the 1x1 shortcuts."""
        return self.kernel > 1 and not self.first

    @property
    def weights(self) -> int:
        return self.fan_out * self.fan_in * self.kernel**2

    @property
    def products(self) -> int:
        """Forward, dW, and dX if anyone needs it."""
        return 2 if self.first else 3

    @property
    def out_size(self) -> int:
        """Side of the images written."""
        return (self.size - 1) // self.stride + 1

    def flops(self, living: int, batch: int) -> int:
        """Of one product with that many living weights: two per multiply-add."""
        return 2 * living * self.out_size**2 * batch


def convolutions(width: int) -> list[ConvShape]:
    """The eleven distinct convolutions of resnet18 on 32x32 images."""
    shapes = [ConvShape(3, width, IMAGE, 3, 1, first=True), ConvShape(width, width, IMAGE, 3, 1)]
    for stage in (1, 2, 3):
        fan_in, fan_out, size = width * 2 ** (stage - 1), width * 2**stage, IMAGE // 2 ** (stage - 1)
        shapes.append(ConvShape(fan_in, fan_out, size, 3, 2))
        shapes.append(ConvShape(fan_in, fan_out, size, 1, 2))
        shapes.append(ConvShape(fan_out, fan_out, size // 2, 3, 1))
    return shapes


def build_layer(shape: ConvShape, *, sparsity: float = 0.0, kind: type[Conv2d] = Conv2d) -> Conv2d:
    """A layer of that shape with random weights, and a random mask of the exact budget if ``sparsity`` > 0."""
    rng = np.random.default_rng(0)
    layer = kind(
        shape.fan_in, shape.fan_out, shape.kernel, stride=shape.stride, padding=shape.kernel // 2, bias=False
    )  # fmt: skip
    weight = layer.weight
    weight.value[...] = rng.standard_normal(weight.value.shape) * np.sqrt(2 / (shape.fan_in * shape.kernel**2))
    if sparsity:
        weight.set_mask(random_mask(weight.value.shape, budget(weight.value.size, sparsity), rng))
    return layer
