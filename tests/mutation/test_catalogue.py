"""The lists of the mutation check fit the code of today."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import TREE, main, scope
from tests.mutation.designed import Designed, designed_mistakes, equivalent_changes
from tests.mutation.mechanical import mechanical_changes
from tests.mutation.suites import FIRST, REST, SCOPE, SLOW, files_behind, stages


@pytest.mark.parametrize("mistake", designed_mistakes(), ids=lambda mistake: mistake.name)
def test_designed_mistake_applies_and_compiles(mistake):
    source = (TREE / mistake.path).read_text()
    changed = mistake.changed(source)
    compile(changed, mistake.path, "exec")
    assert changed != source


def test_designed_mistakes_are_many_and_told_apart():
    names = [mistake.name for mistake in designed_mistakes()]
    assert len(names) >= 40
    assert len(set(names)) == len(names)


def test_every_room_of_the_core_has_designed_mistakes():
    paths = {mistake.path for mistake in designed_mistakes()}
    for entry in SCOPE:
        assert any(path.startswith(entry) for path in paths), entry


def test_equivalent_changes_exist_and_are_proved():
    names = {c.name for path in scope() for c in mechanical_changes(path, (TREE / path).read_text())}
    for name, proof in equivalent_changes().items():
        assert name in names, f"{name}: no such change any more; remove or renew the entry"
        assert len(proof.split()) >= 5, f"{name}: a proof needs more words than {proof!r}"


def test_tests_that_are_asked_exist():
    for entry in {*REST, *SLOW, *(entry for entries in FIRST.values() for entry in entries)}:
        assert files_behind(TREE, (entry,)), f"there are no tests in {entry}"


def test_stages_ask_each_file_once_and_the_nearest_first():
    first, rest, slow = stages(TREE, "sparcl_ref/layers/batchnorm.py")
    assert first == ["tests/layers/test_batchnorm.py"]
    assert "tests/layers/test_conv.py" in rest
    assert "tests/test_trajectory.py" in slow
    everything = [*first, *rest, *slow]
    assert len(set(everything)) == len(everything)
    assert stages(TREE, "sparcl_ref/layers/batchnorm.py", quick=True) == [first, rest]


def test_stages_refuse_a_file_nobody_tests():
    with pytest.raises(ValueError, match="no tests are named"):
        stages(TREE, "sparcl_ref/run.py")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("x + 1", "x", "found 0 times"),
        ("x", "y", "found 2 times"),
        ("x = 1", "x = 1", "the same"),
        ("x = 1", "x = (", "not Python"),
    ],
)
def test_stale_or_void_mistakes_are_errors(old, new, message):
    with pytest.raises(ValueError, match=message):
        Designed("a.py", "a mistake", old, new).changed("x = 1\nprint(x)\n")


def test_list_names_changes_without_running_them(capsys):
    assert main(["--list", "--mechanical", "3", "--seed", "1", "--only", "sparcl_ref/masks.py"]) == 0
    once = capsys.readouterr().out
    assert len(once.splitlines()) == 3
    assert main(["--list", "--mechanical", "3", "--seed", "1", "--only", "sparcl_ref/masks.py"]) == 0
    assert capsys.readouterr().out == once
    assert main(["--list", "--only", "nowhere"]) == 2
