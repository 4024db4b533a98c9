"""Networks of all kinds and sizes, and beside each its PyTorch twin with the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from sparcl_ref.models import Network, build_model
from tests.torch_twin import models as twins
from tests.trajectory import twin_model

CASES = [
    ("mlp", (1, 8, 8), 16),
    ("mlp", (3, 2, 5), 7),
    ("convnet", (1, 8, 8), 8),
    ("convnet", (1, 28, 28), 4),
    ("convnet", (3, 9, 7), 5),
    ("resnet18", (3, 16, 16), 8),
    ("resnet18", (1, 9, 11), 3),
    ("resnet20", (3, 16, 16), 8),
    ("resnet20", (2, 7, 5), 3),
]
IDS = [f"{name}-{'x'.join(map(str, shape))}-width {width}" for name, shape, width in CASES]
CLASSES = 6


def network(name: str, shape=(1, 8, 8), width: int | None = None, *, seed: int = 0, **changes: Any) -> Network:
    settings = {"classes": CLASSES, "dtype": np.float64, "rng": np.random.default_rng(seed)}
    return build_model(name, input_shape=shape, width=width, **(settings | changes))


def pair(name: str, shape: tuple[int, int, int], width: int) -> tuple[Network, nn.Module]:
    """Our network and its twin with the same values, none of them as special as the 0 and 1 batch-norm starts with."""
    ours = network(name, shape, width)
    rng = np.random.default_rng(1)
    state = ours.state_dict()
    for key, value in state.items():
        if key.endswith("running_var") or (key.endswith("weight") and value.ndim == 1):
            state[key] = rng.uniform(0.5, 1.5, value.shape)
        elif key.endswith(("bias", "running_mean")):
            state[key] = rng.normal(0, 0.3, value.shape)
    ours.load_state_dict(state)
    theirs = twin_model(ours, width=width).double()
    twins.load_arrays(theirs, state)
    return ours, theirs


def images(shape: tuple[int, int, int], count: int = 5) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, *shape))
