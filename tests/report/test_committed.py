"""Committed records are found from wherever a tutorial runs."""

from __future__ import annotations

import json

import pytest

from sparcl_ref.report import committed as module
from sparcl_ref.report.committed import committed


def test_records_of_the_checkout_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert committed("bench/bench.json")["machine"]["cores"] >= 1


def test_those_above_the_working_directory_come_first(tmp_path, monkeypatch):
    path = tmp_path / "tutorials" / "results" / "bench" / "bench.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"mine": "yes"}))
    for place in (tmp_path, path.parents[2], path.parent):
        monkeypatch.chdir(place)
        assert committed("bench/bench.json") == {"mine": "yes"}


def test_what_is_not_there_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site" / "sparcl_ref" / "report" / "committed.py"))
    with pytest.raises(FileNotFoundError, match=r"^there is no tutorials/results/none.json in .*; start in"):
        committed("none.json")
