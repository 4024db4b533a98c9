from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

from sparcl_ref.layers import Flatten
from tests import strategies as own
from tests.layers.common import check_against_torch


@given(own.shapes(min_dims=2), own.generators())
def test_against_torch(shape, rng: np.random.Generator) -> None:
    dy = rng.standard_normal((shape[0], int(np.prod(shape[1:]))))
    check_against_torch(Flatten(), lambda x: torch.flatten(x, 1), rng.standard_normal(shape), dy)


def test_needs_a_batch_axis_and_one_more() -> None:
    with pytest.raises(ValueError, match=r"^Flatten: input must have shape \(N, ...\) .*, got \(N\)"):
        Flatten().forward(np.ones(3), mode="eval")
