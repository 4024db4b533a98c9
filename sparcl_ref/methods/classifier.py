"""The classifier of a network and what it sees: the last layer, and the features before it."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers import Linear
from sparcl_ref.models import Network


def classifier_of(model: Network) -> Linear:
    """The last layer; a ValueError unless it is linear and gives the logits."""
    *_, last = model.body.children().values()
    if not isinstance(last, Linear) or last.out_features != model.classes:
        raise ValueError(f"{model.name}: the last layer must be Linear with {model.classes} outputs, got {last!r}")
    return last


def features(model: Network, x: np.ndarray) -> np.ndarray:
    """What the classifier sees of images (N, C, H, W) in eval mode, shape (N, features), by the reference layers."""
    *before, _ = model.body.children().values()
    for layer in before:
        x = layer.forward(x, mode="eval")
    return x
