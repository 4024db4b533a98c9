"""A run that is killed, interrupted or out of room: what is left is whole, and goes on to the same bits."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparcl_ref import run, run_plan
from sparcl_ref.keeper import newest_checkpoint
from sparcl_ref.run import main
from sparcl_ref.run_folder import locked
from tests.faults import without_times

ROOT = Path(__file__).parent.parent
#: Two runs at a time.
JOB = (
    "--method", "derpp", "--sparsity", "0.9", "--seeds", "2", "--width", "4", "--delta-k", "2",
    "--batch-size", "32", "--importance-samples", "64", "--checkpoint-every", "0.2",
)  # fmt: skip
#: Of some seconds.
PAIR = (*JOB, "--epochs", "8")
#: So long that nothing but a signal ends them, however fast the machine.
LONG = ("--epochs", "2000")


def command(*arguments: str, cwd: Path) -> subprocess.Popen:
    """The command in a session of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sparcl_ref.run", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have some of them ignored, which children inherit.
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGHUP)],
    )


#: Elsewhere a forked copy of a process that has loaded BLAS may not live.
forks = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def sweep(count: str, *options: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", count, *options],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@forks
@pytest.mark.parametrize("profile", ["paper", "released"])
def test_faults_at_some_points_lose_nothing(profile):
    assert " 6 of " in sweep("6", "--profile", profile)


@forks
@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("--profile", "paper"), ("--profile", "released"), ("--engine", "numba")],
    ids=["paper", "released", "numba"],
)
def test_faults_at_every_point_lose_nothing(options):
    said = sweep("all", *options, NUMBA_THREADING_LAYER="workqueue")
    assert int(said.split()[0]) >= 55


@forks
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
    process = command(*JOB, *LONG, "--out", "run", cwd=tmp_path)
    time.sleep(seconds)
    os.killpg(process.pid, number)
    _, err = process.communicate()
    if process.returncode == -number and not err:
        return  # before Python had begun with us
    assert process.returncode == code, err
    (line,) = [line for line in lines(err) if "warning" not in line]
    assert line.startswith("sparcl_ref.run: interrupted; ")
    assert (tmp_path / "run" / "run.json").exists() == line.endswith("--resume run")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_saves_says_how_to_go_on_and_goes_on(tmp_path, number, code):
    process = command(*PAIR, "--out", "run", cwd=tmp_path)
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
        "figures", "masks.npz", "metrics.csv", "report.html", "summary.json", "weights",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory) -> Path:
    """The folder of a run that was stopped by Ctrl-C, with checkpoints of both entries."""
    folder = tmp_path_factory.mktemp("interrupted")
    process = command(*PAIR, "--out", "run", cwd=folder)
    while len({path.name[:13] for path in (folder / "run").glob("checkpoint-*")}) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    return folder


@pytest.fixture
def left(interrupted, tmp_path, monkeypatch) -> Path:
    """A copy of it, beside which the test stands."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(interrupted / "run", tmp_path / "run")


def here(capsys, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of the command in this process."""
    code = main(arguments)
    return code, capsys.readouterr().err


def test_another_processor_is_refused_by_name(left, capsys, monkeypatch):
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    libraries = [{"user_api": "blas", "filepath": "/numpy.libs/x.so", "architecture": "Abacus"}]
    monkeypatch.setattr(run_plan, "threadpool_info", lambda: libraries)
    code, err = here(capsys, "--resume", "run")
    assert code == 2
    assert re.search(r"it was begun otherwise \(processor \w+ there, Abacus here\); .* or add --force", err)
    assert err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lr", "0.5"], "lr 0.03 there, 0.5 here"),
        (["--engine", "numpy"], "engine auto there, numpy here"),
        (["--threads", "2"], "threads 1 there, 2 here"),
        (["--seeds", "2"], "leave out --seeds, --out and --overwrite"),
        (["--out", "elsewhere"], "leave out --seeds, --out and --overwrite"),
        (["--lr", "-1"], "--lr"),
        (["--tiny"], "not allowed with argument --resume"),
        (["--checkpoint-every", "-1"], "--checkpoint-every must be a number of seconds"),
    ],
)
def test_what_does_not_go_with_resuming_is_refused_in_one_line(left, capsys, arguments, says):
    try:
        code, err = here(capsys, "--resume", "run", *arguments)
    except SystemExit as stop:
        code, err = stop.code, capsys.readouterr().err
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_a_run_that_ended_between_the_look_and_the_lock_is_not_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reserved = run.reserved_folder

    def late(out, name):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "summary.json").write_text("another's")
        return reserved(out, name)

    monkeypatch.setattr(run, "reserved_folder", late)
    code, err = here(capsys, *PAIR, "--out", "run")
    assert code == 2
    assert "run holds a run already" in err
    assert {path.name: path.read_text() for path in (tmp_path / "run").iterdir()} == {"summary.json": "another's"}


def test_a_folder_in_use_is_refused(left, capsys):
    with locked(left):
        for arguments in (("--resume", "run"), (*PAIR, "--out", "run", "--overwrite")):
            code, err = here(capsys, *arguments)
            assert code == 2
            assert f"another run is at work in run (process {os.getpid()})" in err
    code, err = here(capsys, *PAIR, "--out", "run")
    assert code == 2
    assert "run holds a run that has not ended; go on with --resume run" in err
    code, err = here(capsys, "--force")
    assert code == 2
    assert "--force goes with --resume" in err


@pytest.mark.slow
def test_forced_settings_serve_what_is_left(left, capsys):
    code, err = here(capsys, "--resume", "run", "--lr", "0.001", "--force")
    assert code == 0
    assert "warning: resumed although lr 0.03 there, 0.001 here" in err
    summary = json.loads((left / "summary.json").read_text())
    assert {record["config"]["lr"] for record in summary["methods"]} == {0.001}


@pytest.mark.slow
def test_of_damaged_checkpoints_the_older_are_used_which_is_said(left, capsys, whole):
    for number in ("01", "02"):
        newest = max(left.glob(f"checkpoint-{number}-*"))
        newest.write_bytes(newest.read_bytes()[:-1])
    code, err = here(capsys, "--resume", "run")
    assert code == 0
    assert err.count("is damaged (its checksum does not fit: it was cut off or changed); checkpoint ") == 2
    assert without_times(left) == without_times(whole)
    assert (left / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(tmp_path):
    """Between two events that are far apart."""
    job = ("--method", "sgd", "--model", "resnet18", "--batch-size", "280", *LONG)
    process = command(*job, "--out", "run", cwd=tmp_path)
    while not (tmp_path / "run" / "metrics.csv").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(6)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert lines(err)[-1].startswith("sparcl_ref.run: interrupted; ")


@pytest.mark.slow
def test_what_a_method_trains_at_the_end_of_a_task_is_stopped_saved_and_resumed_within(tmp_path):
    job = ("--method", "gdumb", "--width", "4", "--epochs", "1", "--buffer-passes", "60", "--json")
    straight = command(*job, "--out", "whole", cwd=tmp_path)
    _, err = straight.communicate()
    assert straight.returncode == 0, err
    process = command(*job, "--out", "run", cwd=tmp_path)
    metrics = tmp_path / "run" / "metrics.csv"
    while not metrics.exists() or metrics.read_text().count("\n") < 3:  # the first epoch of task 2 has ended
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    found, _ = newest_checkpoint(tmp_path / "run", 1)
    assert found is not None
    cursor = found[1]["trainer"]["cursor"]
    assert (cursor["due"], cursor["task"]) == ("own_step", 2)
    again = command("--resume", "run", cwd=tmp_path)
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert without_times(tmp_path / "run") == without_times(tmp_path / "whole")
    assert metrics.read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()
