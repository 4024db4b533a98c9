"""What a hostile pickle tries beyond calling functions, which test_cifar.py has: to crash, and to leave a trace."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from sparcl_ref.streams.pickled import Array, read_pickled


def write(tmp_path, body):
    path = tmp_path / "file"
    path.write_bytes(b"\x80\x02" + body)
    return path


def test_tuples_without_end_do_not_overflow_the_stack(tmp_path):
    """Python hashes the key of a dict without asking how deep it is; a process of its own, as it would end."""
    path = write(tmp_path, b"}K\x01" + b"\x85" * 2_000_000 + b"K\x01s.")
    code = (
        "import sys, pathlib; from sparcl_ref.streams import pickled; pickled.read_pickled(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "ValueError" in done.stderr
    assert "it has 2000000 tuples" in done.stderr


def test_lists_without_end_are_read(tmp_path):
    depth, held = 0, read_pickled(write(tmp_path, b"(" * 50_000 + b"l" * 50_000 + b"."))
    while held:
        (held,), depth = held, depth + 1
    assert depth == 49_999


@pytest.mark.parametrize("name", [b"c_codecs\nencode\n", b"cnumpy.core.multiarray\n_reconstruct\n"])
@pytest.mark.parametrize("state", [b"}X\x01\0\0\0aK\x01s", b"N}X\x0c\0\0\0__defaults__(ts\x86"])
def test_what_stands_in_for_a_function_cannot_be_changed(tmp_path, name, state):
    with pytest.raises(ValueError, match=r"file: cannot be read .* \(it wants to change a function\)$"):
        read_pickled(write(tmp_path, name + state + b"b."))


@pytest.mark.parametrize("name", [b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"])
@pytest.mark.parametrize("state", [b"}X\x06\0\0\0valuesK\x01s", b"N}X\x06\0\0\0valuesK\x01s\x86"])
def test_what_stands_in_for_a_class_cannot_be_changed(tmp_path, name, state):
    with pytest.raises(ValueError, match=r"file: cannot be read .*__setstate__"):
        read_pickled(write(tmp_path, name + state + b"b."))
    assert Array.values.shape == (0,)


@pytest.mark.parametrize("order", ["K", "A", 3])
def test_an_array_with_its_axes_in_another_order_is_refused_not_misread(tmp_path, order):
    class Odd:
        def __reduce__(self):
            function, (_, dtype, shape, _) = np.zeros((2, 3), np.uint8).__reduce_ex__(5)
            return function, (bytes(6), dtype, shape, order)

    (tmp_path / "file").write_bytes(pickle.dumps(Odd(), protocol=5))
    with pytest.raises(ValueError, match=r"file: cannot be read"):
        read_pickled(tmp_path / "file")


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i2", "<u4", ">u8", "<i8"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_whole_numbers_of_every_size_and_byte_order_are_read(tmp_path, dtype, protocol):
    info = np.iinfo(dtype)
    array = np.array([[info.min, info.max, 1], [2, 3, 4]], dtype=dtype)
    (tmp_path / "file").write_bytes(pickle.dumps({b"a": array}, protocol=protocol))
    assert read_pickled(tmp_path / "file")[b"a"].values.tolist() == array.tolist()
