"""Each part measures what it says and becomes tables, figures and JSON; tiny sizes, and one turn."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sparcl_ref.bench import memory, page, profile, registers, roofline, whole_run
from sparcl_ref.bench import record as bench
from sparcl_ref.bench.figure import scaling_figure
from sparcl_ref.bench.kernels import suggestion
from sparcl_ref.bench.record import describe_machine
from sparcl_ref.bench.request import PARTS, Request
from sparcl_ref.bench.roofline import cache_bytes
from sparcl_ref.report.figures.canvas import png

#: What is measured in this process at full breadth; memory needs others, and a run takes long.
BROAD = tuple(part for part in PARTS if part not in ("memory", "run"))
TINY = Request(parts=BROAD, threads=1, rounds=1, width=16, batch=2)


@pytest.fixture(scope="module")
def record():
    """All parts but memory."""
    record = bench.measure(TINY)
    return record | {"run": bench.measure(replace(TINY, parts=("run",), quick=True))["run"]}


def finite(value) -> bool:
    """Whether no number anywhere inside is NaN, infinite or negative."""
    if isinstance(value, dict):
        return all(finite(inner) for inner in value.values())
    if isinstance(value, list):
        return all(finite(inner) for inner in value)
    return not isinstance(value, int | float) or (math.isfinite(value) and value >= 0)


@pytest.mark.slow
def test_every_part_that_was_asked_for_is_there(record):
    assert tuple(bench.MODULES) == PARTS
    assert set(record) == {
        "schema_version", "machine", "request", "compile_seconds", "peak_gflops_per_second", "seconds", *BROAD, "run"
    }  # fmt: skip
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert finite(record)


@pytest.mark.slow
def test_roofs(record):
    names = {row["name"] for row in record["roofs"]}
    levels = ("L1", "L2", "L3", "memory")
    assert names == {
        "multiply-adds in registers",
        *(f"multiply-adds, operand from {level}" for level in levels),
        "dot products, operand from L1",
        *(f"copy within {level}" for level in levels),
        *(f"multiply-adds, operand from {level}, random rows" for level in levels),
        *(f"sums of {weights} weights, operand from L1" for weights in roofline.BLOCKS),
    }
    assert all(row["min"] <= row["median"] <= row["max"] and row["threads"] == 1 for row in record["roofs"])
    assert all((row["bytes_per_thread"] is None) == ("registers" in row["name"]) for row in record["roofs"])


def test_working_sets_fit_their_level_and_no_lower_one():
    caches = {"L1": 32 * 2**10, "L2": 2**20, "L3": 64 * 2**20}
    sets = roofline.working_sets(caches)
    assert sets["L1"] <= caches["L1"] < sets["L2"] <= caches["L2"] < sets["L3"] <= caches["L3"] < sets["memory"]
    assert "memory" not in roofline.working_sets(caches, quick=True)


def test_multiply_adds_in_registers_are_counted_right():
    """The sums are what so many rounds of s * factor + term make of them."""
    out = np.zeros(2 * registers.TILE, dtype=np.float32)
    registers.multiply_add(3, np.float32(0.5), np.float32(0.25), out, 2)
    starts = np.arange(registers.CHAINS, dtype=np.float32)
    expected = sum(((s * 0.5 + 0.25) * 0.5 + 0.25) * 0.5 + 0.25 for s in starts)
    for thread in range(2):
        first = thread * registers.TILE
        assert out[first : first + registers.LANES] == pytest.approx(expected)
        assert not out[first + registers.LANES : first + registers.TILE].any()


def test_streaming_reads_every_number_in_every_pass():
    tiles = 3
    x = np.arange(2 * tiles * registers.TILE, dtype=np.float32)
    y = np.zeros(2 * registers.TILE, dtype=np.float32)
    offs = np.arange(tiles, dtype=np.int32) * np.int32(registers.TILE)
    registers.stream(x, tiles * registers.TILE, offs, np.ones(tiles, np.float32), y, 2, 2)
    expected = 2 * x.reshape(2, tiles, registers.TILE).sum(axis=1)
    # Whole numbers below 2**24: exact in float32.
    np.testing.assert_array_equal(y.reshape(2, -1), expected)


def test_short_sums_are_those_of_their_stretches():
    x = np.repeat(np.array([1, 2, 4], dtype=np.float32), registers.TILE)
    offs = np.array([0, 2, 1, 0], dtype=np.int32) * np.int32(registers.TILE)
    vals = np.array([1, 10, 100, 1000], dtype=np.float32)
    y = np.full(2 * 3 * registers.TILE, 7, dtype=np.float32)
    registers.short_sums(x, offs, vals, np.array([0, 2, 2, 4]), y, 2, 2)
    np.testing.assert_array_equal(y.reshape(6, -1), np.repeat([[41], [0], [1200]] * 2, registers.TILE, axis=1))


def test_copies_copy():
    source, target = np.arange(10, dtype=np.float32), np.zeros(10, dtype=np.float32)
    registers.copy(source, target, 4, 1, 2)
    np.testing.assert_array_equal(target, [*range(8), 0, 0])


@pytest.mark.slow
def test_step(record):
    rows = record["step"]["contenders"]
    names = [row["name"] for row in rows]
    assert names[:6] == [
        "torch", "torch channels-last", "torch masked-dense 0.95", "torch channels-last masked-dense 0.95",
        "numpy 0", "scipy csr 0.95",
    ]  # fmt: skip
    gated = [f"numba {s}{end}" for s in ("0.75", "0.9", "0.95") for end in ("", " + DGM")]
    assert names[6:] == ["numba 0", *gated]
    for row in rows:
        assert 0 < row["min_seconds"] <= row["median_seconds"] <= row["max_seconds"]
        speed = row["useful_gflops_per_second"]
        assert row["fraction_of_peak"] == pytest.approx(speed / record["peak_gflops_per_second"])
    assert max(row["times_faster"] for row in rows[:2]) == 1
    by_name = dict(zip(names, rows, strict=True))
    useful = {name: row["useful_gflops_per_second"] * row["median_seconds"] for name, row in by_name.items()}
    assert useful["torch"] == pytest.approx(useful["numba 0"]) == pytest.approx(useful["numpy 0"])
    assert useful["numba 0.95 + DGM"] < useful["numba 0.95"] < useful["numba 0.9"] < useful["numba 0"]
    assert useful["torch masked-dense 0.95"] == pytest.approx(useful["numba 0.95"])
    assert list(record["step"]["gradient_masks"]) == ["numba 0.75", "numba 0.9", "numba 0.95"]


@pytest.mark.slow
def test_profile(record):
    rows = record["profile"]
    assert [row["kind"] for row in rows] == [*profile.KINDS, "all else"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    for row in rows:
        assert (row["gbytes_per_second"] is None) == ("batch-norm" not in row["kind"])
        assert (row["gflops_per_second"] is None) == ("convolution" not in row["kind"])


@pytest.mark.slow
def test_layers(record):
    assert len(record["layers"]) == 11
    assert [layer["products"] for layer in record["layers"]] == [2] + [3] * 10
    for layer in record["layers"]:
        names = [row["name"] for row in layer["contenders"]]
        assert names[:4] == ["torch", "torch channels-last", "numpy 0", "numba 0"]
        assert (len(names) > 4) == (layer["kernel"] == 3 and not layer["first"])


@pytest.mark.slow
def test_kernels(record):
    rows = record["kernels"]
    assert len(rows) == 2 + 3 * 10  # no dX for the stem
    for row in rows:
        assert [entry["density"] for entry in row["sums"]] == [0.05, 0.1, 0.25, 0.5, 0.75, 1.0]
        assert row["crossing"] is None or 0.05 <= row["crossing"] <= 1
    assert all(0.05 <= density <= 1 for density in suggestion(rows).values())


@pytest.mark.slow
def test_scaling(record):
    values = {axis: [point["value"] for point in points] for axis, points in record["scaling"].items()}
    assert values == {"density": [0.02, 0.05, 0.1, 0.25, 0.5, 1.0], "width": [16], "batch": [1, 2, 4], "threads": [1]}
    for points in record["scaling"].values():
        for point in points:
            *others, ours = point["contenders"]
            assert [row["name"] for row in others] == ["torch", "torch channels-last"]
            best = min(row["median_seconds"] for row in others)
            assert ours["times_faster"] == pytest.approx(best / ours["median_seconds"])


@pytest.mark.slow
def test_run(record):
    run = record["run"]
    assert run["data_fraction"] == pytest.approx(0.775)
    assert run["with_ddr"]["steps"] / run["without_ddr"]["steps"] == pytest.approx(0.775)
    assert run["with_ddr"]["train_flops"] / run["without_ddr"]["train_flops"] == run["flops_ratio"] < 1
    images = whole_run.random_images(8)
    assert images.train_x.shape == (16, 3, 32, 32)


@pytest.mark.slow
def test_text_and_markdown_name_every_contender(record):
    text, table = bench.text(record), page.markdown(record)
    names = [row["name"] for row in record["step"]["contenders"]]
    names += [layer["name"] for layer in record["layers"]]
    names += [row["name"] for row in record["roofs"]]
    for name in names:
        assert name in text, name
        assert name in table, name
    for line in table.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")
    # In each table all rows have as many cells.
    for block in table.split("\n\n"):
        cells = {line.count(" | ") for line in block.splitlines() if line.startswith("| ")}
        assert len(cells) <= 1


@pytest.mark.slow
def test_files_are_written(record, tmp_path):
    bench.write(record, tmp_path)
    assert json.loads((tmp_path / "bench.json").read_text()) == record
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "scaling.png"]


@pytest.mark.slow
def test_figure_has_a_pair_of_panels_per_axis_and_labels_every_ratio(record):
    figure = scaling_figure(record["scaling"], under="tiny")
    assert len(figure.axes) == 2 * len(record["scaling"])
    labels = {text.get_text() for axes in figure.axes for text in axes.texts}
    for points in record["scaling"].values():
        for point in points:
            assert f"{point['contenders'][-1]['times_faster']:.1f}" in labels
    assert png(figure).startswith(b"\x89PNG")


def test_machine_is_described():
    machine = describe_machine()
    assert machine["cpu"]
    assert machine["cores"] >= 1
    assert machine["versions"]["torch"].startswith("2.")
    assert set(machine["cache_bytes"]) >= {"L1", "L2", "L3"}


def test_caches_are_read_and_instructions_left_out(tmp_path):
    for place, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("2", "Unified", "2M"), ("3", "Unified", "1000")]
    ):
        folder = tmp_path / f"index{place}"
        folder.mkdir()
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(value + "\n")
    assert cache_bytes(tmp_path) == {"L1": 48 * 1024, "L2": 2 * 2**20, "L3": 1000}


@pytest.mark.parametrize("name", ["torch channels-last", "numpy 0", "numba 0.95"])
def test_memory_of_a_contender_in_its_own_process(name):
    found = memory._in_own_process(name, TINY)
    assert found["name"] == name
    assert 0 < found["imported_bytes"] <= found["warm_bytes"]
    assert found["peak_bytes"] - found["imported_bytes"] == found["above_import_bytes"]
    assert found["peak_bytes"] - found["warm_bytes"] == found["above_warm_bytes"]
    # The weights alone (700 thousand in float32), and not a whole interpreter.
    assert 2e6 < found["above_import_bytes"] < 500e6
    assert name in memory.text([found])


def test_a_failing_process_is_reported(monkeypatch):
    with pytest.raises(RuntimeError, match="numpy 2 failed"):
        memory._in_own_process("numpy 2", TINY)
