"""The four networks with the commonly published parameter names. Convolutions have no bias, linear layers do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class MLP(nn.Module):
    """Linear - ReLU - Linear - ReLU - Linear on the flattened input."""

    def __init__(self, in_features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.linear = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.fc1(x.flatten(1)))
        return self.linear(functional.relu(self.fc2(x)))


class ConvNet(nn.Module):
    """Three 3x3 convolutions with batch-norm and ReLU, a 2x2 max pool after the first and second where wanted."""

    def __init__(self, in_channels: int, stem: int, width: int, classes: int, pools: tuple[bool, bool]) -> None:
        super().__init__()
        self.pools = pools
        self.conv1 = nn.Conv2d(in_channels, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        if self.pools[0]:
            x = functional.max_pool2d(x, 2)
        x = functional.relu(self.bn2(self.conv2(x)))
        if self.pools[1]:
            x = functional.max_pool2d(x, 2)
        x = functional.relu(self.bn3(self.conv3(x)))
        return self.linear(x.mean(dim=(2, 3)))


class BasicBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)); a 1x1 conv with batch-norm where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """CIFAR ResNet: a 3x3 stem, stages that each (but the first) double the width and halve the size, a linear head."""

    def __init__(self, in_channels: int, width: int, blocks: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = [f"layer{i + 1}" for i in range(len(blocks))]
        channels = width
        for i, (stage, count) in enumerate(zip(self.stages, blocks, strict=True)):
            out = width * 2**i
            strides = [1 if i == 0 else 2] + [1] * (count - 1)
            layers = []
            for stride in strides:
                layers.append(BasicBlock(channels, out, stride))
                channels = out
            self.add_module(stage, nn.Sequential(*layers))
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return self.linear(x.mean(dim=(2, 3)))


def mlp(in_features: int, hidden: int, classes: int) -> MLP:
    """Two hidden layers of `hidden` units; names fc1, fc2, linear."""
    return MLP(in_features, hidden, classes)


def convnet(
    classes: int, *, width: int, pools: tuple[bool, bool], stem: int | None = None, in_channels: int = 1
) -> ConvNet:
    """Three-layer conv net; `stem` channels after conv1 (default width // 2), `pools` after conv1 and conv2."""
    return ConvNet(in_channels, width // 2 if stem is None else stem, width, classes, pools)


def resnet18(classes: int, *, width: int = 64, in_channels: int = 3) -> ResNet:
    """CIFAR ResNet-18: four stages of two blocks."""
    return ResNet(in_channels, width, (2, 2, 2, 2), classes)


def resnet20(classes: int, *, width: int = 16, in_channels: int = 3) -> ResNet:
    """CIFAR ResNet-20: three stages of three blocks."""
    return ResNet(in_channels, width, (3, 3, 3), classes)


def sparsifiable(model: nn.Module) -> list[str]:
    """Names of all conv and linear weights except the stem (the first layer), shortcuts and the classifier `linear`."""
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return [f"{name}.weight" for name in layers[1:] if ".shortcut." not in name and name != "linear"]


def load_arrays(model: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Copy a complete state dict of NumPy arrays into the model; missing or unknown names raise RuntimeError."""
    types = {name: value.dtype for name, value in model.state_dict().items()}
    model.load_state_dict({name: torch.tensor(np.asarray(a), dtype=types.get(name)) for name, a in arrays.items()})
