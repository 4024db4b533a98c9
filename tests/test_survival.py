"""A run that is killed, interrupted or out of room: what is left is whole, and goes on to the same bits."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults import without_times

ROOT = Path(__file__).parent.parent
#: Two entries at a time, some seconds.
PAIR = (
    "--preset", "importance", "--width", "4", "--epochs", "4", "--batch-size", "32", "--importance-samples", "64",
    "--checkpoint-every", "0.2",
)  # fmt: skip


def command(*arguments: str, cwd: Path) -> subprocess.Popen:
    """The command in a session of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sparcl_ref.run", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have Ctrl-C ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def sweep(count: str, *options: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", count, *options],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("profile", ["paper", "released"])
def test_faults_at_some_points_lose_nothing(profile):
    assert " 6 of " in sweep("6", "--profile", profile)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("--profile", "paper"), ("--profile", "released"), ("--engine", "numba")],
    ids=["paper", "released", "numba"],
)
def test_faults_at_every_point_lose_nothing(options):
    said = sweep("all", *options, NUMBA_THREADING_LAYER="workqueue")
    assert int(said.split()[0]) >= 55


@pytest.mark.slow
def test_faults_lose_nothing_where_every_event_is_saved():
    """Old generations go as new ones come."""
    assert " 100 of " in sweep("100", "--checkpoint-every", "0")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    process = command(*PAIR, "--out", "run", cwd=folder)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return folder / "run"


def lines(said: str) -> list[str]:
    """What was said but for the bar."""
    return [line for line in re.split(r"[\r\n]+", said) if line.strip() and not line.startswith("training:")]


@pytest.mark.slow
def test_thirty_kills_at_random_times_lose_nothing(whole, tmp_path):
    """Of the whole process group, at any time from its start on; then of the parent alone, then of a worker alone."""
    kills, finished = 0, 0
    directory = tmp_path / "run"
    while kills < 30:
        begun = (directory / "run.json").exists()
        process = command(*(("--resume", "run") if begun else (*PAIR, "--out", "run")), cwd=tmp_path)
        time.sleep(random.uniform(0.2, 6))
        if process.poll() is None:
            (os.killpg if kills % 3 else os.kill)(process.pid, signal.SIGKILL)
            kills += 1
        _, err = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), err
        assert "damaged" not in err
        if (directory / "summary.json").exists() and not (directory / "run.json").exists():
            assert without_times(directory) == without_times(whole)
            assert (directory / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
            assert (directory / "masks.npz").read_bytes() == (whole / "masks.npz").read_bytes()
            directory = directory.rename(tmp_path / f"run-{finished}").with_name("run")
            finished += 1
    while not (directory / "summary.json").exists() or (directory / "run.json").exists():
        begun = (directory / "run.json").exists()
        process = command(*(("--resume", "run") if begun else (*PAIR, "--out", "run")), cwd=tmp_path)
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert without_times(directory) == without_times(whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("seconds", [0.15, 0.4, 0.8, 1.2, 1.8, 2.5, 3.5])
def test_a_signal_in_the_first_seconds_has_one_line(tmp_path, number, code, seconds):
    """To the whole group, as a terminal sends it: workers that import have nothing to say."""
    process = command(*PAIR, "--out", "run", cwd=tmp_path)
    time.sleep(seconds)
    os.killpg(process.pid, number)
    _, err = process.communicate()
    if process.returncode == -number and not err:
        return  # before Python had begun with us
    assert process.returncode == code, err
    (line,) = [line for line in lines(err) if "warning" not in line]
    assert line.startswith("sparcl_ref.run: interrupted; ")
    assert (tmp_path / "run" / "run.json").exists() == line.endswith("--resume run")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_saves_says_how_to_go_on_and_goes_on(tmp_path, number, code):
    process = command(*PAIR, "--seeds", "1", "--out", "run", cwd=tmp_path)
    while not list((tmp_path / "run").glob("checkpoint-*")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, number)
    _, err = process.communicate()
    assert process.returncode == code
    said = [line for line in lines(err) if "warning" not in line]
    assert said == ["sparcl_ref.run: interrupted; go on with: python -m sparcl_ref.run --resume run"]
    assert "leaked" not in err
    kept = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert "run.json" in kept
    rows = (tmp_path / "run" / "metrics.csv").read_bytes().splitlines()
    # Once more before it has done anything: what was kept is still kept.
    again = command("--resume", "run", "--jobs", "1", "--json", cwd=tmp_path)
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert set(rows) <= set((tmp_path / "run" / "metrics.csv").read_bytes().splitlines())
    assert json.loads(out)["command"].endswith("--out run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "figures", "masks.npz", "metrics.csv", "report.html", "summary.json",
    ]  # fmt: skip
