"""The page on what to do after a run: its examples are executed, one after the other, on a small run of its command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparcl_ref import run

PAGE = Path(__file__).parents[1] / "tutorials" / "pages" / "after-a-run.md"
SMALLER = ("--width", "4", "--epochs", "3", "--batch-size", "64", "--buffer-size", "20")


@pytest.mark.slow
def test_the_examples_do_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text()
    (command,) = re.findall(r"^python -m sparcl_ref\.run (.*)$", page, flags=re.M)
    assert run.main([*command.split(), *SMALLER]) == 0
    listed = re.findall(r"^\| `([^`]+)`", page, flags=re.M)
    assert all(any(Path("runs/tiny").glob(pattern)) for pattern in listed)
    files = {path.relative_to("runs/tiny") for path in Path("runs/tiny").rglob("*") if path.is_file()}
    assert not {path for path in files if not any(path.match(pattern) for pattern in listed)}, "all are listed"
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    assert len(blocks) > 8
    capsys.readouterr()
    names: dict = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"after-a-run.md, example {number}", "exec"), names)
    out = capsys.readouterr().out
    assert "Class-IL accuracy" in out
    assert "paired by seed" in out
