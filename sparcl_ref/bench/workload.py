"""What every contender works on: the same images, labels and stored logits, and the convolutions of resnet18."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.layers import Conv2d
from sparcl_ref.masks import budget, random_mask

#: Side of the images.
IMAGE = 32
CLASSES = 10
#: DER++'s coefficients of the logit loss and of the label loss.
ALPHA, BETA = 0.1, 0.5
LEARNING_RATE = 0.03


@dataclass(frozen=True)
class StepData:
    """One batch of new samples and as many replayed ones."""

    new: np.ndarray  #: float32, shape (batch, 3, 32, 32), and so are the replayed
    new_labels: np.ndarray
    replayed: np.ndarray
    replayed_labels: np.ndarray
    logits: np.ndarray  #: stored with the replayed samples: float32, shape (batch, classes)


def step_data(batch: int) -> StepData:
    """Random images, the same at every call."""
    rng = np.random.default_rng(1)

    def images() -> np.ndarray:
        return rng.standard_normal((batch, 3, IMAGE, IMAGE), dtype=np.float32)

    labels = np.arange(batch) % CLASSES
    return StepData(images(), labels, images(), labels[::-1].copy(), rng.standard_normal((batch, CLASSES), np.float32))


@dataclass(frozen=True)
class ConvShape:
    """A convolution with padding kernel // 2 on square images."""

    fan_in: int
    fan_out: int
    size: int  #: side of the images read
    kernel: int
    stride: int
    first: bool = False  #: whether it reads the images themselves, so that no one needs the gradient of its input

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
    channels, padding = (shape.fan_in, shape.fan_out), shape.kernel // 2
    layer = kind(*channels, shape.kernel, stride=shape.stride, padding=padding, bias=False)
    weight = layer.weight
    weight.value[...] = rng.standard_normal(weight.value.shape) * np.sqrt(2 / (shape.fan_in * shape.kernel**2))
    if sparsity:
        weight.set_mask(random_mask(weight.value.shape, budget(weight.value.size, sparsity), rng))
    return layer
