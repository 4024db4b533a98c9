"""A batch, a buffer and a method on the tiny network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparcl_ref.methods import DER, ER, Batch, DERpp, Method, Observation
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer
from tests import tiny

TASK = (3, 1)
OTHERS = [0, 2]
#: Each class with its own coefficients, none of them the default.
REHEARSING = {
    "er": (ER, {"er_weight": 0.7}),
    "der": (DER, {"alpha": 0.3}),
    "derpp": (DERpp, {"alpha": 0.3, "beta": 0.7}),
}
batchnorms = pytest.mark.parametrize("batchnorm", [True, False], ids=["batchnorm", "plain"])
heads = pytest.mark.parametrize("head", ["full", "single"])
names = pytest.mark.parametrize("name", REHEARSING)


def prepare(images: np.ndarray) -> np.ndarray:
    return images / 128.0 - 1


def new_batch(count: int = 5, *, seed: int = 1, task: int = 2) -> Batch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *tiny.INPUT), dtype=np.uint8)
    # Training images are augmented: what the network sees is not what the buffer would prepare.
    return Batch(images, prepare(images)[..., ::-1].copy(), rng.choice(TASK, count), TASK, task)


def new_buffer(*, capacity: int = 8, filled: int = 8, dtype=np.float64) -> ReservoirBuffer:
    buffer = ReservoirBuffer(
        capacity, image_shape=tiny.INPUT, image_dtype=np.uint8, classes=tiny.CLASSES, logits_dtype=dtype
    )
    rng = np.random.default_rng(2)
    buffer.add(
        rng.integers(0, 256, (filled, *tiny.INPUT), dtype=np.uint8),
        rng.integers(0, tiny.CLASSES, filled),
        rng.standard_normal((filled, tiny.CLASSES)).astype(dtype),
        task=1,
        rng=rng,
    )
    return buffer


def rehearsal(
    kind: type[Method], net: Network, *, buffer: ReservoirBuffer | None = None, seed: int = 4, **settings: Any
) -> Method:
    settings = {"replay_batch_size": 4} | settings
    return kind(
        net,
        buffer=new_buffer() if buffer is None else buffer,
        prepare=prepare,
        rng=np.random.default_rng(seed),
        **settings,
    )


def assert_same_gradients(one: Network, other: Network, first: Observation, second: Observation) -> None:
    # Of some seeds' networks whole layers are silent, so that not every gradient has something in it.
    assert any(parameter.grad.any() for parameter in one.parameters())
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert a.grad.tobytes() == b.grad.tobytes(), a.name
    for a, b in zip(first.replay_grads, second.replay_grads, strict=True):
        assert a.tobytes() == b.tobytes()
