"""``python -m sparcl_ref.explore``: what it records, where it writes, and what it refuses."""

from __future__ import annotations

import base64
import re

import pytest

from sparcl_ref import explore
from sparcl_ref.explore import chosen, main, parse
from sparcl_ref.report.explorer import packing
from sparcl_ref.report.explorer.small import SMALL, small_page

QUICK = (
    *("--width", "4", "--epochs", "3", "--batch-size", "64", "--buffer-size", "20"),
    *("--delta-k", "2", "--sparsity", "0.75", "--ddr-cutoff", "1"),
)


def command(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def titles(*arguments: str) -> list[str]:
    return [config.title for config in chosen(parse(["--out", "x.html", *arguments]))]


def test_without_settings_there_are_the_four_runs_of_the_page():
    name = "SparCL-DER++ .90"
    assert titles() == [name, f"{name} (full head)", f"{name} (no DDR)", f"{name} (no TDM)"]


def test_settings_make_one_run_and_override_those_of_a_preset():
    assert titles("--method", "er", "--sparsity", "0.5") == ["SparCL-ER .50"]
    assert titles("--preset", "explorer", "--sparsity", "0.5", "--head", "single") == [
        "SparCL-DER++ .50 (single head)",
        "SparCL-DER++ .50 (single head, no DDR)",
        "SparCL-DER++ .50 (single head, no TDM)",
    ]


def test_a_run_becomes_a_page(tmp_path, capsys):
    path = tmp_path / "mine.html"
    code, out, err = command(capsys, "--out", str(path), *QUICK)
    assert (code, out) == (0, f"{path}, {path.stat().st_size:,} bytes\n")
    assert err == "1 of 1: SparCL-DER++ .75\n"
    (block,) = re.findall(r'id="record">([^<]+)<', path.read_text(encoding="utf-8"))
    (run,) = packing.unpack(base64.b64decode(block))[0]["runs"]
    assert (run["title"], len(run["moments"])) == ("SparCL-DER++ .75", 16)


@pytest.mark.parametrize("name", SMALL)
def test_small_pages_are_written_too(tmp_path, capsys, name):
    path = tmp_path / "small.html"
    assert command(capsys, "--small", name, "--out", str(path))[0] == 0
    assert path.read_text(encoding="utf-8") == small_page(name)


def test_what_is_there_stays_unless_told_otherwise(tmp_path, capsys):
    path = tmp_path / "page.html"
    path.write_text("mine")
    code, out, err = command(capsys, "--small", "reservoir", "--out", str(path))
    assert (code, out) == (2, "")
    assert err == f"sparcl_ref.explore: {path} exists; choose another --out, or replace it with --overwrite\n"
    assert path.read_text() == "mine"
    assert command(capsys, "--small", "reservoir", "--out", str(path), "--overwrite")[0] == 0
    assert path.read_text(encoding="utf-8") == small_page("reservoir")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "the following arguments are required: --out"),
        (
            "--small reservoir --out {tmp}/x --epochs 3",
            "shows no run; leave --preset and settings out",
        ),
        ("--small convolution --out {tmp}/x --preset tiny", "--small convolution shows no run"),
        ("--small resevoir --out {tmp}/x", "did you mean 'reservoir'?"),
        ("--out {tmp}/x --epoch 3", "did you mean '--epochs'?"),
        ("--out {tmp}/x --preset explore", "did you mean 'explorer'?"),
        ("--out {tmp}/nowhere/x", "there is no folder"),
        ("--out {tmp}", "exists; choose another --out"),
        ("--out {tmp}/x --delta-k 0", "--delta-k must be at least 1, got 0"),
        ("--out {tmp}/x --dataset nothing", "nothing"),
        ("--out {tmp}/x --plugin nothing.py", "nothing.py"),
    ],
)
def test_a_wrong_request_is_one_line_and_nothing_is_written(tmp_path, capsys, arguments, said):
    code, out, err = command(capsys, *arguments.format(tmp=tmp_path).split())
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_setting_that_does_nothing_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sparcl_ref.report.explorer.record", lambda trainer: None)
    monkeypatch.setattr("sparcl_ref.report.explorer.write", lambda recordings, path: 1)
    _, _, err = command(capsys, "--out", str(tmp_path / "x"), "--method", "er", "--delta-k", "3", "--epochs", "2")
    assert "warning: --delta-k has no effect without --sparsity" in err


def test_a_full_disk_is_said_in_one_line(tmp_path, capsys, monkeypatch):
    def full(name, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(explore, "write_small", full)
    code, _, err = command(capsys, "--small", "reservoir", "--out", str(tmp_path / "x"))
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot write to" in err
    assert "No space left on device; choose another --out" in err
