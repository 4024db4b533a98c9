"""IDX files, written here by struct and found in the wild."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.mnist import load_mnist, read_idx
from tests import strategies

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def idx(array, *, kind=8, shape=None):
    shape = array.shape if shape is None else shape
    return gzip.compress(struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + array.tobytes(), 1)


def write_mnist(folder, train=25, test=13):
    """A little MNIST of random images, and what it should be read as."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    written = []
    for count in (train, test):
        written += [rng.integers(0, 256, (count, 28, 28)).astype(np.uint8), (np.arange(count) % 10).astype(np.uint8)]
    for name, array in zip(FILES, written, strict=True):
        (folder / name).write_bytes(idx(array))
    return written


@given(st.data(), strategies.shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
def test_read_idx_reads_what_was_written(tmp_path_factory, data, shape):
    array = np.random.default_rng(data.draw(strategies.seeds())).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path_factory.getbasetemp() / "some-idx.gz"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(path, ndim=len(shape)), array, strict=True)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            idx(np.zeros((2, 3), dtype=np.uint8)),
            "not an IDX file of unsigned bytes with 3 axes; it begins with 00 00 08 02$",
        ),
        (idx(np.zeros((2, 2, 2), dtype=np.uint8), kind=13), "it begins with 00 00 0d 03$"),
        (gzip.compress(b"\x00\x00\x08\x03\x00\x00"), "not an IDX file"),
        (gzip.compress(b""), "not an IDX file"),
        (idx(np.zeros(7, dtype=np.uint8), shape=(2, 2, 2)), r"header says shape \(2, 2, 2\), 8 values, but it has 7; "),
        (idx(np.zeros(9, dtype=np.uint8), shape=(2, 2, 2)), "8 values, but it has 9; "),
        (idx(np.zeros(0, dtype=np.uint8), shape=(2**31, 2**31, 4)), "18446744073709551616 values, but it has 0; "),
        (b"no gzip", "not a whole gzip file"),
    ],
)
def test_read_idx_refuses_other_files(tmp_path, contents, message):
    (tmp_path / "file.gz").write_bytes(contents)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(tmp_path / "file.gz", ndim=3)
    assert str(caught.value).startswith(str(tmp_path / "file.gz"))


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
    with pytest.raises(ValueError, match=rf"{name}: cannot be read \(No such file"):
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
        ValueError, match=r"^mnist: set the environment variable SPARCL_REF_DATA to .* contains mnist/$"
    ):
        load_dataset("mnist")


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
