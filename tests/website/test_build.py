"""A build touches only what changed, runs only what was not run, and gathers every page."""

from __future__ import annotations

import os

import pytest

from tests.tutorials import executed, notebooks
from tests.tutorials.notebooks import ROOT
from tests.website.test_learn import ran
from website import build
from website.links import Checkout


def test_what_has_not_changed_is_not_touched(tmp_path):
    fresh, source = tmp_path / "fresh", tmp_path / "source"
    for folder, files in ((fresh, {"a/same.md": "1", "new.md": "2", "other.md": "3"}), (source, {"a/same.md": "1"})):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (source / "other.md").write_text("before")
    (source / "a" / "gone.md").write_text("")
    os.utime(source / "a" / "same.md", (1, 1))
    build._renew(fresh, source)
    found = {path.relative_to(source).as_posix(): path.read_text() for path in source.rglob("*") if path.is_file()}
    assert found == {"a/same.md": "1", "new.md": "2", "other.md": "3"}
    assert (source / "a" / "same.md").stat().st_mtime == 1


def test_a_tutorial_is_run_once(tmp_path, monkeypatch):
    from tests.tutorials.test_reading import NOTEBOOK

    runs = []
    monkeypatch.setattr(notebooks, "series", lambda: [NOTEBOOK])
    monkeypatch.setattr(notebooks, "run", lambda notebook, folder: runs.append(notebook) or ran(notebook))
    build.run_missing(tmp_path)
    build.run_missing(tmp_path)
    assert runs == [NOTEBOOK]
    assert executed.outputs(NOTEBOOK, tmp_path) is not None


def test_a_cell_that_fails_is_said_in_one_line(tmp_path, monkeypatch):
    from nbclient.exceptions import CellExecutionError

    def fails(notebook, folder):
        raise CellExecutionError("a\nlong\ntraceback", "ValueError", "no")

    monkeypatch.setattr(notebooks, "run", fails)
    with pytest.raises(RuntimeError, match=r"a cell of 00-\S+ fails; python -m tests\.tutorials 00 shows which"):
        build.run_missing(tmp_path)


def test_everything_is_gathered_with_what_it_links_to(tmp_path, monkeypatch):
    """But for what the notebooks printed, which takes minutes."""
    pytest.importorskip("sphinx", reason="the docs extra makes the site")
    monkeypatch.setattr(build, "run_missing", lambda folder: None)
    monkeypatch.setattr(executed, "outputs", lambda notebook, folder: [[] for _ in notebook.code])
    kept = tmp_path / "executed"
    kept.mkdir()
    for notebook in notebooks.series():
        executed.path(notebook, kept).write_text("{}")
    build.gather(tmp_path / "source", kept)
    for staged in Checkout.of(ROOT).staged.values():
        assert (tmp_path / "source" / staged).exists(), staged
    index = (tmp_path / "source" / "index.md").read_text()
    assert ":caption: Learn\n00 " in index
    assert "STILL" not in index
    accounting = (tmp_path / "source" / "accounting.md").read_text()
    assert "$ python -m sparcl_ref.flops --table1\ntable " in accounting
    assert "(results" not in (tmp_path / "source" / "results" / "index.md").read_text()
