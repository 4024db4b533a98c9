"""Where the first NaN or infinity of a forward pass comes from; asked only once a run has gone wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparcl_ref.layers import Composite, Layer
from sparcl_ref.layers.base import dotted
from sparcl_ref.methods import Batch, Observation
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer


class _NotFinite(Exception):  # noqa: N818 - a find, not an error
    """Names the place that was looked for."""


def check_losses(
    step: Observation,
    model: Network,
    batch: Batch,
    buffer: ReservoirBuffer | None,
    prepare: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Raise a FloatingPointError if a loss of a step is NaN or infinite, naming it and what was so first.

    That is looked for on the batch and, as ``prepare`` makes input of them, on the images that were replayed.
    """
    for term, loss in step.losses.items():
        if not np.isfinite(loss):
            held = [] if buffer is None else [buffer.get(slots).images for slots in step.draws]
            first = first_not_finite(model, np.concatenate([batch.x, *map(prepare, held)]))
            advice = "try a lower learning rate or check the data"
            raise FloatingPointError(f"the {term} loss is {loss}; not finite first: {first}; {advice}")


def first_not_finite(model: Network, x: np.ndarray) -> str:
    """The first place in order of computation, in words, where something is NaN or infinite.

    The layers are computed one by one by the reference engine, whichever engine trained, in mode "probe": running
    statistics stay as they are.

    It is "the input" x, (N, C, H, W), "parameter layer1.0.conv1.weight", "the output of layer1.0.bn1", or that all is
    finite.
    """
    try:
        _expect_finite("the input", x)
        with np.errstate(all="ignore"):
            _search("", model.body, x)
    except _NotFinite as found:
        return str(found)
    return "none in the forward pass, so the loss itself overflowed"


def _search(name: str, layer: Layer, x: np.ndarray) -> np.ndarray:
    """Look at and below a layer; returns its output."""
    if isinstance(layer, Composite):
        layer.flow(x, lambda part, child, x: _search(dotted(name, part), child, x), np.add)
    for part, parameter in layer.named_parameters():
        _expect_finite(f"parameter {dotted(name, part)}", parameter.value)
    y = layer.forward(x, mode="probe")
    _expect_finite(f"the output of {name}", y)
    return y


def _expect_finite(place: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise _NotFinite(place)
