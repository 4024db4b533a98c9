"""Every tutorial runs from top to bottom, and its text says what its cells assert."""

from __future__ import annotations

import re

import pytest

from tests.tutorials import executed, figures, formulas, notebooks, numbers, reading, structure, terms

SERIES = notebooks.series()
each = pytest.mark.parametrize("notebook", SERIES, ids=lambda notebook: notebook.name)
#: Everything that is read as Markdown.
PAGES = [notebooks.ROOT / "README.md", *sorted(notebooks.TUTORIALS.rglob("*.md"))]
#: The others train for a quarter of a minute and more.
SHORT = ("01a", "01b", "06")


def test_numbers_of_the_series_have_no_gap_and_no_twins():
    numbers = [notebook.number for notebook in SERIES]
    assert len(set(numbers)) == len(numbers) >= 7
    assert sorted({int(number[:2]) for number in numbers}) == list(range(int(numbers[-1][:2]) + 1))


@pytest.mark.parametrize(
    "notebook",
    [pytest.param(n, id=n.name, marks=() if n.number in SHORT else pytest.mark.slow) for n in SERIES],
)
def test_runs_and_draws_and_prints_what_is_committed(notebook, tmp_path):
    run = notebooks.run(notebook, tmp_path)
    executed.save_where_asked(notebook, run)
    names = {figure.name for figure in figures.drawn(notebook)}
    assert set(run.records) == names
    assert set(run.pictures) == names | {f"{name}-dark" for name in names}
    assert figures.stale(run.records, notebook.number) == []
    assert reading.stale(notebook, run.outputs, run.records) == []
    assert not any(run.errors)


@each
def test_has_the_shape_of_a_tutorial(notebook):
    assert structure.violations(notebook) == []


@each
def test_asserts_every_number_it_states(notebook):
    assert numbers.violations(notebook) == []


@each
def test_figures_are_committed_and_described(notebook):
    assert figures.violations(notebook) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(notebooks.ROOT).as_posix())
def test_formulas_come_through_a_code_host(page):
    assert formulas.broken(page.read_text(encoding="utf-8")) == []


def test_pages_have_the_formulas_that_are_looked_at():
    assert sum(len(formulas.formulas(page.read_text(encoding="utf-8"))) for page in PAGES) >= 400


@each
def test_the_reading_copy_is_made_from_the_tutorial(notebook):
    assert reading.violations(notebook) == []


@pytest.mark.parametrize("path", sorted(notebooks.READ.glob("*.md")), ids=lambda path: path.stem)
def test_links_and_pictures_of_reading_copies_exist(path):
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)|(?:src|srcset)=\"([^\"]+)\"", text)
    here = [target for pair in targets for target in pair if target and "://" not in target]
    assert len(here) >= 5
    assert [target for target in here if not (path.parent / target).exists()] == []


def test_no_figure_and_no_copy_is_left_over():
    assert figures.orphans(SERIES) == []
    assert reading.orphans(SERIES) == []


def test_terms_are_defined_once_and_before_they_are_used():
    assert terms.violations(SERIES) == []
    assert len(terms.definitions(SERIES)) >= 50


def test_page_of_terms_is_the_generated_one():
    assert notebooks.TERMS.read_text(encoding="utf-8") == terms.page(SERIES)
