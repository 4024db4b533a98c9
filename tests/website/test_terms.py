"""Terms are found in text, the longest first, once each, and the text stays what it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from website.terms import pieces

TERMS = ("mask", "gradient mask", "ER", "Class-IL", "DER++", "batch", "layer", "dX")
left = {term.lower(): term for term in TERMS}
words = st.sampled_from(
    [*TERMS, *map(str.upper, TERMS), "masks", "her", "layers", "unmask", "batch-norm", " ", ", ", "\n", "."]
)


def found(text: str) -> dict[str, str]:
    return {term: part for part, term in pieces(text, dict(left)) if term}


@given(st.lists(words).map("".join))
def test_nothing_is_lost_and_a_term_is_found_once(text):
    parts = pieces(text, dict(left))
    assert "".join(part for part, _ in parts) == text
    terms = [term for _, term in parts if term]
    assert len(terms) == len(set(terms))
    for part, term in parts:
        if term is not None:
            assert " ".join(part.lower().split()).removesuffix("s") == term.lower()


@given(st.lists(words).map("".join))
def test_what_was_found_is_not_looked_for_again(text):
    remaining = dict(left)
    terms = {term for _, term in pieces(text, remaining) if term}
    assert set(remaining.values()) == set(TERMS) - terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A gradient\nmask and a mask.", {"gradient mask": "gradient\nmask", "mask": "mask"}),
        ("Gradient masks.", {"gradient mask": "Gradient masks"}),
        ("Masks, Layers", {"mask": "Masks", "layer": "Layers"}),
        ("er, Er and der++ are no terms, ER and DER++ are", {"ER": "ER", "DER++": "DER++"}),
        ("unmask, batch-norm, multi-layer, masking, mask_of", {}),
        ("class-il", {}),
        ("", {}),
    ],
)
def test_terms_are_words(text, expected):
    assert found(text) == expected
