"""The kit catches every wrong implementation of the catalogue, and names its area."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from functools import cache

import pytest

from sparcl_ref.verify.adapters import numpy_engine
from sparcl_ref.verify.areas import AREAS, functions
from sparcl_ref.verify.cases import load_cases
from tests.verify.assembly import wrong
from tests.verify.spec import Wrong
from tests.verify.wrong import judge, main

WRONG = wrong()

#: Mistakes seen in published code, by their names in the catalogue.
SEEN_IN_THE_WILD = (
    "cwi-magnitude",
    "cwi-weights-thrice",
    "step-already-masked",
    "norm-biased-running",
    "relu-output-ge",
    "sgd-momentum-unmasked",
    "exchange-value",
    "erk-uncapped",
    "shrink-percentile",
    "silence-percentile",
    "add-stored-only",
    "fill-stored-only",
    "step-shared-draw",
    "step-logits-later",
    "forgetting-last-row",
    "conv-macs",
    "conv-float32",
)

#: One wrong function of each of three areas: its source, and what its failure must say.
ONE_MISTAKE = {
    "importance": ("def cwi(weight, **_):\n    return abs(weight)\n", "plain magnitude"),
    "layers": ("def relu_backward(dy, x):\n    return dy * (x.clip(0) >= 0)\n", "dx = dy where x > 0"),
    "cost": (
        "def linear_flops(in_features, out_features, batch, active, grad_active, need_dx):\n"
        "    living = in_features * out_features if active is None else active\n"
        "    trained = living if grad_active is None else grad_active\n"
        "    return batch * living, batch * living * need_dx, batch * trained\n",
        "MACs reported as FLOPs",
    ),
}


def switched():
    """One entry for each function whose mistakes are settings, and which is right with none of them."""
    settings = [entry for entry in WRONG if entry.fault]
    return list({(entry.function, entry.broken): entry for entry in settings}.values())


@cache
def cases():
    return load_cases()


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry.name)
def test_every_wrong_implementation_is_caught_its_area_named_and_no_wrong_cause(entry):
    verdict = judge(entry, cases())
    assert verdict.failed, f"no case tells it from the right function: {entry.mistake}"
    assert verdict.area_named, verdict.areas
    assert not verdict.cause_wrong, verdict.causes
    assert verdict.cause_right == bool(entry.likely)


@pytest.mark.parametrize("name", list(functions()))
def test_the_right_function_is_not_caught(name):
    """The same judge has nothing to say of functions that are right: it does not catch everything."""
    verdict = judge(Wrong(name, name, "none", getattr(numpy_engine, name)), cases())
    assert not verdict.failed
    assert verdict.areas == ()
    assert verdict.cases > 0


@pytest.mark.parametrize("entry", switched(), ids=lambda entry: entry.function)
def test_without_its_mistake_the_same_code_is_right(entry):
    """So what the kit catches is the mistake, and not a slip beside it."""
    repaired = dataclasses.replace(entry, fault="none")
    verdict = judge(repaired, cases())
    assert verdict.areas == ()
    assert not verdict.failed


def test_an_implementation_that_only_raises_errors_does_not_count_as_caught():
    """Numbers must give a mistake away; a catalogue of crashes would prove nothing."""

    def broken(**arguments):
        raise RuntimeError("no numbers")

    verdict = judge(Wrong("crash", "shrink", "it crashes", broken), cases())
    assert verdict.areas == ("masks",)
    assert not verdict.failed


def test_the_catalogue_covers_every_function_of_the_protocol():
    assert {entry.function for entry in WRONG} == set(functions())
    assert len(WRONG) >= 60


def test_names_are_unique_and_mistakes_seen_in_the_wild_are_among_them():
    names = [entry.name for entry in WRONG]
    assert len(set(names)) == len(names)
    assert set(SEEN_IN_THE_WILD) <= set(names)


def test_the_score_is_printed_by_one_command(capsys):
    assert main([]) == 0
    total, right = len(WRONG), sum(bool(entry.likely) for entry in WRONG)
    assert right > 180
    assert capsys.readouterr().out == (
        f"caught {total} of {total}, right area named {total} of {total}, "
        f"likely cause right {right}, wrong 0, none {total - right}\n"
    )


def test_a_cause_that_is_not_the_mistake_counts_as_wrong(capsys):
    right = next(entry for entry in WRONG if entry.name == "cwi-magnitude")
    other = dataclasses.replace(right, likely="something else")
    assert judge(right, cases()).cause_right
    assert judge(other, cases()).cause_wrong
    assert main([], (other,)) == 1
    assert "WRONG CAUSE: plain magnitude" in capsys.readouterr().out


def test_the_command_lists_what_slips_through(capsys):
    assert main([], (Wrong("not-wrong", "shrink", "none at all", numpy_engine.shrink),)) == 1
    listed, score = capsys.readouterr().out.splitlines()
    assert "not-wrong" in listed
    assert "NOT CAUGHT" in listed
    assert score.startswith("caught 0 of 1, right area named 0 of 1")


def test_wrong_functions_in_a_whole_adapter_fail_their_areas_alone(tmp_path):
    """End to end: a file, the command, a process of its own."""
    adapter = tmp_path / "mine.py"
    sources = "\n\n".join(source for source, _ in ONE_MISTAKE.values())
    adapter.write_text(f"from sparcl_ref.verify.adapters.numpy_engine import *\n\n\n{sources}")
    command = [sys.executable, "-m", "sparcl_ref.verify", str(adapter), "--json"]
    # The limit is against hanging, not on how long it may take.
    finished = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert finished.returncode == 1, finished.stderr
    report = json.loads(finished.stdout)
    failed = {row["area"]: row["failed"] for row in report["areas"]}
    assert list(failed) == list(AREAS)
    assert {name for name, count in failed.items() if count} == set(ONE_MISTAKE)
    for area, (_, said) in ONE_MISTAKE.items():
        first = next(case for case in report["cases"] if case["status"] == "failed" and case["area"] == area)
        assert said in " ".join([first["sentence"], *first["causes"]])
