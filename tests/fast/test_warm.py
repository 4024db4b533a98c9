"""Compiling ahead: nothing is left for the run itself to compile."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from sparcl_ref import Config, fast
from sparcl_ref.experiment import build
from sparcl_ref.streams import Dataset

MODELS = ("mlp", "convnet", "resnet18")


def compiled() -> dict[str, int]:
    """How many signatures each compiled function of the engine has by now."""
    found = {}
    for module in pkgutil.iter_modules(fast.__path__, "sparcl_ref.fast."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Dispatcher):
                found[name] = len(value.signatures)
    return found


def images() -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (40, 1, 8, 8), dtype=np.uint8), np.arange(40) % 4
    return Dataset.from_arrays("small", train_x=x, train_y=y, test_x=x[:8], test_y=y[:8])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_compiles_nothing_more(dtype):
    assert fast.prepare(np.dtype(dtype)) > 0
    before = compiled()
    assert sum(before.values()) > 15
    for model in MODELS:
        config = Config(
            method="derpp", sparsity=0.5, model=model, width=32, epochs=2, delta_k=2, batch_size=8, dtype=dtype,
            buffer_size=10, engine="numba",
        )  # fmt: skip
        for settings in ({}, {"momentum": 0.9, "weight_decay": 1e-3}):
            trainer = build(dataclasses.replace(config, **settings), images())
            for _ in trainer.events():
                pass
    assert compiled() == before
