"""The workbook asks for what can be graded, its solutions are right, and learners' mistakes are named."""

from __future__ import annotations

import re
import runpy
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl import tdm_actions
from sparcl_ref.verify.areas import functions
from sparcl_ref.workbook import EXERCISES, Workbook, settings, train
from sparcl_ref.workbook.progress import Graded
from tests.tutorials import notebooks, structure
from tests.tutorials.notebooks import TUTORIALS, Notebook, parse
from tests.tutorials.prose import CODE, FENCE, HEADING, LINK, MATHS, blanked, sentences, without_code, words_only
from tests.tutorials.workbook import SOLUTIONS, WORKBOOK, filled, shown, solutions, stubs, workbook
from tests.tutorials.wrong_answers import WRONG
from tests.workbook.few import few_digits

NAMES = [exercise.function for exercise in EXERCISES]
STUBS = stubs(workbook())
each = pytest.mark.parametrize("place", range(len(STUBS)), ids=lambda place: f"{place + 1}-{STUBS[place].name}")
#: Where the exercises end and the training begins.
TRAINING = "job = work.train()"


#: How links to steps begin.
STEP = r"0\d[a-z]?, step"


def answered() -> Notebook:
    """The workbook with the solutions typed in."""
    answers = solutions(NAMES, SOLUTIONS.read_text(encoding="utf-8"))
    return parse(WORKBOOK.stem, filled(WORKBOOK.read_text(encoding="utf-8"), answers))


def before_training(notebook: Notebook) -> Notebook:
    sources = [cell.source for cell in notebook.cells]
    return Notebook(notebook.name, notebook.text, notebook.cells[: sources.index(TRAINING)])


def grades(notebook: Notebook) -> list[Graded]:
    return [value for _, value in shown(before_training(notebook)) if isinstance(value, Graded)]


@cache
def solved() -> dict[str, Any]:
    """The solutions by name."""
    return runpy.run_path(str(SOLUTIONS))


@cache
def anchors(name: str) -> set[str]:
    """Where links into a page may go, as a code host makes them of headings."""
    text = (TUTORIALS / name).read_text(encoding="utf-8")
    titles = [match["title"] for match in HEADING.finditer(without_code(text))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- the workbook


def test_exercises_are_those_that_are_counted_in_their_order():
    assert [stub.name for stub in STUBS] == NAMES
    titles = re.findall(r"^### (\d+)\. `(\w+)`", workbook().markdown, re.MULTILINE)
    assert titles == [(str(number), name) for number, name in enumerate(NAMES, start=1)]


@each
def test_a_stub_takes_what_the_protocol_gives_and_is_checked_in_its_cell(place):
    stub, exercise = STUBS[place], EXERCISES[place]
    known = [argument.name for argument in functions()[stub.name].arguments]
    assert [name for name in known if name in stub.arguments] == stub.arguments
    assert set(exercise.takes) <= set(stub.arguments)
    assert stub.cell.source.endswith(f"\n\n\ncheck({stub.name})")


@each
def test_an_exercise_is_introduced_briefly_with_a_link_to_its_step(place):
    text = STUBS[place].text.partition("<details>")[0]
    text = text[text.index("### ") :].partition("\n")[2]
    told = [sentence for _, sentence in sentences(words_only(text)) if not re.match(rf"\(\s*{STEP}|\W*$", sentence)]
    assert 2 <= len(told) <= 6, told
    (link, *_) = [match for match in LINK.finditer(text) if re.match(rf"{STEP}\s\d+$", match["text"])]
    page, _, anchor = link["target"].partition("#")
    assert anchor in anchors(page)
    assert re.match(rf"{page.split('-')[0]}, step\s{anchor.split('-')[0]}$", link["text"])


def test_it_has_the_form_of_a_notebook_that_a_code_host_shows():
    notebook = workbook()
    assert notebook.text.startswith(structure.HEAD)
    assert notebook.markdown.startswith("# SparCL from scratch")
    assert structure.mathematics(notebook.markdown) == structure.public_only(notebook) == []
    assert not re.search(r"^(```+|:::+)\s*\{", notebook.markdown, re.MULTILINE)
    assert "—" not in notebook.text
    assert max(map(len, "\n".join(notebook.code).splitlines())) <= 88
    assert max(map(len, SOLUTIONS.read_text(encoding="utf-8").splitlines())) <= 120


def test_its_formulas_stand_as_a_code_host_leaves_them():
    """Markdown takes a line that begins like a list for one, and what follows `}_{` for emphasis."""
    for formula in MATHS.finditer(blanked(CODE, blanked(FENCE, workbook().markdown))):
        assert not re.search(r"^\s*([-+*>]|\d+\.)\s", formula.group(), re.MULTILINE), formula.group()
        assert "}_{" not in formula.group(), f"write '}}_ {{' in {formula.group()}"


def test_its_links_lead_somewhere():
    for link in LINK.finditer(workbook().markdown):
        page, _, anchor = link["target"].partition("#")
        assert (TUTORIALS / page).is_file(), page
        assert not anchor or anchor in anchors(page), link["target"]


def test_what_is_empty_gets_one_friendly_line():
    found = grades(workbook())
    assert len(found) == len(NAMES)
    for name, graded in zip(NAMES, found, strict=True):
        assert graded.answer.state == "empty"
        assert re.fullmatch(rf"{name}: returns nothing( in \d of \d cases)?: still empty, or without a return\n0 of 33",
                            str(graded))  # fmt: skip


# --- solutions


def test_solutions_stand_in_the_order_of_the_workbook():
    assert [name for name, _ in solutions(NAMES, SOLUTIONS.read_text(encoding="utf-8"))] == NAMES


def test_solutions_typed_into_the_workbook_are_right_one_after_the_other():
    found = grades(answered())
    assert [graded.answer.state for graded in found] == ["right"] * 33
    assert [graded.progress for graded in found] == [f"{number} of 33" for number in range(1, 34)]


def test_solutions_have_what_the_stubs_have():
    for stub, filled_in in zip(STUBS, re.split(r"\n(?=### )", answered().markdown)[1:], strict=True):
        assert f"`{stub.name}`" in filled_in
    sources = [cell.source for cell in answered().cells]
    for stub in STUBS:
        head = stub.cell.source.partition("):")[0]
        squeezed = re.sub(r"\s|,(?=\))", "", head).rstrip(",")
        assert any(squeezed in re.sub(r"\s|,(?=\))", "", source) for source in sources), stub.name


DECIMAL = st.sampled_from(["0", "0.005", "0.01", "0.5", "0.995", "1"])
FEW = st.integers(1, 6)


@given(task=FEW, epoch=FEW, sparsity=DECIMAL, delta_k=FEW, p_inter=DECIMAL, p_intra=DECIMAL)
def test_the_calendar_of_the_solutions_is_that_of_the_package_at_the_edges_too(task, epoch, **settings):
    """Nothing dead, nothing that joins, an adjustment before each epoch: the kit has no cases of these."""
    found = tdm_actions(task, epoch, **settings)
    kinds, targets = solved()["tdm_actions"](task, epoch, **settings)
    assert [("shrink", "expand")[kind] for kind in kinds] == [action.kind for action in found]
    assert [*targets] == [float(action.sparsity) for action in found]


def test_solutions_train_like_the_reference():
    work = Workbook()
    for _, value in shown(before_training(answered())):
        work = value if isinstance(value, Workbook) else work
    config = settings(width=8, epochs=3)
    mine, theirs = (train(own, config, lambda line: None, dataset=few_digits()) for own in (work.right, {}))
    np.testing.assert_array_equal(mine.matrix, theirs.matrix)
    assert (mine.flops, mine.steps) == (theirs.flops, theirs.steps)
    assert set(mine.own) == set(NAMES) - {"mse_logits"}  # which the solution of derpp_loss calls itself
    pooling = {f"{kind}_pool2d_{way}" for kind in ("max", "global_avg") for way in ("forward", "backward")}
    assert set(mine.stood_in) == pooling


@pytest.mark.slow
def test_the_whole_workbook_runs_with_the_solutions(tmp_path):
    notebooks.run(answered(), tmp_path)


# --- wrong answers


@pytest.fixture(scope="module")
def work():
    return Workbook()


@pytest.mark.parametrize(
    ("function", "words"), WRONG, ids=[f"{function.__name__}-{place}" for place, (function, _) in enumerate(WRONG)]
)
def test_a_mistake_of_a_learner_is_named(function, words, work):
    graded = work.check(function)
    assert graded.answer.state == "wrong"
    assert words in str(graded.answer)
    assert len(graded.answer.lines) == 2


def test_every_exercise_has_a_wrong_answer():
    assert {function.__name__ for function, _ in WRONG} == set(NAMES)
    single_head = [function for function, _ in WRONG if "classes" in function.__code__.co_varnames]
    assert "cross_entropy" in {function.__name__ for function in single_head}
