"""MNIST: found where people have it, read, and told from what looks like it."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.mnist import load_mnist
from tests.streams.idx_files import FILES, idx, write_mnist


def test_load_mnist_puts_the_four_files_together(tmp_path, monkeypatch):
    train_x, train_y, test_x, test_y = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    for mnist in (load_dataset("mnist"), load_mnist(tmp_path / "mnist")):
        assert (mnist.name, mnist.classes, mnist.input_shape, mnist.scale) == ("mnist", 10, (1, 28, 28), 1 / 255)
        np.testing.assert_array_equal(mnist.train_x, train_x[:, None], strict=True)
        np.testing.assert_array_equal(mnist.test_x, test_x[:, None], strict=True)
        np.testing.assert_array_equal(mnist.train_y, train_y.astype(np.int64), strict=True)
        np.testing.assert_array_equal(mnist.test_y, test_y.astype(np.int64), strict=True)


@pytest.mark.parametrize("name", FILES)
def test_load_mnist_names_a_missing_file(tmp_path, name):
    write_mnist(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=rf"{name}: cannot be read \(there is no such file"):
        load_mnist(tmp_path)


def test_load_mnist_names_the_folder_of_files_that_do_not_fit(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / FILES[1]).write_bytes(idx(np.arange(24, dtype=np.uint8) % 10))
    with pytest.raises(ValueError, match=r"train_y must have shape \(25,\), .* got \(24,\)$") as caught:
        load_mnist(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ")


def test_load_dataset_says_what_mnist_needs(monkeypatch):
    monkeypatch.delenv("SPARCL_REF_DATA", raising=False)
    with pytest.raises(
        ValueError,
        match=r"^mnist: set the environment variable SPARCL_REF_DATA to .* contains mnist or MNIST/raw or mnist\.npz$",
    ):
        load_dataset("mnist")


@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
@pytest.mark.parametrize("pack", [bytes, gzip.decompress], ids=["packed", "unpacked, and named .gz all the same"])
def test_load_mnist_finds_the_folders_that_people_have(tmp_path, monkeypatch, folder, pack):
    train_x, *_ = write_mnist(tmp_path / folder, pack=pack)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    np.testing.assert_array_equal(load_dataset("mnist").train_x[:, 0], train_x, strict=True)
    np.testing.assert_array_equal(load_mnist(str(tmp_path / folder)).train_x[:, 0], train_x, strict=True)


def test_load_mnist_reads_the_file_of_keras(tmp_path, monkeypatch):
    train_x, train_y, test_x, test_y = write_mnist(tmp_path / "mnist")
    np.savez_compressed(tmp_path / "mnist.npz", x_train=train_x, y_train=train_y, x_test=test_x, y_test=test_y)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    from_folder, from_file = load_mnist(), load_mnist(tmp_path / "mnist.npz")
    for file in FILES:
        (tmp_path / "mnist" / file).unlink()
    for keras in (from_file, load_mnist()):
        assert (keras.name, keras.scale, keras.mean, keras.std) == ("mnist", 1 / 255, (0.1307,), (0.3081,))
        for key in ("train_x", "train_y", "test_x", "test_y"):
            np.testing.assert_array_equal(getattr(keras, key), getattr(from_folder, key), strict=True)


def test_images_of_another_size_are_not_mnist(tmp_path):
    write_mnist(tmp_path)
    for file, count in ((FILES[0], 25), (FILES[2], 13)):
        (tmp_path / file).write_bytes(idx(np.zeros((count, 32, 28), dtype=np.uint8)))
    with pytest.raises(ValueError, match=r": MNIST has images of shape \(1, 28, 28\), these have \(1, 32, 28\)$"):
        load_mnist(tmp_path)


def test_real_mnist(real_data):
    mnist = load_dataset("mnist")
    with gzip.open(real_data / "mnist" / FILES[0]) as file:
        assert len(mnist.train_x) == struct.unpack(">4xI", file.read(8))[0]
    assert len(mnist.train_x) >= 14_000
    assert len(mnist.test_x) >= 4_000
    # The labels every MNIST tutorial begins with.
    assert mnist.train_y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test_y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    values = mnist.normalise(mnist.train_x, np.float32)
    # The constants are those of all 60,000 images; an excerpt of 14,000 deviates by about 0.001.
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    # Digits are drawn in the middle: had rows, columns and images been confused, ink would be everywhere.
    ink = mnist.train_x[:, 0].mean(axis=0)
    assert max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max()) < 1
    assert ink[14, 14] > 50


def test_real_clothes_in_a_folder_of_digits_are_noticed(real_data, tmp_path, monkeypatch):
    """The four files have the same names: a name, and with it a normalisation, must not go by the folder."""
    (tmp_path / "mnist").symlink_to(real_data / "fashion-mnist")
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    with pytest.raises(
        ValueError,
        match=r"mnist: these are not the images of MNIST: their mean .* 0\.28\d; 0\.35\d, not those of mnist",
    ):
        load_dataset("mnist")
