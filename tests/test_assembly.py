"""Which engine a run gets."""

from __future__ import annotations

import pytest

from sparcl_ref.assembly import chosen_engine
from sparcl_ref.cost import describe_model


@pytest.mark.parametrize(
    ("model", "shape", "width", "expected"),
    [
        ("convnet", (1, 8, 8), None, "numpy"),
        ("mlp", (1, 8, 8), None, "numpy"),
        ("mlp", (1, 28, 28), None, "numba"),
        ("convnet", (1, 28, 28), 4, "numba"),
        ("resnet18", (1, 8, 8), None, "numba"),
        ("resnet20", (3, 32, 32), None, "numba"),
    ],
)
def test_auto_is_numba_for_anything_larger_than_the_digits(model, shape, width, expected):
    network = describe_model(model, input_shape=shape, classes=10, width=width)
    assert chosen_engine("auto", network) == expected
    for engine in ("numpy", "numba"):
        assert chosen_engine(engine, network) == engine
