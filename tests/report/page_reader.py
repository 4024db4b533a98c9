"""Reads a page as a browser would, as far as tests need it: elements, attributes, text."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"img", "source", "meta", "br", "input"}


class Page(HTMLParser):
    """Parsed page; fails if elements are not closed in order.

    Attributes
    ----------
    elements : list of (name, dict of attributes)
    cells : list of list of list of str
        Text of the cells of each row of each table.
    text : str
        All text outside of style elements, runs of blanks as one.
    """

    def __init__(self, source: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[list[str]]] = []
        self._open: list[str] = []
        self._parts: list[str] = []
        self.feed(source)
        self.close()
        assert not self._open, f"left open: {self._open}"
        self.text = " ".join("".join(self._parts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.cells.append([])
        elif tag == "tr":
            self.cells[-1].append([])
        elif tag in ("td", "th"):
            self.cells[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"closed {tag} in the wrong place"
        if tag in ("p", "li", "h1", "h2", "dt", "dd", "td", "th", "summary", "pre", "figcaption", "div"):
            self._parts.append(" ")

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            return
        self._parts.append(data)
        if {"td", "th"} & set(self._open):
            self.cells[-1][-1][-1] += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of that name."""
        return [attributes for tag, attributes in self.elements if tag == name]
