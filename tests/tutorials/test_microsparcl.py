"""The one-file version does at every step what the package does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.streams import load_dataset

FILE = Path(__file__).parents[2] / "tutorials" / "microsparcl.py"
PAIRS = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
NAMES = {
    "W1": "fc1.weight",
    "b1": "fc1.bias",
    "W2": "fc2.weight",
    "b2": "fc2.bias",
    "W3": "linear.weight",
    "b3": "linear.bias",
}
#: Both compute in float64 and differ in the order of sums only; a step adds some units in the last place, and over the
#: thousand steps of these runs they grow to less than this part of the largest weight.
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def micro():
    spec = importlib.util.spec_from_file_location("microsparcl", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("settings", "tasks"),
    [
        ({}, 5),
        ({"sparsity": "0.9", "delta_k": 3, "refresh": 7, "cutoff": 2}, 3),
        ({"p_inter": "0.05", "p_intra": "0.02", "buffer": 10, "rho": "0.5"}, 3),
        ({"seed": 3, "probe": 40, "cwi_alpha": 1.0, "cwi_beta": 0.25, "alpha": 0.3, "beta": 0.2}, 3),
    ],
)
def test_every_step_gives_the_same_weights_masks_and_buffer(micro, settings, tasks):
    c = micro.SETTINGS | {"width": 24, "epochs": 5} | settings
    config = Config(
        model="mlp",
        dtype="float64",
        width=c["width"],
        seed=c["seed"],
        epochs=c["epochs"],
        batch_size=c["batch"],
        lr=c["lr"],
        buffer_size=c["buffer"],
        alpha=c["alpha"],
        beta=c["beta"],
        sparsity=float(c["sparsity"]),
        p_inter=float(c["p_inter"]),
        p_intra=float(c["p_intra"]),
        delta_k=c["delta_k"],
        importance_samples=c["probe"],
        importance_alpha=c["cwi_alpha"],
        importance_beta=c["cwi_beta"],
        ddr_rho=float(c["rho"]),
        ddr_cutoff=c["cutoff"],
        dgm_interval=c["refresh"],
    )
    dataset = load_dataset("digits")
    x = dataset.normalise(dataset.train_x, np.dtype("float64")).reshape(len(dataset.train_x), -1)
    trainer = build(config, dataset)
    values = {parameter.name: parameter for parameter in trainer.model.parameters()}
    steps, removed = 0, 0
    for what, w, mask, buffer in micro.train(x, dataset.train_y, PAIRS, **c):
        if what == "task":
            if len(trainer.history.class_il_matrix) == tasks:
                break
            continue
        while (event := trainer.advance()).kind != "step":
            removed += 0 if event.removed is None else len(event.removed)
        steps += 1
        np.testing.assert_array_equal(mask, values["fc2.weight"].mask)
        for name, value in w.items():
            mine = values[NAMES[name]].value
            np.testing.assert_allclose(value, mine, rtol=0, atol=TOLERANCE * np.abs(mine).max())
        kept = trainer.buffer.content()
        np.testing.assert_array_equal(buffer["y"][: len(kept.labels)], kept.labels)
        np.testing.assert_allclose(buffer["z"][: len(kept.labels)], kept.logits, rtol=0, atol=1e-7)
    assert steps > 200
    assert removed > 50


def test_it_runs_alone():
    found = subprocess.run([sys.executable, "-I", str(FILE)], capture_output=True, text=True, check=True)
    lines = found.stdout.splitlines()
    assert [line.endswith("4,096 of 16,384 middle weights live") for line in lines] == [False, *[True] * 5, False]
    assert 80 < float(lines[-1].split("%")[0]) < 95


def test_it_is_short_and_needs_numpy_alone():
    lines = FILE.read_text().splitlines()
    assert len(lines) <= 210
    imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imported == {"fractions", "math", "pathlib", "numpy"}
