"""Read a network's layers into plain data, following the shapes without running an array through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sparcl_ref.cost.spec import LayerSpec, ModelSpec
from sparcl_ref.layers import Composite, Layer, NotStatedError
from sparcl_ref.layers.base import dotted
from sparcl_ref.layers.costs import Shape
from sparcl_ref.models import MODELS, Network

#: How NumPy's refusals of an array begin that has more entries than can be numbered.
NUMPYS_LIMITS = ("array is too big", "maximum allowed dimension")


def describe(model: Network) -> ModelSpec:
    """A network as plain data; masks are not looked at, so it is the same before, during and after training.

    ``unknown`` is set, and there are no layers, if one does not say its output shape or its multiply-adds.

    Raises
    ------
    ValueError
        If a layer does not fit the shape that reaches it.
    """
    layers: list[LayerSpec] = []
    unknown = ""
    try:
        _walk(layers, "", model.body, _Reached(model.input_shape, learns=False))
    except NotStatedError as error:
        unknown = str(error)
    return ModelSpec(
        name=model.name,
        input_shape=model.input_shape,
        classes=model.classes,
        layers=() if unknown else tuple(layers),
        parameter_sizes={name: parameter.value.size for name, parameter in model.named_parameters()},
        buffer_entries=sum(array.size for _, array in model.named_buffers()),
        body=model.body,
        unknown=unknown,
    )


def describe_model(name: str, *, input_shape: Shape, classes: int, width: int | None = None) -> ModelSpec:
    """`describe` of a model of `MODELS` for samples (C, H, W), without initialising it.

    Without a ``width`` it has its own default.

    Raises
    ------
    ValueError
        If the name is unknown, or a size is below 1, too small for the model, or too large for any array.
    """
    build = MODELS.find(name)
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(f"{name}: the input shape must be three sizes C, H, W of at least 1, got {tuple(input_shape)}")
    for what, size in (("classes", classes), ("width", width)):
        if size is not None and size < 1:
            raise ValueError(f"{name}: {what} must be at least 1, got {size}")
    extra = {} if width is None else {"width": width}
    try:
        model = build(input_shape=tuple(input_shape), classes=classes, **extra)
    except (MemoryError, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).lower().startswith(NUMPYS_LIMITS):
            raise
        raise ValueError(
            f"{name}: with images of {tuple(input_shape)}, {classes} classes and width {width or 'by default'} it is "
            "too large for this machine; choose a smaller --width"
        ) from error
    for parameter in model.parameters():
        # The description keeps the layers; of the numbers only their shape is wanted.
        parameter.value = parameter.grad = np.broadcast_to(
            np.zeros_like(parameter.value, shape=()), parameter.value.shape
        )
    return describe(model)


class _Reached(NamedTuple):
    """What reaches a layer: a shape, and whether anything it was computed by learns."""

    shape: Shape
    learns: bool


def _walk(layers: list[LayerSpec], name: str, layer: Layer, reached: _Reached) -> _Reached:
    """Pass a layer and what it consists of, collecting those that multiply."""
    layers += _layer_specs(name, layer, reached)
    if isinstance(layer, Composite):
        return layer.flow(
            reached,
            lambda part, child, reached: _walk(layers, dotted(name, part), child, reached),
            lambda main, side: _Reached(layer.same_shape(main.shape, side.shape), main.learns or side.learns),
        )
    return _Reached(layer.output_shape(reached.shape), reached.learns or bool(dict(layer.named_parameters())))


def _layer_specs(name: str, layer: Layer, reached: _Reached) -> Iterator[LayerSpec]:
    """One for each parameter whose entries multiply, and one for products without a parameter."""
    common: dict[str, Any] = {
        "kind": layer.kind,
        "input_shape": reached.shape,
        "output_shape": layer.output_shape(reached.shape),
        "needs_dx": reached.learns,
    }
    stated = layer.multiply_adds(reached.shape)
    parameters = dict(layer.named_parameters())
    for key, visits in stated.per_entry.items():
        yield LayerSpec(
            name=f"{name}.{key}".removesuffix(".weight"),
            weight_shape=parameters[key].value.shape,
            groups=getattr(layer, "groups", 1),
            bias=sum(each.value.size for other, each in parameters.items() if other not in stated.per_entry),
            sparsifiable=parameters[key].sparsifiable,
            visits=int(visits),
            parameter=f"{name}.{key}",
            **common,
        )
    if stated.forward or stated.dx:
        products = int(stated.forward), int(stated.dx)
        yield LayerSpec(name=f"{name}.products", weight_shape=(0,), visits=0, products=products, **common)
