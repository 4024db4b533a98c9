"""Small runs, recorded once: a dozen images of each digit, narrow layers, few epochs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from sparcl_ref import Config, Dataset, build, load_dataset
from sparcl_ref.report import explorer
from sparcl_ref.report.explorer import Recording
from sparcl_ref.trainer import Trainer

SPARSE = {
    "width": 6,
    "epochs": 4,
    "batch_size": 16,
    "delta_k": 2,
    "buffer_size": 20,
    "sparsity": 0.75,
    "p_inter": 0.05,
    "p_intra": 0.03,
    "dgm_interval": 2,
}
#: Of one page: as usual, with fewer epochs and a mask that does not move, and without mask and buffer.
RUNS: tuple[dict[str, Any], ...] = (
    SPARSE,
    {**{key: value for key, value in SPARSE.items() if key[:2] != "p_"}, "policy": "static", "epochs": 3},
    {"width": 6, "epochs": 4, "batch_size": 16, "method": "sgd"},
)


@functools.cache
def dataset() -> Dataset:
    """A dozen training and five test images of each digit, in the digits' order."""
    digits = load_dataset("digits")

    def first(labels: np.ndarray, count: int) -> np.ndarray:
        return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)]))

    train, test = first(digits.train_y, 12), first(digits.test_y, 5)
    return Dataset(
        digits.train_x[train], digits.train_y[train], digits.test_x[test], digits.test_y[test], name="dozens"
    )


def trainer(**settings: Any) -> Trainer:
    return build(Config(**settings), dataset())


@functools.cache
def recordings() -> tuple[Recording, ...]:
    """Of `RUNS`."""
    return tuple(explorer.record(trainer(**settings)) for settings in RUNS)


@functools.cache
def unusual() -> tuple[Recording, ...]:
    """In colour: tasks that share their classes, all at once, and a buffer that is filled at the ends of tasks."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 4
    images = rng.integers(0, 120, (48, 3, 20, 20)) + 30 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    colourful = Dataset(images, labels, images[:12], labels[:12], name="squares")
    small = {"width": 6, "epochs": 1, "batch_size": 16, "buffer_size": 8}
    runs = (
        {"method": "er", "stream": "permuted", "domains": 3, "sparsity": 0.5, "policy": "static"},
        {"method": "joint"},
        {"method": "icarl", "sparsity": 0.5, "policy": "static"},
    )
    return tuple(explorer.record(build(Config(**small, **run), colourful)) for run in runs)
