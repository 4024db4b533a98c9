"""Standard streams that are closed, or whose encoding lacks a character."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from sparcl_ref.console import usable_streams


def shell(command: str, **environment: str) -> subprocess.CompletedProcess:
    """A line of shell, in which ``$P`` is Python."""
    where = {**os.environ, "P": sys.executable, **environment}
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, env=where)


def test_with_standard_output_closed_a_command_works_and_says_that_nothing_is_seen():
    done = shell("$P -m sparcl_ref.flops --conventions >&-")
    assert done.returncode == 0
    assert done.stderr == "sparcl_ref.flops: warning: standard output is closed; nothing printed will be seen\n"


def test_with_standard_error_closed_a_refusal_does_not_end_up_in_the_output():
    done = shell("$P -m sparcl_ref.flops --epochs 0 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_with_all_closed_a_run_writes_its_files(tmp_path):
    options = f"--method sgd --epochs 1 --width 2 --jobs 1 --out {tmp_path / 'one'}"
    assert shell(f"$P -m sparcl_ref.run {options} <&- >&- 2>&-").returncode == 0
    assert (tmp_path / "one" / "summary.json").read_text().startswith("{")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_character_that_the_encoding_lacks_is_written_as_its_number(errors, monkeypatch):
    bytes_ = io.BytesIO()
    stream = io.TextIOWrapper(bytes_, encoding="ascii", errors=errors, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with usable_streams("test"):
        print("1 \xb1 2 \udcff")
    assert bytes_.getvalue().decode() in (r"1 \xb1 2 \udcff" + "\n",)
    assert stream.errors == errors


def test_streams_that_take_everything_are_left_alone(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr(sys, "stdout", stream)
    with usable_streams("test"):
        assert sys.stdout is stream
        assert stream.errors == "surrogateescape"


def test_a_path_that_is_no_text_is_printed_and_shown_on_the_page(tmp_path):
    folder = os.fsencode(tmp_path) + b"/a\xff"
    command = [
        sys.executable,
        "-m",
        "sparcl_ref.run",
        *["--method", "sgd", "--epochs", "1", "--width", "2", "--jobs", "1", "--out"],
    ]
    where = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([*command, folder], capture_output=True, check=False, env=where)
    assert done.returncode == 0, done.stderr
    assert b"warning" not in done.stderr
    assert b"report.html" in done.stdout
    assert os.path.exists(folder + b"/report.html")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("module", ["run", "flops", "verify"])
def test_help_that_cannot_be_written_is_a_failure(module):
    done = shell(f"$P -m sparcl_ref.{module} --help >/dev/full")
    assert done.returncode == 1
    assert done.stderr == f"sparcl_ref.{module}: failed: [Errno 28] No space left on device\n"
