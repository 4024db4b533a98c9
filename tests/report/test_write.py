"""The files of a run: data first, each alone, and none of them ever half."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref import durable
from sparcl_ref.report import (
    aggregate,
    check_writable,
    drawing_problem,
    files_of_run,
    load_masks,
    load_summary,
    write,
    write_run,
)
from sparcl_ref.report.figures import illustrations
from sparcl_ref.report.figures.illustrations import Illustration, Picture, Sketch
from sparcl_ref.report.summary import FIGURE_NAMES as NAMES
from tests.report import example

ALL = {
    "summary.json", "metrics.csv", "masks.npz", "report.html", "figures",
    *(f"figures/{name}.png" for name in NAMES),
}  # fmt: skip


def tree(directory: Path) -> dict[str, bytes | None]:
    """Every path below a directory with its content, None for a folder."""
    return {
        str(path.relative_to(directory)): None if path.is_dir() else path.read_bytes() for path in directory.rglob("*")
    }


@pytest.fixture
def quick(monkeypatch):
    """Stand-ins for figures, for tests that are about files."""

    def sketches(records, masks):
        stamp = str(records[0]["seed"])
        return [Sketch(name, stamp, stamp, draw=None) for name in NAMES[: 5 if masks else 3]]

    def draw(sketch):
        picture = Picture(sketch.caption.encode(), 1)
        return Illustration(sketch, sketch.name, "", sketch.caption.encode(), *[picture] * 4)

    monkeypatch.setattr(illustrations, "sketches", sketches)
    monkeypatch.setattr(illustrations, "draw", draw)


@pytest.fixture(scope="module")
def run():
    return example.run()


def test_a_run_is_written_and_read_back(tmp_path, run):
    summary, epochs, masks = run
    target = tmp_path / "runs" / "tiny"
    assert write_run(target, summary, epochs, masks) == []
    assert set(tree(target)) == ALL
    assert load_summary(target / "summary.json") == summary
    for name in NAMES:
        assert (target / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (target / "report.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 20

    with (target / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(epochs)
    for row, expected in zip(rows, epochs, strict=True):
        assert list(row) == list(write.COLUMNS)
        assert row["name"] == expected["name"]
        for key in set(write.COLUMNS) - {"name"}:
            assert float(row[key]) == expected[key], key

    found = load_masks(target / "masks.npz")
    assert set(found) == set(masks)
    for key, mask in masks.items():
        assert (found[key]["layer"], found[key]["shape"]) == (mask["layer"], mask["shape"])
        assert found[key]["labels"] == mask["labels"]
        np.testing.assert_array_equal(found[key]["alive"], mask["alive"])
        assert found[key]["alive"].dtype == np.bool_


@pytest.mark.usefixtures("quick")
def test_writing_twice_gives_the_same_bytes(tmp_path, run):
    write_run(tmp_path / "a", *run)
    write_run(tmp_path / "b", *run)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.usefixtures("quick")
def test_undefined_values_and_further_columns_in_metrics(tmp_path, run):
    rows = [{"name": "a,b", "seed": 0, "loss_current": None}, {"name": "c", "seed": 1, "extra": 2.5}]
    write_run(tmp_path, run[0], rows, {})
    text = (tmp_path / "metrics.csv").read_text()
    assert text.split("\n") == [",".join([*write.COLUMNS, "extra"]), '"a,b",0,,,,,,,,,,', "c,1,,,,,,,,,,2.5", ""]


@pytest.mark.usefixtures("quick")
def test_a_new_run_replaces_an_old_one_and_leaves_other_files(tmp_path, run):
    summary, epochs, masks = run
    write_run(tmp_path, summary, epochs, masks)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "figures" / "mine.png").write_text("mine")
    other = {**summary, "command": "again", "methods": [{**summary["methods"][0], "seed": 7}]}
    write_run(tmp_path, other, [], {})
    # A dense run has no mask, and keeping the old one's would be a lie.
    gone = {"masks.npz", "figures/mask_over_time.png", "figures/cost_waterfall.png"}
    assert set(tree(tmp_path)) == (ALL - gone) | {"notes.txt", "figures/mine.png"}
    assert load_summary(tmp_path / "summary.json")["command"] == "again"
    assert (tmp_path / "figures" / "accuracy_over_tasks.png").read_bytes() == b"7"


@pytest.mark.usefixtures("quick")
def test_files_have_the_usual_permissions(tmp_path, run):
    before = os.umask(0o022)
    try:
        write_run(tmp_path / "run", *run)
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run" / "figures").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run" / "report.html").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "run" / "figures" / f"{NAMES[0]}.png").stat().st_mode & 0o777 == 0o644


def failing(kind: str, name: str, error: BaseException):
    """`durable.step`, but for one step of one file."""

    def step(what: str, path: Path, action):
        if (what, path.name) == (kind, name):
            raise error
        return action()

    return step


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["summary.json", "metrics.csv", "masks.npz"])
@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
@pytest.mark.usefixtures("quick")
def test_data_that_cannot_be_written_are_named_when_all_else_is_there(tmp_path, run, monkeypatch, name, step):
    monkeypatch.setattr(durable, "step", failing(step, name, FULL))
    with pytest.raises(OSError, match=f"cannot write {name} .No space left on device. to .*; everything else is there"):
        write_run(tmp_path, *run)
    assert set(tree(tmp_path)) == ALL - {name}


@pytest.mark.usefixtures("quick")
def test_data_that_cannot_be_replaced_stay_and_nothing_half_written_is_left(tmp_path, run, monkeypatch):
    summary, epochs, masks = run
    write_run(tmp_path, summary, epochs, masks)
    monkeypatch.setattr(durable, "step", failing("rename", "summary.json", PermissionError(13, "denied")))
    with pytest.raises(OSError, match=r"cannot write summary\.json .denied."):
        write_run(tmp_path, {**summary, "command": "again"}, epochs, masks)
    assert load_summary(tmp_path / "summary.json") == summary
    assert set(tree(tmp_path)) == ALL


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("quick")
def test_a_figure_that_fails_is_a_warning_and_its_old_file_goes(tmp_path, run, monkeypatch, name):
    summary, epochs, masks = run
    write_run(tmp_path, summary, epochs, masks)
    draw = illustrations.draw

    def failing(sketch):
        if sketch.name == name:
            raise ZeroDivisionError("division\nby zero")
        return draw(sketch)

    monkeypatch.setattr(illustrations, "draw", failing)
    warnings = write_run(tmp_path, summary, epochs, masks)
    assert warnings == [f"figures/{name}.png was not written: division by zero"]
    assert set(tree(tmp_path)) == ALL - {f"figures/{name}.png"}
    assert f'id="{name}"' not in (tmp_path / "report.html").read_text()


def test_figures_that_cannot_even_be_planned_are_a_warning(tmp_path, run, monkeypatch):
    def broken(records, masks):
        raise KeyError("gone")

    monkeypatch.setattr(illustrations, "sketches", broken)
    assert write_run(tmp_path, *run) == ["no figures: 'gone'"]
    assert set(tree(tmp_path)) == {"summary.json", "metrics.csv", "masks.npz", "report.html"}


@pytest.mark.usefixtures("quick")
def test_a_page_that_fails_is_a_warning(tmp_path, run, monkeypatch):
    monkeypatch.setattr("sparcl_ref.report.page.render", lambda *_: 1 / 0)
    assert write_run(tmp_path, *run) == ["report.html was not written: division by zero"]
    assert set(tree(tmp_path)) == ALL - {"report.html"}


def test_an_unknown_backend_costs_the_figures_and_nothing_else(tmp_path):
    program = f"""
from sparcl_ref.report import drawing_problem, write_run
from tests.report import example
problem = drawing_problem()
warnings = write_run({str(tmp_path)!r}, *example.run())
assert warnings == [problem] * (problem is not None), warnings
print(problem)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**os.environ, "MPLBACKEND": "no-such-backend"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("no figures: MPLBACKEND is 'no-such-backend': ")
    assert ran.stdout.count("\n") == 1
    assert set(tree(tmp_path)) == {"summary.json", "metrics.csv", "masks.npz", "report.html"}
    assert drawing_problem() is None


def test_costs_that_nobody_knows_are_written_too(tmp_path):
    summary, epochs, masks = example.run()
    for record in summary["methods"]:
        record.update(train_flops=None, memory_bytes=None, savings=None, predicted=None)
        for row in record["data_removed"]:
            row["saved_flops"] = None
    assert write_run(tmp_path, summary, epochs, masks) == []
    gone = {"figures/accuracy_against_flops.png", "figures/cost_waterfall.png"}
    assert set(tree(tmp_path)) == ALL - gone
    assert "unknown" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("quick")
def test_an_interruption_between_files_leaves_whole_ones(tmp_path, run, monkeypatch):
    monkeypatch.setattr(durable, "step", failing("rename", "summary.json", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, *run)
    # The summary last: where it is, the others are.
    assert set(tree(tmp_path)) == {"metrics.csv", "masks.npz"}
    assert set(load_masks(tmp_path / "masks.npz")) == set(run[2])


@pytest.mark.usefixtures("quick")
def test_a_summary_that_json_cannot_hold_leaves_nothing(tmp_path, run):
    summary, epochs, masks = run
    with pytest.raises(ValueError, match=r"summary\.wall_seconds is nan"):
        write_run(tmp_path / "run", {**summary, "wall_seconds": float("nan")}, epochs, masks)
    with pytest.raises(ValueError, match="nothing to write"):
        write_run(tmp_path / "run", {**summary, "methods": []}, epochs, masks)
    assert tree(tmp_path) == {}


# --- before the run ---------------------------------------------------------------------------------------------------


def test_a_directory_that_can_be_written_to_passes_and_is_not_created(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    check_writable(tmp_path / "there")
    check_writable(str(tmp_path / "new" / "newer" / "newest"))
    monkeypatch.chdir(tmp_path)
    check_writable("relative/path")
    check_writable(".")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file", "file is not a folder; choose another --out"),
        ("file/run", "file is not a folder"),
        ("dangling", "dangling is not a folder"),
        ("x" * 300, "File name too long"),
        ("fresh/" + "x" * 300, "File name too long"),
        ("taken", "report.html in it is a folder"),
        ("blocked", "figures in it is no folder"),
    ],
)
def test_a_place_that_will_not_do_is_refused_in_one_line(tmp_path, place, message):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "figures").write_text("x")
    before = tree(tmp_path / "taken")
    with pytest.raises(ValueError, match=message) as caught:
        check_writable(tmp_path / place)
    assert str(caught.value).startswith(f"cannot write to {tmp_path / place}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "fresh").exists()
    assert tree(tmp_path / "taken") == before


def test_a_directory_without_permission_is_refused(tmp_path, monkeypatch):
    # As another user would meet it; the tests may run as root, whom permissions do not stop.
    def refused(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(write.tempfile, "TemporaryFile", refused)
    with pytest.raises(ValueError, match="Permission denied; choose another --out"):
        check_writable(tmp_path / "run")
    assert tree(tmp_path) == {}


def test_the_public_names_are_there():
    import sparcl_ref.report as report

    assert all(hasattr(report, name) for name in report.__all__)
    assert aggregate is report.aggregate


def test_only_files_that_are_there_are_named(tmp_path):
    assert files_of_run(tmp_path) == []
    summary, epochs, _ = example.run(seeds=1)
    write_run(tmp_path, summary, epochs, {})
    assert files_of_run(tmp_path) == ["report.html", "summary.json", "metrics.csv", "figures"]
    (tmp_path / "report.html").unlink()
    (tmp_path / "masks.npz").write_bytes(b"masks")
    assert files_of_run(tmp_path) == ["summary.json", "masks.npz", "metrics.csv", "figures"]
