"""The file format: what is written comes back, and what nobody could read is refused."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest

from sparcl_ref.verify.traces import archive
from sparcl_ref.verify.traces.archive import TraceError, TraceReader, TraceWriter


def test_another_implementation_may_take_the_file_along():
    """It needs NumPy alone."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(archive))))
    names = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    assert "numpy" in names
    assert not [name for name in names if name.startswith("sparcl_ref")]


def test_the_writer_refuses_what_nobody_could_read(tmp_path):
    with TraceWriter(tmp_path / "mine.npz") as writer:
        writer.write("task1.begin", "current", "", "loss", 1.5)
        for arguments, words in (
            (("task1.begin", "current", "-", "loss", 1.5), "written before"),
            (("task1.begin", "a/b", "-", "loss", 1.5), "without a slash"),
            (("task1.begin", "", "-", "loss", 1.5), "without a slash"),
            (("task1.begin", "current", "-", "name", "text"), "real numbers"),
            (("task1.begin", "current", "-", "object", [None]), "real numbers"),
            (("task1.begin", "current", "-", "complex", 1j), "real numbers"),
        ):
            with pytest.raises(TraceError, match=words):
                writer.write(*arguments)
    with TraceReader(tmp_path / "mine.npz") as reader:
        assert reader.names == ("task1.begin/current/-/loss",)
        assert reader.read("task1.begin/current/-/loss") == 1.5
        with pytest.raises(TraceError, match="there is no"):
            reader.read("task1.begin/current/-/other")


@pytest.mark.parametrize(
    "array",
    [
        np.float32(2.5),
        np.zeros((0, 3)),
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([True, False]),
        np.arange(5, dtype=">i4"),
        np.arange(10, dtype=np.uint8)[::2],
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays_come_back_as_they_were(tmp_path, array):
    with TraceWriter(tmp_path / "mine.npz") as writer:
        writer.write("task1.begin", "current", "conv1", "output", array)
    with TraceReader(tmp_path / "mine.npz") as reader:
        back = reader.read("task1.begin/current/conv1/output")
    assert back.shape == np.shape(array)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_numpy_fortran_order_is_read(tmp_path):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "mine.npz", **{"a/b/c/d": array})
    with TraceReader(tmp_path / "mine.npz") as reader:
        assert np.array_equal(reader.read("a/b/c/d"), array)


def test_an_interrupted_writer_keeps_and_marks_what_was_written(tmp_path):
    def interrupted():
        with TraceWriter(tmp_path / "mine.npz") as writer:
            writer.write("task1.begin", "current", "-", "loss", 1.5)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    with TraceReader(tmp_path / "mine.npz") as reader:
        assert reader.names == ("task1.begin/current/-/loss",)
        assert reader.manifest["complete"] is False
