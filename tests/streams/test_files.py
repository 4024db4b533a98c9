"""Missing, damaged and hostile files end in one ValueError of one line that names the file."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest

from sparcl_ref import memory
from sparcl_ref.streams import files
from sparcl_ref.streams.files import data_folders, inflated, look_first_in, read_bytes, user_path, why_unreadable


def read_whole(path):
    with inflated(path) as (file, _):
        return file.read()


def test_data_folders(monkeypatch, tmp_path):
    monkeypatch.delenv("SPARCL_REF_DATA", raising=False)
    assert data_folders() == [Path("/usr/share/datasets")]
    monkeypatch.setenv("SPARCL_REF_DATA", "")
    assert data_folders() == [Path("/usr/share/datasets")]
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    assert data_folders() == [tmp_path, Path("/usr/share/datasets")]
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("SPARCL_REF_DATA", "~/data")
    assert data_folders()[0] == tmp_path / "data"
    for wrong in (str(tmp_path / "nowhere"), "x" * 5000):
        monkeypatch.setenv("SPARCL_REF_DATA", wrong)
        with pytest.raises(
            ValueError, match=rf"^the environment variable SPARCL_REF_DATA names '{wrong}', and there is"
        ):
            data_folders()


def test_several_data_folders(monkeypatch, tmp_path):
    one, two, odd = (tmp_path / name for name in ("one", "two", "odd:name"))
    for folder in (one, two, odd):
        folder.mkdir()
    monkeypatch.setenv("SPARCL_REF_DATA", f"{one}:{two}")
    assert data_folders() == [one, two, Path("/usr/share/datasets")]
    monkeypatch.setenv("SPARCL_REF_DATA", str(odd))
    assert data_folders() == [odd, Path("/usr/share/datasets")]
    monkeypatch.setenv("SPARCL_REF_DATA", f"{one}:{tmp_path / 'gone'}")
    with pytest.raises(ValueError, match=rf"names '{tmp_path}/gone', and there is no such folder$"):
        data_folders()


def test_look_first_in(monkeypatch, tmp_path):
    one, two, odd = (tmp_path / name for name in ("one", "two", "odd:name"))
    for folder in (one, two, odd):
        folder.mkdir()
    monkeypatch.delenv("SPARCL_REF_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    look_first_in("one")
    assert data_folders() == [one, Path("/usr/share/datasets")], "absolute, whatever folder a worker runs in"
    look_first_in(str(two))
    assert data_folders()[:2] == [two, one]
    look_first_in(str(one))
    assert data_folders() == [one, two, Path("/usr/share/datasets")]
    for wrong, message in (
        ("gone", "there is no folder 'gone'"),
        ("", "there is no folder ''"),
        ("odd:name", "rename"),
    ):
        with pytest.raises(ValueError, match=message):
            look_first_in(wrong)
    assert data_folders() == [one, two, Path("/usr/share/datasets")]


def test_a_home_that_nobody_has_is_named():
    with pytest.raises(ValueError, match=r"^~nobody-of-this-name/data: Could not determine home directory"):
        user_path("~nobody-of-this-name/data")


def test_read_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"\x00\xff")
    assert read_bytes(tmp_path / "file") == b"\x00\xff"
    assert why_unreadable(tmp_path / "file") is None


@pytest.mark.parametrize("read", [read_bytes, read_whole])
def test_what_cannot_be_read_is_said_with_its_reason(tmp_path, read):
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")  # never ends
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in {
        "missing": "there is no such file",
        "empty": "it is empty, as an interrupted download leaves it",
        "empty/below": "Not a directory",
        "pipe": "it is a device, pipe or socket",
        "zeros": "it is a device, pipe or socket",
        "loop": "Too many levels of symbolic links",
        ".": "it is a folder",
        "x" * 300: "File name too long",
        "a\0b": "embedded null",
    }.items():
        with pytest.raises(ValueError, match=rf": cannot be read \({reason}[\w ]*\)$") as caught:
            read(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


def test_a_file_that_may_not_be_opened_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"1")

    def forbidden(*_arguments, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)  # whoever runs the tests may be allowed everything
    with pytest.raises(ValueError, match=r"file: cannot be read \(Permission denied\)$"):
        read_bytes(tmp_path / "file")


def test_a_file_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(1001))
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(ValueError, match=r"file: reading it takes 1,001 bytes of memory, and only 1,000 are there$"):
        read_bytes(tmp_path / "file")


def test_memory_that_runs_out_all_the_same_is_said_in_a_line(tmp_path, monkeypatch):
    """Another limit than those that are asked, such as that of ``ulimit -v``."""
    (tmp_path / "file").write_bytes(b"1")

    def exhausted(*_arguments):
        raise MemoryError

    with (
        pytest.raises(ValueError, match=r"file: its contents are more than fits into memory$"),
        inflated(tmp_path / "file"),
    ):
        exhausted()
    monkeypatch.setattr(Path, "read_bytes", exhausted)
    with pytest.raises(ValueError, match=r"file: cannot be read \(MemoryError\)$"):
        read_bytes(tmp_path / "file")


@pytest.mark.parametrize("name", ["file.gz", "file"])
def test_inflated_looks_at_the_contents_not_the_name(tmp_path, name):
    path = tmp_path / name
    for contents in (b"some bytes", b"\x1f", b"\x1f\x8c"):
        path.write_bytes(contents)
        assert read_whole(path) == contents
        path.write_bytes(gzip.compress(contents))
        assert read_whole(path) == contents


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:2],
        lambda data: data[:-9],
        lambda data: data[:10] + b"\xff\xff\xff\xff" + data[14:],
        lambda data: data[:-8] + bytes(8),
        lambda data: data + b"more",
    ],
    ids=["only the magic", "cut short", "broken stream", "wrong checksum", "something behind it"],
)
def test_inflated_refuses_damage(tmp_path, damage):
    path = tmp_path / "file.gz"
    path.write_bytes(damage(gzip.compress(b"some bytes")))
    with pytest.raises(ValueError, match=r"file\.gz: not a whole gzip file \(.*\); fetch it again"):
        read_whole(path)


def test_inflated_gives_no_more_than_was_asked_for(tmp_path):
    """And says how much there could be at most: 32 megabytes of zeros, the most that deflate can do, stay below."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(2**25)))
    tracemalloc.start()
    try:
        with inflated(path) as (file, most):
            assert file.read(1000) == bytes(1000)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert 2**25 <= most < 1.1 * 2**25
    assert files.MOST_INFLATED == 1032
