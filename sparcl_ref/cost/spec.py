"""What a network looks like to an accountant: its layers as plain data, without arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerSpec:
    """A convolution or linear layer, as far as its cost goes.

    Attributes
    ----------
    name : str
        Dotted name, such as ``"layer1.0.conv1"``.
    kind : {"conv", "linear"}
    weight_shape : tuple of int
        ``(out, in / groups, kh, kw)`` or ``(out, in)``.
    input_shape, output_shape : tuple of int
        Of one sample: ``(C, H, W)``, or ``(..., features)`` for a linear layer.
    groups : int
    bias : int
        Number of biases.
    sparsifiable : bool
        Whether SparCL may prune the weight.
    needs_dx : bool
        Whether anything before it learns. The first layer's input gradient goes to nobody and is never formed.
    """

    name: str
    kind: Literal["conv", "linear"]
    weight_shape: Shape
    input_shape: Shape
    output_shape: Shape
    groups: int = 1
    bias: int = 0
    sparsifiable: bool = False
    needs_dx: bool = True

    @property
    def weights(self) -> int:
        """Number of weights, dead or alive."""
        return math.prod(self.weight_shape)

    @property
    def positions(self) -> int:
        """Output positions per sample: OH * OW, or 1 for a linear layer that sees a vector."""
        return math.prod(self.output_shape) // self.weight_shape[0]

    @property
    def forward_macs(self) -> int:
        """Multiply-adds of one dense forward pass of one sample: each weight once per output position."""
        return self.positions * self.weights


@dataclass(frozen=True)
class Node:
    """A layer of any kind in the tree of layers, as far as its memory goes.

    Attributes
    ----------
    name : str
        Dotted name.
    kind : str
        Class of the layer, such as ``"ReLU"``.
    input_shape, output_shape : tuple of int
        Of one sample.
    children : tuple of Node
        Of a Sequential in order; of a Residual the body and, if there is one, the shortcut.
    weights : int
        Entries of its own weight.
    kernel, padding : (int, int)
        Of convolutions and poolings.
    """

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    children: tuple[Node, ...] = ()
    weights: int = 0
    kernel: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ModelSpec:
    """A network as plain data.

    Attributes
    ----------
    name : str
    input_shape : tuple of int
        ``(C, H, W)`` of one sample.
    classes : int
    layers : tuple of LayerSpec
        Convolutions and linear layers in forward order.
    parameter_sizes : dict of str to int
        Every parameter's number of entries, batch-norm's and biases' included.
    buffer_entries : int
        Entries of running statistics.
    tree : Node or None
        All layers with their nesting.
    """

    name: str
    input_shape: Shape
    classes: int
    layers: tuple[LayerSpec, ...]
    parameter_sizes: Mapping[str, int] = field(default_factory=dict)
    buffer_entries: int = 0
    tree: Node | None = None

    @property
    def parameters(self) -> int:
        """Number of trainable entries."""
        return sum(self.parameter_sizes.values()) or sum(layer.weights + layer.bias for layer in self.layers)

    @property
    def sparsifiable(self) -> tuple[LayerSpec, ...]:
        """Layers under SparCL's mask, in forward order."""
        return tuple(layer for layer in self.layers if layer.sparsifiable)

    @property
    def forward_macs(self) -> int:
        """Multiply-adds of one dense forward pass of one sample."""
        return sum(layer.forward_macs for layer in self.layers)

    @property
    def sparsifiable_share(self) -> Fraction:
        """Fraction of the forward multiply-adds that lies in sparsifiable layers."""
        return Fraction(sum(layer.forward_macs for layer in self.sparsifiable), self.forward_macs)

    def layer(self, name: str) -> LayerSpec:
        """The layer of that name.

        Raises
        ------
        ValueError
            If there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"{self.name} has no layer {name!r}; it has {_listed(layer.name for layer in self.layers)}")


def _listed(names: Iterable[str], most: int = 6) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
