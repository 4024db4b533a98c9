"""An order of pixels moves each pixel to one place and loses none."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams.permuted import PixelOrder
from tests import strategies


@given(strategies.seeds(), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(1, 3))
def test_a_permutation_moves_every_pixel_to_one_place(seed, n, height, width, channels):
    rng = np.random.default_rng(seed)
    order = rng.permutation(height * width)
    images = rng.integers(0, 256, (n, channels, height, width)).astype(np.uint8)
    moved = PixelOrder(order)(images)
    assert (moved.shape, moved.dtype) == (images.shape, images.dtype)
    for i, source in enumerate(order.tolist()):
        np.testing.assert_array_equal(
            moved[:, :, i // width, i % width], images[:, :, source // width, source % width], strict=True
        )
    # A bijection: the inverse order brings all back.
    np.testing.assert_array_equal(PixelOrder(np.argsort(order))(moved), images, strict=True)
