"""PyTorch's side: a convolution, resnet18 and its DER++ step, dense or masked-dense, in both memory formats.

Masked-dense is what research code for sparse training does: the weight is multiplied by its mask inside the graph, and
everything is computed densely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from sparcl_ref.bench.request import BASELINE
from sparcl_ref.bench.workload import ALPHA, BETA, CLASSES, LEARNING_RATE, ConvShape, StepData
from sparcl_ref.layers import Parameter

FORMATS = dict(zip(BASELINE, (torch.contiguous_format, torch.channels_last), strict=True))

Losses = dict[str, float]


class MaskedConv2d(nn.Conv2d):
    """A convolution whose weight is multiplied by a fixed mask in every forward pass."""

    mask: torch.Tensor

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("mask", torch.ones_like(self.weight))

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class Block(nn.Module):
    """Two 3x3 convolutions beside an identity or a 1x1 convolution."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, conv: type[nn.Conv2d]):
        super().__init__()
        self.conv1 = conv(fan_in, fan_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(fan_out)
        self.conv2 = conv(fan_out, fan_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(fan_out)
        self.shortcut = nn.Sequential()
        if stride > 1 or fan_in != fan_out:
            self.shortcut = nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


def resnet18(width: int, *, conv: type[nn.Conv2d] = nn.Conv2d) -> nn.Module:
    """The CIFAR variant of resnet18; ``conv`` makes the convolutions that SparCL prunes."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    fan_in = width
    for stage in range(4):
        for block in range(2):
            fan_out = width * 2**stage
            layers.append(Block(fan_in, fan_out, 2 if stage and not block else 1, conv))
            fan_in = fan_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, CLASSES))


def load_parameters(model: nn.Module, parameters: Iterable[Parameter]) -> None:
    """Copy values and masks from our parameters, which are in PyTorch's order.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    masks = {id(m.weight): m.mask for m in model.modules() if isinstance(m, MaskedConv2d)}
    with torch.no_grad():
        for theirs, ours in zip(model.parameters(), parameters, strict=True):
            if tuple(theirs.shape) != ours.value.shape:
                raise ValueError(f"{ours.name} has shape {ours.value.shape}, PyTorch's parameter {tuple(theirs.shape)}")
            theirs.copy_(torch.from_numpy(ours.value))
            if id(theirs) in masks and ours.mask is not None:
                masks[id(theirs)].copy_(torch.tensor(ours.mask))


def training_step(model: nn.Module, data: StepData, memory_format: torch.memory_format) -> Callable[[], Losses]:
    """A DER++ step: three passes, each forward and backward, and an update; it returns the three losses."""
    _use_format(model, memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    new, replayed = (torch.from_numpy(x).contiguous(memory_format=memory_format) for x in (data.new, data.replayed))
    labels, old_labels = torch.from_numpy(data.new_labels), torch.from_numpy(data.replayed_labels)
    stored = torch.from_numpy(data.logits)
    terms = {
        "current": lambda: F.cross_entropy(model(new), labels),
        "replay_mse": lambda: ALPHA * F.mse_loss(model(replayed), stored),
        "replay_ce": lambda: BETA * F.cross_entropy(model(replayed), old_labels),
    }

    def step() -> Losses:
        optimizer.zero_grad()
        losses = {}
        for name, term in terms.items():
            loss = term()
            loss.backward()
            losses[name] = loss.item()
        optimizer.step()
        return losses

    return step


def convolution_step(
    shape: ConvShape, weight: Parameter, x: np.ndarray, dy: np.ndarray, memory_format: torch.memory_format
) -> Callable[[], object]:
    """Forward and backward of one convolution of x and dy (N, C, H, W), masked-dense if the weight has a mask."""
    kind = nn.Conv2d if weight.mask is None else MaskedConv2d
    layer = kind(shape.fan_in, shape.fan_out, shape.kernel, shape.stride, shape.kernel // 2, bias=False)
    load_parameters(layer, [weight])
    _use_format(layer, memory_format)
    inputs = torch.from_numpy(x).contiguous(memory_format=memory_format).requires_grad_(not shape.first)
    upstream = torch.from_numpy(dy).contiguous(memory_format=memory_format)

    def step() -> None:
        layer.zero_grad()
        inputs.grad = None
        layer(inputs).backward(upstream)

    return step


def _use_format(module: Any, memory_format: torch.memory_format) -> None:
    """Reorder a module's parameters; Any, because PyTorch's types leave out this argument of `nn.Module.to`."""
    module.to(memory_format=memory_format)
