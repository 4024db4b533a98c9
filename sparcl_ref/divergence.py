"""Where the first NaN or infinity of a forward pass comes from; asked only once a run has gone wrong."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers import Layer, Residual, Sequential
from sparcl_ref.models import Network


def first_not_finite(model: Network, x: np.ndarray) -> str:
    """The first place in order of computation, in words, where something is NaN or infinite.

    The layers are computed one by one by the reference engine, whichever engine trained, in mode "probe": running
    statistics stay as they are.

    Parameters
    ----------
    model : Network
    x : ndarray, shape (N, C, H, W)
        The network's input.

    Returns
    -------
    str
        "the input", "parameter layer1.0.conv1.weight", "the output of layer1.0.bn1", or that all is finite.
    """
    if not np.isfinite(x).all():
        return "the input"
    found, _ = _search("", model.body, x)
    return found or "none in the forward pass, so the loss itself overflowed"


def _search(name: str, layer: Layer, x: np.ndarray) -> tuple[str | None, np.ndarray]:
    """What is not finite at or below a layer, if anything is, and the layer's output."""
    if isinstance(layer, Sequential):
        for part, child in layer.children().items():
            found, x = _search(_join(name, part), child, x)
            if found:
                return found, x
        return None, x
    if isinstance(layer, Residual):
        for part, child in layer.children().items():
            found, _ = _search(_join(name, part), child, x)
            if found:
                return found, x
    for part, parameter in layer.own_parameters().items():
        if not np.isfinite(parameter.value).all():
            return f"parameter {_join(name, part)}", x
    with np.errstate(all="ignore"):
        y = layer.forward(x, mode="probe")
    return (None if np.isfinite(y).all() else f"the output of {name}"), y


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
