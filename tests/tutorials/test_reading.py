"""Reading copies say what the tutorials say and print, and what departs from that is found."""

from __future__ import annotations

import pytest

from tests.tutorials import notebooks, reading, structure

MARKDOWN = """
# A title

## 1. Add

See [terms](pages/terms.md), [another](01-other.md#2-more), [a page](https://example.org) and `[x](y.md)`.

```{code-cell} ipython3
total = 2 + 3
print(total)

# What it comes to:
assert total == 5
for one in [total]:
    assert one > 4
```

```{code-cell} ipython3
:tags: [hide-input]
:jupyter: {source_hidden: true}

for figure, theme in drawing("00-a", data={"x": total}, size=(6, 2), alt="Bars & <lines> over here"):
    figure.subplots()
```

## Exercises

### 1. Again

Add.

```{code-cell} ipython3
:tags: [remove-cell]

# Try it here.
```

<details>
<summary>Solution</summary>

So.

</details>

```{code-cell} ipython3
:tags: [hide-cell]
:jupyter: {source_hidden: true}

print(total)
assert total == 5
```

## Further reading

A book.
"""
COPY = """\
<!-- Made from ../00-small.md by `python -m tests.tutorials --write`: change that, not this. -->

# A title

*To run it and to change it, open [its source](../00-small.md) in Jupyter.*

## 1. Add

See [terms](../pages/terms.md), [another](01-other.md#2-more), [a page](https://example.org) and `[x](y.md)`.

```python
total = 2 + 3
print(total)
```

```text
5
```

<details>
<summary>checked</summary>

```python
# What it comes to:
assert total == 5
for one in [total]:
    assert one > 4
```

</details>

<picture>
  <source media="(prefers-color-scheme: dark)" srcset="../figures/00-a-dark.png">
  <img src="../figures/00-a.png" width="600"
       alt="Bars &amp; &lt;lines&gt; over here">
</picture>

## Exercises

### 1. Again

Add.

<details>
<summary>Solution</summary>

So.

```python
print(total)
assert total == 5
```

```text
5
```

</details>

## Further reading

A book.
"""
NOTEBOOK = notebooks.parse("00-small", structure.HEAD + MARKDOWN)
PRINTED = ("5\n", "", "left out", "\n5  \n\n")
RECORDS = {"00-a": {"within": 0.1, "data": {"x": 5}}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "00-small.md").write_text(COPY)
    return tmp_path


def stale(printed, folder, *, before="5", within=0.1, timed=False):
    """What is found when a cell printed something and another text stands in the copy."""
    (folder / "00-small.md").write_text(COPY.replace("```text\n5\n```", f"```text\n{before}\n```", 1))
    tags = {"tags": ("timed",)} if timed else {}
    cells = tuple(
        notebooks.Cell(c.kind, c.source, **tags) if c.source.startswith("total") else c for c in NOTEBOOK.cells
    )
    notebook = notebooks.Notebook(NOTEBOOK.name, NOTEBOOK.text, cells)
    return reading.stale(notebook, (printed, *PRINTED[1:]), {"00-a": {"within": within, "data": {}}}, folder)


def test_the_copy_has_code_output_pictures_and_folds():
    assert reading.page(NOTEBOOK, PRINTED) == COPY


def test_pictures_that_no_cell_draws_are_seen_from_the_copies(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "TUTORIALS", tmp_path)
    shown = notebooks.parse("00-small", f"{structure.HEAD}\n# A title\n\n![A <still> of it](figures/still.png)\n")
    assert reading.page(shown, ()).endswith("\n\n![A <still> of it](../figures/still.png)\n")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "still-dark.png").write_bytes(b"png")
    assert reading.page(shown, ()).endswith(
        """
<picture>
  <source media="(prefers-color-scheme: dark)" srcset="../figures/still-dark.png">
  <img src="../figures/still.png" width="650"
       alt="A &lt;still&gt; of it">
</picture>
"""
    )


def test_words_are_renewed_around_what_was_printed(folder):
    assert reading.page(NOTEBOOK, reading.kept(NOTEBOOK, folder)) == COPY
    other = notebooks.parse("00-small", structure.HEAD + MARKDOWN.replace("Add.", "Add again."))
    assert reading.page(other, reading.kept(other, folder)) == COPY.replace("Add.", "Add again.")
    other = notebooks.parse("00-small", structure.HEAD + MARKDOWN.replace("2 + 3", "2 + 4"))
    with pytest.raises(ValueError, match=r"its code is not that of the copy; renew it with .* --write 00"):
        reading.kept(other, folder)


@pytest.mark.parametrize(
    ("source", "shown", "checks"),
    [
        ("x = 1\nassert x", "x = 1", "assert x"),
        ("x = 1", "x = 1", ""),
        ("assert x\n\nassert y", "", "assert x\n\nassert y"),
        ("x = 1\nassert x\ny = 2", "x = 1\nassert x\ny = 2", ""),
        (
            "x = 1\n# One.\nnp.testing.assert_allclose(\n    x, 1)",
            "x = 1",
            "# One.\nnp.testing.assert_allclose(\n    x, 1)",
        ),
        ("for x in y:\n    print(x)\n    assert x", "for x in y:\n    print(x)\n    assert x", ""),
    ],
)
def test_what_is_only_checked_at_the_end_is_folded(source, shown, checks):
    assert reading.parts(source) == (shown, checks)


def test_a_fresh_copy_is_fine(folder):
    assert reading.violations(NOTEBOOK, folder) == []
    assert reading.stale(NOTEBOOK, PRINTED, RECORDS, folder) == []
    assert reading.orphans([NOTEBOOK], folder) == []


@pytest.mark.parametrize(
    ("before", "after"), [("Add.", "Add!"), ("2 + 3", "2 + 4"), ("over here", "there"), ("So.", "")]
)
def test_a_copy_of_another_text_is_found(before, after, folder):
    (folder / "00-small.md").write_text(COPY.replace(before, after))
    (line,) = reading.violations(NOTEBOOK, folder)
    assert line.startswith("00-small: read/00-small.md is not made from the source")
    assert reading.stale(NOTEBOOK, PRINTED, RECORDS, folder) == [line]


def test_a_copy_that_is_missing_or_left_over_is_found(folder):
    (folder / "00-small.md").rename(folder / "00-old.md")
    assert "not committed" in reading.violations(NOTEBOOK, folder)[0]
    assert reading.orphans([NOTEBOOK], folder) == ["read/00-old.md is a copy of no tutorial"]


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("x 0.85 y", "x 0.90 y"),
        ("[  1. 20.]", "[1.  20. ]"),
        ("89.2 %", "80.1 %"),
        ("-0.05", "0.02"),
        ("1,437 and 1e-12", "1,437 and 3e-13"),
        ("a\n-----\nb", "a\n-------\nb"),
        ("nan", "nan"),
    ],
)
def test_numbers_may_differ_as_far_as_figures_may(now, before, folder):
    assert stale(now, folder, before=before) == []


@pytest.mark.parametrize(
    ("now", "before", "within"),
    [
        ("x 0.75 y", "x 0.90 y", 0.1),
        ("75 %", "92 %", 0.1),
        ("1,437", "1,737", 0.1),
        ("5.001", "5", 0.0),
        ("five", "six", 0.1),
        ("5 6", "5", 0.1),
        ("nan", "5", 0.1),
    ],
)
def test_what_was_printed_otherwise_is_found(now, before, within, folder):
    (line,) = stale(now, folder, before=before, within=within)
    assert "in the copy" in line
    assert line.endswith("--write 00")


def test_an_output_that_came_or_went_is_found(folder):
    assert "1 outputs, 2 in the copy" in stale("", folder)[0]


def test_times_are_not_compared_and_words_beside_them_are(folder):
    assert stale("took 9 s", folder, before="took 99 s", timed=True) == []
    assert stale("took 9 m", folder, before="took 9 s", timed=True)
