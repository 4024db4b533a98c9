"""The record of the short run is what the tutorial's own function gives, and holds what the tutorial reads."""

from __future__ import annotations

import base64
import json

import pytest

from tests.tutorials import notebooks, short_run
from tests.tutorials.structure import HEAD

CELLS = """
```{code-cell} ipython3
factor = 3
```

```{code-cell} ipython3
def short_run(data):
    return {"a": factor * data, "b": [1, 2]}
```

```{code-cell} ipython3
raise AssertionError("nothing after it is run")
```
"""


def notebook(text: str) -> notebooks.Notebook:
    return notebooks.parse("08-small", HEAD + text)


def test_the_function_is_taken_from_the_tutorial_with_what_it_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "series", lambda: [notebook(CELLS)])
    monkeypatch.setattr(short_run, "load_dataset", lambda name: {"fashion-mnist": 5}[name])
    path = tmp_path / "record.json"
    assert short_run.main(path) == 0
    assert json.loads(path.read_text()) == {"a": 15, "b": [1, 2]}
    assert capsys.readouterr().out == f"{path}, 0 kB\n"


def test_a_tutorial_without_the_function_is_named():
    with pytest.raises(ValueError, match=r"^08-small defines no short_run$"):
        short_run.function_of(
            notebook(
                CELLS.replace("def short_run", "def other")
                .replace("raise Assert", "str(Assert")
                .replace('run")', 'run"))')
            )
        )


def test_the_committed_record_is_whole():
    record = json.loads(short_run.RECORD.read_text())
    moments = record["moments"]
    assert moments == [[0, 0], *([task, epoch] for task in range(1, 6) for epoch in range(1, 5))]
    assert len(base64.b64decode(record["alive"])) == len(moments) * 9216 // 8
    assert sum(row["removed"] + row["left"] for row in record["removals"]) == 6000
    for title in ("removed", "hard"):
        assert len(base64.b64decode(record["pictures"][title])) == 10 * 28 * 28
        assert len(record["pictures"][f"{title}: mistakes"]) == 10
