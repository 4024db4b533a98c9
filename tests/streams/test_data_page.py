"""The examples of the page on data run, and what it says of names and limits is so."""

from __future__ import annotations

import re
from pathlib import Path

from sparcl_ref.streams import DATASETS, SCENARIOS, npz
from sparcl_ref.streams.known import TELLING
from sparcl_ref.streams.scenario import DOMAINS

PAGE = (Path(__file__).parents[2] / "tutorials" / "pages" / "data.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)), {})
    accuracy, same = capsys.readouterr().out.split()
    assert float(accuracy) > 0.5, "chance is 0.25"
    assert same == "True"


def test_the_page_names_every_data_set_and_every_folder():
    for name, known in DATASETS.items():
        assert f"| `{name}` |" in PAGE
        for place in known.places:
            assert place.split("*")[0].split("/")[0] in PAGE


def test_the_page_names_every_scenario_and_limit():
    for name in SCENARIOS:
        assert f"| `{name}` |" in PAGE
    assert f"From {TELLING} training images on" in PAGE
    assert f"`--domains` ({DOMAINS})" in PAGE
    assert f"Arrays of {npz.MAPPED_BYTES // 2**20} MB or more" in PAGE
