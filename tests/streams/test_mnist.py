"""MNIST and Fashion-MNIST: found where people have them, read, and told from what looks like them."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import memory
from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.dataset import mean_and_std
from sparcl_ref.streams.fashion_mnist import FASHION_MNIST
from sparcl_ref.streams.mnist import MNIST, files, load_mnist, read_idx
from tests import strategies
from tests.streams.conftest import EXCERPT
from tests.streams.idx_files import FILES, idx, write_mnist

# --- the IDX format ---------------------------------------------------------------------------------------------------


@given(st.data(), strategies.shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
def test_read_idx_reads_what_was_written(tmp_path_factory, data, shape):
    array = np.random.default_rng(data.draw(strategies.seeds())).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path_factory.getbasetemp() / "some-idx.gz"
    for contents in (idx(array), gzip.decompress(idx(array))):
        path.write_bytes(contents)
    np.testing.assert_array_equal(read_idx(path, ndim=len(shape)), array, strict=True)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            idx(np.zeros((2, 3), dtype=np.uint8)),
            r"not an IDX file of unsigned bytes with 3 axes; it begins with b'\\x00\\x00\\x08\\x02'$",
        ),
        (idx(np.zeros((2, 2, 2), dtype=np.uint8), kind=13), r"it begins with b'\\x00\\x00\\r\\x03'$"),
        (gzip.compress(b"\x00\x00\x08\x03\x00\x00", mtime=0), "not an IDX file"),
        (gzip.compress(b"", mtime=0), "not an IDX file"),
        (
            idx(np.zeros(7, dtype=np.uint8), shape=(2, 2, 2)),
            r"header says shape \(2, 2, 2\), 8 values, but it has fewer; ",
        ),
        (idx(np.zeros(9, dtype=np.uint8), shape=(2, 2, 2)), "8 values, but it has more; "),
        (idx(np.zeros(0, dtype=np.uint8), shape=(2**31, 2**31, 4)), "18446744073709551616 values, but it has fewer; "),
        (b"no gzip", "not an IDX file .* begins with b'no g'$"),
        (b"<!DOCTYPE html>", "not an IDX file .* begins with b'<!DO'$"),
        (b"\x1f\x8b no gzip", "not a whole gzip file"),
    ],
)
def test_read_idx_refuses_other_files(tmp_path, contents, message):
    (tmp_path / "file.gz").write_bytes(contents)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(tmp_path / "file.gz", ndim=3)
    assert str(caught.value).startswith(str(tmp_path / "file.gz"))


@given(st.data(), st.booleans())
def test_read_idx_answers_any_damage_with_an_array_or_a_value_error(tmp_path_factory, data, packed):
    array = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    damaged = bytearray(idx(array) if packed else gzip.decompress(idx(array)))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged-idx"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))])
    message = None
    try:
        got = read_idx(path, ndim=3)
    except ValueError as error:
        message = str(error)
    if message is not None:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    elif packed:
        # Checksums guard the contents, not the name and the time that gzip's header has.
        np.testing.assert_array_equal(got, array, strict=True)
    else:
        assert got.size == 12


def test_read_idx_inflates_no_more_than_the_header_promises(tmp_path):
    """Six megabytes may stand for six gigabytes; here a little for 32 megabytes behind an honest image."""
    image = idx(np.ones((1, 2, 2), dtype=np.uint8))
    (tmp_path / "bomb.gz").write_bytes(image + gzip.compress(bytes(2**25)))
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"bomb\.gz: its header says shape \(1, 2, 2\), 4 values, but it has more; "
        ):
            read_idx(tmp_path / "bomb.gz", ndim=3)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_read_idx_asks_for_memory_before_it_inflates(tmp_path, monkeypatch):
    (tmp_path / "large.gz").write_bytes(idx(np.zeros((100, 10, 10), dtype=np.uint8)))
    monkeypatch.setattr(memory, "available_bytes", lambda: 9999)
    with pytest.raises(
        ValueError, match=r"large\.gz: its header .* reading it takes 10,000 bytes of memory, and only 9,999 are there"
    ):
        read_idx(tmp_path / "large.gz", ndim=3)
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    assert read_idx(tmp_path / "large.gz", ndim=3).shape == (100, 10, 10)


@pytest.mark.parametrize(
    "name",
    [
        str,
        lambda name: name.removesuffix(".gz"),
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx").removesuffix(".gz"),
    ],
    ids=["as published", "unpacked", "7-Zip", "7-Zip, unpacked"],
)
def test_files_knows_the_names_that_the_files_have(tmp_path, name):
    for file in FILES:
        (tmp_path / name(file)).write_bytes(b"1")
    assert files(tmp_path) == [tmp_path / name(file) for file in FILES]


def test_files_passes_over_what_has_no_contents(tmp_path):
    assert files(tmp_path) == [tmp_path / file for file in FILES]
    first = FILES[0].removesuffix(".gz")
    (tmp_path / FILES[0]).write_bytes(b"")  # an interrupted download
    (tmp_path / first).mkdir()  # Kaggle's folder of the same name
    (tmp_path / first.replace("-idx", ".idx")).write_bytes(b"1")
    assert files(tmp_path)[0] == tmp_path / first.replace("-idx", ".idx")


# --- MNIST ------------------------------------------------------------------------------------------------------------


def test_load_mnist_puts_the_four_files_together(tmp_path, monkeypatch):
    train_x, train_y, test_x, test_y = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    for mnist in (load_dataset("mnist"), MNIST(tmp_path / "mnist"), load_mnist(str(tmp_path / "mnist"))):
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
        MNIST(tmp_path)


def test_load_mnist_names_the_folder_of_files_that_do_not_fit(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / FILES[1]).write_bytes(idx(np.arange(24, dtype=np.uint8) % 10))
    with pytest.raises(ValueError, match=r"train_y must have shape \(25,\), .* got \(24,\)$") as caught:
        MNIST(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ")


def test_load_dataset_says_what_mnist_needs(monkeypatch):
    monkeypatch.delenv("SPARCL_REF_DATA", raising=False)
    with pytest.raises(
        ValueError,
        match=r"^mnist: no mnist or MNIST/raw or mnist\.npz in /usr/share/datasets; let --data-dir or the environment "
        r"variable SPARCL_REF_DATA name the folder that contains it, or get it: https://",
    ):
        load_dataset("mnist")


@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
@pytest.mark.parametrize("pack", [bytes, gzip.decompress], ids=["packed", "unpacked, and named .gz all the same"])
def test_load_mnist_finds_the_folders_that_people_have(tmp_path, monkeypatch, folder, pack):
    train_x, *_ = write_mnist(tmp_path / folder, pack=pack)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    np.testing.assert_array_equal(load_dataset("mnist").train_x[:, 0], train_x, strict=True)
    np.testing.assert_array_equal(MNIST(str(tmp_path / folder)).train_x[:, 0], train_x, strict=True)


def test_load_mnist_reads_the_file_of_keras(tmp_path, monkeypatch):
    train_x, train_y, test_x, test_y = write_mnist(tmp_path / "mnist")
    np.savez_compressed(tmp_path / "mnist.npz", x_train=train_x, y_train=train_y, x_test=test_x, y_test=test_y)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    from_folder, from_file = MNIST(), MNIST(tmp_path / "mnist.npz")
    for file in FILES:
        (tmp_path / "mnist" / file).unlink()
    for keras in (from_file, MNIST()):
        assert (keras.name, keras.scale, keras.mean, keras.std) == ("mnist", 1 / 255, (0.1307,), (0.3081,))
        for key in ("train_x", "train_y", "test_x", "test_y"):
            np.testing.assert_array_equal(getattr(keras, key), getattr(from_folder, key), strict=True)


def test_images_of_another_size_are_not_mnist(tmp_path):
    write_mnist(tmp_path)
    for file, count in ((FILES[0], 25), (FILES[2], 13)):
        (tmp_path / file).write_bytes(idx(np.zeros((count, 32, 28), dtype=np.uint8)))
    with pytest.raises(ValueError, match=r": MNIST has images of shape \(1, 28, 28\), these have \(1, 32, 28\)$"):
        MNIST(tmp_path)


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


@pytest.mark.parametrize("count", [100, 300, 2500])
def test_clothes_in_a_folder_of_digits_are_noticed(excerpt, tmp_path, monkeypatch, count):
    """The four files have the same names: a name, and with it a normalisation, must not go by the folder."""
    (tmp_path / "mnist").mkdir()
    for file in FILES:
        array = read_idx(excerpt / "fashion-mnist" / file, ndim=3 if "images" in file else 1)
        (tmp_path / "mnist" / file).write_bytes(idx(array[:count]))
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    with pytest.raises(
        ValueError,
        match=r"mnist: these are not the images of MNIST: their mean .* are 0\.[23]\d\d; 0\.3\d\d, not those of mnist",
    ):
        load_dataset("mnist")
    # By their own name the same files are taken.
    (tmp_path / "mnist").rename(tmp_path / "fashion-mnist")
    assert len(load_dataset("fashion-mnist").train_x) == count


# --- Fashion-MNIST ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["fashion-mnist", "FashionMNIST/raw"])
def test_load_fashion_mnist_finds_the_folders_that_people_have(tmp_path, monkeypatch, folder):
    train_x, *_ = write_mnist(tmp_path / folder)
    write_mnist(tmp_path / "mnist", train=30)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    for fashion in (load_dataset("fashion-mnist"), FASHION_MNIST(tmp_path / folder)):
        assert (fashion.name, fashion.mean, fashion.std) == ("fashion-mnist", (0.28604,), (0.35302,))
        np.testing.assert_array_equal(fashion.train_x[:, 0], train_x, strict=True)


def test_the_excerpt_is_real_and_its_note_true(excerpt):
    fashion = load_dataset("fashion-mnist")
    assert fashion.train_y[:5].tolist() == [9, 0, 0, 3, 0]
    assert fashion.test_y[:5].tolist() == [9, 2, 1, 1, 6]
    note = (excerpt / "fashion-mnist" / "README.md").read_text(encoding="utf-8")
    assert f"first {len(fashion.train_x):,} training images and the first {len(fashion.test_x)} test images" in note
    for word, labels in (("training", fashion.train_y), ("test", fashion.test_y)):
        assert f"| {word} | {' | '.join(map(str, np.bincount(labels)))} |" in note
    assert "Zalando SE" in (excerpt / "fashion-mnist" / "LICENSE").read_text(encoding="utf-8")
    # Clothes stand upright in the middle: had rows, columns and images been confused, edges would be like the rest.
    ink = fashion.train_x[:, 0].mean(axis=0)
    assert max(ink[:, 0].max(), ink[:, -1].max()) < 20 < 80 < ink[14, 14]


def test_the_excerpt_begins_as_the_whole_does(real_data):
    whole, part = load_dataset("fashion-mnist"), FASHION_MNIST(EXCERPT / "fashion-mnist")
    for key in ("train_x", "train_y", "test_x", "test_y"):
        np.testing.assert_array_equal(getattr(part, key), getattr(whole, key)[: len(getattr(part, key))], strict=True)


def test_real_fashion_mnist_is_whole(real_data):
    fashion = load_dataset("fashion-mnist")
    assert (len(fashion.train_x), len(fashion.test_x)) == (FASHION_MNIST.train, FASHION_MNIST.test) == (60_000, 10_000)
    assert np.bincount(fashion.train_y).tolist() == [6000] * 10
    # Ankle boot, T-shirt, T-shirt, dress, T-shirt; ankle boot, pullover, trousers, trousers, shirt.
    assert fashion.train_y[:5].tolist() == [9, 0, 0, 3, 0]
    assert fashion.test_y[:5].tolist() == [9, 2, 1, 1, 6]
    mean, std = mean_and_std(fashion.train_x, scale=fashion.scale)
    assert fashion.mean == (round(mean[0], 5),)
    assert fashion.std == (round(std[0], 5),)


def test_real_digits_in_a_folder_of_clothes_are_noticed(real_data):
    with pytest.raises(ValueError, match=r"mnist: these are not the images of Fashion-MNIST: their mean .* 0\.13\d; "):
        FASHION_MNIST(real_data / "mnist")
