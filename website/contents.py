"""The landing page and the order of everything: which pages stand under which heading."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.tutorials.prose import HEADING, without_code
from website.links import FRONT, Checkout, seen_from, shaded

HERE = Path(__file__).resolve().parent
EXPLORE = "pages/explore"
#: Heading, and pages under it in order; those that do not exist (yet) are left out.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Learn", ("[0-9]*",)),
    ("Explore", (EXPLORE,)),
    ("Build it yourself", ("from_scratch", "solutions/from_scratch", "microsparcl", "pages/extend")),
    ("Use it", ("readme", "pages/data", "pages/after-a-run", "pages/sweep", "pages/choices", "pages/surviving")),
    ("Check your own", ("pages/verify", "pages/traces", "verify_c/README")),
    ("Reference", ("reference/index", "annotated/index", "pages/terms", "pages/notation")),
    ("Paper and code", ("pages/profiles", "pages/paper-and-code")),
    (
        "Results and speed",
        ("pages/results", "pages/rivals", "pages/sparse-trainers", "pages/speed", "accounting", "results/index"),
    ),
)
#: Pictures of the landing page, the best first: name, what one sees, and where it leads.
STILLS = (
    ("explorer", "A recorded run at one moment: its weights, its buffer, and the accuracy of every task", EXPLORE),
    (
        "03-mask-over-time",
        "The mask of a layer over five tasks: which weights live, and since when",
        "03-weights-that-may-live",
    ),
)
TABLE = re.compile(r"^\| tutorial \| for whom \|\n(?:\|.*\n)+", re.MULTILINE)
#: Pages whose own title says little in a list.
CALLED = {"readme": "The package in brief"}
#: Heading of pages that no other names.
REST = "More"


def sections(checkout: Checkout) -> list[tuple[str, list[str]]]:
    """Heading to entries of its contents; every page of the checkout stands somewhere."""
    known = {staged.rpartition(".")[0]: name for name, staged in checkout.staged.items()}
    made = {"reference/index", "annotated/index", "accounting", "results/index"}
    left = [page for page in known if not page.startswith("annotated/")]
    found = []
    for title, wanted in SECTIONS:
        pages = []
        for page in wanted:
            if page == "[0-9]*":
                pages += [each for each in left if each[0].isdigit()]
            elif page in known or page in made:
                pages.append(page)
        left = [page for page in left if page not in pages]
        if pages:
            found.append((title, [_entry(page, known, checkout) for page in pages]))
    if left:
        found.append((REST, [_entry(page, known, checkout) for page in left]))
    return found


def _entry(page: str, known: dict[str, str], checkout: Checkout) -> str:
    """A page by its address; a tutorial with its number in front of its title."""
    if page in CALLED:
        return f"{CALLED[page]} <{page}>"
    if not page[0].isdigit():
        return page
    return f"{number(page)} {title(checkout.read(known[page]))} <{page}>"


def number(page: str) -> str:
    """What a tutorial's name begins with, such as 02 or 01b."""
    return page.partition("-")[0]


def title(markdown: str) -> str:
    """A page's first heading, as plain text."""
    match = HEADING.search(without_code(markdown))
    if match is None:
        raise ValueError(f"a page without a heading: {markdown[:60]!r}")
    return markdown[match.start("title") :].partition("\n")[0].replace("`", "").strip()


def still(checkout: Checkout, fresh: Path) -> str:
    """The picture of the landing page, for light and for dark: the explorer's, or the mask's of tutorial 03."""
    for name, words, leads in STILLS:
        pictures = [checkout.root / "tutorials" / "figures" / f"{name}{ending}.png" for ending in ("", "-dark")]
        if all(picture.exists() for picture in pictures):
            (fresh / "figures").mkdir(exist_ok=True)
            for picture in pictures:
                shutil.copyfile(picture, fresh / "figures" / picture.name)
            light, dark = (f"figures/{picture.name}" for picture in pictures)
            return shaded(light, dark, words, f":target: {leads}.html\n")
    raise FileNotFoundError(f"none of the pictures {[name for name, _, _ in STILLS]} is there")


def tutorials(readme: str) -> str:
    """README's table of the tutorials and whom each is for."""
    match = TABLE.search(readme)
    if match is None:
        raise ValueError("README.md has no table that begins with | tutorial | for whom |")
    return match.group()


def write(checkout: Checkout, fresh: Path) -> None:
    """Write the landing page."""
    trees = "\n\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {heading}\n{chr(10).join(entries)}\n```"
        for heading, entries in sections(checkout)
    )
    text = (HERE / "index.md").read_text(encoding="utf-8").replace("STILL", still(checkout, fresh))
    text = text.replace("TUTORIALS", seen_from(tutorials(checkout.read(FRONT)), FRONT, checkout, fresh))
    (fresh / "index.md").write_text(f"{text}\n{trees}\n", encoding="utf-8")
