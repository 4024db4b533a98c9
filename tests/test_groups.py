"""Arrays of layers that share a budget, joined and taken apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.groups import frozen_of, joined, mask_of, parts, with_joining
from sparcl_ref.layers import Parameter

shapes = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4)


@given(shapes, st.integers(0, 2**32 - 1))
def test_what_is_joined_comes_apart_again(shapes, seed) -> None:
    rng = np.random.default_rng(seed)
    group = [Parameter(f"w{number}", rng.standard_normal(shape)) for number, shape in enumerate(shapes)]
    array = joined([parameter.value for parameter in group])
    assert array.size == sum(parameter.value.size for parameter in group)
    for parameter, part in zip(group, parts(group, array), strict=True):
        np.testing.assert_array_equal(part, parameter.value)
    assert mask_of(group).all()
    assert not frozen_of(group).any()
    masks = [rng.random(shape) < 0.5 for shape in shapes]
    for parameter, mask in zip(group, masks, strict=True):
        parameter.set_mask(mask)
        parameter.freeze(mask)
    for found in (mask_of(group), frozen_of(group)):
        for part, mask in zip(parts(group, found), masks, strict=True):
            np.testing.assert_array_equal(part, mask)


def test_only_dead_entries_join() -> None:
    parameter, mask = Parameter("w", np.ones((2, 3))), np.array([[True, False, True], [False, False, True]])
    assert np.flatnonzero(with_joining(parameter, mask, [3, 1])).tolist() == [0, 1, 2, 3, 5]
    assert np.count_nonzero(mask) == 3
    for wrong in ([0], [6], [-1]):
        with pytest.raises(ValueError, match=r"w: the given growth must name dead entries in 0\.\.5"):
            with_joining(parameter, mask, wrong)
