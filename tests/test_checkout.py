"""Tests look at the checkout they stand in, in every process, even where another copy of the package is installed."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sparcl_ref
from sparcl_ref.verify import check
from sparcl_ref.verify.loading import AdapterError
from tests.tutorials import notebooks, structure

PACKAGE = str(Path(__file__).resolve().parents[1] / "sparcl_ref" / "__init__.py")


def where() -> str:
    return sparcl_ref.__file__


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Not in the checkout, where Python would find the package in any case."""
    monkeypatch.chdir(tmp_path)


def test_here():
    assert where() == PACKAGE


def test_in_a_process_that_a_test_starts():
    code = "import sparcl_ref; print(sparcl_ref.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PACKAGE


def test_in_a_worker_of_a_run():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(where) == PACKAGE


def test_in_the_process_of_an_adapter(tmp_path):
    (tmp_path / "mine.py").write_text("import sparcl_ref\nraise RuntimeError('found ' + sparcl_ref.__file__)\n")
    with pytest.raises(AdapterError, match="found " + re.escape(PACKAGE)):
        check(str(tmp_path / "mine.py"))


def test_in_the_kernel_of_a_tutorial(tmp_path, monkeypatch):
    """By `python -m tests.tutorials` too, which pytest has not prepared."""
    monkeypatch.delenv("PYTHONPATH")
    code = f"import sparcl_ref\nassert sparcl_ref.__file__ == {PACKAGE!r}"
    text = f"{structure.HEAD}\n# Where\n\n```{{code-cell}} ipython3\n{code}\n```\n"
    notebooks.run(notebooks.parse("00-where", text), tmp_path)
