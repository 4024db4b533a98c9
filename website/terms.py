"""Terms in running text: where one is used first."""

from __future__ import annotations

import re


def pieces(text: str, left: dict[str, str]) -> list[tuple[str, str | None]]:
    """A text in parts, each with the term that it is, if any; terms that were found are taken from what is left.

    Longer terms come first: "gradient mask" is no use of "mask". Short ones in capitals, such as ER, are told from
    words by their case.
    """
    found: list[tuple[str, str | None]] = []
    while left:
        match = _pattern(left).search(text)
        if match is None:
            break
        word = match.group(1)
        term = left.pop(_key(word, left))
        found += [(text[: match.start(1)], None), (word, term)]
        text = text[match.end(1) :]
    return [part for part in [*found, (text, None)] if part[0]]


def _key(word: str, left: dict[str, str]) -> str:
    lower = " ".join(word.lower().split())
    return lower if lower in left else lower.removesuffix("s")


def _pattern(left: dict[str, str]) -> re.Pattern[str]:
    words = sorted(left.items(), key=lambda pair: -len(pair[0]))
    each = "|".join(
        re.escape(term).replace(r"\ ", r"\s+") if _exact(term) else f"(?i:{re.escape(key)})".replace(r"\ ", r"\s+")
        for key, term in words
    )
    return re.compile(rf"(?<![\w.-])((?:{each})s?)(?![\w+-])")


def _exact(term: str) -> bool:
    """Whether a term is an abbreviation, of which case is a part."""
    return any(letter.isupper() for letter in term[1:])
