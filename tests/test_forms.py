"""What a method says of its two forms stands in the documentation, with what was measured of either."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from sparcl_ref.config import Config
from sparcl_ref.forms import forms_sections
from sparcl_ref.methods import METHODS
from sparcl_ref.result import Result
from tests.report import example

#: Methods of which one form follows mammoth.
TWO_FORMS = [
    name
    for name, method in METHODS.items()
    if any("mammoth" in (item.metadata["choices"] or ()) for item in dataclasses.fields(method.Settings))
]


def section(text: str, name: str) -> list[str]:
    """Lines of a method's section."""
    _, _, rest = text.partition(f"## {METHODS[name].title}: `--method {name}`\n")
    return rest.partition("\n## ")[0].strip().split("\n")


def result(accuracy: float, seed: int, **settings) -> Result:
    """A result that ended with about this accuracy."""
    config = Config(seed=seed, **settings)
    entry = (config.title, config.method, config.sparsity, config.effective_head, accuracy, 0.98, 1, 1, 1, 1, 1.0)
    return Result.from_record(example.record(entry, seed) | {"config": config.to_json()})


def test_methods_with_a_form_of_mammoth_say_how_the_forms_differ() -> None:
    assert {"agem", "oewc", "lwf", "fdr", "gdumb", "icarl", "er-ace"} <= set(TWO_FORMS)
    for name in TWO_FORMS:
        paper, mammoth = METHODS[name].entries()
        assert METHODS[name].differences, name
        assert "mammoth" in mammoth.values()
        # The paper's form is the default.
        assert Config(method=name, **paper) == Config(method=name) != Config(method=name, **mammoth)


@pytest.mark.parametrize("name", TWO_FORMS)
def test_each_difference_is_a_row_with_nothing_left_empty(name) -> None:
    lines = section(forms_sections([]), name)
    assert len(lines) == 2 + len(METHODS[name].differences)
    for line, difference in zip(lines[2:], METHODS[name].differences, strict=True):
        assert all(difference)
        assert line == f"| {' | '.join(difference)} |"


def test_methods_of_one_form_have_no_section() -> None:
    text = forms_sections([])
    assert text.count("## ") == len(TWO_FORMS)
    assert "`--method er`" not in text


def test_measures_are_those_of_the_dense_runs_of_either_form_and_their_difference_is_paired() -> None:
    paper = [result(0.5 + 0.1 * seed, seed, method="agem") for seed in range(3)]
    mammoth = [result(0.4 + 0.05 * seed, seed, method="agem", form="mammoth") for seed in range(3)]
    others = [result(0.9, 0, method="agem", sparsity=0.9), result(0.1, 0, method="fdr", form="mammoth")]
    lines = section(forms_sections([*mammoth, *others, *paper]), "agem")
    found = [[100 * each.class_il_accuracy for each in runs] for runs in (paper, mammoth)]
    cells = [f"{statistics.mean(values):.1f} ±{statistics.stdev(values):.1f}" for values in found]
    differences = [b - a for a, b in zip(*found, strict=True)]
    change = f"{statistics.mean(differences):.1f} ±{statistics.stdev(differences):.1f} points"
    assert lines[-2] == f"| **Class-IL accuracy, %** | {cells[0]} | {cells[1]} | {change} |"
    assert lines[-1].startswith("| **Task-IL accuracy, %** | ")


def test_a_gain_has_a_sign() -> None:
    runs = [result(0.5, 0, method="fdr"), result(0.8, 0, method="fdr", form="mammoth")]
    change = 100 * (runs[1].class_il_accuracy - runs[0].class_il_accuracy)
    assert section(forms_sections(runs), "fdr")[-2].endswith(f" | +{change:.1f} points |")


def test_a_form_that_was_not_run_has_no_measures() -> None:
    lines = section(forms_sections([result(0.5, 0, method="agem")]), "agem")
    assert len(lines) == 2 + len(METHODS["agem"].differences)
