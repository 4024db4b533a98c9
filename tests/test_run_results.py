"""A run's folder gives its results back; damaged files are named, and those that are lacking are not missed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref import load, load_run, run, table
from sparcl_ref.report import aggregate, format_table, load_summary
from sparcl_ref.streams import load_dataset

ROOT = Path(__file__).parents[1]
COMMITTED = sorted(path.parent for path in (ROOT / "tutorials" / "results").glob("*/summary.json"))
SMALL = ["--model", "mlp", "--width", "8", "--epochs", "3", "--delta-k", "2", "--buffer-size", "20"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    assert run.main([*SMALL, "--sparsity", "0.5", "--seeds", "2", "--out", str(out)]) == 0
    return out


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_everything_that_was_written_comes_back(folder) -> None:
    results, summary = load_run(folder), load_summary(folder / "summary.json")
    assert [result.config.seed for result in results] == [0, 1]
    for result, record in zip(results, summary["methods"], strict=True):
        again = result.record() | {"weights": record["weights"]}
        assert json.loads(json.dumps(again)) == record
        assert len(result.history.epochs) == 15
        assert all(
            isinstance(row["loss_current"], float) and isinstance(row["task"], int) for row in result.history.epochs
        )
        assert result.mask_snapshots()["alive"].shape == (16, 64)
    assert table(results) == format_table(aggregate(summary["methods"]))


def test_the_weights_of_each_entry_predict_what_its_table_says(folder) -> None:
    digits = load_dataset("digits")
    results = load_run(str(folder))
    assert len({result.weights for result in results}) == 2
    for result in results:
        learner = load(result.weights)
        assert learner.about["seed"] == result.config.seed
        for task, classes in enumerate(learner.about["tasks"]):
            index = np.flatnonzero(np.isin(digits.test_y, classes))
            right = learner.predict(digits.test_x[index]) == digits.test_y[index]
            assert np.mean(right) == result.class_il_matrix[-1, task]


@pytest.mark.parametrize("committed", COMMITTED, ids=lambda path: path.name)
def test_committed_results_of_earlier_versions_are_read(committed) -> None:
    records = load_summary(committed / "summary.json")["methods"]
    for result, record in zip(load_run(committed), records, strict=True):
        assert result.class_il_accuracy == record["class_il_accuracy"]
        assert result.forgetting == record["forgetting"]
        assert result.config.seed == record["seed"]


def test_what_was_not_written_is_not_missed(copy) -> None:
    for name in ("metrics.csv", "masks.npz"):
        (copy / name).unlink()
    shutil.rmtree(copy / "weights")
    for result in load_run(copy):
        assert result.weights is None
        assert result.epoch_rows() == []
        assert result.mask_snapshots() is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", b"{"),
        ("metrics.csv", b"name,seed,task\nSGD,0,one\n"),
        ("metrics.csv", b"name,seed\nSGD,0,7\n"),
        ("metrics.csv", b"\xff\xfe"),
        ("masks.npz", b"no archive"),
    ],
    ids=str,
)
def test_a_damaged_file_is_named_in_one_line(copy, name, content) -> None:
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"^[^\n]*{name}[^\n]*$"):
        load_run(copy)


def test_a_folder_of_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"summary\.json: cannot be read"):
        load_run(tmp_path)


def test_an_entry_whose_method_is_not_registered_is_named(copy) -> None:
    summary = json.loads((copy / "summary.json").read_text())
    summary["methods"][1]["config"]["method"] = "mine"
    (copy / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=r"summary\.json: SparCL-DER\+\+ \.50: unknown method 'mine'"):
        load_run(copy)


def test_weights_of_an_earlier_run_do_not_stay_beside_other_results(folder, copy) -> None:
    (copy / "weights" / "notes.txt").write_text("mine")
    assert run.main([*SMALL, "--method", "sgd", "--out", str(copy), "--overwrite"]) == 0
    assert sorted(path.name for path in (copy / "weights").iterdir()) == ["notes.txt", "sgd-seed-0.npz"]


def test_a_place_that_is_taken_is_refused_before_the_run(tmp_path, capsys) -> None:
    (tmp_path / "weights").write_text("a file")
    assert run.main([*SMALL, "--out", str(tmp_path)]) == 2
    assert "weights in it is no folder" in capsys.readouterr().err


def test_entries_of_one_name_and_seed_are_told_apart(tmp_path, monkeypatch) -> None:
    entries = [{"method": "sgd", "lr": lr, "sparsity": 0.5, "model": "mlp", "width": 8} for lr in (0.01, 0.05)]
    short = {"epochs": 2, "delta_k": 2, "batch_size": 64, "ddr": False, "p_inter": 0.0}
    monkeypatch.setitem(run.PRESETS, "twice", tuple({**entry, **short} for entry in entries))
    out = tmp_path / "out"
    assert run.main(["--preset", "twice", "--out", str(out), "--jobs", "1"]) == 0
    one, two = load_run(out)
    assert one.name == two.name
    assert [len(result.history.epochs) for result in (one, two)] == [10, 10]
    assert {row["learning_rate"] for row in one.history.epochs} == {0.01}
    assert {row["learning_rate"] for row in two.history.epochs} == {0.05}
    assert {row["name"] for row in two.epoch_rows()} == {two.name}
    assert one.mask_snapshots()["alive"].shape == two.mask_snapshots()["alive"].shape
    assert not np.array_equal(one.history.epochs[-1]["loss_current"], two.history.epochs[-1]["loss_current"])
