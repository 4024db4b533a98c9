"""The files of a run: all or none, and none of them ever half."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref.report import aggregate, check_writable, load_masks, load_summary, write, write_run
from sparcl_ref.report.illustrations import Illustration
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

    def illustrate(records, masks):
        stamp = str(records[0]["seed"]).encode()
        return [Illustration(name, name, name, name, stamp, stamp) for name in NAMES[: 5 if masks else 3]]

    monkeypatch.setattr("sparcl_ref.report.illustrations.illustrate", illustrate)


@pytest.fixture(scope="module")
def run():
    return example.run()


def test_a_run_is_written_and_read_back(tmp_path, run):
    summary, epochs, masks = run
    target = tmp_path / "runs" / "tiny"
    paths = write_run(target, summary, epochs, masks)
    assert set(tree(target)) == ALL
    assert {str(path.relative_to(target)) for path in paths} == ALL - {"figures"}
    assert load_summary(target / "summary.json") == summary
    for name in NAMES:
        assert (target / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (target / "report.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 10

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
    paths = write_run(tmp_path, other, [], {})
    # A dense run has no mask, and keeping the old one's would be a lie.
    gone = {"masks.npz", "figures/mask_over_time.png", "figures/cost_waterfall.png"}
    assert set(tree(tmp_path)) == (ALL - gone) | {"notes.txt", "figures/mine.png"}
    assert load_summary(tmp_path / "summary.json")["command"] == "again"
    assert (tmp_path / "figures" / "accuracy_over_tasks.png").read_bytes() == b"7"
    assert not gone & {str(path.relative_to(tmp_path)) for path in paths}


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


class Interruption:
    """Counts calls of a function and raises at a given one."""

    def __init__(self, function, at: int, error: BaseException):
        self.function, self.left, self.error = function, at, error

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.function(*args, **kwargs)


# Nine files move in, and where they replace others nine move out first.
@pytest.mark.parametrize("at", range(1, 17))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
@pytest.mark.usefixtures("quick")
def test_an_interrupted_move_puts_everything_back(tmp_path, run, monkeypatch, at, error):
    summary, epochs, masks = run
    write_run(tmp_path, summary, epochs, masks)
    (tmp_path / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    other = {**summary, "command": "again"}
    monkeypatch.setattr(write.os, "replace", Interruption(os.replace, at, error))
    with pytest.raises(type(error)):
        write_run(tmp_path, other, epochs, masks)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.usefixtures("quick")
def test_an_interrupted_first_run_leaves_nothing(tmp_path, run, monkeypatch, at):
    monkeypatch.setattr(write.os, "replace", Interruption(os.replace, at, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path / "runs" / "tiny", *run)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("method", ["write_bytes", "write_text", "open"])
@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_nothing(tmp_path, run, monkeypatch, method):
    monkeypatch.setattr(Path, method, Interruption(getattr(Path, method), 1, OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_run(tmp_path / "runs" / "tiny", *run)
    monkeypatch.undo()
    assert tree(tmp_path) == {}


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
