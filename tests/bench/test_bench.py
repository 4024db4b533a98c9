"""The bench measures what it says; how fast anything is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sparcl_ref.bench.timing import compared, interleaved


def test_contenders_take_turns_after_a_call_that_does_not_count():
    calls = []
    seconds = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_the_better_baseline_counts():
    rows = compared(
        {"ours": [1.0, 2.0, 9.0], "slow": [8.0, 8.0, 8.0], "good": [6.0, 3.0, 9.0]}, baseline=("slow", "good")
    )
    assert rows[0] == {
        "name": "ours",
        "median_seconds": 2.0,
        "min_seconds": 1.0,
        "max_seconds": 9.0,
        "times_faster": 3.0,
    }
    assert [row["times_faster"] for row in rows[1:]] == [0.75, 1.0]


def bench(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sparcl_ref.bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_every_convolution_and_the_step_are_timed():
    done = bench("--quick", "--width", "16", "--batch", "4", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert len(record["layers"]) == 11
    for layer in record["layers"]:
        assert [row["name"] for row in layer["contenders"]] == ["numpy", "torch", "torch channels-last"]
    names = [row["name"] for row in record["step"]]
    assert names == ["torch", "torch channels-last", "numpy 0", "numba 0.95", "numba 0.95 with gradient masks"]
    for row in record["step"]:
        assert 0 < row["min_seconds"] <= row["median_seconds"] <= row["max_seconds"]


@pytest.mark.parametrize("arguments", [["--threads", "0"], ["--rounds", "0"], ["--only", "nothing"]])
def test_a_wrong_request_is_refused_in_one_line(arguments):
    done = bench(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
