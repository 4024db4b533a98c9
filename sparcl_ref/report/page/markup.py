"""HTML by construction: whatever is not marked as HTML already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

VOID = frozenset({"img", "source", "meta", "br"})


class Markup(str):
    """Text that is HTML already and must not be escaped again."""

    __slots__ = ()


def escaped(content: Any) -> Markup:
    """Any value as HTML: `Markup` as it is, everything else as escaped text."""
    return content if isinstance(content, Markup) else Markup(html.escape(str(content), quote=True))


def joined(parts: Iterable[Any], separator: str = "") -> Markup:
    """Parts one after another, each escaped unless it is `Markup`."""
    return Markup(escaped(separator).join(escaped(part) for part in parts))


def element(name: str, /, *content: Any, **attributes: Any) -> Markup:
    """An element with its content, escaped unless `Markup`.

    Of the attributes, escaped too, ``class_`` stands for class, other underscores for hyphens; None leaves one out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{joined(content)}</{name}>")


def table(
    head: Iterable[Any], rows: Iterable[Iterable[Any]], *, caption: str | None = None, class_: str | None = None
) -> Markup:
    """A table whose first column names the rows, in a box that scrolls if the page is too narrow for it."""
    headings = element("tr", *(element("th", each, scope="col") for each in head))
    lines = []
    for first, *rest in rows:
        cells = [each if isinstance(each, Cell) else element("td", each) for each in rest]
        lines.append(element("tr", element("th", first, scope="row"), *cells))
    title = element("caption", caption) if caption else ""
    return scrolling(element("table", title, element("thead", headings), element("tbody", *lines), class_=class_))


class Cell(Markup):
    """A finished ``td`` element."""

    __slots__ = ()


def cell(content: Any, **attributes: Any) -> Cell:
    """A ``td`` with attributes, for `table`."""
    return Cell(element("td", content, **attributes))


def scrolling(content: Markup) -> Markup:
    """A box that scrolls sideways by itself, by keyboard too."""
    return element("div", content, class_="scroll", tabindex="0")
