"""The bytes that layers state, against what Python's allocator saw, layer by layer and pass by pass."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from sparcl_ref.cost.peak import Pass
from sparcl_ref.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    Load,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)


def norm_conv(channels: int) -> Sequential:
    return Sequential([Conv2d(16, channels, 1, bias=False), BatchNorm2d(channels)])


IMAGES = (32, 16, 32, 32)  # 2 MB in float32
FEATURES = (64, 4096)
LAYERS = {
    "conv": (Conv2d(16, 16, 3, padding=1), IMAGES),
    "conv-few-outputs": (Conv2d(16, 2, 3, padding=1, bias=False), IMAGES),
    "conv-many-outputs": (Conv2d(16, 96, 3, padding=1), IMAGES),
    "conv-many-weights": (Conv2d(256, 256, 3, padding=1, bias=False), (8, 256, 8, 8)),
    "conv-1x1-strided": (Conv2d(16, 32, 1, stride=2), IMAGES),
    "conv-padded-1x1": (Conv2d(16, 16, 1, padding=2), IMAGES),
    "conv-groups": (Conv2d(16, 16, 3, groups=4), IMAGES),
    "linear": (Linear(4096, 512), FEATURES),
    "linear-few-weights": (Linear(4096, 3), FEATURES),
    "batchnorm": (BatchNorm2d(16), IMAGES),
    "relu": (ReLU(), IMAGES),
    "dropout": (Dropout(0.5, rng=np.random.default_rng(0)), IMAGES),
    "dropout-of-nothing": (Dropout(0.0, rng=None), IMAGES),
    "max-pool": (MaxPool2d(2), IMAGES),
    "max-pool-padded": (MaxPool2d(3, stride=1, padding=1), IMAGES),
    "max-pool-one-image": (MaxPool2d(2), (1, 1, 1024, 1024)),
    "max-pool-one-image-padded": (MaxPool2d(3, stride=2, padding=1), (1, 1, 1024, 1024)),
    "average-pool": (AvgPool2d(2), IMAGES),
    "average-pool-padded": (AvgPool2d(3, stride=1, padding=1), IMAGES),
    "global-average-pool": (GlobalAvgPool2d(), IMAGES),
    "flatten": (Flatten(), IMAGES),
    "sequential": (Sequential([norm_conv(16), ReLU(), Flatten()]), IMAGES),
    "residual-identity": (Residual(norm_conv(16)), IMAGES),
    "residual-shortcut": (Residual(norm_conv(8), norm_conv(8)), IMAGES),
}


def measured(layer: Layer, shape: tuple[int, ...], *, need_dx: bool) -> dict[str, int]:
    """Bytes after the forward pass and at most in each pass, input and gradient of the output included."""
    gc.collect()
    tracemalloc.start()
    x = np.ones(shape, dtype=np.float32)
    tracemalloc.reset_peak()
    y = layer.forward(x, mode="train")
    kept, forward = tracemalloc.get_traced_memory()
    dy = np.ones(y.shape, dtype=np.float32)
    tracemalloc.reset_peak()
    layer.backward(dy, need_dx=need_dx)
    backward = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"kept": kept, "forward": forward, "backward": backward}


def stated(layer: Layer, shape: tuple[int, ...], *, need_dx: bool) -> dict[str, int]:
    """The same by what the layer says."""
    walk = Pass(Load(shape[0], 4))
    x = walk.array(shape[1:])
    y = walk.forward(layer, x)
    kept, forward = walk.meter.now_bytes, walk.meter.peak_bytes
    dy = walk.array(y.shape)
    walk.meter.peak_bytes = walk.meter.now_bytes
    walk.backward(layer, dy, need_dx)
    return {"kept": kept, "forward": forward, "backward": walk.meter.peak_bytes}


@pytest.mark.parametrize("need_dx", [True, False], ids=["with-dx", "without-dx"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_holds_what_it_says(name, need_dx):
    layer, shape = LAYERS[name]
    real, said = (ask(layer, shape, need_dx=need_dx) for ask in (measured, stated))
    # NumPy's buffers come and go with the layout, three operands at most; the smallest array that counts is 0.5 MB.
    for what in real:
        assert said[what] == pytest.approx(real[what], rel=0.005, abs=3 * 8192 * 4), what
    assert real["forward"] >= real["kept"] > 1_000_000
