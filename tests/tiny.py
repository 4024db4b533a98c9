"""A network small enough to check by hand, beside the same function in PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from sparcl_ref.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Layer, Linear, Parameter, ReLU, Sequential
from sparcl_ref.models import Network

INPUT = (1, 4, 4)
CLASSES = 4

#: A function of one batch of images that gives its logits.
Logits = Callable[[np.ndarray], torch.Tensor]


def network(
    *, batchnorm: bool, dropout: np.random.Generator | None = None, seed: int = 0, dtype=np.float64, classes=CLASSES
) -> Network:
    """A stem, a strided convolution and a linear layer (both sparsifiable), and a classifier, at random values.

    Parameters
    ----------
    batchnorm : bool
        Behind both convolutions; without it they have biases, and samples do not see each other.
    dropout : numpy.random.Generator, optional
        With one, half of the classifier's input is dropped in train mode.
    """
    layers: dict[str, Layer] = {}
    for name, conv in (
        ("1", Conv2d(1, 2, 3, padding=1, bias=not batchnorm, dtype=dtype)),
        ("2", Conv2d(2, 3, 3, padding=1, stride=2, bias=not batchnorm, dtype=dtype, sparsifiable=True)),
    ):
        layers[f"conv{name}"] = conv
        if batchnorm:
            layers[f"bn{name}"] = BatchNorm2d(conv.out_channels, dtype=dtype)
        layers[f"relu{name}"] = ReLU()
    layers |= {"flatten": Flatten(), "fc": Linear(12, 5, dtype=dtype, sparsifiable=True), "relu3": ReLU()}
    if dropout is not None:
        layers["dropout"] = Dropout(0.5, rng=dropout)
    layers["linear"] = Linear(5, classes, dtype=dtype)
    net = Network("tiny", Sequential(layers), input_shape=INPUT, classes=classes)
    rng = np.random.default_rng(seed)
    for parameter in net.parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape) * 0.7
    return net


def stack(widths: list[int], *, seed: int = 0, dtype=np.float64) -> Network:
    """Linear layers with ReLU between; all but the first and the last are sparsifiable."""
    layers: dict[str, Layer] = {"flatten": Flatten()}
    last = len(widths) - 2
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        layers[f"fc{index}"] = Linear(fan_in, fan_out, dtype=dtype, sparsifiable=0 < index < last)
        if index < last:
            layers[f"relu{index}"] = ReLU()
    net = Network("stack", Sequential(layers), input_shape=(1, 1, widths[0]), classes=widths[-1])
    rng = np.random.default_rng(seed)
    for parameter in net.parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape)
    return net


def autograd(net: Network, scalar: Callable[[Logits], torch.Tensor]) -> list[np.ndarray]:
    """Gradients of a scalar made of the logits of a `network` (in train mode, without dropout), by PyTorch.

    Parameters
    ----------
    net : Network
        Its values are used, nothing else of it.
    scalar : callable
        Called with the function from images to logits; returns a tensor of shape ().
    """
    tensors = {p.name: torch.tensor(p.value, requires_grad=True) for p in net.parameters()}

    def logits(images: np.ndarray) -> torch.Tensor:
        x = torch.tensor(images)
        for name, stride in (("1", 1), ("2", 2)):
            x = functional.conv2d(
                x, tensors[f"conv{name}.weight"], tensors.get(f"conv{name}.bias"), stride=stride, padding=1
            )
            if f"bn{name}.weight" in tensors:
                scale, offset = tensors[f"bn{name}.weight"], tensors[f"bn{name}.bias"]
                x = functional.batch_norm(x, None, None, scale, offset, training=True)
            x = functional.relu(x)
        x = functional.relu(functional.linear(x.flatten(1), tensors["fc.weight"], tensors["fc.bias"]))
        return functional.linear(x, tensors["linear.weight"], tensors["linear.bias"])

    grads = torch.autograd.grad(scalar(logits), list(tensors.values()))
    return [grad.numpy() for grad in grads]


def cross_entropy(logits: torch.Tensor, labels: np.ndarray, classes: tuple[int, ...] | None = None) -> torch.Tensor:
    """Mean cross-entropy; with ``classes`` all other logits are minus infinity."""
    if classes is not None:
        outside = torch.ones(logits.shape[1], dtype=torch.bool)
        outside[list(classes)] = False
        logits = logits.masked_fill(outside, float("-inf"))
    return functional.cross_entropy(logits, torch.tensor(labels))


def restrict(parameter: Parameter, rng: np.random.Generator, *, share: float = 0.5) -> None:
    """Give a parameter a random mask."""
    parameter.set_mask(rng.random(parameter.value.shape) < share)
