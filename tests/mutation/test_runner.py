"""The runner notices a planted mistake, and says so when nothing was noticed."""

from __future__ import annotations

import json

import pytest

from tests.mutation.__main__ import found_before
from tests.mutation.report import document, survivors, table
from tests.mutation.runner import Change, running

SOURCE = "def double(x):\n    return 2 * x\n"
TEST = "from planted import double\n\n\ndef test_double():\n    assert double(3) == 6\n"


@pytest.fixture
def tree(tmp_path):
    """A module, a test that knows it and one that does not."""
    (tmp_path / "planted.py").write_text(SOURCE)
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "test_other.py").write_text("def test_nothing():\n    assert True\n")
    return tmp_path


def stages(tree, change):
    return [["test_other.py"], ["test_it.py"]]


def change(name: str, text: str) -> Change:
    return Change(name, "planted.py", text)


def test_verdicts(tree):
    changes = [
        change("mistake", SOURCE.replace("2", "3")),
        change("equivalent", SOURCE.replace("2 * x", "x + x")),
        change("mistake of the same length and second", SOURCE.replace("2", "4")),
        change("no python", "def double(x:\n"),
        change("no such name", "def triple(x):\n    return 3 * x\n"),
        change("crash", "import os\n\n\ndef double(x):\n    os.abort()\n"),
    ]
    with running(tree, jobs=2, stages=stages, preloaded=("pytest", "hypothesis")) as runner:
        outcomes = {outcome.name: outcome for outcome in runner.run(changes)}
    assert {name: outcome.outcome for name, outcome in outcomes.items()} == {
        "mistake": "noticed",
        "equivalent": "survived",
        "mistake of the same length and second": "noticed",
        "no python": "noticed",
        "no such name": "noticed",
        "crash": "crash",
    }
    assert outcomes["mistake"].by == "test_it.py::test_double"
    assert (tree / "planted.py").read_text() == SOURCE
    assert [o.name for o in survivors(list(outcomes.values()), {})] == ["equivalent"]

    known = {"equivalent": "x + x is 2 x in exact arithmetic"}
    assert survivors(list(outcomes.values()), known) == []
    report = document(list(outcomes.values()), known, command="c")
    assert report["score"] == {"designed": {"tried": 6, "noticed": 5, "equivalent": 1, "survived": 0}}
    assert "1 survived\n  equivalent" in table(list(outcomes.values()), {})

    path = tree / "found.json"
    path.write_text(json.dumps({**report, "minutes": 2.5}))
    renewed = [change("mistake", SOURCE.replace("2", "3") + "\n"), *changes[1:]]
    kept, minutes = found_before(path, renewed)
    assert {outcome.name for outcome in kept} == {outcome.name for outcome in outcomes.values()} - {
        "mistake",
        "equivalent",
    }
    assert minutes == 2.5


def test_a_loop_without_end_is_noticed(tree, monkeypatch):
    monkeypatch.setattr("tests.mutation.runner.GRACE_SECONDS", 0.5)
    with running(tree, jobs=1, stages=stages, preloaded=("pytest", "hypothesis")) as runner:
        (outcome,) = runner.run([change("loop", "def double(x):\n    while True:\n        pass\n")])
    assert outcome.outcome == "timeout"
    assert outcome.noticed


def test_tests_that_fail_without_a_change_are_refused(tree):
    (tree / "test_it.py").write_text("def test_wrong():\n    assert False\n")
    refusal = pytest.raises(RuntimeError, match=r"test_it.py::test_wrong fails without any change")
    with running(tree, jobs=1, stages=stages, preloaded=("pytest", "hypothesis")) as runner, refusal:
        list(runner.run([change("any", SOURCE)]))


def test_a_wrong_path_is_an_error_not_a_success(tree):
    refusal = pytest.raises(RuntimeError, match="are the paths right")
    gone = [["test_gone.py"]]
    with running(tree, jobs=1, stages=lambda tree, change: gone, preloaded=("pytest",)) as runner, refusal:
        list(runner.run([change("any", SOURCE)]))
