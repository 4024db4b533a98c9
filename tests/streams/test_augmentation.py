"""Crops and flips, against slices taken one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams import AUGMENTATIONS, crop_flip, crop_flip_at, none
from tests import strategies


def one_by_one(images, offsets, flips, padding):
    """Each image shifted into a black frame by two slices; mirrored by a negative step."""
    out = np.zeros_like(images)
    _, _, height, width = images.shape
    for n, (image, (row, column), flip) in enumerate(zip(images, offsets.tolist(), flips.tolist(), strict=True)):
        for h in range(height):
            for w in range(width):
                from_row, from_column = h + row - padding, w + column - padding
                if 0 <= from_row < height and 0 <= from_column < width:
                    out[n, :, h, w] = image[:, from_row, from_column]
        if flip:
            out[n] = out[n][:, :, ::-1]
    return out


@given(st.data(), strategies.image_batches(), st.integers(0, 5))
def test_crop_flip_at_shifts_and_mirrors(data, batch, padding):
    rng = np.random.default_rng(data.draw(strategies.seeds()))
    offsets = rng.integers(0, 2 * padding + 1, (len(batch), 2))
    flips = rng.integers(0, 2, len(batch)).astype(bool)
    before = batch.copy()
    got = crop_flip_at(batch, offsets, flips, padding=padding)
    np.testing.assert_array_equal(got, one_by_one(batch, offsets, flips, padding), strict=True)
    np.testing.assert_array_equal(batch, before, strict=True)
    assert not np.shares_memory(got, batch)


def test_crop_flip_at_by_hand():
    image = np.array([[[[1, 2, 3], [4, 5, 6]]]], dtype=np.uint8)
    centre = np.array([[4, 4]])
    keep, flip = np.array([False]), np.array([True])
    assert crop_flip_at(image, centre, keep).tolist() == image.tolist()
    assert crop_flip_at(image, centre, flip).tolist() == [[[[3, 2, 1], [6, 5, 4]]]]
    assert crop_flip_at(image, np.array([[5, 4]]), keep).tolist() == [[[[4, 5, 6], [0, 0, 0]]]]
    assert crop_flip_at(image, np.array([[4, 3]]), keep).tolist() == [[[[0, 1, 2], [0, 4, 5]]]]
    # Cropped first, then mirrored: the other order would leave the black column on the left.
    assert crop_flip_at(image, np.array([[4, 3]]), flip).tolist() == [[[[2, 1, 0], [5, 4, 0]]]]


@given(strategies.image_batches(), strategies.seeds())
def test_crop_flip_is_a_function_of_images_and_generator(batch, seed):
    got = crop_flip(batch, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    offsets = rng.integers(0, 9, size=(len(batch), 2))
    flips = rng.integers(0, 2, size=len(batch)) == 1
    np.testing.assert_array_equal(got, crop_flip_at(batch, offsets, flips), strict=True)


def test_crop_flip_reaches_every_place_and_mirrors_half():
    n = 20_000
    image = np.arange(1, 101, dtype=np.uint8).reshape(1, 1, 10, 10)
    out = crop_flip(np.broadcast_to(image, (n, 1, 10, 10)), np.random.default_rng(0))[:, 0]
    # Pixel (4, 4) to (5, 5) is inside every crop; two neighbours in a row tell the direction and the place.
    left, right = out[:, 5, 4].astype(int), out[:, 5, 5].astype(int)
    flipped = left > right
    column = np.where(flipped, right, left) - 1
    rows, columns = column // 10, column % 10
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (rows, columns), 1)
    reached = counts[counts > 0]
    assert reached.size == 81
    # 81 equally likely places: chi-squared with 80 degrees of freedom has mean 80 and deviation sqrt(160) = 12.6.
    chi_squared = ((reached - n / 81) ** 2 / (n / 81)).sum()
    assert chi_squared < 80 + 5 * 12.6
    # A fair coin thrown 20,000 times deviates by 0.0035.
    assert abs(flipped.mean() - 0.5) < 5 * 0.0036


def test_none_is_the_identity_and_draws_nothing():
    batch, rng = np.ones((2, 1, 3, 3), dtype=np.uint8), np.random.default_rng(0)
    before = rng.bit_generator.state
    assert none(batch, rng) is batch
    assert rng.bit_generator.state == before


def test_augmentations_by_name():
    assert dict(AUGMENTATIONS) == {"none": none, "crop_flip": crop_flip}


@pytest.mark.parametrize(
    ("shape", "offsets", "flips", "message"),
    [
        (
            (1, 4, 4),
            np.zeros((1, 2), int),
            np.zeros(1, bool),
            r"expected images of shape \(N, C, H, W\), got \(1, 4, 4\)",
        ),
        (
            (2, 1, 4, 4),
            np.zeros((1, 2), int),
            np.zeros(2, bool),
            r"shapes \(2, 2\) and \(2,\), got \(1, 2\) and \(2,\)",
        ),
        ((2, 1, 4, 4), np.zeros((2, 2), int), np.zeros(1, bool), r"got \(2, 2\) and \(1,\)"),
        ((1, 1, 4, 4), np.array([[0, 9]]), np.zeros(1, bool), r"offsets must be in 0\.\.8, got 0\.\.9"),
        ((1, 1, 4, 4), np.array([[-1, 0]]), np.zeros(1, bool), r"offsets must be in 0\.\.8, got -1\.\.0"),
    ],
)
def test_crop_flip_at_refuses_what_does_not_fit(shape, offsets, flips, message):
    with pytest.raises(ValueError, match=f"^crop_flip: .*{message}"):
        crop_flip_at(np.zeros(shape), offsets, flips)


def test_crop_flip_at_refuses_numbers_for_flips():
    with pytest.raises(TypeError, match=r"^crop_flip: flips must be an array of bool, got dtype int64"):
        crop_flip_at(np.zeros((1, 1, 4, 4)), np.zeros((1, 2), int), np.zeros(1, int))


def test_crop_flip_at_takes_offsets_of_any_integers_and_no_others():
    image = np.arange(1, 5, dtype=np.uint8).reshape(1, 1, 2, 2)
    wide = crop_flip_at(image, np.array([[255, 254]], dtype=np.uint8), np.array([False]), padding=255)
    assert wide.tolist() == [[[[0, 1], [0, 3]]]]
    with pytest.raises(TypeError, match=r"^crop_flip: offsets must be an array of integers, got dtype float64"):
        crop_flip_at(image, np.zeros((1, 2)), np.zeros(1, bool))


def test_augmentations_are_open_to_others():
    def invert(images, rng):
        return 255 - images

    AUGMENTATIONS.register("invert", invert)
    try:
        assert AUGMENTATIONS.find("invert") is invert
    finally:
        del AUGMENTATIONS.added["invert"]
    with pytest.raises(
        ValueError, match=r"^unknown augmentation 'invert'; choose one of none, crop_flip, or register it first$"
    ):
        AUGMENTATIONS.find("invert")
