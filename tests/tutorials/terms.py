"""Terms are defined once, before they are used, and gathered on a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.tutorials.notebooks import Notebook
from tests.tutorials.prose import (
    ANOTHER,
    BOLD,
    HEADING,
    LINK,
    MATHS,
    sentences,
    without_code,
    without_section,
    words_only,
)

#: Sections that announce what is defined below them, or say that no one needs to know it yet.
ANNOUNCING = ("What you'll do", "What you'll learn", "What you'll need")

#: How a sentence begins that says little without the one before it.
POINTS_BACK = re.compile(r"(?:Such|That|This|These|They|If all|It|Its|Each of them)\b")


@dataclass(frozen=True)
class Definition:
    """A term in bold: as written, the tutorial's place in the series, and where in its text."""

    term: str
    tutorial: int
    place: int
    sentence: str

    @property
    def key(self) -> str:
        """The term without regard to case and line breaks."""
        return " ".join(self.term.lower().split())


def definitions(notebooks: Sequence[Notebook]) -> list[Definition]:
    """All definitions, in the order of the series."""
    return [
        Definition(
            " ".join(match["term"].split()), index, match.start(), _sentence_at(notebook.markdown, match.start())
        )
        for index, notebook in enumerate(notebooks)
        for match in BOLD.finditer(without_code(notebook.markdown))
    ]


def _sentence_at(markdown: str, place: int) -> str:
    """The sentence at a place, and the one before it if it only points back to that."""
    found = [(start, sentence) for start, sentence in sentences(markdown) if start <= place]
    start, sentence = found[-1]
    if POINTS_BACK.match(sentence) and len(found) > 1:
        before, previous = found[-2]
        if "\n\n" not in markdown[before:start] and not previous.startswith("#"):
            return f"{previous} {sentence}"
    return sentence


def violations(notebooks: Sequence[Notebook]) -> list[str]:
    """Terms defined twice, and terms used before they are defined."""
    defined = definitions(notebooks)
    found, first = [], {}
    for definition in defined:
        name = notebooks[definition.tutorial].name
        if definition.key in first:
            found.append(f"{name}: {definition.term!r} was defined before, in {first[definition.key]}")
        first.setdefault(definition.key, name)
    texts = [_readable(notebook) for notebook in notebooks]
    for definition in defined:
        for index in range(definition.tutorial + 1):
            text = texts[index]
            if index == definition.tutorial:
                text = _without_announcements(text)[: definition.place]
            text = _without_longer(text, definition, defined)
            use = re.search(rf"(?<![\w-]){_flexible(definition.key)}s?(?![\w+]|-\w)", text, re.IGNORECASE)
            if use:
                place = notebooks[definition.tutorial].name
                around = " ".join(text[max(0, use.start() - 40) : use.end() + 30].split())
                found.append(
                    f"{notebooks[index].name}: {definition.term!r} is used before {place} defines it: ...{around}..."
                )
    return found


def _flexible(key: str) -> str:
    return r"\s+".join(re.escape(word) for word in key.split())


def _readable(notebook: Notebook) -> str:
    """Prose without further reading, titles of other tutorials, and the expansion in brackets after a term."""
    text = words_only_without_titles(without_section(notebook.markdown, "Further reading"))
    return re.sub(
        r"(\*\*[^*]+\*\*\s*)\(([^)]*)\)",
        lambda match: match.group(1) + " " * (len(match.group()) - len(match.group(1))),
        text,
    )


def words_only_without_titles(markdown: str) -> str:
    """Prose in which links to other tutorials are blanked, whose text is their title."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match.group()) if ANOTHER.match(match["target"]) else match.group()

    return words_only(LINK.sub(blank, markdown))


def _without_announcements(text: str) -> str:
    """Without headings and the sections that say what will come."""
    for title in ANNOUNCING:
        text = without_section(text, title)
    return HEADING.sub(lambda match: " " * len(match.group()), text)


def _without_longer(text: str, definition: Definition, defined: Sequence[Definition]) -> str:
    """Without longer terms that contain this one: "catastrophic forgetting" is no use of "forgetting"."""
    for other in defined:
        if other.key != definition.key and re.search(rf"(?<!\w){re.escape(definition.key)}(?!\w)", other.key):
            text = re.sub(
                rf"(?<!\w){_flexible(other.key)}s?(?!\w)",
                lambda match: re.sub(r"[^\n]", " ", match.group()),
                text,
                flags=re.IGNORECASE,
            )
    return text


def page(notebooks: Sequence[Notebook]) -> str:
    """The page of terms."""
    links = [f"[{title(notebook)}](../read/{notebook.name}.md)" for notebook in notebooks]
    rows = [
        f"| {definition.term} | {links[definition.tutorial]} | {_in_a_table(definition.sentence)} |"
        for definition in definitions(notebooks)
    ]
    return "\n".join(
        [
            "# Terms",
            "",
            "Every term of the tutorials, in the order in which they come, with the sentence that defines it.",
            "This page is made from the bold words of the tutorials by `python -m tests.tutorials --terms`.",
            "",
            "| term | defined in | definition |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def title(notebook: Notebook) -> str:
    """Number and title of a tutorial."""
    match = HEADING.search(without_code(notebook.markdown))
    return f"{notebook.number} {match['title'] if match else notebook.name}"


def _in_a_table(sentence: str) -> str:
    """A sentence that fits a cell: list and table marks gone, links as text, bars written otherwise."""
    if sentence.startswith("|"):
        sentence = ": ".join(part.strip() for part in sentence.strip("| ").split("|"))
    sentence = re.sub(r"^(?:[-*+]|\d+\.)\s+", "", sentence)
    sentence = LINK.sub(lambda match: match["text"], sentence)
    sentence = MATHS.sub(lambda match: re.sub(r"\\?\|", r"\\vert ", match.group()), sentence)
    return re.sub(r"(?<!\\)\|", r"\|", sentence)
