"""Pages and the links between them: what leads to a page of the site, to a file that comes along, and to elsewhere."""

from __future__ import annotations

import html
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.tutorials.prose import IMAGE, LINK, without_code

#: Pages that are made from others: reading copies show what the notebooks do.
MADE = "tutorials/read"
#: Folder of whole documents, such as the explorer: they go to the site as they are, at the place they have.
WHOLE = "whole"
#: A picture for light and for dark pages as a code host shows it.
PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img src="(?P<light>[^"]+)" width="(?P<width>\d+)"\s+alt="(?P<alt>[^"]*)">\s*</picture>'
)
#: What a code host shows first; a page like others here.
FRONT = "README.md"
#: Folders whose Python files have an annotated page.
ANNOTATED = ("sparcl_ref/sparcl", "sparcl_ref/layers")
#: Python files with one in the place of a page.
SCRIPTS = ("tutorials/microsparcl.py", "tutorials/solutions/from_scratch.py")


@dataclass(frozen=True)
class Checkout:
    """A checkout, and where its files stand in what Sphinx reads."""

    root: Path
    #: Path in the checkout to path in the source of the site.
    staged: dict[str, str]

    @classmethod
    def of(cls, root: Path) -> Checkout:
        """All pages of a checkout: Markdown below ``tutorials/``, and annotated source."""
        staged = {FRONT: "readme.md"}
        for path in sorted((root / "tutorials").rglob("*.md")):
            name = path.relative_to(root).as_posix()
            if not name.startswith(MADE):
                here = name.removeprefix("tutorials/")
                notebook = "/" not in here and here[:2].isdigit()
                staged[name] = here.removesuffix(".md") + (".ipynb" if notebook else ".md")
        for name in SCRIPTS:
            staged[name] = name.removeprefix("tutorials/").removesuffix(".py") + ".rst"
        for folder in ANNOTATED:
            for path in sorted((root / folder).glob("*.py")):
                name = path.relative_to(root).as_posix()
                staged[name] = "annotated/" + name.removeprefix("sparcl_ref/").removesuffix(".py") + ".rst"
        return cls(root, staged)

    def pages(self) -> list[str]:
        """Pages that are Markdown and no notebook, as paths in the checkout."""
        return [name for name, staged in self.staged.items() if name.endswith(".md") and staged.endswith(".md")]

    def read(self, name: str) -> str:
        """Text of a file, by its path in the checkout."""
        return (self.root / name).read_text(encoding="utf-8")


def stage(name: str, checkout: Checkout, fresh: Path) -> None:
    """Write a page to what Sphinx reads, with what it links to."""
    target = fresh / checkout.staged[name]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(seen_from(checkout.read(name), name, checkout, fresh), encoding="utf-8")


def seen_from(markdown: str, name: str, checkout: Checkout, fresh: Path) -> str:
    """Markdown of a file of the checkout with links as its page has them; files it links to are copied along.

    Raises
    ------
    ValueError
        If a link leads to nothing.
    """
    markdown = PICTURE.sub(lambda match: _picture(match, name, checkout, fresh), markdown)
    text = without_code(markdown)
    for link in sorted([*LINK.finditer(text), *IMAGE.finditer(text)], key=lambda match: match.start(), reverse=True):
        start, end = link.span("target")
        path, mark, anchor = markdown[start:end].partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            continue
        if text[link.start()] == "!":
            seen = image(path, link["alt"], name, checkout, fresh)
        else:
            place, words = target(path, name, checkout, fresh), markdown[slice(*link.span("text"))]
            seen = f"[{words}]({place}{mark}{anchor})"
            if path.endswith(".html"):
                # No page of Sphinx, which would take a link to it for a file to be saved.
                seen = f'<a href="{place}{mark}{anchor}">{words}</a>'
        markdown = markdown[: link.start()] + seen + markdown[link.end() :]
    return markdown


def _picture(match: re.Match[str], name: str, checkout: Checkout, fresh: Path) -> str:
    light, dark = (target(match[shade], name, checkout, fresh) for shade in ("light", "dark"))
    return shaded(light, dark, html.unescape(match["alt"]), f":width: {match['width']}px\n")


def image(path: str, alt: str, name: str, checkout: Checkout, fresh: Path) -> str:
    """A picture; if there is one for dark pages beside it, both, of which a reader sees one."""
    place = target(path, name, checkout, fresh)
    dark = path.removesuffix(".png") + "-dark.png"
    if not (checkout.root / name).parent.joinpath(dark).exists():
        return f"![{alt}]({place})"
    return shaded(place, target(dark, name, checkout, fresh), alt)


def shaded(light: str, dark: str, alt: str, options: str = "") -> str:
    """A picture for light and one for dark pages, of which a reader sees one."""
    pair = ((light, "light"), (dark, "dark"))
    return "\n".join(
        f"```{{image}} {file}\n:class: only-{shade}\n:alt: {' '.join(alt.split())}\n{options}```\n"
        for file, shade in pair
    )


def target(path: str, name: str, checkout: Checkout, fresh: Path) -> str:
    """Where a link of a file of the checkout leads on the site, relative to that file's page."""
    wanted = PurePosixPath(os.path.normpath(PurePosixPath(name).parent / path)).as_posix()
    if wanted.startswith(f"{MADE}/"):
        wanted = wanted.replace(MADE, "tutorials", 1)
    if not (checkout.root / wanted).exists():
        raise ValueError(f"{name} links to {path}, which does not exist")
    place = checkout.staged.get(wanted) or _along(wanted, checkout, fresh)
    here = PurePosixPath(checkout.staged[name]).parent
    return os.path.relpath(place.removeprefix(f"{WHOLE}/"), here)


def _along(wanted: str, checkout: Checkout, fresh: Path) -> str:
    """Copy a file that is no page; of a folder, its page."""
    place = wanted.removeprefix("tutorials/") if wanted.startswith("tutorials/") else f"checkout/{wanted}"
    if place.endswith(".html"):
        place = f"{WHOLE}/{place}"
    elif place.endswith(".md"):
        place += ".txt"  # else Sphinx would take it for a page
    source, copy = checkout.root / wanted, fresh / place
    if source.is_dir():
        return f"{place}/index.md"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, copy)
    return place
