"""Text for people: columns that fit, lines that are broken, words that were nearly right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.text import columns, did_you_mean, folded, shortened, terminal_width

WORD = st.text("abc-1", min_size=1, max_size=8)


def test_a_table_that_is_too_wide_becomes_several_with_the_same_keys():
    table = columns(("name", "one", "two", "three"), [("a", "1", "2", "3"), ("b", "4", "5", "6")], width=11)
    assert (
        table
        == "name  one\na       1\nb       4\n\nname  two\na       2\nb       5\n\nname  three\na         3\nb         6"
    )


@given(st.data(), st.integers(2, 6), st.integers(0, 2), st.integers(8, 60))
def test_all_cells_are_shown_once_whatever_the_width(data, count, left, width):
    header, *rows = data.draw(st.lists(st.tuples(*[WORD] * count), min_size=2, max_size=4))
    tables = [table.split("\n") for table in columns(header, rows, left=left, width=width).split("\n\n")]
    keys = max(left, 1)
    for number, row in enumerate([header, *rows]):
        words = [table[number].split() for table in tables]
        assert [list(row[:keys])] * len(tables) == [found[:keys] for found in words]
        assert [word for found in words for word in found[keys:]] == list(row[keys:])
    for table in tables:
        # A column that does not fit beside the keys is shown all the same.
        assert max(map(len, table)) <= width or len(table[0].split()) <= keys + 1


@given(st.lists(st.text("ab c", max_size=60), max_size=4).map("\n".join), st.integers(8, 40))
def test_folding_breaks_lines_at_blanks_only(text, width):
    lines = folded(text, width).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert all(len(line) <= width or " " not in line.strip() for line in lines)


@given(st.text(max_size=300), st.integers(20, 100))
def test_a_shortened_message_is_no_longer_than_allowed(message, most):
    short = shortened(message, most)
    assert len(short) <= most
    assert short == message or (message.startswith(short[:10]) and message.endswith(short[-3:]))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("derp", "derpp"),
        ("DER", "der"),
        ("fashion_mnist", "fashion-mnist"),
        ("sdg", "sgd"),
        ("gdumb", None),
        ("", None),
    ],
)
def test_only_what_is_near_is_suggested(word, meant):
    hint = did_you_mean(word, ["sgd", "der", "derpp", "mnist", "fashion-mnist"])
    assert hint == ("" if meant is None else f"; did you mean {meant!r}?")


def test_the_width_is_what_columns_says_and_no_limit_for_a_file(monkeypatch):
    monkeypatch.setenv("COLUMNS", "63")
    assert terminal_width() == 63
