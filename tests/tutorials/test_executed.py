"""Executed notebooks are kept for whoever shows them, and known by their code."""

from __future__ import annotations

import pytest

from tests.tutorials import executed, notebooks, structure

TEXT = f"{structure.HEAD}\n# Small\n\nAdd.\n\n```{{code-cell}} ipython3\nprint(1 + 1)\n```\n"


@pytest.fixture
def kept(tmp_path):
    import jupytext
    from nbformat.v4 import new_output

    read = jupytext.reads(TEXT, fmt="md:myst")
    read.cells[-1].outputs = [new_output("stream", name="stdout", text="2\n")]
    run = notebooks.Run(0.0, {}, {"00-a": b"picture"}, ("2\n",), ("",), read)
    return notebooks.parse("00-small", TEXT), run, tmp_path / "folder"


def test_outputs_come_back_where_the_code_is_the_same(kept):
    notebook, run, folder = kept
    assert executed.outputs(notebook, folder) is None
    executed.save(notebook, run, folder)
    (only,) = executed.outputs(notebook, folder)
    assert [each["text"] for each in only] == ["2\n"]
    assert (folder / "figures" / "00-a.png").read_bytes() == b"picture"
    words = notebooks.parse("00-small", TEXT.replace("Add.", "Add once."))
    assert executed.outputs(words, folder) == [only]


@pytest.mark.parametrize("change", ["print(1 + 2)", "print(1 + 1)\n```\n\n```{code-cell} ipython3\n2"])
def test_a_run_of_other_code_is_none(change, kept):
    notebook, run, folder = kept
    executed.save(notebook, run, folder)
    other = notebooks.parse("00-small", TEXT.replace("print(1 + 1)", change))
    assert executed.outputs(other, folder) is None


def test_tests_of_tutorials_keep_what_they_ran_where_they_are_asked_to(kept, monkeypatch):
    notebook, run, folder = kept
    monkeypatch.delenv(executed.FOLDER_VARIABLE, raising=False)
    executed.save_where_asked(notebook, run)
    assert not folder.exists()
    monkeypatch.setenv(executed.FOLDER_VARIABLE, str(folder))
    executed.save_where_asked(notebook, run)
    assert executed.outputs(notebook, folder) is not None
