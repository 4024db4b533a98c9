"""What explorer pages are made from: HTML, CSS and scripts, inserted into pages that load nothing."""

from __future__ import annotations

from importlib import resources


def asset(name: str) -> str:
    """The text of one of these files, without the line end at its end."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8").rstrip("\n")
