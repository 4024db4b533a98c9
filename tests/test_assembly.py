"""Which engine a run gets."""

from __future__ import annotations

import pytest

from sparcl_ref.assembly import FLOPS_WORTH_COMPILING, chosen_engine
from sparcl_ref.config import Config
from sparcl_ref.cost import describe_model
from sparcl_ref.presets import PRESETS
from sparcl_ref.streams import load_dataset


@pytest.mark.parametrize(
    ("model", "shape", "width", "samples", "epochs", "expected"),
    [
        ("convnet", (1, 8, 8), None, 3823, 50, "numpy"),  # the digits
        ("mlp", (1, 8, 8), None, 3823, 50, "numpy"),
        ("resnet18", (3, 32, 32), None, 40, 1, "numpy"),  # forty images, of whatever network
        ("resnet18", (1, 28, 28), 32, 40, 50, "numba"),
        ("convnet", (1, 28, 28), 64, 60_000, 5, "numba"),
        ("resnet20", (3, 32, 32), None, 50_000, 1, "numba"),
        ("mlp", (1, 28, 28), None, 60_000, 1, "numpy"),
    ],
)
def test_auto_is_numba_for_runs_of_more_work_than_compiling(model, shape, width, samples, epochs, expected):
    network = describe_model(model, input_shape=shape, classes=10, width=width)
    assert chosen_engine(Config(epochs=epochs), network, samples=samples) == expected
    for engine in ("numpy", "numba"):
        assert chosen_engine(Config(engine=engine, epochs=epochs), network, samples=samples) == engine


def test_the_bound_is_on_three_products_a_pass():
    network = describe_model("mlp", input_shape=(1, 8, 8), classes=10, width=None)
    samples = FLOPS_WORTH_COMPILING / (2 * 3 * network.forward_macs * 7)
    assert chosen_engine(Config(epochs=7), network, samples=int(samples)) == "numpy"
    assert chosen_engine(Config(epochs=7), network, samples=int(samples) + 1) == "numba"


def test_the_published_comparisons_of_the_digits_are_numpys():
    digits = load_dataset("digits")
    for entries in (PRESETS["tiny"], PRESETS["importance"], PRESETS["ablation"]):
        for entry in entries:
            config = Config(**entry)
            network = describe_model(config.model, input_shape=digits.input_shape, classes=10, width=config.width)
            assert chosen_engine(config, network, samples=len(digits.train_x)) == "numpy"
