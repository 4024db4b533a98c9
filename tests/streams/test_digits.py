"""The data set in the package is whole, is what it says it is, and damage to it is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.dataset import mean_and_std
from sparcl_ref.streams.digits import DIGITS, DIGITS_FILE, DIGITS_SHA256, fingerprint
from sparcl_ref.streams.npz import ARRAYS


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_shapes_types_and_values(digits):
    assert (digits.name, digits.classes, digits.input_shape) == ("digits", 10, (1, 8, 8))
    assert digits.train_x.shape == (1437, 1, 8, 8)
    assert digits.test_x.shape == (360, 1, 8, 8)
    assert digits.train_x.dtype == digits.test_x.dtype == np.uint8
    for images in (digits.train_x, digits.test_x):
        assert (images.min(), images.max()) == (0, 16)


def test_every_fifth_image_of_a_class_is_for_testing(digits):
    train, test = np.bincount(digits.train_y), np.bincount(digits.test_y)
    # As UCI counts its test file.
    assert (train + test).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for kept, total in zip(test, train + test, strict=True):
        assert kept in (total // 5, total // 5 + 1)


def test_no_image_is_in_both_parts_or_twice_in_one(digits):
    rows = [image.tobytes() for image in (*digits.train_x, *digits.test_x)]
    assert len(set(rows)) == len(rows) == 1797


def test_the_first_image_is_the_well_known_zero(digits):
    assert digits.test_y[0] == 0
    assert digits.test_x[0, 0].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]


def test_mean_and_std_are_those_of_the_training_set(digits):
    assert digits.scale == 1 / 16
    mean, std = mean_and_std(digits.train_x, scale=digits.scale)
    assert digits.mean == (round(mean[0], 6),)
    assert digits.std == (round(std[0], 6),)


def test_the_file_is_the_one_described():
    with np.load(DIGITS_FILE, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    assert sorted(arrays) == sorted(ARRAYS)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.uint8)}
    assert fingerprint(arrays) == DIGITS_SHA256
    assert DIGITS_FILE.stat().st_size < 50_000


@pytest.mark.parametrize("key", ARRAYS)
def test_one_changed_value_is_noticed(tmp_path, key):
    with np.load(DIGITS_FILE, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays[key].flat[-1] ^= 1
    np.savez_compressed(tmp_path / "digits.npz", **arrays)
    with pytest.raises(
        ValueError, match=r"digits\.npz: the digits are damaged, .* reinstall sparcl_ref to restore them$"
    ):
        DIGITS(tmp_path / "digits.npz")


def test_a_missing_or_cut_file_is_a_clear_error(tmp_path):
    with pytest.raises(
        ValueError, match=r"digits\.npz: cannot be read \(there is no such file\); reinstall sparcl_ref to restore it$"
    ):
        DIGITS(tmp_path / "digits.npz")
    (tmp_path / "digits.npz").write_bytes(DIGITS_FILE.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"digits\.npz: .*; reinstall sparcl_ref to restore it$"):
        DIGITS(tmp_path / "digits.npz")


def test_a_package_read_from_an_archive_says_so(tmp_path):
    (tmp_path / "package.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"imported from a zip file; install it with pip$"):
        DIGITS(tmp_path / "package.zip" / "digits.npz")
