"""IDX files in all the ways in which they lie about."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import memory
from sparcl_ref.streams.idx import idx_files, read_idx
from tests import strategies
from tests.streams.idx_files import FILES, idx


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
def test_idx_files_knows_the_names_that_the_files_have(tmp_path, name):
    for file in FILES:
        (tmp_path / name(file)).write_bytes(b"1")
    assert idx_files(tmp_path) == [tmp_path / name(file) for file in FILES]


def test_idx_files_passes_over_what_has_no_contents(tmp_path):
    assert idx_files(tmp_path) == [tmp_path / file for file in FILES]
    first = FILES[0].removesuffix(".gz")
    (tmp_path / FILES[0]).write_bytes(b"")  # an interrupted download
    (tmp_path / first).mkdir()  # Kaggle's folder of the same name
    (tmp_path / first.replace("-idx", ".idx")).write_bytes(b"1")
    assert idx_files(tmp_path)[0] == tmp_path / first.replace("-idx", ".idx")
