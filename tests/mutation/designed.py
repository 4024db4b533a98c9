"""The designed mistakes: data in ``catalogue/*.toml``, each a piece of source and what a mistaken hand makes of it."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

CATALOGUE = Path(__file__).parent / "catalogue"
EQUIVALENT = CATALOGUE / "equivalent.toml"


@dataclass(frozen=True)
class Designed:
    """One mistake.

    Attributes
    ----------
    path : str
        File, relative to the tree.
    what : str
        What is wrong with it, in a few words; different for each.
    old, new : str
        The text to replace, found exactly once in the file, and the mistaken text.
    """

    path: str
    what: str
    old: str
    new: str

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.path}: {self.what}"

    def changed(self, source: str) -> str:
        """The file with the mistake in it.

        Raises
        ------
        ValueError
            If the old text is not there exactly once, nothing would change, or the result is not Python.
        """
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: the old text is found {found} times instead of once; renew the entry")
        if self.old == self.new:
            raise ValueError(f"{self.name}: old and new text are the same")
        text = source.replace(self.old, self.new)
        try:
            ast.parse(text)
        except SyntaxError as error:
            raise ValueError(f"{self.name}: the changed file is not Python: {error}") from error
        return text


def designed_mistakes() -> list[Designed]:
    """The whole catalogue, file by file."""
    entries = []
    for file in sorted(CATALOGUE.glob("*.toml")):
        if file != EQUIVALENT:
            entries += [Designed(**entry) for entry in tomllib.loads(file.read_text())["mistake"]]
    return entries


def equivalent_changes() -> dict[str, str]:
    """Mechanical changes that change nothing anyone could observe: name to the proof."""
    entries = tomllib.loads(EQUIVALENT.read_text()).get("change", [])
    return {entry["name"]: entry["proof"] for entry in entries}
