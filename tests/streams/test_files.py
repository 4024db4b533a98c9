"""Missing, damaged and hostile files end in one ValueError of one line that names the file."""

from __future__ import annotations

import gzip
import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams.files import find_folder, read_bytes, read_gzip, read_npz
from sparcl_ref.text import one_line


def test_find_folder_needs_the_variable(monkeypatch):
    expected = r"^cifar10: set the environment variable SPARCL_REF_DATA to the folder that contains a/ or b\*/$"
    monkeypatch.delenv("SPARCL_REF_DATA", raising=False)
    with pytest.raises(ValueError, match=expected):
        find_folder("cifar10", ("a", "b*"))
    monkeypatch.setenv("SPARCL_REF_DATA", "")
    with pytest.raises(ValueError, match=expected):
        find_folder("cifar10", ("a", "b*"))


def test_find_folder_names_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    (tmp_path / "mnist").write_bytes(b"a file, not a folder")
    with pytest.raises(ValueError, match="no folder mnist/ in ") as caught:
        find_folder("mnist", ("mnist",))
    assert str(tmp_path) in str(caught.value)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"no folder mnist/ in .*nowhere; let SPARCL_REF_DATA name"):
        find_folder("mnist", ("mnist",))


def test_find_folder_prefers_the_first_pattern_then_the_alphabet(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    for name in ("py-b", "py-a"):
        (tmp_path / name).mkdir()
    assert find_folder("x", ("bin", "py*")) == tmp_path / "py-a"
    (tmp_path / "bin").mkdir()
    assert find_folder("x", ("bin", "py*")) == tmp_path / "bin"


def test_read_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"\x00\xff")
    assert read_bytes(tmp_path / "file") == b"\x00\xff"
    with pytest.raises(ValueError, match=r"missing: cannot be read \(No such file or directory\)"):
        read_bytes(tmp_path / "missing")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"plain text",
        lambda data: data[:-9],
        lambda data: data[:10] + b"\xff\xff\xff\xff" + data[14:],
        lambda data: data[:-8] + bytes(8),
    ],
    ids=["not gzip", "cut short", "broken stream", "wrong checksum"],
)
def test_read_gzip_refuses_damage(tmp_path, damage):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"some bytes"))
    assert read_gzip(path) == b"some bytes"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"file\.gz: not a whole gzip file \(.*\); fetch it again"):
        read_gzip(path)


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
    with pytest.raises(ValueError, match=r"absent\.npz: no such file$"):
        read_npz(tmp_path / "absent.npz", ("a",))
    with pytest.raises(ValueError, match=r"no such file$"):
        read_npz(tmp_path, ("a",))
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("text.npz", "array.npy"):
        with pytest.raises(ValueError, match=rf"{name}: not an \.npz file; write it with numpy\.savez_compressed"):
            read_npz(tmp_path / name, ("a",))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("a", "hello")
    with pytest.raises(ValueError, match=r"other\.npz: a is not a NumPy array"):
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
    with pytest.raises(ValueError, match=r"data\.npz: cannot be read as arrays of numbers \(Object arrays"):
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
