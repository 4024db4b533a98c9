"""Compiling ahead: nothing is left for the run itself to compile."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from sparcl_ref import Config, fast
from sparcl_ref.experiment import build
from sparcl_ref.models import build_model
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
    return Dataset(name="small", train_x=x, train_y=y, test_x=x[:8], test_y=y[:8])


@pytest.mark.slow
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", [*MODELS, "resnet20"])
def test_nor_does_anything_else_that_can_be_asked_of_a_network(model, dtype):
    fast.prepare(dtype)
    before = compiled()
    rng = np.random.default_rng(1)
    shape = (2, 7, 9)
    network = fast.compile(build_model(model, input_shape=shape, classes=3, width=6, dtype=np.dtype(dtype), rng=rng))
    optimizer = fast.CompiledSGD(network.parameters(), momentum=0.5, nesterov=True, weight_decay=1e-3)
    for density in (1.0, 0.5, 0.0):
        for parameter in network.sparsifiable():
            parameter.set_mask(rng.random(parameter.value.shape) < density)
        for batch, mode in ((1, "eval"), (5, "probe"), (2, "train"), (0, "eval")):
            logits = network.forward(rng.standard_normal((batch, *shape)).astype(dtype), mode=mode)
            network.backward(logits)
        looked_at = [np.array(parameter.grad) for parameter in network.parameters()]
        network.load_state(copy.deepcopy(network).state())
        optimizer.step(0.0)
        network.set_grads(looked_at, looked_at)
        optimizer.step(0.0)
    assert compiled() == before
