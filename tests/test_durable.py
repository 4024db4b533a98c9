"""Files are whole or not there, whatever fails on the way."""

from __future__ import annotations

import io
import os

import pytest

from sparcl_ref import durable


@pytest.fixture
def steps(monkeypatch):
    """All steps taken, in order."""
    taken = []

    def step(kind, path, action):
        taken.append((kind, path.name, sorted(os.listdir(path.parent))))
        return action()

    monkeypatch.setattr(durable, "step", step)
    return taken


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, steps):
    durable.put(tmp_path / "a", b"1")
    kinds = [(kind, name) for kind, name, _ in steps]
    assert kinds == [("write", "a"), ("fsync", "a"), ("rename", "a"), ("fsync folder", "a")]
    assert ["a" in there for _, _, there in steps] == [False, False, False, True]
    assert (tmp_path / "a").read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("failing", ["write", "fsync", "rename", "fsync folder"])
def test_a_step_that_fails_leaves_old_or_new_and_names_the_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "a"
    durable.put(path, b"old")

    def step(kind, path, action):
        if kind == failing:
            raise OSError(5, "Input/output error")
        return action()

    monkeypatch.setattr(durable, "step", step)
    with pytest.raises(OSError, match="Input/output error") as caught:
        durable.put(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == (b"new" if failing == "fsync folder" else b"old")
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_added_stands_at_the_end(tmp_path, steps):
    for content in (b"1\n", b"2\n"):
        durable.append(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == b"1\n2\n"
    assert [kind for kind, _, _ in steps] == ["write", "write"]


def test_what_is_not_there_is_removed_without_complaint(tmp_path):
    durable.put(tmp_path / "a", b"")
    durable.remove(tmp_path / "a")
    durable.remove(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_what_a_short_write_leaves_is_written_too():
    class Slow(io.BytesIO):
        def write(self, content):
            return super().write(content[:3])

    for content in (b"", b"abc", b"abcdefgh"):
        file = Slow()
        durable._write_all(file, content)
        assert file.getvalue() == content
