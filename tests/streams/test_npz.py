"""Archives of arrays: whole, damaged, hostile, and larger than memory."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from sparcl_ref import Config, memory, train
from sparcl_ref.streams import dataset, load_dataset, npz
from sparcl_ref.streams.npz import ARRAYS, KERAS_ARRAYS, MEDMNIST_ARRAYS, as_images, read_data_set, read_npz
from sparcl_ref.text import one_line

plain = st.one_of(arrays_of.integer_dtypes(), arrays_of.unsigned_integer_dtypes(), arrays_of.floating_dtypes())


@given(st.data(), st.booleans(), st.booleans())
def test_read_npz_reads_what_numpy_wrote(tmp_path_factory, data, fortran, packed):
    array = data.draw(arrays_of.arrays(plain, arrays_of.array_shapes(min_dims=0, min_side=0, max_side=4)))
    array = np.asfortranarray(array) if fortran else array
    path = tmp_path_factory.getbasetemp() / "any.npz"
    (np.savez_compressed if packed else np.savez)(path, a=array)
    got = read_npz(path, ("a",))["a"]
    np.testing.assert_array_equal(got, array, strict=True)
    assert list(read_npz(path)) == ["a"]
    assert not got.flags.writeable


def test_read_npz_gives_the_arrays_asked_for(tmp_path):
    path = tmp_path / "data.npz"
    a, b = np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([0.5, -1.0])
    np.savez_compressed(path, a=a, b=b, other=np.zeros(3))
    arrays = read_npz(path, ("b", "a"))
    assert list(arrays) == ["b", "a"]
    np.testing.assert_array_equal(arrays["a"], a, strict=True)
    np.testing.assert_array_equal(arrays["b"], b, strict=True)


def test_read_npz_names_missing_keys(tmp_path):
    np.savez(tmp_path / "data.npz", a=np.zeros(1))
    with pytest.raises(ValueError, match=r"data\.npz: expected arrays named a, b, c; missing: b, c$"):
        read_npz(tmp_path / "data.npz", ("a", "b", "c"))


def test_read_npz_ignores_pickles_nobody_asked_for(tmp_path):
    np.savez(tmp_path / "data.npz", a=np.zeros(1), note=np.array([{}], dtype=object))
    assert read_npz(tmp_path / "data.npz", ("a",))["a"].tolist() == [0.0]


def test_read_npz_refuses_what_is_no_archive_of_arrays(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.npz: cannot be read \(there is no such file\)$"):
        read_npz(tmp_path / "absent.npz", ("a",))
    with pytest.raises(ValueError, match=r": cannot be read \(it is a folder\)$"):
        read_npz(tmp_path, ("a",))
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("text.npz", "array.npy"):
        with pytest.raises(ValueError, match=rf"{name}: not an \.npz file; write it with numpy\.savez_compressed"):
            read_npz(tmp_path / name, ("a",))
    np.savez(tmp_path / "cut.npz", a=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"cut\.npz: not a whole \.npz file; its end is missing; fetch or"):
        read_npz(tmp_path / "cut.npz", ("a",))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("a", "hello")
    with pytest.raises(ValueError, match=r"other\.npz: cannot be read as arrays of numbers \(.*magic string"):
        read_npz(tmp_path / "other.npz", ("a",))


def test_what_another_library_says_fits_in_one_line(tmp_path):
    # NumPy's refusal of so long a header has two lines.
    np.savez(tmp_path / "wide.npz", a=np.zeros(1, dtype=[(f"field{i}", "f8") for i in range(1000)]))
    with pytest.raises(ValueError, match=r"wide\.npz: cannot be read .*Header info length") as caught:
        read_npz(tmp_path / "wide.npz", ("a",))
    assert "\n" not in str(caught.value)
    assert one_line(ValueError("  two\n lines ")) == "two lines"
    assert one_line(MemoryError()) == "MemoryError"


class Booby:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_read_npz_refuses_pickled_arrays_without_running_them(tmp_path):
    np.savez(tmp_path / "data.npz", a=np.array([Booby(tmp_path / "ran")], dtype=object))
    with pytest.raises(ValueError, match=r"data\.npz: cannot be read as arrays of numbers \(a\.npy holds pickled"):
        read_npz(tmp_path / "data.npz", ("a",))
    assert not (tmp_path / "ran").exists()
    np.load(tmp_path / "data.npz", allow_pickle=True)["a"]
    assert (tmp_path / "ran").exists(), "the trap itself must work"


def saved_npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.arange(40, dtype=np.int64), b=np.ones((3, 2), dtype=np.float32))
    return file.getvalue()


@given(st.data())
def test_read_npz_answers_any_damage_with_the_data_or_a_value_error(tmp_path_factory, data):
    whole = saved_npz()
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))])
    message = None
    try:
        arrays = read_npz(path, ("a", "b"))
    except ValueError as error:
        message = str(error)
    if message is not None:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        # What lies outside the contents (times, attributes) may change; zip's checksums guard the contents.
        np.testing.assert_array_equal(arrays["a"], np.arange(40))
        np.testing.assert_array_equal(arrays["b"], np.ones((3, 2)))


# NumPy reads a header as Python source, and Python may have something to say about its escapes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning", "ignore::UserWarning")
@given(st.binary(max_size=80), st.integers(0, 127))
def test_read_npz_answers_any_array_header_with_an_array_or_a_value_error(tmp_path_factory, header, place):
    """As above, but the zip's checksums are right: now it is NumPy's reading of the header that fails."""
    file = io.BytesIO()
    np.save(file, np.arange(4))
    member = bytearray(file.getvalue())
    member[place : place + len(header)] = header
    path = tmp_path_factory.getbasetemp() / "header.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", bytes(member))
    message = None
    try:
        array = read_npz(path, ("a",))["a"]
    except ValueError as error:
        message = str(error)
    if message is not None:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        assert isinstance(array, np.ndarray)


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_an_archive_larger_than_memory_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, a=np.zeros(2**24, dtype=np.uint8), b=np.zeros(2**24, dtype=np.uint8), c=np.zeros(1))
    assert path.stat().st_size < 2**16
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**25)
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"bomb\.npz: .*reading it takes 33,554,\d+ bytes of memory, and only 33,554,"
        ):
            read_npz(path, ("a", "b"))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert read_npz(path, ("a", "c"))["c"].tolist() == [0], "what nobody asked for does not count"


@pytest.mark.parametrize("shape", ["(10000000000000,)", "(5,)", "(3,)", "(-2, -2)", "(2, -2)", "(2**60, 16, 1)"])
def test_a_header_that_promises_more_or_less_than_there_is_makes_no_array(tmp_path, shape):
    file = io.BytesIO()
    file.write(np.lib.format.magic(1, 0))
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    file.write(len(header).to_bytes(2, "little") + header + bytes(4))
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        archive.writestr("a.npy", file.getvalue())
    with pytest.raises(ValueError, match=r"header\.npz: cannot be read as arrays of numbers"):
        read_npz(tmp_path / "header.npz", ("a",))


def test_an_archive_with_a_password_is_a_clear_error(tmp_path):
    np.savez(tmp_path / "data.npz", a=np.zeros(1))
    data = bytearray((tmp_path / "data.npz").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the archive's directory
    (tmp_path / "data.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"data\.npz: cannot be read as arrays of numbers \(.*(encrypted|differ)"):
        read_npz(tmp_path / "data.npz", ("a",))


# --- the two ways of naming -------------------------------------------------------------------------------------------


def test_read_data_set_takes_our_names_and_those_of_keras(tmp_path):
    images, labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.array([0, 1], dtype=np.uint8)
    np.savez(tmp_path / "ours.npz", train_x=images[:, None], train_y=labels, test_x=images[1:, None], test_y=labels[1:])
    np.savez(tmp_path / "keras.npz", x_train=images, y_train=labels, x_test=images[1:], y_test=labels[1:])
    ours, keras = read_data_set(tmp_path / "ours.npz"), read_data_set(tmp_path / "keras.npz")
    assert tuple(ours) == tuple(keras) == ARRAYS
    for key in ARRAYS:
        np.testing.assert_array_equal(ours[key], keras[key], strict=True)
    assert ours["train_x"].shape == (2, 1, 3, 4)


@pytest.mark.parametrize("names", [KERAS_ARRAYS, MEDMNIST_ARRAYS])
def test_read_data_set_brings_colours_to_the_front_and_takes_labels_in_a_column(tmp_path, names):
    images = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    labels = np.array([[0], [1]], dtype=np.uint8)
    np.savez(tmp_path / "rgb.npz", val_images=images, **dict(zip(names, (images, labels) * 2, strict=True)))
    got = read_data_set(tmp_path / "rgb.npz")
    np.testing.assert_array_equal(got["test_x"], np.moveaxis(images, 3, 1), strict=True)
    assert got["train_y"].tolist() == [0, 1]
    front = np.zeros((2, 3, 4, 3), dtype=np.uint8)
    assert as_images(front) is front, "where both may be colours, they stand where ours stand"


# --- mapping ----------------------------------------------------------------------------------------------------------


@given(st.data(), st.booleans())
def test_what_is_stored_as_it_is_can_be_mapped(tmp_path_factory, data, fortran):
    shape = arrays_of.array_shapes(min_dims=1, min_side=1, max_side=4)
    written = {
        name: data.draw(arrays_of.arrays(plain, shape), label=name) for name in ("a", "long name of another", "c")
    }
    written = {name: np.asfortranarray(array) if fortran else array for name, array in written.items()}
    path = tmp_path_factory.mktemp("mapped") / "any.npz"
    np.savez(path, **written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz, "MAPPED_BYTES", 1)
        patch.setattr(memory, "available_bytes", lambda: 0)
        mapped = read_npz(path)
    for name, array in written.items():
        np.testing.assert_array_equal(mapped[name], array, strict=True)
        assert isinstance(mapped[name], np.memmap)
        assert not mapped[name].flags.writeable
    np.savez_compressed(path, **written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz, "MAPPED_BYTES", 1)
        assert not any(isinstance(array, np.memmap) for array in read_npz(path).values())


def test_only_large_arrays_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAPPED_BYTES", 2000)
    np.savez(tmp_path / "data.npz", large=np.zeros(2000, dtype=np.uint8), small=np.zeros(200, dtype=np.uint8))
    arrays = read_npz(tmp_path / "data.npz")
    assert [type(array) for array in arrays.values()] == [np.memmap, np.ndarray]


def test_damage_is_noticed_in_what_is_mapped_too(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAPPED_BYTES", 1)
    monkeypatch.setattr(npz, "PIECE", 64)
    np.savez(tmp_path / "data.npz", a=np.arange(1000))
    data = bytearray((tmp_path / "data.npz").read_bytes())
    data[4000] ^= 1
    (tmp_path / "data.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"data\.npz: cannot be read as arrays of numbers \(Bad CRC"):
        read_npz(tmp_path / "data.npz")


def test_a_run_on_mapped_images_is_the_same_to_the_bit(tmp_path, monkeypatch):
    digits = load_dataset("digits")
    np.savez(tmp_path / "digits-too.npz", **{key: getattr(digits, key) for key in ARRAYS})
    config = Config(
        dataset=str(tmp_path / "digits-too.npz"),
        method="derpp",
        model="mlp",
        width=8,
        sparsity=0.5,
        epochs=3,
        delta_k=2,
        ddr_cutoff=1,
        augmentation="crop_flip",
        engine="numpy",
    )
    in_memory = train(config).history
    monkeypatch.setattr(npz, "MAPPED_BYTES", 1)
    mapped = train(config).history
    assert mapped.class_il_matrix == in_memory.class_il_matrix
    assert mapped.epochs == in_memory.epochs
    assert mapped.data_removed == in_memory.data_removed != []


def test_a_data_set_larger_than_memory_is_loaded_and_indexed(tmp_path, monkeypatch):
    """4 MB of images where there is room for 100 kB, in a process that counts what it takes."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4096, 1, 32, 32)).astype(np.uint8), np.arange(4096) % 4
    np.savez(tmp_path / "large.npz", train_x=images, train_y=labels, test_x=images[:64], test_y=labels[:64])
    monkeypatch.setattr(npz, "MAPPED_BYTES", 2**20)
    monkeypatch.setattr(npz, "PIECE", 2**14)
    monkeypatch.setattr(dataset, "BLOCK", 16)
    monkeypatch.setattr(memory, "available_bytes", lambda: 150_000)
    dataset.mean_and_std(images[:16], scale=1.0)  # what is set up at the first call
    tracemalloc.start()
    try:
        large = load_dataset(tmp_path / "large.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    index = rng.permutation(4096)[:100]
    np.testing.assert_array_equal(large.train_x[index], images[index], strict=True)


def test_our_names_come_first(tmp_path):
    images, labels = np.zeros((2, 1, 3, 3)), np.zeros(2)
    both = dict(zip(ARRAYS, (images, labels, images, labels), strict=True))
    np.savez(tmp_path / "both.npz", **both, **{key: np.ones(1) for key in KERAS_ARRAYS})
    assert read_data_set(tmp_path / "both.npz")["train_x"].shape == (2, 1, 3, 3)


def test_read_data_set_names_what_is_missing(tmp_path):
    np.savez(tmp_path / "keras.npz", x_train=np.zeros(1), y_train=np.zeros(1))
    with pytest.raises(ValueError, match=r"expected arrays named x_train, .*; missing: x_test, y_test$"):
        read_data_set(tmp_path / "keras.npz")
    np.savez(tmp_path / "odd.npz", images=np.zeros(1))
    with pytest.raises(
        ValueError, match=r"expected arrays named train_x, .*; missing: train_x, train_y, test_x, test_y$"
    ):
        read_data_set(tmp_path / "odd.npz")
