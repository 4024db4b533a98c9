from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sparcl_ref.layers.windows import Window, crop, pad
from tests import strategies as own


def _window(geometry: own.ConvGeometry) -> Window:
    return Window(geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation)


@given(own.conv_geometries())
def test_output_size(geometry: own.ConvGeometry) -> None:
    """Against counting the positions at which the window lies inside."""
    window, size = _window(geometry), (geometry.height, geometry.width)
    expected = []
    for axis in range(2):
        padded = size[axis] + 2 * window.padding[axis]
        reach = window.dilation[axis] * (window.kernel[axis] - 1)
        expected.append(len(range(0, padded - reach, window.stride[axis])))
    assert window.output_size("Layer", size) == tuple(expected)


@given(own.conv_geometries())
def test_taps_see_what_the_definition_says(geometry: own.ConvGeometry) -> None:
    window, size = _window(geometry), (geometry.height, geometry.width)
    out = window.output_size("Layer", size)
    height, width = window.padded_size(size)
    taps = list(window.taps(out))
    assert [(i, j) for i, j, _, _ in taps] == list(np.ndindex(window.kernel))
    for i, j, rows, columns in taps:
        for tap, axis, chosen in ((i, 0, np.arange(height)[rows]), (j, 1, np.arange(width)[columns])):
            positions = np.arange(out[axis])
            np.testing.assert_array_equal(chosen, positions * window.stride[axis] + tap * window.dilation[axis])


def test_a_window_larger_than_the_image_is_refused() -> None:
    window = Window((3, 3), (1, 1), (0, 0), (1, 2))
    assert window.output_size("Layer", (3, 5)) == (1, 1)
    for size in ((2, 5), (3, 4)):
        with pytest.raises(ValueError, match=rf"^Layer: the window does not fit into an image of {size[0]}x{size[1]}"):
            window.output_size("Layer", size)


@given(own.pool_geometries(), own.generators())
def test_crop_undoes_pad(geometry: own.PoolGeometry, rng: np.random.Generator) -> None:
    x = rng.standard_normal(geometry.input_shape)
    window = Window(geometry.kernel_size, geometry.stride, geometry.padding)
    padded = pad(x, window, 7.0)
    height, width = window.padded_size(x.shape[2:])
    assert padded.shape == (*x.shape[:2], height, width)
    assert np.count_nonzero(padded == 7.0) == padded.size - x.size
    np.testing.assert_array_equal(crop(padded, window, x.shape[2:]), x)
