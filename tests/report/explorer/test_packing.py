"""What is packed comes out again; what the bytes are is written out by hand."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.explorer import packing
from tests.strategies import masks

sizes = st.tuples(st.integers(1, 6), st.integers(0, 40))


@given(flags=sizes.flatmap(masks))
def test_flags_come_back(flags):
    content = packing.from_flags(flags)
    assert len(content) == len(flags) * -(-flags.shape[1] // 8)
    assert np.array_equal(packing.to_flags(content, *flags.shape), flags)


@given(data=st.data(), shape=sizes)
def test_numbers_come_back(data, shape):
    each = st.integers(-1, packing.NONE - 1)
    rows = data.draw(
        st.lists(st.lists(each, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
    )
    numbers = np.array(rows, dtype=np.int64).reshape(shape)
    assert np.array_equal(packing.to_numbers(packing.from_numbers(numbers), *shape), numbers)


@given(data=st.data(), alive=sizes.flatmap(masks), bits=st.sampled_from([1, 2, 4, 8]))
def test_small_numbers_of_the_living_come_back_and_those_of_the_dead_do_not(data, alive, bits):
    flat = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=alive.size, max_size=alive.size))
    values = np.array(flat, dtype=np.int64).reshape(alive.shape)
    content = packing.from_living(values, alive, bits=bits)
    assert len(content) == -(-int(alive.sum()) * bits // 8)
    assert np.array_equal(packing.to_living(content, alive, bits=bits), np.where(alive, values, 0))


@given(
    header=st.dictionaries(st.text(max_size=4).filter(lambda key: key != "sections"), st.integers(), max_size=4),
    sections=st.dictionaries(st.text(max_size=4), st.binary(max_size=50), max_size=4),
)
def test_header_and_sections_come_back(header, sections):
    assert packing.unpack(packing.pack(header, sections)) == (header, sections)


def test_the_bytes_are_those_that_the_script_reads():
    block = zlib.decompress(packing.pack({"a": 1}, {"x": b"\1\2", "y": b"\3"}))
    text = b'{"a":1,"sections":{"x":[0,2],"y":[2,1]}}'
    assert block == len(text).to_bytes(4, "little") + text + b"\1\2\3"
    assert json.loads(text)["sections"]["y"] == [2, 1]
    # Nine flags are two bytes; the second moment differs in the first flag and the last.
    flags = np.array([[1, 0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 1, 1]], dtype=bool)
    assert packing.from_flags(flags) == bytes([0b10000001, 0, 0b10000000, 0b10000000])
    assert packing.from_numbers(np.array([[258, -1], [258, 0]])) == bytes([2, 1, 255, 255, 0, 0, 255, 255])
    assert packing.from_living(np.array([[3, 1, 2]]), np.array([[True, False, True]]), bits=2) == bytes([0b11100000])


@pytest.mark.parametrize("wrong", [-2, packing.NONE])
def test_numbers_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match=f"must lie in -1..65534, got 0..{wrong}|got {wrong}..0"):
        packing.from_numbers(np.array([[0, wrong]]))
