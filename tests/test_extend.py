"""The page on adding something: its examples are one plugin, and each kind goes through run, cost and report."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref import run
from sparcl_ref.extensions import REGISTRIES
from sparcl_ref.layers import Layer
from tests.layers.common import check_against_torch, check_derivatives, upstream

PAGE = Path(__file__).parents[1] / "tutorials" / "pages" / "extend.md"
SMALL = [
    *["--model", "mlp", "--width", "8", "--epochs", "3", "--delta-k", "2", "--batch-size", "10", "--buffer-size", "20"]
]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """The examples of the page as a file."""
    path = tmp_path_factory.mktemp("plugin") / "sparcl_ref_page_examples.py"
    path.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)))
    return path


@pytest.fixture
def train(plugin, tmp_path, capsys):
    """Runs the command with the plugin; returns the record of its one run and what was printed."""

    def trained(*arguments: str):
        saved = [dict(known.added) for known in REGISTRIES]
        path = list(sys.path)
        try:
            code = run.main(["--plugin", str(plugin), *SMALL, *arguments, "--out", str(tmp_path / "out")])
        finally:
            for known, before in zip(REGISTRIES, saved, strict=True):
                known.added = before
            sys.path[:] = path
            sys.modules.pop(plugin.stem, None)
        out, err = capsys.readouterr()
        assert code == 0, err
        assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
        (record,) = json.loads((tmp_path / "out" / "summary.json").read_text())["methods"]
        return record, out

    return trained


def test_a_method_of_ones_own_is_trained_counted_and_reported(train) -> None:
    record, out = train("--method", "anchor", "--strength", "0.3", "--sparsity", "0.5")
    assert record["name"] == "SparCL-Anchor .50"
    assert record["config"]["strength"] == 0.3
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert record["train_flops"]["paper"] > 0
    assert "SparCL-Anchor .50" in out


def test_a_policy_of_ones_own_moves_masks_and_goes_with_any_method(train) -> None:
    record, _ = train("--policy", "reshuffle", "--exchanged", "0.25", "--method", "er", "--sparsity", "0.5")
    assert record["name"] == "SparCL-ER .50 (reshuffled)"
    assert record["config"]["exchanged"] == 0.25
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert set(record["layer_sparsity"].values()) == {0.5}


def test_a_layer_of_ones_own_is_counted(train) -> None:
    record, _ = train("--model", "scaled", "--sparsity", "0.5")
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert record["memory_bytes"]["exact"] > 0


def test_a_layer_that_says_nothing_of_its_cost_trains_and_reads_unknown(train) -> None:
    record, out = train("--model", "unsaid", "--sparsity", "0.5")
    assert record["train_flops"] == {"paper": None, "exact": None}
    assert record["memory_bytes"] == {"paper": None, "exact": None, "exact_sparse_engine": None}
    assert record["class_il_accuracy"] > 0.15
    assert "unknown" in out


def test_a_rule_of_ones_own_decides_and_says_that_it_does_not_count(train) -> None:
    record, _ = train("--profile", "paper", "--mix", "shrink=keep-half", "--sparsity", "0.5", "--p-inter", "0")
    assert record["predicted"]["nominal"]
    assert record["config"]["mix"] == "shrink=keep-half"


def test_a_data_set_of_ones_own_is_found_by_name(train) -> None:
    record, _ = train("--dataset", "stripes", "--method", "joint", "--epochs", "12")
    assert record["class_order"] == [0, 1, 2, 3]
    assert record["class_il_accuracy"] > 0.9


def test_derivatives_of_the_layer_on_the_page_are_right(plugin, monkeypatch) -> None:
    monkeypatch.syspath_prepend(plugin.parent)
    saved = [dict(known.added) for known in REGISTRIES]
    layer: Layer = importlib.import_module(plugin.stem).Scale(5, dtype=np.float64)
    for known, before in zip(REGISTRIES, saved, strict=True):
        known.added = before
    rng = np.random.default_rng(0)
    layer.own_parameters()["weight"].value[...] = rng.standard_normal(5)
    x = rng.standard_normal((4, 5))
    dy = upstream(rng, x)
    check_derivatives(layer, x, dy)
    layer.own_parameters()["weight"].grad[...] = 0
    assert check_against_torch(layer, lambda x, weight: weight * x, x, dy) > 0


KINDS = ["method", "mask policy", "layer", "model", "rule", "data set", "conformance function"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_the_page_names_exists(kind) -> None:
    (row,) = re.findall(rf"^\| {kind} \| (.*)$", PAGE.read_text(), flags=re.M)
    root = PAGE.parents[2]
    for named in re.findall(r"`([\w/]+\.py)`", row.split("|")[0]):
        folder, name = named.rsplit("/", 1) if "/" in named else ("", named)
        if name.isupper() or "NAME" in name or "AREA" in name:
            name = ""
        assert any((root / start / folder / name).exists() for start in ("", "sparcl_ref")), named


def test_a_plugin_that_fails_is_refused_in_one_line(tmp_path, capsys) -> None:
    broken = tmp_path / "broken_plugin.py"
    broken.write_text("1 / 0")
    for named, message in (
        (str(broken), "ZeroDivisionError: division by zero"),
        (str(tmp_path / "none.py"), "there is no such file"),
        ("no_such_module", "ModuleNotFoundError"),
    ):
        assert run.main(["--plugin", named, "--list"]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
