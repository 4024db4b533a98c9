"""The explorer's pages are made once, stand beside the site's, and are led to from its page."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from website import explorer


@pytest.fixture
def asked(monkeypatch):
    """What the explorer's command was asked for; it writes that."""
    found = []

    def main(arguments):
        found.append(arguments)
        Path(arguments[-1]).write_text(f"<title>{arguments}</title>")
        return 0

    monkeypatch.setattr(explorer, "there", lambda: True)
    monkeypatch.setitem(sys.modules, explorer.COMMAND, SimpleNamespace(main=main))
    return found


def test_pages_are_made_once(asked, tmp_path):
    explorer.record(tmp_path / "executed")
    explorer.record(tmp_path / "executed")
    assert [arguments[:-2] for arguments in asked] == [[], ["reservoir"], ["convolution"]]
    assert {path.name for path in (tmp_path / "executed").iterdir()} == set(explorer.PAGES)


def test_pages_stand_beside_the_others_and_are_led_to(asked, tmp_path):
    page = tmp_path / "fresh" / "pages" / "explore.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Explore\n\nHow to.\n")
    explorer.record(tmp_path / "executed")
    explorer.write(tmp_path / "executed", page, tmp_path / "fresh")
    files = {path.name for path in (tmp_path / "fresh" / explorer.EXTRA).iterdir()}
    assert files == {*explorer.PAGES, ".nojekyll"}
    text = page.read_text()
    assert text.startswith('# Explore\n\n- <a href="../explorer.html">')
    assert text.endswith("\n\nHow to.\n")


def test_a_command_that_fails_stops_the_build(asked, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, explorer.COMMAND, SimpleNamespace(main=lambda arguments: 1))
    with pytest.raises(RuntimeError, match="ended with 1"):
        explorer.record(tmp_path)


def test_without_an_explorer_there_is_nothing_to_record(monkeypatch, tmp_path):
    monkeypatch.setattr(explorer, "there", lambda: False)
    explorer.record(tmp_path)
    explorer.write(tmp_path, tmp_path / "explore.md", tmp_path)
    assert [path.name for path in (tmp_path / explorer.EXTRA).iterdir()] == [".nojekyll"]
