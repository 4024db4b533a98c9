"""What is left of Markdown when code, mathematics and markup are taken away."""

from __future__ import annotations

import itertools
import re

FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
MATHS = re.compile(r"\$\$.*?\$\$|(?<![\\$])\$(?!\s)[^$]*?(?<![\\\s])\$(?!\d)", re.DOTALL)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]*)\)")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]*)\)")
TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^>]*>", re.DOTALL)
BOLD = re.compile(r"\*\*(?P<term>[^*\n][^*]*?)\*\*")
HEADING = re.compile(r"^(?P<marks>#+)\s+(?P<title>.*?)\s*$", re.MULTILINE)
ANOTHER = re.compile(r"^(?:\.\./)?\d\d[a-z]?-[\w-]+\.md")


def blanked(pattern: re.Pattern[str], text: str, keep: str = "") -> str:
    """The text with each match replaced by blanks (so that places stay), but for the named group."""

    def blanks(match: re.Match[str]) -> str:
        kept = range(*match.span(keep)) if keep else range(0)
        return "".join(
            character if index in kept or character == "\n" else " "
            for index, character in enumerate(match.group(), start=match.start())
        )

    return pattern.sub(blanks, text)


def without_code(markdown: str) -> str:
    """Code blocks, mathematics and code spans blanked; everything stays where it was."""
    text = blanked(FENCE, markdown)
    return blanked(MATHS, blanked(CODE, text))


def words_only(markdown: str) -> str:
    """Without code, mathematics, tags and targets of links; alt texts stay, and all stays where it was."""
    text = blanked(IMAGE, without_code(markdown), keep="alt")
    return blanked(TAG, blanked(LINK, text, keep="text"))


def count_words(markdown: str) -> int:
    """Words of prose: alt texts, code and mathematics aside."""
    text = blanked(TAG, blanked(LINK, blanked(IMAGE, without_code(markdown)), keep="text"))
    return len(re.findall(r"[^\W_]+(?:['’.-][^\W_]+)*", text))


def section(markdown: str, title: str) -> tuple[int, int]:
    """Where a second-level section starts (its heading included) and ends; an empty place at the end if it is not."""
    text = without_code(markdown)
    match = re.search(rf"^##\s+{re.escape(title)}\s*$", text, re.MULTILINE)
    if match is None:
        return len(markdown), len(markdown)
    following = re.search(r"^##?\s", text[match.end() :], re.MULTILINE)
    return match.start(), match.end() + following.start() if following else len(markdown)


def without_section(markdown: str, title: str) -> str:
    """The text with a section blanked."""
    start, end = section(markdown, title)
    return markdown[:start] + re.sub(r"[^\n]", " ", markdown[start:end]) + markdown[end:]


def sentences(markdown: str) -> list[tuple[int, str]]:
    """Sentences, table rows and list items with their places, markup included."""
    found = []
    for block in re.finditer(r"(?:^(?!\s*$).*\n?)+", markdown, re.MULTILINE):
        for part in _parts(block.group()):
            text = block.group()[part[0] : part[1]]
            found.append((block.start() + part[0] + len(text) - len(text.lstrip()), " ".join(text.split())))
    return [(place, text) for place, text in found if text]


def _parts(block: str) -> list[tuple[int, int]]:
    """Cut a block at list items, table rows, headings and ends of sentences."""
    # Mathematics, code and abbreviations hold full stops of their own.
    shown = block
    for pattern in (CODE, MATHS, re.compile(r"\b(?:e\.g|i\.e|vs|Eq|Fig)\."), re.compile(r"^\s*\d+\.", re.MULTILINE)):
        shown = pattern.sub(lambda match: re.sub(r"\S", "x", match.group()), shown)
    cuts = {0, len(block)}
    cuts |= {match.start() for match in re.finditer(r"^\s*(?:[-*+]|\d+\.|\||#+)\s", block, re.MULTILINE)}
    cuts |= {match.end() for match in re.finditer(r"^#+ .*\n", block, re.MULTILINE)}
    cuts |= {match.end() for match in re.finditer(r"[.!?][)*_\"”]*\s+(?=\S)", shown)}
    return list(itertools.pairwise(sorted(cuts)))
