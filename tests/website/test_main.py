"""The command builds where it is told to, replaces nothing but a site, and says what it lacks."""

from __future__ import annotations

import importlib.util

import pytest

from website import __main__, build


@pytest.fixture
def built(monkeypatch):
    """What was built, without building it."""
    found = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(build, "site", lambda out, **folders: found.append((out, folders)) or 0)
    return found


def test_it_builds_where_it_is_told_to(built, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARCL_REF_EXECUTED", str(tmp_path / "kept"))
    assert __main__.main(["--out", "here"]) == 0
    folders = {"executed": tmp_path / "kept", "work": tmp_path / "build" / "website"}
    assert built == [(tmp_path / "here", folders)]
    assert capsys.readouterr().out == "here/index.html\n"


def test_a_site_is_replaced_and_nothing_else(built, tmp_path, capsys):
    (tmp_path / "thesis.md").write_text("")
    assert __main__.main(["--out", str(tmp_path)]) == 2
    assert "would be replaced" in capsys.readouterr().err
    assert built == []
    (tmp_path / "objects.inv").write_text("")
    assert __main__.main(["--out", str(tmp_path)]) == 0


def test_what_is_lacking_is_named(built, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "furo" else name)
    assert __main__.main(["--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error == "website: there is no furo here; pip install '.[test,docs]' brings what makes the site\n"


def test_a_site_with_a_complaint_is_a_failure(built, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "site", lambda out, **folders: 1)
    assert __main__.main(["--out", str(tmp_path)]) == 1
