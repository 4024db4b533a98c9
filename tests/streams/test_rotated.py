"""Rotations, held against SciPy's, NumPy's quarter turns and values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sparcl_ref.streams.rotated import rotation
from tests import strategies


@given(
    strategies.seeds(),
    st.floats(-360, 720),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([np.uint8, np.float32, np.float64]),
)
def test_a_rotation_is_the_one_of_scipy(seed, degrees, height, width, dtype):
    images = np.random.default_rng(seed).integers(0, 256, (2, 3, height, width)).astype(dtype)
    turned = rotation(degrees, height, width)(images)
    assert (turned.shape, turned.dtype) == (images.shape, images.dtype)
    wide = images.astype(np.float64)
    # Zeros continue the image on all sides, between its edge and them values are interpolated too.
    expected = ndimage.rotate(wide, degrees, axes=(3, 2), reshape=False, order=1, mode="grid-constant", cval=0.0)
    # Places are rounded to 1e-9, which moves a value by up to 255 * 2e-9; bytes by a half more.
    np.testing.assert_allclose(turned, expected, rtol=0, atol=0.5 + 1e-6 if dtype == np.uint8 else 1e-4)


@given(strategies.seeds(), st.integers(0, 4), st.integers(1, 7), st.sampled_from([np.uint8, np.float32, np.float64]))
def test_quarter_turns_move_pixels_without_changing_them(seed, turns, side, dtype):
    images = np.random.default_rng(seed).integers(0, 256, (2, 3, side, side)).astype(dtype)
    turned = rotation(90.0 * turns, side, side)(images)
    # NumPy turns counter-clockwise too.
    np.testing.assert_array_equal(turned, np.rot90(images, turns, axes=(2, 3)), strict=True)


def test_between_pixels_values_are_interpolated_linearly():
    image = np.zeros((1, 1, 5, 5))
    image[0, 0, 2, 3] = 1.0
    turned = rotation(45.0, 5, 5)(image)[0, 0]
    # The pixel at (-1, 1) comes from (0, sqrt 2): it lies sqrt(2) - 1 beside the bright one.
    # Those at (0, 1) and (-1, 0) come from (sin, cos) and (-sin, cos): away by 1 - sin and sin in the two directions.
    expected = np.sqrt(0.5) * (1 - np.sqrt(0.5))
    assert [turned[1, 3], turned[2, 3], turned[1, 2]] == pytest.approx([2 - np.sqrt(2), expected, expected], rel=1e-8)
