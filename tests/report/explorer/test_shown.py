"""What goes onto a page: whole kernels, fair samples, small images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.explorer import shown


@given(count=st.integers(0, 20))
def test_few_layers_are_shown_from_the_first_to_the_last(count):
    layers = [f"layer {index}" for index in range(count)]
    chosen = shown.layers_shown(layers)
    assert len(chosen) == min(count, shown.MOST_LAYERS)
    assert chosen == sorted(chosen, key=layers.index)
    assert not layers or (chosen[0], chosen[-1]) == (layers[0], layers[-1])


@given(
    shape=st.one_of(
        st.tuples(*2 * [st.integers(1, 120)]), st.tuples(*2 * [st.integers(1, 60)], *2 * [st.integers(1, 5)])
    )
)
def test_each_weight_lies_where_its_channels_and_its_kernel_say(shape):
    grid = shown.weights_shown(shape)
    outputs, inputs, height, width = (*shape, 1, 1)[:4]
    assert grid.shape == (min(outputs, 96 // height) * height, min(inputs, 96 // width) * width)
    for row in range(0, grid.shape[0], max(1, grid.shape[0] // 5)):
        for column in range(0, grid.shape[1], max(1, grid.shape[1] // 5)):
            place = (row // height, column // width, row % height, column % width)[: len(shape)]
            assert grid[row, column] == np.ravel_multi_index(place, shape)


def test_a_kernel_wider_than_the_picture_is_shown_whole():
    assert shown.weights_shown((2, 3, 1, 200)).shape == (2, 200)


@given(data=st.data(), tasks=st.integers(1, 4), image_bytes=st.sampled_from([64, 20_000, 70_000]))
def test_all_that_was_remembered_is_shown_and_of_each_task_as_many_as_there_is_room_for(data, tasks, image_bytes):
    members = [np.arange(start, 400, tasks) for start in range(tasks)]
    remembered = np.array(sorted(data.draw(st.sets(st.integers(0, 399), max_size=30))), dtype=np.int64)
    kept = shown.samples_shown(members, remembered, image_bytes=image_bytes)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert set(remembered) <= set(kept)
    room = shown.IMAGE_BYTES // image_bytes // tasks
    for indices in members:
        mine = set(indices) & set(kept)
        least = min(len(indices), room)
        assert least <= len(mine) <= least + len(set(remembered) & set(indices))


@pytest.mark.parametrize(("side", "small"), [(8, 8), (16, 16), (28, 14), (32, 16), (33, 11), (64, 16)])
def test_images_shrink_by_whole_factors(side, small):
    images = np.arange(2 * 3 * side * side, dtype=np.float64).reshape(2, 3, side, side)
    thumbs = shown.thumbnails(images)
    assert thumbs.shape == (2, 3, small, small)
    assert thumbs.dtype == np.uint8
    factor = side // small
    square = images[1, 2, factor : 2 * factor, :factor].mean()
    assert thumbs[1, 2, 1, 0] == round(square * 255 / images.max())


def test_small_images_keep_their_pixels_over_the_whole_range():
    images = np.array([[[[0, 16], [8, 4]]]], dtype=np.uint8)
    assert shown.thumbnails(images).tolist() == [[[[0, 255], [128, 64]]]]
    assert shown.thumbnails(np.full((1, 1, 2, 2), 7.0)).tolist() == [[[[0, 0], [0, 0]]]]
