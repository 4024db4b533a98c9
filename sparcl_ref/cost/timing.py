"""How long a run will take on this machine: a few passes measured, the rest arithmetic."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.cost.predict import Prediction
from sparcl_ref.models import Network
from sparcl_ref.optimizers import SGD


def estimated_seconds(
    prediction: Prediction,
    config: Config,
    model: Network,
    *,
    repeats: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Passes of the run times the time of one, plus updates times the time of one.

    Masks of the reference engine do not make its passes faster, so dense passes are measured. Evaluation and mask
    actions are not in it.

    Parameters
    ----------
    prediction : Prediction
    config : Config
    model : Network
        Left with changed running statistics and zero gradients; weights stay.
    repeats : int
        Measurements, after one that warms up; the median counts.
    clock : callable
        Seconds.
    """
    x = np.zeros((config.batch_size, *model.input_shape), dtype=model.parameters()[0].value.dtype)
    upstream = np.zeros((config.batch_size, model.classes), dtype=x.dtype)
    optimizer = SGD(model.parameters())

    def one_pass() -> None:
        model.forward(x, mode="train")
        model.backward(upstream, need_dx=False)

    def one_update() -> None:
        model.take_grads()
        optimizer.step(0.0)

    passes = prediction.pass_samples / config.batch_size
    return passes * _median_seconds(one_pass, repeats, clock) + prediction.steps * _median_seconds(
        one_update, repeats, clock
    )


def _median_seconds(action: Callable[[], None], repeats: int, clock: Callable[[], float]) -> float:
    action()
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return statistics.median(times)
