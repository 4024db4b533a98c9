"""What stands in for an array of images is indexed like one: held against the array itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_arrays

from sparcl_ref.streams import Dataset
from sparcl_ref.streams.lazy import Chosen, Transformed, with_images
from tests import strategies
from tests.streams.test_dataset import arrays


def negative(images):
    return 255 - images


def reversed_rows(images):
    return images[:, :, ::-1]


def same(images):
    return images


@st.composite
def cases(draw):
    """A stand-in and the array that it stands for."""
    n = draw(st.integers(1, 6))
    images = np.random.default_rng(draw(strategies.seeds())).integers(0, 256, (n, 2, 3, 2)).astype(np.uint8)
    images.flags.writeable = False
    standing_in, array = images, images
    if draw(st.booleans()):
        index = np.array(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=8)))
        standing_in, array = Chosen(standing_in, index), array[index]
    if draw(st.booleans()) or array is images:
        transforms = draw(st.lists(st.sampled_from([negative, reversed_rows, same]), min_size=1, max_size=3))
        standing_in = Transformed(standing_in, transforms)
        array = np.concatenate([transform(array) for transform in transforms])
    return standing_in, array


@given(st.data(), cases())
def test_indexing_gives_what_the_array_gives(data, case):
    standing_in, array = case
    assert (standing_in.shape, standing_in.dtype, len(standing_in)) == (array.shape, array.dtype, len(array))
    index = data.draw(
        st.lists(st.integers(-len(array), len(array) - 1), max_size=9).map(lambda places: np.array(places, dtype=int))
        | of_arrays.arrays(bool, len(array))
        | st.slices(len(array))
        | st.integers(-len(array), len(array) - 1)
    )
    got = standing_in[index]
    np.testing.assert_array_equal(got, array[index], strict=True)
    got[...] = 7
    np.testing.assert_array_equal(np.asarray(standing_in), array, strict=True)
    np.testing.assert_array_equal(np.asarray(standing_in, dtype=np.float64), array.astype(np.float64), strict=True)
    np.testing.assert_array_equal(standing_in[:], array, strict=True)


@given(cases())
def test_what_is_beyond_the_end_is_refused(case):
    standing_in, array = case
    for index in ([len(array)], [0, -len(array) - 1]):
        with pytest.raises(IndexError, match="out of bounds"):
            standing_in[np.array(index)]


def test_a_data_set_with_other_images_is_otherwise_the_same():
    toy = Dataset(**arrays(np.uint8), name="toy")
    labels = np.array([0, 1, 2])
    changed = with_images(toy, train_x=Chosen(toy.train_x, np.array([1, 2, 0])), train_y=labels)
    assert (changed.name, changed.mean, changed.std, changed.scale) == ("toy", toy.mean, toy.std, toy.scale)
    assert changed.input_shape == toy.input_shape
    assert changed.test_x is toy.test_x
    assert len(toy.train_x) == 6
    with pytest.raises(ValueError, match="read-only"):
        changed.train_y[0] = 1
