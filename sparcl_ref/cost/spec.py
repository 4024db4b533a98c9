"""What a network looks like to an accountant: its layers as plain data, without arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from sparcl_ref.layers.costs import Shape

if TYPE_CHECKING:
    from sparcl_ref.layers import Layer


@dataclass(frozen=True)
class LayerSpec:
    """A convolution, a linear layer or another that multiplies, as far as its cost goes.

    Attributes
    ----------
    name : str
        Dotted name, such as ``"layer1.0.conv1"``.
    kind : str
        "conv", "linear", or "other".
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
    visits : int, optional
        Multiply-adds of each weight in a forward pass; by default one per output position.
    parameter : str
        Dotted name of the weight.
    products : (int, int)
        Multiply-adds without a weight, in the forward pass and for the gradient of the input.
    """

    name: str
    kind: str
    weight_shape: Shape
    input_shape: Shape
    output_shape: Shape
    groups: int = 1
    bias: int = 0
    sparsifiable: bool = False
    needs_dx: bool = True
    visits: int | None = None
    parameter: str = ""
    products: tuple[int, int] = (0, 0)

    @property
    def weights(self) -> int:
        """Number of weights, dead or alive."""
        return math.prod(self.weight_shape)

    @property
    def positions(self) -> int:
        """How often a weight is used per sample: OH * OW times, or once in a linear layer that sees a vector."""
        return self.visits if self.visits is not None else math.prod(self.output_shape) // self.weight_shape[0]

    @property
    def forward_macs(self) -> int:
        """Multiply-adds of one dense forward pass of one sample: each weight once per output position."""
        return self.positions * self.weights + self.products[0]


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
        Those that multiply, in forward order.
    parameter_sizes : dict of str to int
        Every parameter's number of entries, batch-norm's and biases' included.
    buffer_entries : int
        Entries of running statistics.
    body : Layer or None
        The layers themselves, to be asked what memory they need.
    unknown : str
        Why multiply-adds are not known, if they are not: a layer does not say them. There are no ``layers`` then.
    """

    name: str
    input_shape: Shape
    classes: int
    layers: tuple[LayerSpec, ...]
    parameter_sizes: Mapping[str, int] = field(default_factory=dict)
    buffer_entries: int = 0
    body: Layer | None = field(default=None, compare=False, repr=False)
    unknown: str = ""

    @property
    def parameters(self) -> int:
        """Number of trainable entries."""
        return sum(self.parameter_sizes.values()) or sum(layer.weights + layer.bias for layer in self.layers)

    @property
    def sparsifiable(self) -> tuple[LayerSpec, ...]:
        """Layers under SparCL's mask, in forward order."""
        return tuple(layer for layer in self.layers if layer.sparsifiable)

    @property
    def weight_layers(self) -> tuple[LayerSpec, ...]:
        """Layers with a weight of two or more dimensions, which are convolutions and linear layers."""
        return tuple(layer for layer in self.layers if len(layer.weight_shape) >= 2)

    @property
    def forward_macs(self) -> int | None:
        """Multiply-adds of one dense forward pass of one sample; None if they are unknown."""
        return None if self.unknown else sum(layer.forward_macs for layer in self.layers)

    @property
    def sparsifiable_share(self) -> Fraction:
        """Fraction of the forward multiply-adds that lies in sparsifiable layers, where they are known."""
        prunable, all_macs = (sum(one.forward_macs for one in each) for each in (self.sparsifiable, self.layers))
        return Fraction(prunable, all_macs) if all_macs else Fraction(0)

    def layer(self, name: str) -> LayerSpec:
        """The layer of that name; a ValueError if there is none."""
        by_name = {layer.name: layer for layer in self.layers}
        if name in by_name:
            return by_name[name]
        most = 6
        more = f" and {len(by_name) - most} more" if len(by_name) > most else ""
        raise ValueError(f"{self.name} has no layer {name!r}; it has {', '.join(list(by_name)[:most])}{more}")
