"""A tutorial's page shows what it said, ran, printed and drew, and folds what is to be guessed or checked."""

from __future__ import annotations

import pytest

from tests.tutorials import executed, notebooks
from tests.tutorials.test_reading import NOTEBOOK
from website import learn
from website.links import Checkout

pytest.importorskip("nbformat")


def printed(text):
    return [{"output_type": "stream", "name": "stdout", "text": text}]


DRAWN = [{"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "<Image>"}, "metadata": {}}]
OUTPUTS = [printed("5\n"), DRAWN, [], printed("6\n")]


def shown(page):
    return [
        (cell.source, tuple(cell.metadata.get("tags", ())), [dict(each) for each in cell.get("outputs", ())])
        for cell in page.cells
    ]


def test_code_is_followed_by_its_output_and_checks_are_folded():
    title, code, opens, checks, closes, *_ = shown(learn.made(NOTEBOOK, OUTPUTS))
    assert title[0].startswith("# A title")
    assert code == ("total = 2 + 3\nprint(total)", (), OUTPUTS[0])
    assert opens[0] == "<details>\n<summary>checked</summary>"
    assert checks[0].startswith("# What it comes to:\nassert total == 5\n")
    assert (checks[2], closes[0]) == ([], "</details>")


def test_a_figure_stands_there_once_for_light_and_once_for_dark_pages():
    cells = shown(learn.made(NOTEBOOK, OUTPUTS))
    (place,) = [index for index, cell in enumerate(cells) if "drawing(" in cell[0]]
    assert cells[place][1:] == (("hide-input",), [])
    picture = cells[place + 1][0]
    assert picture.count("```{image}") == 2
    assert "figures/00-a.png\n:class: only-light\n:alt: Bars & <lines> over here\n:width: 600px\n" in picture
    assert "figures/00-a-dark.png\n:class: only-dark\n" in picture


def test_a_solution_is_one_fold_with_its_code_and_the_readers_cell_is_left_out():
    sources = [source for source, _, _ in shown(learn.made(NOTEBOOK, OUTPUTS))]
    place = sources.index("<details>\n<summary>Solution</summary>\n\nSo.")
    assert sources[place + 1 : place + 4] == [
        "print(total)\nassert total == 5",
        "</details>",
        "## Further reading\n\nA book.",
    ]
    assert not any("Try it here" in source for source in sources)


def test_all_that_is_not_dropped_on_purpose_is_there_in_order():
    cells = shown(learn.made(NOTEBOOK, OUTPUTS))
    text = "\n".join(source for source, _, _ in cells)
    place = 0
    for cell in NOTEBOOK.cells:
        for line in cell.source.splitlines():
            if line.strip() and "Try it here" not in line and line != "</details>":
                place = text.index(line, place) + len(line)
    assert [each for _, _, outputs in cells for each in outputs] == [*OUTPUTS[0], *OUTPUTS[3]]
    assert learn.made(NOTEBOOK, OUTPUTS) == learn.made(NOTEBOOK, OUTPUTS)


def test_a_page_is_written_with_its_pictures_and_a_notebook_to_take_home(tmp_path):
    root, kept, fresh = (tmp_path / name for name in ("checkout", "executed", "fresh"))
    (root / "tutorials" / "pages").mkdir(parents=True)
    for name in ("tutorials/00-small.md", "tutorials/01-other.md", "tutorials/pages/terms.md"):
        (root / name).write_text("# A page\n")
    fresh.mkdir()
    run = ran(NOTEBOOK)
    executed.save(NOTEBOOK, run, kept)
    learn.write(NOTEBOOK, kept, Checkout.of(root), fresh)
    files = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()}
    assert files == {"00-small.ipynb", "notebooks/00-small.ipynb", "figures/00-a.png", "figures/00-a-dark.png"}
    text = (fresh / "00-small.ipynb").read_text()
    assert "{download}`this page as a notebook <notebooks/00-small.ipynb>`" in text
    assert "[another](01-other.ipynb#2-more)" in text
    with pytest.raises(ValueError, match="was not run"):
        learn.write(NOTEBOOK, tmp_path, Checkout.of(root), fresh)


def ran(notebook):
    """A run as if it had been, with outputs of today's cells."""
    import jupytext

    read = jupytext.reads(notebook.text, fmt="md:myst")
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    for cell, outputs in zip(code, OUTPUTS, strict=True):
        cell.outputs = [__import__("nbformat").from_dict(each) for each in outputs]
    return notebooks.Run(0.0, {}, {"00-a": b"light", "00-a-dark": b"dark"}, (), (), read)
