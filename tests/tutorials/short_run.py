"""`python -m tests.tutorials.short_run`: the record that the tutorial on real images reads where these are missing.

It is what the tutorial's own `short_run` gives, so that there is one description of the run.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from sparcl_ref import load_dataset
from tests.tutorials import notebooks

RECORD = notebooks.TUTORIALS / "results" / "fashion-mnist" / "short-run.json"
NUMBER, NAME = "08", "short_run"


def function_of(notebook: notebooks.Notebook) -> Any:
    """What the tutorial calls `short_run`, after the cells before it have run."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(notebooks.TUTORIALS):
        for source in notebook.code:
            exec(compile(source, notebook.name, "exec"), names)
            if NAME in names:
                return names[NAME]
    raise ValueError(f"{notebook.name} defines no {NAME}")


def main(path: Path = RECORD) -> int:
    """Train and write; returns 0."""
    (notebook,) = notebooks.selected(notebooks.series(), [NUMBER])
    record = function_of(notebook)(load_dataset("fashion-mnist"))
    entries = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    path.write_text(f"{{\n{entries}\n}}\n", encoding="utf-8")
    print(f"{path}, {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
