"""How long one pass and one update take on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from sparcl_ref.models import Network
from sparcl_ref.optimizers import SGD

#: Seconds since some moment.
Clock = Callable[[], float]


def pass_and_update_seconds(
    model: Network, *, batch: int, repeats: int = 3, clock: Clock = time.perf_counter
) -> tuple[float, float]:
    """Median seconds of a dense forward and backward pass of ``batch`` samples, and of an update.

    Masks of the reference engine do not make its passes faster, so dense passes are measured, ``repeats`` times after
    one that warms up. The model is left with changed running statistics and zero gradients; weights stay.
    """
    x = np.zeros((batch, *model.input_shape), dtype=model.parameters()[0].value.dtype)
    upstream = np.zeros((batch, model.classes), dtype=x.dtype)
    optimizer = SGD(model.parameters())

    def one_pass() -> None:
        model.forward(x, mode="train")
        model.backward(upstream, need_dx=False)

    def one_update() -> None:
        model.take_grads()
        optimizer.step(0.0)

    return median_seconds(one_pass, repeats, clock), median_seconds(one_update, repeats, clock)


def median_seconds(action: Callable[[], object], repeats: int, clock: Clock, *, warm: bool = True) -> float:
    """Median seconds of an action over some repeats, after one that is not timed if ``warm``."""
    if warm:
        action()
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return statistics.median(times)
