"""The command as a person meets it: what it prints, what it writes, how it refuses, and that it repeats to the bit."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref.presets import PRESETS
from sparcl_ref.run import main
from sparcl_ref.run_folder import reserved_folder

TINY_NAMES = [
    "SGD",
    "ER",
    "DER++ (full head)",
    "DER++ (single head)",
    "SparCL-ER .75",
    "SparCL-DER++ .75",
    "SparCL-DER++ .90",
    "SparCL-DER++ .95",
]
#: The comparison of --tiny, made small: narrow layers, two epochs.
SMALL = ("--tiny", "--width", "4", "--epochs", "3", "--batch-size", "64", "--buffer-size", "20")

#: One run where every run of the comparison is more than is asked.
SINGLE = ("--method", "derpp", "--sparsity", "0.75", "--delta-k", "2", *SMALL[1:])
#: Against processes that never end, not a limit on how long they may take.
HANGS_SECONDS = 3600

#: Loaded by every Python process that has its folder on the path: the first connection to the outside ends it.
NO_NETWORK = """
import socket

def refuse(self, address):
    if self.family != socket.AF_UNIX:
        open({marker!r}, "w").close()
        raise OSError("no network in this test")
    return connect(self, address)

connect = socket.socket.connect
socket.socket.connect = refuse
"""


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "sparcl_ref.run", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have Ctrl-C ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    process = command(*arguments, cwd=cwd, **environment)
    out, err = process.communicate(timeout=HANGS_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def here(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command in this process, for what ends before any work begins."""
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def without_times(summary: dict) -> dict:
    """What must repeat to the bit: all but clock readings and how the run was asked for."""
    kept = {key: value for key, value in summary.items() if key not in ("wall_seconds", "command", "threads")}
    machine = ("wall_seconds", "on_this_machine")
    kept["methods"] = [{k: v for k, v in record.items() if k not in machine} for record in summary["methods"]]
    return kept


def read_summary(directory: Path) -> dict:
    return json.loads((directory / "summary.json").read_text())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """The main job, exactly as the README has it, where no network can be reached."""
    folder = tmp_path_factory.mktemp("tiny")
    patched = folder / "patched"
    patched.mkdir()
    marker = folder / "network-was-used"
    (patched / "sitecustomize.py").write_text(NO_NETWORK.format(marker=str(marker)))
    path = os.pathsep.join(filter(None, [str(patched), os.environ.get("PYTHONPATH")]))
    done = run("--tiny", cwd=folder, PYTHONPATH=path)
    assert not marker.exists()
    return done, folder / "runs" / "tiny"


@pytest.mark.slow
def test_tiny_ends_well_and_writes_everything(tiny):
    done, directory = tiny
    assert done.returncode == 0, done.stderr
    for name in ("summary.json", "metrics.csv", "masks.npz", "report.html"):
        assert (directory / name).stat().st_size > 1000
    figures = {path.name for path in (directory / "figures").iterdir()}
    assert {"accuracy_over_tasks.png", "accuracy_against_flops.png", "mask_over_time.png"} <= figures
    for name in TINY_NAMES:
        assert f"\n{name} " in done.stdout
    assert "class order: 0 1 2 3 4 5 6 7 8 9" in done.stdout
    assert "training" in done.stderr
    assert len(list((directory / "weights").glob("*.npz"))) == 8
    measured = done.stdout.partition("class order")[2].partition("forecast")[2]
    assert all(f"\n{name} " in measured for name in TINY_NAMES)


@pytest.mark.slow
def test_tiny_is_truthful_about_what_it_measured(tiny):
    done, directory = tiny
    summary = read_summary(directory)
    records = {record["name"]: record for record in summary["methods"]}
    assert list(records) == TINY_NAMES
    for record in records.values():
        matrix = np.array(record["class_il_matrix"])
        assert matrix.shape == (6, 5)
        assert record["class_il_accuracy"] == pytest.approx(matrix[-1].mean(), abs=1e-12)
        assert f"{100 * matrix[-1].mean():.1f}" in done.stdout
    # The lesson of the table: fine-tuning forgets, rehearsal remembers, sparsity costs little of it. Bands that hold
    # for every seed tried, wider than the spread.
    assert records["SGD"]["class_il_accuracy"] < 0.30
    for name in TINY_NAMES[1:]:
        assert records[name]["class_il_accuracy"] > 0.80, name
    for name, sparsity in [("SparCL-ER .75", 0.75), ("SparCL-DER++ .90", 0.9), ("SparCL-DER++ .95", 0.95)]:
        achieved = records[name]["layer_sparsity"]
        assert set(achieved) == {"conv2.weight", "conv3.weight"}
        for value in achieved.values():
            assert value == pytest.approx(sparsity, abs=1e-3)


@pytest.mark.slow
def test_tiny_costs_what_was_predicted(tiny):
    done, directory = tiny
    for record in read_summary(directory)["methods"]:
        assert record["predicted"] == {"train_flops": record["train_flops"]["exact"], "nominal": False}
        assert f"{record['train_flops']['exact'] / 1e9:,.2f}" in done.stdout.partition("class order")[0]


@pytest.mark.slow
def test_tiny_keeps_a_row_per_epoch(tiny):
    _, directory = tiny
    with open(directory / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 * 5 * 10
    assert [row["name"] for row in rows[:: 5 * 10]] == TINY_NAMES


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [pytest.param(SMALL, 16, id="tiny", marks=pytest.mark.slow), pytest.param(SINGLE, 2, id="single")],
)
def test_stored_configuration_runs_again_to_the_same_bits(arguments, runs, tmp_path):
    first = run(*arguments, "--seeds", "2", "--out", "first", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    again = run("--config", "first/summary.json", "--jobs", "1", "--out", "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    one, other = read_summary(tmp_path / "first"), read_summary(tmp_path / "again")
    assert len(one["methods"]) == runs
    assert without_times(one) == without_times(other)
    assert (tmp_path / "first" / "metrics.csv").read_bytes() == (tmp_path / "again" / "metrics.csv").read_bytes()
    changed = run("--config", "first/summary.json", "--lr", "0.01", "--out", "changed", "--json", cwd=tmp_path)
    assert changed.returncode == 0, changed.stderr
    printed = json.loads(changed.stdout)
    assert {record["config"]["lr"] for record in printed["methods"]} == {0.01}
    assert printed["methods"][0]["class_il_matrix"] != one["methods"][0]["class_il_matrix"]
    released = run("--config", "first/summary.json", "--profile", "released", "--out", "released", cwd=tmp_path)
    assert released.returncode == 0, released.stderr
    for before, after in zip(one["methods"], read_summary(tmp_path / "released")["methods"], strict=True):
        assert (before["config"]["p_intra"], after["config"]["p_intra"]) == (0.005, 0.01)


def test_default_directory_never_overwrites(tmp_path):
    arguments = ("--method", "sgd", "--epochs", "1", "--width", "4")
    for expected in ("runs/run", "runs/run-2"):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / expected / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--method", "magic"], "'magic'"),
        (["--out", ""], "--out must name a folder, got ''"),
        (["--sparsity", "1.2"], "--sparsity must be in 0..1, below 1"),
        (["--sparsity", "many"], "invalid float value: 'many'"),
        (["--method", "er", "--buffer-size", "0"], "--buffer-size must be at least 1"),
        (["--batch-size", "500"], "--batch-size must not exceed the smallest task's"),
        (["--sparsity", "0.9", "--ddr-rho", "1"], "leaves none of the smallest task's 283 samples"),
        (["--tiny", "--profile", "released", "--batch-size", "220"], "data removal leaves"),
        (["--tiny", "--out", "a-file"], "a-file"),
        (["--config", "corrupt.json"], "corrupt.json"),
        (["--config", "strange.json"], "colour"),
        (["--config", "typed.json"], "--lr must be a number, got"),
        (["--config", "bare.json"], "its config lacks 'name'"),
        (["--config", "missing.json"], "missing.json"),
        (["--config", "strange.json", "--seeds", "2"], "--seeds does not go with --config"),
        (["--dataset", "nan.npz"], "nan"),
        (["--dataset", "missing.npz"], "missing.npz"),
        (["--engine", "abacus"], "'abacus'"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--jobs", "-1"], "--jobs must be at least 1"),
        (["--sparsity", "0.9", "--delta-k", "51"], "delta_k must lie in 2..50"),
        (["--class-order", "1,0,x"], "--class-order"),
        (["--class-order", "1,0"], "class order must contain each of 0..9"),
        (["--classes-per-task", "3"], "do not divide"),
        (["--method", "joint", "--sparsity", "0.5"], "--sparsity needs a method that learns task by task"),
        (["--mix", "shrink=mine"], "paper or released"),
        (["--profile", "released", "--sparsity", "0.9", "--budgets", "erk"], "--budgets erk needs rules that count"),
        (["--unknown"], "--unknown"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(tmp_path, arguments, says, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").write_text("not a folder")
    (tmp_path / "corrupt.json").write_text('{"schema_version": 1, ')
    stored = {"name": "x", "threads": 1, "runs": [{"method": "sgd"}]}
    for name, extra in (("strange.json", {"colour": "red"}), ("typed.json", {"lr": "fast"}), ("bare.json", None)):
        config = {} if extra is None else {**stored, "runs": [{**stored["runs"][0], **extra}]}
        (tmp_path / name).write_text(json.dumps({"schema_version": 1, "command": "", "config": config, "methods": []}))
    images = np.random.default_rng(0).random((40, 1, 8, 8))
    labels = np.repeat(np.arange(4), 10)
    images[3, 0, 1, 1] = np.nan
    np.savez(tmp_path / "nan.npz", train_x=images, train_y=labels, test_x=images[:3], test_y=labels[:3])
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = here(capsys, *arguments)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_run_that_diverges_fails_in_one_line_and_writes_nothing(tmp_path):
    done = run("--method", "sgd", "--lr", "1e30", "--epochs", "2", "--width", "4", cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("sparcl_ref.run: failed: SGD, seed 0: task 1, epoch 1, step ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_of_several_runs_the_one_that_diverges_is_named_and_the_others_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    common = {"epochs": 1, "width": 4, "method": "sgd"}
    monkeypatch.setitem(PRESETS, "pair", ({**common, "lr": 1e30}, {**common, "lr": 0.1}))
    code, out, err = here(capsys, "--preset", "pair", "--out", "pair")
    assert code == 1
    assert err.strip().splitlines()[-1].startswith("sparcl_ref.run: failed: SGD, seed 0: task 1, epoch 1, step ")
    summary = json.loads((tmp_path / "pair" / "summary.json").read_text())
    assert [record["config"]["lr"] for record in summary["methods"]] == [0.1]
    assert [item["config"]["lr"] for item in summary["failed"]] == [1e30]
    assert "SGD" in out
    assert (tmp_path / "pair" / "report.html").exists()
    code, _, err = here(capsys, "--config", str(tmp_path / "pair" / "summary.json"), "--out", "again")
    assert code == 0, err


def test_a_run_is_replaced_only_if_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ("--method", "sgd", "--epochs", "1", "--width", "4", "--out", "one")
    assert here(capsys, *arguments)[0] == 0
    before = (tmp_path / "one" / "summary.json").read_bytes()
    code, _, err = here(capsys, *arguments)
    assert code == 2
    assert "one holds a run already; choose another --out, or --overwrite to replace it" in err
    assert (tmp_path / "one" / "summary.json").read_bytes() == before
    assert here(capsys, *arguments, "--overwrite")[0] == 0
    assert (tmp_path / "one" / "summary.json").read_bytes() != before


def test_folders_are_reserved_at_the_start_and_empty_ones_go_again(tmp_path, monkeypatch):
    """Two runs that overlap never write into one folder."""
    monkeypatch.chdir(tmp_path)
    with reserved_folder(None, "tiny") as one, reserved_folder(None, "tiny") as other:
        assert [one.as_posix(), other.as_posix()] == ["runs/tiny", "runs/tiny-2"]
        (other / "summary.json").write_text("{}")
    assert not one.exists()
    assert other.exists()
    with reserved_folder("a/b", "tiny") as given:
        assert given.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_with_random_class_orders_no_seed_speaks_for_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ("--method", "sgd", "--epochs", "1", "--width", "4", "--class-order", "random", "--seeds", "2")
    code, out, _ = here(capsys, *arguments, "--out", "two")
    assert code == 0
    assert "class order: another for each seed" in out
    summary = json.loads((tmp_path / "two" / "summary.json").read_text())
    assert summary["class_order"] is None
    assert len({tuple(record["class_order"]) for record in summary["methods"]}) == 2


def test_help_has_an_example(capsys):
    code, out, _ = here(capsys, "--help")
    assert code == 0
    assert "python -m sparcl_ref.run --tiny" in out
