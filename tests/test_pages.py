"""What the documentation states is what the package says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean

import pytest

from sparcl_ref import compare, load_run
from sparcl_ref.forms import forms_sections
from sparcl_ref.report import aggregate, format_table, load_summary
from sparcl_ref.sparcl.rules import rules_table

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "tutorials" / "pages"
RESULTS = ROOT / "tutorials" / "results"
COMMITTED = sorted(path.parent.name for path in RESULTS.glob("*/summary.json"))


def test_profiles_page_has_the_generated_table():
    assert rules_table() in (PAGES / "profiles.md").read_text()


def test_page_on_paper_and_code_has_the_generated_sections() -> None:
    assert forms_sections(load_run(RESULTS / "rivals")).rstrip("\n") in (PAGES / "paper-and-code.md").read_text()


def test_results_are_committed():
    assert {
        "tiny", "tiny-released", "importance", "paper-and-code", "rivals", "sparse-trainers", "fashion-mnist",
    } <= set(COMMITTED)  # fmt: skip


def rivals_compared() -> str:
    """Learners whose mean accuracy is above .85, beside dense DER++ under the head of SparCL."""
    results = load_run(RESULTS / "rivals")
    good = {row.name for row in aggregate([result.record() for result in results]) if row.accuracy > 0.85}
    learners = [result for result in results if result.name in good and not result.config.method_class.joint]
    return "\n\n".join(str(compare(learners, against="DER++ (single head)")).split("\n\n")[:2])


@pytest.mark.parametrize(
    "name",
    [
        "SparCL-DER++ .90",
        "SparCL-DER++ .95",
        "DER++ (single head)",
        "ER-ACE",
        "iCaRL",
        "DER++",
        "ER-ACE (classes mammoth)",
    ],
)  # fmt: skip
def test_results_page_states_how_well_rivals_know_the_newest_task(name) -> None:
    found = [result.newest_task_accuracy for result in load_run(RESULTS / "rivals") if result.name == name]
    assert f"{100 * sum(found) / len(found):.1f} %" in (PAGES / "results.md").read_text().partition("## Rivals\n")[2]


def test_results_page_shows_the_paired_differences_of_the_rivals() -> None:
    assert rivals_compared() in (PAGES / "results.md").read_text()


@pytest.mark.parametrize("name", COMMITTED)
def test_results_page_shows_the_committed_results(name):
    summary = load_summary(RESULTS / name / "summary.json")
    table = format_table(aggregate(summary["methods"]))
    page = (PAGES / "results.md").read_text()
    assert table in page
    # The command is given without where it wrote.
    assert re.sub(r" --out \S+", "", summary["command"]) in page


def test_results_page_shows_what_the_newest_task_pays():
    rows = {}
    for record in load_summary(RESULTS / "tiny" / "summary.json")["methods"]:
        rows.setdefault(record["name"], []).append([100 * value for value in record["class_il_matrix"][-1]])
    page = (PAGES / "results.md").read_text()
    for name, seeds in rows.items():
        older, newest = [mean(row[:-1]) for row in seeds], [row[-1] for row in seeds]
        line = f"| {name} | {mean(older):.1f} | {mean(newest):.1f} | {min(newest):.0f} to {max(newest):.0f} |"
        assert (line in page) == (name != "SGD"), line


def test_readme_table_has_the_shape_of_the_real_one():
    readme = (ROOT / "README.md").read_text()
    for record in load_summary(RESULTS / "tiny" / "summary.json")["methods"]:
        assert f"\n{record['name']} " in readme


def test_readme_speeds_are_those_of_the_committed_bench():
    record = json.loads((RESULTS / "bench" / "bench.json").read_text())
    faster = {row["name"]: row["times_faster"] for row in record["step"]["contenders"]}
    readme = " ".join((ROOT / "README.md").read_text().split())
    sentence = r"([\d.]+) times as fast as .* at sparsity \.95, ([\d.]+) times at \.90 and ([\d.]+) times at \.75"
    stated = re.search(sentence, readme)
    for number, sparsity in zip(stated.groups(), ("0.95", "0.9", "0.75"), strict=True):
        assert number == f"{faster[f'numba {sparsity}']:.1f}"


def test_links_and_paths_of_the_documentation_exist():
    checked = 0
    for page in (ROOT / "README.md", *PAGES.glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
                checked += 1
    for path in re.findall(r"`((?:sparcl_ref|tests)/[\w/.]+)`", (ROOT / "README.md").read_text()):
        assert (ROOT / path).exists(), path
        checked += 1
    assert checked > 15
