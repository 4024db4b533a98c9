"""``python -m sparcl_ref.bench``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparcl_ref.bench.page import markdown

ROOT = Path(__file__).parent.parent.parent
RECORD = ROOT / "tutorials" / "results" / "bench" / "bench.json"


def bench(*arguments: str, module: str = "sparcl_ref.bench") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", module, *arguments]
    # The limit is against hanging, not on how long it may take.
    return subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)


SMALL = ("--width", "16", "--batch", "2", "--threads", "1", "--rounds", "1")


@pytest.mark.slow
def test_json_on_stdout_progress_on_stderr_and_files(tmp_path):
    folder = tmp_path / "new"
    done = bench("--quick", "--only", "kernels", "roofs", *SMALL, "--json", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["request"]["parts"] == ["roofs", "kernels"]
    assert record["request"]["threads"] == record["request"]["rounds"] == 1
    assert "kernels ..." in done.stderr
    assert json.loads((folder / "bench.json").read_text()) == record
    assert not (folder / "scaling.png").exists()
    table = bench("--table", str(folder / "bench.json"))
    assert table.returncode == 0
    assert table.stdout == markdown(record) + "\n"


@pytest.mark.slow
def test_tables_on_stdout():
    done = bench("--quick", "--only", "layers", *SMALL)
    assert done.returncode == 0, done.stderr
    for words in ("1 thread(s), 1 turns", "times faster", "3x3 16->16, 32x32", "scipy csr 0.95", "-- layers"):
        assert words in done.stdout
    assert "-- roofs" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threads", "0"],
        ["--threads", str((os.cpu_count() or 1) + 1)],
        ["--rounds", "0"],
        ["--batch", "0"],
        ["--width", "8"],
        ["--only", "nothing"],
        ["--table", "nowhere.json"],
        ["--table", str(ROOT / "setup.cfg")],
        ["--nonsense"],
    ],
)
def test_a_wrong_request_is_refused_in_one_line(arguments):
    done = bench(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["jax", "numba", "numba x", "numba 1", "torch 0"])
def test_an_unknown_contender_is_refused_in_one_line(name):
    done = bench(name, module="sparcl_ref.bench.memory")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_help_names_every_part():
    done = bench("--help")
    assert done.returncode == 0
    for part in ("roofs", "step", "profile", "layers", "kernels", "scaling", "memory", "run"):
        assert f"\n  {part} " in done.stdout


def test_the_page_shows_the_committed_record():
    page = (ROOT / "tutorials" / "pages" / "speed.md").read_text()
    assert markdown(json.loads(RECORD.read_text())) in page
