"""What is said of runs before they start: what is not by default, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.echo import echo
from sparcl_ref.presets import PRESETS, configurations, over_seeds

REST = "  all else by default: --help shows it, and summary.json will hold every setting"


def said(*configs: Config, width: int = 80) -> list[str]:
    return echo(configs, "mine", jobs=2, threads=1, directory=Path("runs/mine"), width=width).split("\n")


def test_one_run_by_default():
    assert said(Config()) == ["mine: one run with 1 thread(s), into runs/mine", REST]


def test_what_differs_from_the_defaults_is_shown():
    lines = said(Config(method="er", epochs=30, er_weight=0.5, sparsity=0.9, p_inter=0.02))
    assert lines[1] == "  method=er, epochs=30, sparsity=0.9, er_weight=0.5, p_inter=0.02"


def test_a_default_that_the_rules_set_is_a_default():
    assert said(Config(profile="released"))[1] in ("  profile=released", "  profile=released, p_intra=0.01")


def test_what_differs_between_runs_is_named():
    lines = said(Config(epochs=30), Config(epochs=30, method="er"), Config(epochs=30, sparsity=0.9))
    assert lines == [
        "mine: 3 runs, 2 at a time with 1 thread(s) each, into runs/mine",
        "  epochs=30",
        "  differing between runs: method, sparsity",
        REST,
    ]


def test_a_value_that_only_some_runs_have_by_default_is_a_difference():
    assert "  differing between runs: seed" in said(*over_seeds([Config()], 2))


@pytest.mark.parametrize("preset", PRESETS)
@given(width=st.integers(50, 120))
def test_lines_fit(preset, width):
    assert max(map(len, said(*configurations(PRESETS[preset], {}), width=width))) <= width
