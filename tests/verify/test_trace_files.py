"""Traces that cannot be compared, or only in part: one clear line each; and the memory a comparison needs."""

from __future__ import annotations

import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from sparcl_ref.verify.trace import check
from sparcl_ref.verify.traces.archive import MANIFEST, Name, TraceError, TraceReader, TraceWriter
from sparcl_ref.verify.traces.rules import rule_book
from tests.verify.rewriting import rewritten


def test_a_misspelt_name_is_pointed_out_and_own_tensors_are_not(reference, tmp_path):
    def change(name, array):
        return name.replace("/value", "/values") if "bn3.running_var" in name else name, array

    report = check(rewritten(reference, tmp_path / "mine.npz", change), reference)
    assert not report.ok
    assert report.first is None
    assert len(report.unknown) == 31
    assert "did you mean start/initial/bn3.running_var/value?" in report.text()
    strays = {"task9.epoch1.step0/current/-/loss": 1.0, "task1.epoch2.step0/current/loss": 1.0}
    np.savez(tmp_path / "strays.npz", **strays)
    assert "did you mean task" in check(tmp_path / "strays.npz", reference).text()
    assert "a name has four parts" in check(tmp_path / "strays.npz", reference).text()
    own = {"task1.epoch1.step0/extra/conv1/norm": np.ones(2), "start/masked/conv2.weight/value": None}
    with TraceReader(reference) as reader:
        own["start/masked/conv2.weight/value"] = reader.read("start/masked/conv2.weight/value")
    np.savez(tmp_path / "own.npz", **own)
    assert check(tmp_path / "own.npz", reference).ok


def test_nothing_compared_is_a_failure(reference, tmp_path):
    given = rewritten(reference, tmp_path / "given.npz", lambda name, a: (name, a) if "/choices/" in name else None)
    report = check(given, reference)
    assert report.given > 100
    assert not report.ok
    assert "nothing was compared" in report.text()
    np.savez(tmp_path / "empty.npz")
    assert not check(tmp_path / "empty.npz", reference).ok


def test_an_unfinished_trace_is_compared_and_does_not_pass(reference, tmp_path):
    def interrupted():
        with TraceReader(reference) as reader, TraceWriter(tmp_path / "mine.npz") as writer:
            for name in reader.names[:200]:
                writer.write(*Name.parse(name), reader.read(name))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    report = check(tmp_path / "mine.npz", reference)
    assert report.compared > 100
    assert report.first is None
    assert not report.ok
    assert "its writer was interrupted" in report.text()


def test_another_runs_choices_come_first(reference, tmp_path):
    def change(name, array):
        return name, array[::-1] if name.endswith("step1/choices/-/batch") else array

    report = check(rewritten(reference, tmp_path / "mine.npz", change), reference)
    assert report.first.name == "task1.epoch1.step1/choices/-/batch"
    assert "replayed, not drawn" in report.text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a[..., None], r"has shape \(4, 2, 3, 3, 1\), expected \(4, 2, 3, 3\)"),
        (lambda a: a.reshape(-1), r"has shape \(72,\)"),
        (lambda a: a * 0.5, "has dtype float64, expected bool"),
    ],
)
def test_a_mask_of_the_wrong_kind_is_one_line(reference, tmp_path, change, words):
    name = "task1.epoch2.begin/shrink/conv2.weight/mask"
    with TraceReader(reference) as reader:
        mask = reader.read(name)
    np.savez(tmp_path / "mine.npz", **{name: change(mask)})
    report = check(tmp_path / "mine.npz", reference)
    assert report.first.index is None
    assert re.search(words, report.text())
    for dtype in (np.uint8, np.float32):
        np.savez(tmp_path / "mine.npz", **{name: mask.astype(dtype)})
        assert check(tmp_path / "mine.npz", reference).ok


def test_a_file_that_is_no_trace_is_refused_in_one_line(reference, tmp_path):
    (tmp_path / "text.npz").write_text("nothing of the kind")
    np.save(tmp_path / "single.npy", np.ones(3))
    (tmp_path / "empty.npz").touch()
    for name, words in (
        ("missing.npz", "no such file"),
        ("text.npz", "not an .npz file"),
        ("empty.npz", "not an .npz file"),
        ("single.npy", "a single .npy array"),
    ):
        for other in (reference, None):
            with pytest.raises(TraceError, match=words) as refusal:
                check(tmp_path / name, other)
            assert "\n" not in str(refusal.value)
    with pytest.raises(TraceError, match="no such file"):
        check(tmp_path, reference)
    np.savez(tmp_path / "plain.npz", a=np.ones(3))
    with pytest.raises(TraceError, match="no reference trace"):
        check(reference, tmp_path / "plain.npz")


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.99999])
def test_a_truncated_file_is_refused(reference, tmp_path, share):
    whole = reference.read_bytes()
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(TraceError, match="ends early"):
        check(cut, reference)


def test_a_damaged_member_is_named(reference, tmp_path):
    name = "task1.epoch1.step0/current/conv2/output"
    with zipfile.ZipFile(reference) as archive:
        offset = archive.getinfo(name + ".npy").header_offset
    damaged = bytearray(reference.read_bytes())
    damaged[offset + 200] ^= 0xFF
    (tmp_path / "damaged.npz").write_bytes(damaged)
    with pytest.raises(TraceError, match=f"{name} cannot be read"):
        check(tmp_path / "damaged.npz", reference)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x93NUMPY\x01\x00", "cannot be read"),
        (b"hello", "cannot be read"),
        (b"", "cannot be read"),
        (
            b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }\n",
            "bytes where",
        ),
        (
            b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }             \n",
            "dtype object",
        ),
    ],
)
def test_a_member_that_is_no_array_is_named(reference, tmp_path, content, words):
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("start/masked/conv2.weight/value.npy", content)
    with pytest.raises(TraceError, match=words):
        check(path, reference)


@pytest.mark.parametrize("manifest", ["[]", '{"format": 2}', "{", ""])
def test_a_manifest_of_another_kind_is_refused(reference, tmp_path, manifest):
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, manifest)
    with pytest.raises(TraceError, match=r"manifest\.json cannot be read|format 1 is expected"):
        check(path, reference)


# --- size


def test_memory_holds_a_few_tensors_not_a_trace(tmp_path):
    """32 tensors of half a megabyte are written and compared within the memory of eight."""
    rng, count, size = np.random.default_rng(0), 32, 1 << 19
    names = [Name("task1.epoch1.step0", "current", f"layer{k}", "output") for k in range(count)]
    tensors = [{"name": str(name), "rule": "output/ReLU", "tolerance": 1e-12} for name in names]
    rules = {"output/ReLU": rule_book()["output/ReLU"]._asdict()}
    paths = tmp_path / "reference.npz", tmp_path / "mine.npz"
    tracemalloc.start()
    try:
        for path in paths:
            state = rng.bit_generator.state
            with TraceWriter(path) as writer:
                for place, name in enumerate(names):
                    array = rng.standard_normal(size // 8)
                    array[7] += 1e-6 * (path == paths[1] and place == count - 2)
                    writer.write(*name, array)
                writer.close(eps=2.0**-52, rules=rules, tensors=tensors)
            rng.bit_generator.state = state
        report = check(paths[1], paths[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report.compared, report.first.name, report.first.index) == (count, str(names[-2]), (7,))
    assert peak < 8 * size
