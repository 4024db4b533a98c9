"""The checks of the tutorials find what is wrong in small ones made for it."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import pytest
from nbclient.exceptions import CellExecutionError

from tests.tutorials import figures, formulas, notebooks, numbers, prose, structure, terms

SENTENCE = "One plain sentence follows another until the text is long enough to count. "
SOLUTION = """
```{code-cell} ipython3
:tags: [remove-cell]

# Here.
```

<details>
<summary>Solution</summary>

Like this.

</details>

```{code-cell} ipython3
:tags: [hide-cell]
:jupyter: {source_hidden: true}

assert total == 5
```

"""
GOOD = f"""\
{structure.HEAD}
# A small tutorial

How much are two and three? Guess first.

![Five dots in a row](figures/00-a.png)

## What you'll do

Add.

## What you'll learn

A sum.

## What you'll need

Nothing.

## 1. Add

The sum of two and three is 5. {SENTENCE * 80}

```{{code-cell}} ipython3
total = 2 + 3
assert total == 5
```

## Exercises

### 1. Again

Add.
{SOLUTION}
### 2. And again

Add more.
{SOLUTION}
## Further reading

A book of 1976 with 300 pages.
"""


def small(markdown: str, code: str = "", name: str = "00-small") -> notebooks.Notebook:
    cell = f"\n\n```{{code-cell}} ipython3\n{code}\n```\n" if code else ""
    return notebooks.parse(name, structure.HEAD + "\n" + markdown + cell)


def unasserted(markdown: str, code: str = "") -> list[str]:
    return [line.split(" is in no assert")[0].split()[-1] for line in numbers.violations(small(markdown, code))]


# --- running ----------------------------------------------------------------------------------------------------------


def test_a_run_keeps_figures_with_their_data(tmp_path):
    code = (
        "from sparcl_ref.report.notebook import drawing\n"
        "print('one')\n"
        "for figure, theme in drawing('00-line', data={'y': [1, 2]}):\n"
        "    figure.subplots().plot([1, 2])"
    )
    run = notebooks.run(small("Text.", code), tmp_path)
    assert run.records == {"00-line": {"within": 0.0, "data": {"y": [1, 2]}}}
    assert sorted(run.pictures) == ["00-line", "00-line-dark"]
    assert all(picture.startswith(b"\x89PNG") for picture in run.pictures.values())
    assert run.outputs == ("one\n",)
    assert run.errors == ("",)
    assert {path.name for path in (tmp_path / "work").iterdir()} == set(notebooks.BESIDE)
    assert all(path.samefile(notebooks.TUTORIALS / path.name) for path in (tmp_path / "work").iterdir())
    assert run.seconds > 0


def test_a_run_keeps_what_cells_print(tmp_path):
    code = "import sys\nprint('\\x1b[1mbold\\x1b[0m')\nprint('alas', file=sys.stderr)\n[1, 2]"
    read = notebooks.parse("00-small", f"{small('Text.', code).text}\n```{{code-cell}} ipython3\nx = 1\n```\n")
    run = notebooks.run(read, tmp_path)
    assert run.outputs == ("bold\n[1, 2]\n", "")
    assert run.errors == ("alas\n", "")


@pytest.mark.parametrize("code", ["assert 2 + 2 == 5", "import nothing_of_that_name", "1 / 0"])
def test_a_broken_cell_fails_the_run(code, tmp_path):
    with pytest.raises(CellExecutionError):
        notebooks.run(small("Text.", f"x = 1\n{code}"), tmp_path)


def test_a_run_uses_this_interpreter_in_a_folder_of_its_own(tmp_path):
    work = (tmp_path / "work").resolve()
    code = (
        "import os, sys\n"
        "from ipykernel.connect import get_connection_file\n"
        f"assert sys.executable == {sys.executable!r}\n"
        f"assert os.getcwd() == {str(work)!r}\n"
        "assert os.environ['OMP_NUM_THREADS'] == os.environ['NUMBA_NUM_THREADS'] == '1'\n"
        f"assert os.path.samefile(get_connection_file(), {str(tmp_path / 'kernel.json')!r})"
    )
    notebooks.run(small("Text.", code), tmp_path)


def test_tutorials_are_chosen_by_number():
    two = [small("# A", name="00-a"), small("# B", name="01-b")]
    assert notebooks.selected(two, []) == two
    assert notebooks.selected(two, ["1"]) == notebooks.selected(two, ["01"]) == two[1:]
    with pytest.raises(ValueError, match="no tutorial 07; there are 00, 01"):
        notebooks.selected(two, ["7"])


def test_parts_of_a_tutorial_have_letters(tmp_path):
    for name in ("10-d", "01b-c", "01a-b", "00-a", "2-e", "notes"):
        (tmp_path / f"{name}.md").write_text("")
    assert [path.stem for path in notebooks.paths(tmp_path)] == ["00-a", "01a-b", "01b-c", "10-d"]
    parts = [small("# A", name=path.stem) for path in notebooks.paths(tmp_path)]
    assert [part.number for part in parts] == ["00", "01a", "01b", "10"]
    assert notebooks.selected(parts, ["1b"]) == notebooks.selected(parts, ["01b"]) == parts[2:3]
    assert notebooks.selected(parts, ["1"]) == parts[1:3]
    with pytest.raises(ValueError, match="no tutorial 01c; there are 00, 01a, 01b, 10"):
        notebooks.selected(parts, ["1c"])


# --- prose ------------------------------------------------------------------------------------------------------------


def test_sentences_end_where_they_end():
    text = "One. `a.b` is two, e.g. three. See [it](a.md).\n\n- An item with $x. Y$ inside.\n- Another\n  one.\n1. Last"
    found = [sentence for _, sentence in prose.sentences(text)]
    assert found == [
        "One.",
        "`a.b` is two, e.g. three.",
        "See [it](a.md).",
        "- An item with $x. Y$ inside.",
        "- Another one.",
        "1. Last",
    ]
    assert all(text[place:].startswith(sentence[:3]) for place, sentence in prose.sentences(text))


def test_words_are_those_of_prose():
    text = (
        "Two words `and code` $x$.\n\n```text\nnot this\n```\n\n![nor this](a.png) [but this](b.md) don't\n\n$$\na\n$$"
    )
    assert prose.count_words(text) == len(["Two", "words", "but", "this", "don't"])


def test_blanking_keeps_every_place():
    text = "a `b` $c$ d\n```text\ne\n```\n![f](g) [h](i) <b>"
    assert len(prose.words_only(text)) == len(text)
    assert prose.words_only(text).split() == ["a", "d", "f", "h"]


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "written"),
    [
        ("It has 1,797 images.", ["1,797"]),
        ("From 0.5 to .75, or 1e-5.", ["0.5", ".75", "1e-5"]),
        ("An 8x8 image, a 3 by 4 one, 23x cheaper and 95% right.", ["8", "8", "3", "4", "23", "95"]),
        ("Negative: -7, range 5-6 and (30).", ["7", "5", "6", "30"]),
        ("![A grid of 12 images](figures/00-a.png)", ["12"]),
        ("| a | 4 |\n| --- | --- |\n| b | 6 |", ["4", "6"]),
        ("It costs 2,048 bytes, or 2048 of them, or 2000%.", ["2,048", "2000"]),
        ("1. An item of 9.", ["9"]),
        ("See table 3 with 14 rows.", ["14"]),
        ("Equation 1 has 3 terms.", ["3"]),
    ],
)
def test_numbers_of_prose_are_found(markdown, written):
    assert [number for number, _, _ in numbers.numbers_in_prose(markdown)] == written


@pytest.mark.parametrize(
    "markdown",
    [
        "## 3. A step",
        "Equations 1 and 3, eq. (2), Algorithm 1, step 4, tutorial 02, Exercise 2.",
        "The paper of 2022, on CIFAR-10 with ResNet-18 in float32.",
        "`x = 5` and $y = 6$ and\n\n$$z = 7$$",
        "```text\n8\n```",
        "[nine](https://example.org/9)",
        "A 2D array in Python 3.11.",
        "Read 01, 02 and 06.",
        "## Further reading\n\nPages 1 to 300.",
    ],
)
def test_what_is_no_statement_is_exempt(markdown):
    assert numbers.numbers_in_prose(markdown) == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("assert n == 12", {"12"}),
        ("assert 0.85 < x < 1.5, 'not 7'", {"0.85", "1.5"}),
        ("assert x == -3 and y", {"3"}),
        ("assert f'{x:.1f}' == '13.9'", {"13.9"}),
        ("np.testing.assert_allclose(x, 2.5, rtol=3)", {"2.5"}),
        ("assert x == 2_000", {"2000"}),
        ("assert 4 == 4", set()),
        ("x = 9", set()),
        ("assert x is True", set()),
    ],
)
def test_only_what_is_asserted_counts(condition, expected):
    found = numbers.asserted_numbers([condition])
    # The width of a format is no number of the text.
    assert {number for number in found if number != Decimal(".1")} == {Decimal(text) for text in expected}


def test_a_wrong_number_is_found():
    code = "n = 1797\nassert n == 1797"
    assert unasserted("It has 1,797 images.", code) == []
    assert unasserted("It has 1,798 images.", code) == ["1,798"]


def test_percent_stands_for_hundredths_in_a_sentence_about_percent():
    code = "accuracy = .9\nassert 0.85 < accuracy < 0.95"
    assert unasserted("Between 85 and 95 percent.", code) == []
    assert unasserted("Between 85 and 95 images. Many percent.", code) == ["85", "95"]


# --- structure --------------------------------------------------------------------------------------------------------


def test_a_good_tutorial_has_nothing_wrong():
    assert structure.violations(notebooks.parse("00-good", GOOD)) == []


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("format_name: myst", "format_name: myst\n    version: 1", "front matter"),
        ("# A small tutorial\n", "Text.\n\n# A small tutorial\n", "must begin with the title"),
        ("# A small tutorial\n", "# A small tutorial\n\n# Another\n", "expected one title"),
        ("## What you'll learn\n", "", "sections must be"),
        ("## 1. Add", "## 2. Add", "sections must be"),
        ("## 1. Add", "## Add", "sections must be"),
        ("## Further reading", "## See also", "sections must be"),
        (SENTENCE * 80, SENTENCE, "words of prose"),
        (SENTENCE * 80, SENTENCE * 240, "words of prose"),
        (SOLUTION, "", "0 solutions"),
        (":tags: [hide-cell]\n", "", "needs :tags: [hide-cell]"),
        (":jupyter: {source_hidden: true}\n", "", "source_hidden: true"),
        ("true}\n\nassert total == 5", "true}\n\nprint(total)", "with an assert"),
        ("</details>\n", "", "one Markdown cell"),
        ("Like this.", "", "says something in words"),
        ("[remove-cell]", "[hide-output]", "empty code cell for the reader"),
        ("# Here.", "assert total == 5", "empty code cell for the reader"),
        ("One plain sentence", "<details>\n\n</details>\n\nOne plain sentence", "outside the exercises"),
        ("total = 2 + 3", f"total = {'2 + ' * 20}3 - 40", "code of 94 columns"),
        ("### 2. And", "### 3. And", "has a heading"),
        ("### 1. Again", "**1. Again.**", "has a heading"),
        ("### 1. Again", "### Again", "has a heading"),
        ("### 1. Again", "### 1.", "has a heading"),
        ("### 2. And", "### Open questions\n\n### 2. And", "has a heading"),
        ("<summary>Solution</summary>", "", "one Markdown cell"),
        ("A book of 1976 with 300 pages.", "", "nothing to read"),
        ("The sum", "```python\nx = 1\n```\n\nThe sum", "Python that is not run"),
        ("The sum", "```{note}\nx\n```\n\nThe sum", "MyST directives"),
        ("The sum", "The — sum", "em dash"),
        ("The sum", r"The sum $a\,b$", "needs a letter"),
        ("total = 2 + 3", "total = total._sum", "private name ._sum"),
        ("total = 2 + 3", "from sparcl_ref.masks import _kept", "private name _kept"),
        ("total = 2 + 3", "import sparcl_ref._inner", "private module"),
        ("total = 2 + 3", "from tests.tiny import tiny", "import of tests.tiny"),
        ("total = 2 + 3", "import torch", "import of torch, which is not installed with the package; say under"),
        ("total = 2 + 3", "import results", "import of results"),
    ],
)
def test_what_is_out_of_place_is_found(before, after, message):
    assert before in GOOD
    found = structure.violations(notebooks.parse("00-bad", GOOD.replace(before, after)))
    assert any(message in line for line in found), found


def test_a_tutorial_may_import_what_stands_beside_it_and_the_extra_that_it_names():
    beside = GOOD.replace("total = 2 + 3", "import port")
    assert structure.violations(notebooks.parse("00-good", beside)) == []
    wanting = GOOD.replace("total = 2 + 3", "import torch")
    assert len(structure.violations(notebooks.parse("00-good", wanting))) == 1
    saying = wanting.replace("## What you'll need\n", "## What you'll need\n\nInstall `.[test]`.\n")
    assert saying != wanting
    assert structure.violations(notebooks.parse("00-good", saying)) == []


@pytest.mark.parametrize(
    ("opening", "found"),
    [
        ("Why so? Guess first.\n\n![Two bars, one higher](figures/00-a.png)", []),
        ("Why so?\n\n![Two bars, one higher](figures/00-a.png)", ["something to guess"]),
        ("Why so? Guess first.", ["a picture"]),
        ("*Guess first.*\n\n![Two bars, one higher](figures/00-a.png)", ["a question"]),
        ("A sentence.", ["a question", "a picture", "something to guess"]),
    ],
)
def test_an_opening_asks_shows_and_lets_guess(opening, found):
    title = "# A small tutorial\n"
    assert title in GOOD
    start, end = GOOD.index(title) + len(title), GOOD.index("## What you'll do")
    lines = structure.violations(notebooks.parse("00-good", f"{GOOD[:start]}\n{opening}\n\n{GOOD[end:]}"))
    assert [line.split("has not ")[1] for line in lines] == found


def test_questions_without_solutions_may_follow_the_exercises():
    text = GOOD.replace("## Further reading", "### Open questions\n\n- Why?\n\n## Further reading")
    assert structure.violations(notebooks.parse("00-good", text)) == []


@pytest.mark.parametrize(
    ("folded", "sight", "found"),
    [
        ("first = 1", "print(first)", ["first"]),
        ("import re\ndef f(x):\n    return x", "f(re)", ["f", "re"]),
        ("first = 1", "first = 2\nprint(first)", []),
        ("first = 1", "print(second)", []),
    ],
)
def test_names_that_only_folded_cells_define_are_found(folded, sight, found):
    cells = [notebooks.Cell("code", folded, hidden=True), notebooks.Cell("code", sight)]
    lines = structure.drawn_only(notebooks.Notebook("00-small", "", tuple(cells)))
    assert [line.split(" is defined")[0] for line in lines] == found


@pytest.mark.parametrize(
    "markdown",
    [
        r"$\alpha \cdot x$ and \$5 or `$\,$` and 50\% of it",
        "$$\n\\lbrace a \\rbrace \\le \\frac{1}{2}\n$$",
        "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n$$",
        "~~~text\n$\\,$\n~~~",
    ],
)
def test_mathematics_that_a_code_host_shows_is_fine(markdown):
    assert structure.mathematics(markdown) == []


@pytest.mark.parametrize(
    ("markdown", "found"),
    [
        (r"A thin space $a\,b$.", [r"\,"]),
        (r"Braces $\{a\}$.", [r"\{", r"\}"]),
        ("$$\na \\; b\n$$", [r"\;"]),
        (r"$7\%$, $a\_b$ and $a\!b$", [r"\%", r"\_", r"\!"]),
        ("$$\na \\\\ b\n$$", [r"\\"]),
        ("$$\n\\begin{aligned}\na \\, b \\\\\nc\n\\end{aligned}\n$$", [r"\,"]),
        ("$a\\\nb$", ["\\\n"]),
    ],
)
def test_backslashes_that_a_code_host_drops_are_found(markdown, found):
    lines = structure.mathematics(markdown)
    assert [line.split(" in mathematics")[0] for line in lines] == found


# --- figures ----------------------------------------------------------------------------------------------------------

ALT = "Two bars, the second the higher one"
DRAWS = (
    f"for figure, theme in drawing('00-a', data={{'x': [1, 2.5]}}, within=0.1, size=(6.5, 3), alt='{ALT}'):\n    pass"
)
HIDDEN = ":tags: [hide-input]\n:jupyter: {source_hidden: true}\n"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    for name in ("00-a.png", "00-a-dark.png", "still.png"):
        (folder / name).write_bytes(b"png")
    (folder / "00-a.json").write_text('{"within": 0.1, "data": {"x": [1, 2.5], "name": "n"}}')
    return folder


def drawing_then(markdown: str = "Text.", code: str = DRAWS, options: str = HIDDEN) -> notebooks.Notebook:
    cell = f"```{{code-cell}} ipython3\n{options}\n{code}\n```"
    return notebooks.parse("00-small", f"{structure.HEAD}\n{cell}\n\n{markdown}\n")


def test_a_committed_and_described_figure_is_fine(folder):
    assert figures.violations(drawing_then(), folder) == []
    (folder / "still.png").unlink()
    assert figures.orphans([drawing_then()], folder) == []


def test_a_picture_that_no_cell_draws_may_be_shown(folder):
    notebook = drawing_then(f"![{ALT}](figures/still.png)")
    (folder / "still-dark.png").write_bytes(b"png")
    assert figures.violations(notebook, folder) == []
    assert figures.orphans([notebook], folder) == []
    assert len(figures.orphans([drawing_then()], folder)) == 2


def test_figures_belong_to_the_text_in_words():
    assert drawing_then().markdown == f"![{ALT}](figures/00-a.png)\n\nText."
    assert unasserted("Text.", DRAWS.replace("Two", "3")) == ["3"]


@pytest.mark.parametrize(
    ("markdown", "code", "message"),
    [
        (f"![{ALT}](figures/00-a.png)", DRAWS, "shown by the cells that draw them"),
        ("Text.", DRAWS.replace(ALT, "Bars"), "needs alt"),
        ("Text.", DRAWS.replace(ALT, "Bars between the numbers [0, 1]"), "needs alt"),
        ("Text.", DRAWS.replace(f"alt='{ALT}'", "within=0.1"), "needs alt"),
        ("Text.", DRAWS.replace("6.5", "7"), "7.0 inches wide"),
        ("Text.", DRAWS.replace("00-a", "00-b"), "00-b.png is not committed"),
        ("Text.", DRAWS.replace("00-a", "00-b"), "00-b-dark.png is not committed"),
        ("Text.", DRAWS.replace("00-a", "01-a"), "begins with 00-"),
        ("Text.", DRAWS.replace("'00-a'", "name"), "written out"),
        ("Text.", f"{DRAWS}\n{DRAWS}", "drawn twice"),
        ("[gone](gone.md)", DRAWS, "link to gone.md"),
        (f"![{ALT}](figures/gone.png)", DRAWS, "image figures/gone.png, which does not exist"),
        ("![Bars](figures/still.png)", DRAWS, "image figures/still.png needs a description"),
    ],
)
def test_what_is_wrong_with_a_figure_is_found(markdown, code, message, folder):
    found = figures.violations(drawing_then(markdown, code), folder)
    assert any(message in line for line in found), found


@pytest.mark.parametrize("options", ["", ":tags: [hide-input]\n", ":jupyter: {source_hidden: true}\n"])
def test_drawing_code_that_is_not_folded_everywhere_is_found(options, folder):
    assert "a cell that draws needs" in figures.violations(drawing_then(options=options), folder)[0]


def test_large_files_and_orphans_are_found(folder):
    (folder / "00-a-dark.png").write_bytes(bytes(figures.PICTURE_BYTES + 1))
    (folder / "still.png").rename(folder / "00-old.json")
    (folder / "explorer.png").write_bytes(b"a still")
    assert any("is the most" in line for line in figures.violations(drawing_then(), folder))
    assert figures.orphans([drawing_then()], folder) == ["figures/00-old.json belongs to no tutorial"]


@pytest.mark.parametrize(
    ("data", "good"),
    [
        ({"x": [1, 2.5], "name": "n"}, True),
        ({"x": [1, 2.59], "name": "n"}, True),
        ({"x": [1, 2.41], "name": "n"}, True),
        ({"x": [1, 2.61], "name": "n"}, False),
        ({"x": [2, 2.5], "name": "n"}, False),
        ({"x": [1, 2.5, 3], "name": "n"}, False),
        ({"x": [1, None], "name": "n"}, False),
        ({"x": [True, 2.5], "name": "n"}, False),
        ({"x": [1, 2.5], "name": "m"}, False),
        ({"x": [1, 2.5]}, False),
    ],
)
def test_data_that_depart_are_found(data, good, folder):
    found = figures.stale({"00-a": {"within": 0.1, "data": data}}, "00", folder)
    assert (found == []) == good, found


def test_without_tolerance_only_rounding_may_differ(folder):
    (folder / "00-a.json").write_text(json.dumps({"within": 0.0, "data": {"x": 2.0, "n": 200_000}}))

    def now(x, n):
        return figures.stale({"00-a": {"within": 0.0, "data": {"x": x, "n": n}}}, "00", folder)

    assert now(2.000001, 200_000) == []
    assert now(2.001, 200_000)
    assert now(2.0, 200_001)


def test_figures_that_are_missing_new_or_of_another_tolerance_are_found(folder):
    record = {"within": 0.1, "data": {"x": [1, 2.5], "name": "n"}}
    assert figures.stale({}, "00", folder) == ["00-a.json is committed, but was not drawn"]
    assert figures.stale({}, "01", folder) == []
    assert "not committed" in figures.stale({"00-a": record, "00-b": record}, "00", folder)[0]
    assert "tolerance 0.2" in figures.stale({"00-a": {**record, "within": 0.2}}, "00", folder)[0]


# --- formulas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "markdown",
    [
        "$a_{i} * b_{j} * c$ and $a < b$, `$x_{i}_{j}$`.",
        "$$\n\\bar{x}_ {i}\n= y_ {j} + z\n$$",
        "$$\na +\nb\n$$",
        "```text\n$$\n+ a\n$$\n```",
    ],
)
def test_formulas_that_survive_are_fine(markdown):
    assert formulas.broken(markdown) == []


@pytest.mark.parametrize(
    ("markdown", "lost"),
    [
        ("$$\na\n+ b\n$$", "$$\na\n+ b\n$$"),
        ("$$\na\n- b\n$$", "$$\na\n- b\n$$"),
        ("$$\na\n> b\n$$", "$$\na\n> b\n$$"),
        ("$$\\bar{x}_{i} = \\bar{y}_{j}$$", "$$\\bar{x}_{i} = \\bar{y}_{j}$$"),
        ("$$a$$\n\n$$\\bar{x}_{i} = \\bar{y}_{j}$$", "$$\\bar{x}_{i} = \\bar{y}_{j}$$"),
        ("$f(x) *y$ and $2* z$", "$f(x) *y$"),
        ("$$\na + b\n$$\n\n$$\na\n+ b\n$$", "$$\na\n+ b\n$$"),
        ("$a (www.example.org)$", "$a (www.example.org)$"),
    ],
)
def test_formulas_that_are_torn_are_found(markdown, lost):
    assert lost in formulas.broken(markdown)


# --- terms ------------------------------------------------------------------------------------------------------------


def of_terms(*texts: str) -> list[str]:
    return terms.violations([small(f"# Title\n\n{text}", name=f"0{index}-t") for index, text in enumerate(texts)])


@pytest.mark.parametrize(
    "texts",
    [
        ("A **task** is a part. A task ends.", "Tasks again."),
        ("A **batch** is many.", "A **batch size** counts a batch."),
        ("**Catastrophic forgetting** is bad. Catastrophic forgetting hurts.", "**Forgetting** is a number."),
        ("A **DGM** (dynamic gradient masking) acts.", "A **gradient** is a slope."),
        ("Read [On gradients](01-t.md).", "A **gradient** is a slope."),
        ("`gradient` and $gradient$.", "A **gradient** is a slope."),
        ("## What you'll learn\n\nWhat a task is.\n\n## 1. The task\n\nA **task** is a part.",),
        ("Multitasking.", "A **task** is a part."),
        ("## Further reading\n\nOn gradients.", "A **gradient** is a slope."),
    ],
)
def test_terms_in_order_are_fine(texts):
    assert of_terms(*texts) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("A **task** is a part. A **Task** is more.",), "'Task' was defined before, in 00-t"),
        (("A **task** is.", "A **task** was."), "01-t: 'task' was defined before, in 00-t"),
        (("The task ends. A **task** is a part.",), "'task' is used before 00-t defines it"),
        (("All Tasks end.", "A **task** is a part."), "00-t: 'task' is used before 01-t"),
        (("## What you'll learn\n\nA task.", "A **task** is a part."), "00-t: 'task' is used before"),
        (("## The task", "A **task** is a part."), "00-t: 'task' is used before"),
        (("A gradient\ncheck.", "A **gradient check** compares."), "'gradient check' is used before"),
        (("Forgetting is catastrophic.", "**Forgetting** is a number."), "'Forgetting' is used before"),
    ],
)
def test_terms_out_of_order_are_found(texts, message):
    found = of_terms(*texts)
    assert any(message in line for line in found), found


def test_the_page_gives_the_defining_sentence():
    first = small("# One\n\nBefore. A **task** is a [part](x.md) with $|w|$ or `a|b`. After.", name="00-one")
    second = small("# Two\n\n- **ER**: replay.\n\n| a | b |\n| --- | --- |\n| **DER** | logits |", name="01-two")
    rows = terms.page([first, second]).splitlines()[-3:]
    assert rows == [
        r"| task | [00 One](../read/00-one.md) | A **task** is a part with $\vert w\vert $ or `a\|b`. |",
        "| ER | [01 Two](../read/01-two.md) | **ER**: replay. |",
        "| DER | [01 Two](../read/01-two.md) | **DER**: logits |",
    ]


def test_the_page_says_what_a_defining_sentence_points_back_to():
    texts = ("Cut it. Such a piece is a **stage**.", "Cut it.\n\nThat is a **cut**.", "## Cut\nThis is a **part**.")
    found = [terms.definitions([small(text)])[0].sentence for text in texts]
    assert found == ["Cut it. Such a piece is a **stage**.", "That is a **cut**.", "This is a **part**."]
