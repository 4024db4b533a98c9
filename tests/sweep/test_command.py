"""The command: what it trains, keeps, shows and refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.sweep.__main__ import main
from sparcl_ref.sweep.grid import key, load_grid
from sparcl_ref.sweep.results import keeper, load_results
from sparcl_ref.sweep.statistics import entries
from tests.faults import without_times

GRID = """
seeds = [0, 5]
[settings]
dataset = "digits"
model = "mlp"
width = 8
epochs = 2
batch_size = 64
class_order = "random"
[[entries]]
method = "sgd"
[[entries]]
method = "er"
lr = [0.02, 1e30]
"""
#: A process that holds a folder until its input ends.
HOLDER = """
import sys, pathlib
from sparcl_ref.run_folder import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[Path, Path, int]:
    """A grid, its folder, and the exit code: one entry diverges."""
    folder = tmp_path_factory.mktemp("sweep")
    grid = folder / "grid.toml"
    grid.write_text(GRID)
    return grid, folder / "out", main([str(grid), "--out", str(folder / "out"), "--jobs", "1"])


def test_each_run_has_its_file_and_what_diverged_says_so(swept) -> None:
    grid, out, code = swept
    configs = load_grid(grid).configs
    assert code == 1
    assert {path.stem for path in out.glob("results/*")} == {key(config) for config in configs}
    assert not (out / "work").exists()
    found = load_results(out)
    assert {run.config for run in found} == set(configs)
    failed = [run for run in found if run.failed]
    assert {run.config.lr for run in failed} == {1e30}
    assert all(run.result is None and not run.tasks for run in failed)
    for run in found:
        if run.result is not None:
            tasks = run.tasks
            assert len(tasks) == 5
            assert tasks[-1]["train_flops"] == run.result.train_flops["exact"]
            assert tasks == sorted(tasks, key=lambda mark: mark["seconds"])


def test_a_result_is_what_a_run_of_that_configuration_gives(swept, tmp_path, capsys) -> None:
    from sparcl_ref.run import main as run

    _, out, _ = swept
    documents = [json.loads(path.read_text()) for path in out.glob("results/er-*-s5.json")]
    (record,) = (document["record"] for document in documents if "record" in document)
    flags = ["--method", "er", "--model", "mlp", "--width", "8", "--epochs", "2", "--batch-size", "64", "--lr", "0.02",
             "--class-order", "random", "--dataset", "digits"]  # fmt: skip
    assert run([*flags, "--seed", "5", "--out", str(tmp_path / "run")]) == 0
    (expected,) = without_times(tmp_path / "run")["methods"]
    assert record == {name: value for name, value in expected.items() if name in record}


def test_nothing_is_trained_twice(swept, capsys) -> None:
    grid, out, _ = swept
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    assert main([str(grid), "--out", str(out)]) == 1
    assert "6 runs, 6 of them done" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.json")} == before


def test_tables_say_what_the_files_say(swept, monkeypatch, capsys) -> None:
    _, out, _ = swept
    monkeypatch.setenv("COLUMNS", "300")
    assert main([str(out), "--table", "--against", "SGD"]) == 0
    said = capsys.readouterr().out
    made = {entry.label: entry for entry in entries(load_results(out))}
    runs = made["ER, lr 0.02"].runs
    accuracy = [100 * run.result.class_il_accuracy for run in runs.values()]
    line = next(line for line in said.splitlines() if line.startswith("ER, lr 0.02"))
    assert f"{sum(accuracy) / 2:.1f} ±" in line
    others = [100 * run.result.class_il_accuracy for run in made["SGD"].runs.values()]
    assert f"{(sum(accuracy) - sum(others)) / 2:+.1f}" in line
    assert "0 of 2" in next(line for line in said.splitlines() if line.startswith("ER, lr 1e+30"))
    assert "ER, lr 1e+30, seed 5: " in said

    assert main([str(out), "--table", "--markdown"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(made)
    assert len({row.count("|") for row in rows}) == 1


def test_figures_are_drawn(swept, tmp_path, capsys) -> None:
    _, out, _ = swept
    costs, curves = tmp_path / "costs.png", tmp_path / "curves.png"
    assert main([str(out), "--figure", str(costs), "--curves", str(curves)]) == 0
    assert costs.read_bytes()[:4] == curves.read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().out == ""


def test_an_estimate_trains_nothing(swept, tmp_path, capsys) -> None:
    grid, *_ = swept
    shorter = tmp_path / "grid.toml"
    shorter.write_text(grid.read_text().replace("[0.02, 1e30]", "0.02"))
    assert main([str(shorter), "--out", str(tmp_path / "none"), "--estimate"]) == 0
    assert "4 runs, 0 of them done" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "GRID|DIR"),
        (["missing.toml"], "missing.toml: cannot be read"),
        (["grid.toml", "--jobs", "0"], "--jobs must be at least 1"),
        (["grid.toml", "--out", " "], "--out must name a folder"),
        (["grid.toml", "--checkpoint-every", "nan"], "--checkpoint-every must be a number of seconds"),
        (["grid.toml", "--out", "new", "--against", "sgd"], "did you mean 'SGD'"),
        (["out"], "say what to show of it"),
        (["out", "--table", "--jobs", "3"], "would ignore --jobs"),
        (["out", "--table", "--against", "sgd"], "did you mean 'SGD'"),
        (["empty", "--table"], "holds no results"),
        (["broken", "--table"], "not a result of a sweep"),
        (["out", "--figure", "no/such/folder/a.png"], "cannot write to no/such/folder/a.png"),
        (["out", "--figure", "a.nonsense"], "a.nonsense"),
    ],
)
def test_a_wrong_request_is_refused_in_a_line(swept, tmp_path, monkeypatch, capsys, arguments, line) -> None:
    grid, out, _ = swept
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    shutil.copy(grid, tmp_path / "grid.toml")
    shutil.copytree(out, tmp_path / "out")
    shutil.copytree(out, tmp_path / "broken")
    next((tmp_path / "broken" / "results").iterdir()).write_text('{"schema_version": 1}')
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    complaint = capsys.readouterr().err
    assert code == 2, complaint
    assert line in complaint
    assert len(complaint.strip().splitlines()) == 1


def test_two_sweeps_do_not_share_a_folder(swept, tmp_path, capsys) -> None:
    grid, *_ = swept
    out = tmp_path / "out"
    out.mkdir()
    holder = [sys.executable, "-c", HOLDER, str(out)]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        assert main([str(grid), "--out", str(out)]) == 2
        other.communicate()
    assert "another run is at work" in capsys.readouterr().err
    assert not (out / "work").exists()


def test_what_was_marked_after_the_checkpoint_is_forgotten(tmp_path) -> None:
    """A run killed between the mark of a task's end and its checkpoint comes to that end again, and later."""
    config = Config(model="mlp", width=4, method="sgd", epochs=1)
    kept = keeper(tmp_path, config, every=1e9)
    trainer = build(config)
    while trainer.cursor.task < 2 or trainer.cursor.due != "step":
        trainer.advance()
        kept.after_event(trainer, 1.0)
    (kept.directory / "marks.json").write_text('[{"seconds": 1.0, "train_flops": 1}, {"seconds": 2.0}]')
    again = keeper(tmp_path, config, every=1e9)
    again.take_up(resumed := build(config))
    assert resumed.cursor.due == "begin_task"
    assert [mark["seconds"] for mark in again._marks] == [1.0]
