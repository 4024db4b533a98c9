"""Both formats of CIFAR-10: written here byte by byte, found in the wild, and written to do harm."""

from __future__ import annotations

import codecs
import os
import pickle
import pickletools
import shutil
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.cifar import CIFAR10, FORMAT, load_cifar10

read_binary, read_python = FORMAT.read_binary, FORMAT.read_python
NAMES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def batch(count, seed=0):
    """Random rows of 3,072 bytes, and labels."""
    rows = np.random.default_rng(seed).integers(0, 256, (count, 3072)).astype(np.uint8)
    return rows, [label % 10 for label in range(count)]


def as_binary(rows, labels):
    return b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, rows, strict=True))


def as_python3(rows, labels, **more):
    return pickle.dumps({b"batch_label": b"", b"data": rows, b"labels": labels, **more}, protocol=2)


def as_python2(rows, labels, *, fortran=False):
    """As Python 2 and its NumPy pickled it: byte strings, and the old name of NumPy's module."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"  # an empty array
        b"(K\x01(J" + struct.pack("<i", len(rows)) + b"M\x00\x0ct"  # version 1, shape (N, 3072)
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + (b"\x88" if fortran else b"\x89")
        + text(rows.tobytes(order="F" if fortran else "C"))
        + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


WRITERS = {
    "python 3": as_python3,
    "python 2": as_python2,
    "python 2, Fortran order": lambda rows, labels: as_python2(rows, labels, fortran=True),
}


def write_folder(folder, writer, ending="", count=12):
    folder.mkdir()
    batches = [batch(count + extra, seed=extra) for extra in range(6)]
    for name, (rows, labels) in zip(NAMES, batches, strict=True):
        (folder / f"{name}{ending}").write_bytes(writer(rows, labels))
    return batches


def assert_is(dataset, batches):
    """The first five batches, one after the other, are for training and the sixth for testing."""
    assert (dataset.name, dataset.classes, dataset.input_shape, dataset.scale) == ("cifar10", 10, (3, 32, 32), 1 / 255)
    rows = np.concatenate([rows for rows, _ in batches[:5]])
    for images, expected in ((dataset.train_x, rows), (dataset.test_x, batches[5][0])):
        np.testing.assert_array_equal(images.reshape(-1, 3072), expected, strict=True)
    assert dataset.train_y.tolist() == [label for _, labels in batches[:5] for label in labels]
    assert dataset.test_y.tolist() == batches[5][1]


# --- binary version ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_read_binary_reads_any_number_of_records(tmp_path, count):
    rows, labels = batch(count)
    (tmp_path / "a.bin").write_bytes(as_binary(rows, labels))
    images, got = read_binary(tmp_path / "a.bin")
    np.testing.assert_array_equal(images, rows.reshape(count, 3, 32, 32), strict=True)
    assert got.tolist() == labels
    assert got.dtype == np.int64


def test_read_binary_refuses_a_label_that_there_is_not(tmp_path):
    (tmp_path / "a.bin").write_bytes(as_binary(batch(3)[0], [0, 255, 10]))
    with pytest.raises(ValueError, match=r"a\.bin: record 1 has the label 255; expected 0\.\.9$"):
        read_binary(tmp_path / "a.bin")


def test_read_binary_refuses_part_of_a_record(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(3074))
    with pytest.raises(
        ValueError, match=r"a\.bin: 3074 bytes are not a whole number of records of 3073; fetch it again"
    ):
        read_binary(tmp_path / "a.bin")


# --- Python version ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("count", [1, 3])
def test_read_python_reads_any_number_of_records(tmp_path, writer, count):
    rows, labels = batch(count)
    (tmp_path / "a").write_bytes(writer(rows, labels))
    images, got = read_python(tmp_path / "a")
    np.testing.assert_array_equal(images, rows.reshape(count, 3, 32, 32), strict=True)
    assert got.tolist() == labels
    assert got.dtype == np.int64


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("key", [str.encode, str])
@pytest.mark.parametrize("as_labels", [list, np.array, lambda labels: np.array(labels, dtype=">u2")])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("module", ["numpy._core", "numpy.core"], ids=["NumPy 2", "NumPy 1"])
def test_read_python_reads_every_protocol(tmp_path, protocol, key, as_labels, order, module):
    rows, labels = batch(13)
    held = {key("data"): np.asarray(rows, order=order), key("labels"): as_labels(labels)}
    written = pickle.dumps(held, protocol=protocol)
    # Names are written with their length before them, or up to the end of a line.
    old = b"numpy._core." if b"numpy._core." in written else b"numpy.core."
    new = module.encode() + b"."
    for before in (b"\x8c%c", b"c"):
        for rest in (b"numeric", b"multiarray"):
            one = before % len(old + rest) if b"%" in before else before
            other = before % len(new + rest) if b"%" in before else before
            written = written.replace(one + old + rest, other + new + rest)
    assert new in written
    (tmp_path / "a").write_bytes(written if new == old else unframed(written))
    images, got = read_python(tmp_path / "a")
    np.testing.assert_array_equal(images, rows.reshape(13, 3, 32, 32), strict=True)
    np.testing.assert_array_equal(got, np.array(labels), strict=True)


def unframed(data):
    """A pickle without its frames, whose lengths a change of its names makes wrong."""
    frames = [place for opcode, _, place in pickletools.genops(data) if opcode.name == "FRAME"]
    for place in reversed(frames):
        data = data[:place] + data[place + 9 :]
    return data


def test_what_python_2_is_imitated_to_write_is_a_pickle_of_an_array():
    rows, labels = batch(2)
    for fortran in (False, True):
        unpickled = pickle.loads(as_python2(rows, labels, fortran=fortran), encoding="bytes")
        np.testing.assert_array_equal(unpickled[b"data"], rows, strict=True)
        assert unpickled[b"labels"] == labels


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.mkdir, ("ran",), r"\w+\.mkdir"),
        (eval, ("__import__('os').mkdir('ran')",), r"__builtin__\.eval"),
        (getattr, ("", "join"), r"__builtin__\.getattr"),
        (np.load, ("ran",), r"numpy\.load"),
        (bytearray, (b"",), r"__builtin__\.bytearray"),
        (pickle.loads, (pickle.dumps(Calls(os.mkdir, "ran")),), r"_?pickle\.loads"),
    ],
)
def test_read_python_runs_nothing(tmp_path, monkeypatch, function, arguments, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_bytes(as_python3(*batch(1), extra=Calls(function, *arguments)))
    with pytest.raises(ValueError, match=rf"a: cannot be read .* \(it asks for {named}, which a pickle of arrays"):
        read_python(tmp_path / "a")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (Calls(codecs.encode, "ran", "rot13"), "bytes must be written as latin1, got 'rot13'"),
        (Calls(bytes, 10**15), "takes 0 positional arguments but 1 was given"),
        (np.array([None]), "arrays must be of whole numbers, got dtype 'O8'"),
        (np.zeros(3), "arrays must be of whole numbers, got dtype 'f8'"),
        (Calls(np.ndarray, (10**9,), np.dtype("u1")), r"\(Array\(\) takes no arguments\)"),
    ],
)
def test_read_python_has_stand_ins_that_do_only_what_is_needed(tmp_path, extra, message):
    (tmp_path / "a").write_bytes(as_python3(*batch(1), extra=extra))
    with pytest.raises(ValueError, match=message):
        read_python(tmp_path / "a")


@pytest.mark.parametrize("put", [b"p99999999999\n", b"r\xff\xff\xff\xff"], ids=["PUT", "LONG_BINPUT"])
def test_read_python_makes_no_room_for_objects_that_cannot_be_there(tmp_path, put):
    (tmp_path / "a").write_bytes(b"\x80\x02}" + put + b".")
    with pytest.raises(ValueError, match=r"it wants room for \d+ objects"):
        read_python(tmp_path / "a")


class ArrayWith:
    """Pickled as NumPy pickles an array, with another state."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        function, arguments, _ = np.zeros(1, dtype=np.uint8).__reduce__()
        return function, arguments, self.state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((1, (1, 3072), np.dtype("u1"), False, bytes(3071)), "cannot reshape array of size 3071"),
        ((1, (1, 3072), "u1", False, bytes(3072)), "an array is not made of bytes"),
        ((1, (1, 3072), np.dtype("u1"), False, [0] * 3072), "an array is not made of bytes"),
        ((1, (1, 3072)), "not enough values to unpack"),
    ],
)
def test_read_python_refuses_arrays_whose_parts_do_not_fit(tmp_path, state, message):
    (tmp_path / "a").write_bytes(pickle.dumps({b"data": ArrayWith(state), b"labels": [0]}, protocol=2))
    with pytest.raises(ValueError, match=message):
        read_python(tmp_path / "a")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([1, 2], "expected a dict with an array of bytes, shape"),
        ({}, "expected a dict with an array"),
        ({b"data": batch(1)[0].astype(np.int16), b"labels": [0]}, "array of bytes"),
        ({b"data": batch(0)[0], b"labels": []}, r": it holds no images; fetch it again$"),
        ({b"data": batch(1)[0], b"labels": [True]}, "expected 1 labels 0..9"),
        ({b"data": batch(2)[0], b"labels": np.array([0, 10])}, "expected 2 labels 0..9"),
        ({b"data": batch(2)[0][:, :1024].copy(), b"labels": [0, 1]}, r"shape \(N, 3072\), under b'data'"),
        ({b"data": batch(1)[0].tobytes(), b"labels": [0]}, "under b'data'"),
        ({b"data": batch(2)[0]}, "expected 2 labels 0..9 under b'labels'"),
        ({b"data": batch(2)[0], b"labels": [0]}, "expected 2 labels"),
        ({b"data": batch(2)[0], b"labels": [0, 10]}, "expected 2 labels 0..9"),
        ({b"data": batch(2)[0], b"labels": [-1, 0]}, "expected 2 labels 0..9"),
        ({b"data": batch(2)[0], b"labels": [0.0, 1]}, "expected 2 labels 0..9"),
        ({b"data": batch(2)[0], b"labels": (0, 1)}, "expected 2 labels"),
    ],
)
def test_read_python_refuses_other_contents(tmp_path, contents, message):
    (tmp_path / "a").write_bytes(pickle.dumps(contents, protocol=2))
    with pytest.raises(ValueError, match=message) as caught:
        read_python(tmp_path / "a")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: ")


@given(st.data())
def test_read_python_answers_any_damage_with_images_or_a_value_error(tmp_path_factory, data):
    rows, labels = batch(1)
    protocol = data.draw(st.integers(0, pickle.HIGHEST_PROTOCOL))
    whole = pickle.dumps({b"data": rows, b"labels": labels}, protocol=protocol)
    # The 3,072 image bytes may change unnoticed; what is around them is what could go wrong.
    outside = [i for _, _, i in pickletools.genops(whole)]
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.sampled_from(outside), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))])
    message = None
    try:
        images, labels = read_python(path)
    except ValueError as error:
        message = str(error)
    if message is None:
        assert images.shape == (len(labels), 3, 32, 32)
    else:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message


# --- folders ----------------------------------------------------------------------------------------------------------


def test_load_cifar10_finds_the_binary_version_first(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    python = write_folder(tmp_path / "cifar-10-batches-py", as_python3)
    assert_is(load_dataset("cifar10"), python)
    binary = write_folder(tmp_path / "cifar-10-batches-bin", as_binary, ".bin", count=10)
    assert_is(load_dataset("cifar10"), binary)
    assert_is(load_cifar10(str(tmp_path / "cifar-10-batches-py")), python)
    shutil.rmtree(tmp_path / "cifar-10-batches-bin")
    shutil.move(tmp_path / "cifar-10-batches-py", tmp_path / "cifar-10-batches-py-12")
    assert_is(load_dataset("cifar10"), python)


def test_a_folder_with_nothing_in_it_hides_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    expected = write_folder(tmp_path / "cifar-10-batches-py", as_python3)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    assert_is(load_dataset("cifar10"), expected)
    # A download that was interrupted, and a file of another kind.
    (tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(bytes(3073))
    (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").write_bytes(b"")
    (tmp_path / "cifar-10-batches-py" / "other.bin").write_bytes(bytes(3073))
    (tmp_path / "cifar-10-batches-py" / "data_batch_1.bin").write_bytes(bytes(3073))
    assert_is(load_dataset("cifar10"), expected)
    assert_is(CIFAR10(tmp_path / "cifar-10-batches-py"), expected)


def test_load_cifar10_takes_the_folder_of_keras_3_and_a_path_as_people_write_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPARCL_REF_DATA", "~/data")
    (tmp_path / "data" / "cifar-10-batches-py-target").mkdir(parents=True)
    expected = write_folder(tmp_path / "data" / "cifar-10-batches-py-target" / "cifar-10-batches-py", as_python3)
    assert_is(load_dataset("cifar10"), expected)
    assert_is(CIFAR10("~/data/cifar-10-batches-py-target/cifar-10-batches-py"), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("writer", "ending", "message"),
    [
        (as_python3, "", "it holds no images; fetch it again"),
        (as_binary, ".bin", r"\(it is empty, as an interrupted download .*\)"),
    ],
)
def test_load_cifar10_refuses_a_file_without_images(tmp_path, name, writer, ending, message):
    """Else an interrupted download trains on a part of the data and nobody is told."""
    write_folder(tmp_path / "cifar", writer, ending, count=10)
    (tmp_path / "cifar" / f"{name}{ending}").write_bytes(writer(*batch(0)))
    with pytest.raises(ValueError, match=rf"{name}{ending}: .*{message}$"):
        CIFAR10(tmp_path / "cifar")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("writer", "ending"), [(as_python3, ""), (as_binary, ".bin")])
def test_load_cifar10_names_a_missing_file(tmp_path, name, writer, ending):
    write_folder(tmp_path / "cifar", writer, ending, count=10)
    (tmp_path / "cifar" / f"{name}{ending}").unlink()
    with pytest.raises(ValueError, match=rf"{name}{ending}: cannot be read \(there is no such file"):
        CIFAR10(tmp_path / "cifar")


def test_load_cifar10_names_the_folder_of_records_that_are_no_data_set(tmp_path):
    write_folder(tmp_path / "cifar", as_binary, ".bin", count=4)
    with pytest.raises(ValueError, match=r"cifar: train_y must contain .* class 8 is absent"):
        CIFAR10(tmp_path / "cifar")


def test_load_dataset_says_what_cifar10_needs(monkeypatch):
    monkeypatch.delenv("SPARCL_REF_DATA", raising=False)
    with pytest.raises(ValueError, match=r"^cifar10: no cifar-10-batches-bin or cifar-10-batches-py\* or "):
        load_dataset("cifar10")


# --- the real thing ---------------------------------------------------------------------------------------------------


def assert_is_real(cifar):
    # The labels every CIFAR-10 tutorial begins with: frog, truck, truck, deer, car; cat, ship, ship, plane, frog.
    assert cifar.train_y[:5].tolist() == [6, 9, 9, 4, 1]
    assert cifar.test_y[:5].tolist() == [3, 8, 8, 0, 6]
    # The constants are those of all 50,000 images; 1,000 of them deviate by up to 0.02 of a deviation.
    values = cifar.normalise(cifar.train_x, np.float32)
    assert np.abs(values.mean(axis=(0, 2, 3))).max() < 0.05
    assert np.abs(values.std(axis=(0, 2, 3)) - 1).max() < 0.05
    # Neighbours are alike only if rows and columns are where they belong.
    pixels = cifar.train_x[:500].astype(np.float64)
    assert np.abs(np.diff(pixels, axis=3)).mean() < 0.3 * pixels.std()
    assert np.abs(np.diff(pixels, axis=2)).mean() < 0.3 * pixels.std()


def test_real_cifar10_binary(real_data):
    cifar = load_dataset("cifar10")
    assert len(cifar.train_x) >= 5000
    assert len(cifar.test_x) >= 1000
    assert_is_real(cifar)


def test_real_cifar10_python_holds_the_same_images(real_data):
    python = sorted(real_data.glob("cifar-10-batches-py*"))[0]
    assert_is_real(CIFAR10(python))
    for name in NAMES:
        images, labels = read_python(python / name)
        others, their_labels = read_binary(real_data / "cifar-10-batches-bin" / f"{name}.bin")
        assert len(images) >= 200
        shared = min(len(images), len(others))
        np.testing.assert_array_equal(images[:shared], others[:shared], strict=True)
        np.testing.assert_array_equal(labels[:shared], their_labels[:shared], strict=True)
