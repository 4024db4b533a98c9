"""Read a network's layers into plain data, following the shapes without running an array through them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from sparcl_ref.cost.spec import LayerSpec, ModelSpec, Node, Shape
from sparcl_ref.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.models import MODELS, Network


def describe(model: Network) -> ModelSpec:
    """A network as plain data.

    Parameters
    ----------
    model : Network
        Masks are not looked at: a `ModelSpec` is the same before, during and after training.

    Raises
    ------
    TypeError
        If the network contains a layer whose output shape is not known here.
    ValueError
        If a layer does not fit the shape that reaches it.
    """
    walk = _Walk()
    tree, _ = walk.step("", model.body, tuple(model.input_shape), learns=False)
    return ModelSpec(
        name=model.name,
        input_shape=tuple(model.input_shape),
        classes=model.classes,
        layers=tuple(walk.layers),
        parameter_sizes={name: parameter.value.size for name, parameter in model.named_parameters()},
        buffer_entries=sum(array.size for _, array in model.named_buffers()),
        tree=tree,
    )


def describe_model(name: str, *, input_shape: Shape, classes: int, width: int | None = None) -> ModelSpec:
    """`describe` of one of the package's models, without initialising it.

    Parameters
    ----------
    name : {"mlp", "convnet", "resnet18", "resnet20"}
    input_shape : tuple of int
        ``(C, H, W)``.
    classes : int
    width : int, optional
        None takes the model's own default.

    Raises
    ------
    ValueError
        If the name is unknown, or a size is below 1 or too small for the model.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(f"{name}: the input shape must be three sizes C, H, W of at least 1, got {tuple(input_shape)}")
    for what, size in (("classes", classes), ("width", width)):
        if size is not None and size < 1:
            raise ValueError(f"{name}: {what} must be at least 1, got {size}")
    extra = {} if width is None else {"width": width}
    return describe(MODELS[name](input_shape=tuple(input_shape), classes=classes, **extra))


@dataclass
class _Walk:
    """Collects layers on the way from input to output."""

    layers: list[LayerSpec] = field(default_factory=list)

    def step(self, name: str, layer: Layer, shape: Shape, *, learns: bool) -> tuple[Node, bool]:
        """Pass a layer: its node in the tree, and whether anything up to its output learns."""
        if isinstance(layer, Sequential):
            return self._sequential(name, layer, shape, learns)
        if isinstance(layer, Residual):
            return self._residual(name, layer, shape, learns)
        kind = type(layer).__name__
        rule = next((rule for known, rule in OUTPUT_SHAPES.items() if isinstance(layer, known)), None)
        if rule is None:
            raise TypeError(f"{name}: no output shape is known for a layer of type {kind}")
        out = rule(name, layer, shape)
        weights = 0
        if isinstance(layer, Conv2d | Linear):
            self.layers.append(_layer_spec(name, layer, shape, out, needs_dx=learns))
            weights = self.layers[-1].weights
        kernel, padding = getattr(layer, "kernel_size", (1, 1)), getattr(layer, "padding", (0, 0))
        node = Node(name, kind, shape, out, weights=weights, kernel=kernel, padding=padding)
        return node, learns or bool(layer.own_parameters())

    def _sequential(self, name: str, layer: Sequential, shape: Shape, learns: bool) -> tuple[Node, bool]:
        children, out = [], shape
        for key, child in layer.children().items():
            node, learns = self.step(_dotted(name, key), child, out, learns=learns)
            children.append(node)
            out = node.output_shape
        return Node(name, "Sequential", shape, out, tuple(children)), learns

    def _residual(self, name: str, layer: Residual, shape: Shape, learns: bool) -> tuple[Node, bool]:
        passed = [self.step(_dotted(name, key), child, shape, learns=learns) for key, child in layer.children().items()]
        outs = [node.output_shape for node, _ in passed]
        body, side = outs if len(outs) == 2 else (outs[0], shape)
        if body != side:
            raise ValueError(f"{name}: body and shortcut must give one shape, got {body} and {side}")
        node = Node(name, "Residual", shape, body, tuple(node for node, _ in passed))
        return node, learns or any(branch_learns for _, branch_learns in passed)


def _layer_spec(name: str, layer: Conv2d | Linear, shape: Shape, out: Shape, *, needs_dx: bool) -> LayerSpec:
    return LayerSpec(
        name=name,
        kind="conv" if isinstance(layer, Conv2d) else "linear",
        weight_shape=layer.weight.value.shape,
        input_shape=shape,
        output_shape=out,
        groups=getattr(layer, "groups", 1),
        bias=0 if layer.bias is None else layer.bias.value.size,
        sparsifiable=layer.weight.sparsifiable,
        needs_dx=needs_dx,
    )


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _window(name: str, layer: Layer, shape: Shape) -> tuple[int, int]:
    """Output positions of a sliding window: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1."""
    if len(shape) != 3:
        raise ValueError(f"{name}: {type(layer).__name__} needs images (C, H, W), got shape {shape}")
    padding, dilation = getattr(layer, "padding", (0, 0)), getattr(layer, "dilation", (1, 1))
    axes = zip(shape[1:], layer.kernel_size, layer.stride, padding, dilation, strict=True)
    rows, columns = ((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in axes)
    if min(rows, columns) < 1:
        raise ValueError(f"{name}: the window {layer.kernel_size} does not fit into an image of shape {shape}")
    return rows, columns


def _conv(name: str, layer: Conv2d, shape: Shape) -> Shape:
    if shape[0] != layer.in_channels:
        raise ValueError(f"{name}: expected {layer.in_channels} input channels, got shape {shape}")
    return layer.out_channels, *_window(name, layer, shape)


def _linear(name: str, layer: Linear, shape: Shape) -> Shape:
    if shape[-1] != layer.in_features:
        raise ValueError(f"{name}: expected {layer.in_features} input features, got shape {shape}")
    return *shape[:-1], layer.out_features


def _same(name: str, layer: Layer, shape: Shape) -> Shape:
    return shape


#: Kind of layer to ``(name, layer, shape) -> output shape``, all shapes without the batch axis.
OUTPUT_SHAPES: dict[type[Layer], Callable[..., Shape]] = {
    Conv2d: _conv,
    Linear: _linear,
    MaxPool2d: lambda name, layer, shape: (shape[0], *_window(name, layer, shape)),
    AvgPool2d: lambda name, layer, shape: (shape[0], *_window(name, layer, shape)),
    GlobalAvgPool2d: lambda name, layer, shape: shape[:1],
    Flatten: lambda name, layer, shape: (math.prod(shape),),
    BatchNorm1d: _same,
    BatchNorm2d: _same,
    ReLU: _same,
    Dropout: _same,
}
