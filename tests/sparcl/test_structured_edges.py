"""Structured shrinking where a norm is the threshold itself, and where dead entries lie in what stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl.structured import STRUCTURES, keep_column_blocks, keep_filters
from tests import strategies as own


@pytest.mark.parametrize("s", ["0.1", "0.3", "0.5", "0.9"])
def test_a_filter_whose_norm_is_the_percentile_dies(s: str) -> None:
    # Of eleven norms 1..11 the percentile 100 s is the one of rank 10 s, a whole number.
    weight = np.zeros((11, 2, 1, 1))
    weight[:, 0, 0, 0] = np.arange(1, 12)
    alive = keep_filters(weight, s)[:, 0, 0, 0]
    assert alive.tolist() == [norm > 10 * float(s) + 1 for norm in range(1, 12)]


@pytest.mark.parametrize("s", ["0.1", "0.3", "0.5", "0.9"])
def test_a_block_whose_norm_is_the_percentile_dies(s: str) -> None:
    weight = np.zeros((4, 11, 1, 1))
    weight[0, :, 0, 0] = np.arange(1, 12)
    alive = keep_column_blocks(weight, s)[0, :, 0, 0]
    assert alive.tolist() == [norm > 10 * float(s) + 1 for norm in range(1, 12)]


@pytest.mark.parametrize("kind", sorted(STRUCTURES))
@given(st.sampled_from([(4, 3, 3, 3), (8, 2, 3, 3), (4, 5, 1, 1)]), own.generators(), own.sparsities(max_value=0.9))
def test_shrinking_wakes_no_dead_entry(kind: str, shape, rng, s) -> None:
    weight = rng.standard_normal(shape) * (rng.random(shape) < 0.7)
    mask = STRUCTURES[kind].shrink(weight, s)
    assert not (mask & (weight == 0)).any()
