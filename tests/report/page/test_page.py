"""The page: true to its data, whole, self-contained and safe."""

from __future__ import annotations

import base64
import copy
import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report import style
from sparcl_ref.report.figures.illustrations import Illustration, Picture, Sketch
from sparcl_ref.report.page import facts, number_of_tasks, render, unbroken
from sparcl_ref.report.page.markup import Markup, cell, element, escaped, joined, table
from sparcl_ref.report.summary import FIGURE_NAMES as NAMES
from sparcl_ref.report.table import aggregate, in_families, times_fewer
from tests.report import example
from tests.report.page_reader import Page

TEXT = st.text(alphabet=st.sampled_from("ab<>&\"' \\/é;#"), max_size=12)


def figure(name: str) -> Illustration:
    sketch = Sketch(name, f"caption {name}", f"alt {name}", draw=None, keyed=name == NAMES[0])
    kinds = ("light", "dark", "narrow light", "narrow dark")
    pictures = [Picture(f"{kind} {name}".encode(), 100 * index) for index, kind in enumerate(kinds)]
    return Illustration(sketch, f"title {name}: someone", f"under {name}", b"file", *pictures)


FIGURES = [figure(name) for name in NAMES]


def page(summary, figures=FIGURES) -> Page:
    return Page(render(summary, figures))


@pytest.fixture(scope="module")
def summary():
    return example.run(seeds=2, joint=True)[0]


# --- markup -----------------------------------------------------------------------------------------------------------


@given(content=TEXT, value=TEXT)
def test_text_and_attributes_come_back_as_they_went_in(content, value):
    source = element("div", content, title=value, data_value=value, class_="x", id=None)
    parsed = Page(source)
    assert parsed.elements == [("div", {"title": value, "data-value": value, "class": "x"})]
    assert parsed._parts[:-1] == ([content] if content else [])


def test_markup_is_not_escaped_twice():
    inner = element("b", "<")
    assert element("p", inner, " & ") == "<p><b>&lt;</b> &amp; </p>"
    assert escaped(inner) is inner
    assert joined(["<", inner], " | ") == "&lt; | <b>&lt;</b>"
    assert isinstance(joined([]), Markup)
    assert element("img", src="x") == '<img src="x">'


def test_a_table_names_its_rows_and_columns():
    source = table(["", "a"], [["r", "1"], ["s", cell("2", class_="hot")]], caption="c", class_="t")
    parsed = Page(source)
    assert parsed.cells == [[["", "a"], ["r", "1"], ["s", "2"]]]
    assert [attributes.get("scope") for attributes in parsed.all("th")] == ["col", "col", "row", "row"]
    assert parsed.all("td") == [{}, {"class": "hot"}]
    assert parsed.all("table") == [{"class": "t"}]


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_says_what_was_run_and_what_came_out(summary):
    parsed = page(summary)
    assert "9 learners compared on digits, learned in 5 tasks" in parsed.text
    assert "1,437 training and 360 test images of 1x8x8" in parsed.text
    assert "mean ± standard deviation over 2 seeds" in parsed.text
    assert "DER++ (single head) scored highest of 8 learners" in parsed.text
    assert "against DER++ (single head): SparCL-DER++ .75 took 3.9 times fewer" in parsed.text


def test_the_contents_list_every_heading_and_lead_to_it(summary):
    parsed = page(summary)
    links = {attributes["href"].removeprefix("#") for attributes in parsed.all("a")}
    slugs = [attributes["id"] for attributes in parsed.all("section")]
    assert links == set(slugs)
    assert len(parsed.all("h2")) == len(slugs) == len(set(slugs)) == 11
    # Figures stand where they belong among the rest.
    assert slugs[:4] == ["accuracy_over_tasks", "accuracy_against_flops", "results", "accuracy_matrices"]
    assert [slug for slug in slugs if slug in NAMES] == list(NAMES)
    assert parsed.text.count("title cost_waterfall") == 2
    assert parsed.text.count("title cost_waterfall: someone") == 1


def test_data_files_are_linked_if_they_are_there(summary):
    parsed = Page(render(summary, FIGURES, ["summary.json", "masks.npz"]))
    assert [each["href"] for each in parsed.all("a") if not each["href"].startswith("#")] == [
        "summary.json",
        "masks.npz",
    ]
    assert "Data beside this page: summary.json, masks.npz." in parsed.text
    assert "beside this page" not in page(summary).text


def test_the_page_of_a_single_run_speaks_of_it_alone():
    one = example.run()[0]
    for index, sentence in ((0, "SparCL"), (-1, "scored highest")):
        single = {**one, "methods": one["methods"][index:][:1]}
        parsed = page(single, figures=[])
        answer = parsed.text[: parsed.text.index("Results")]
        assert sentence not in answer
        assert "Bold" not in parsed.text
        assert not [each for each in page(single).all("ul") if "key" in (each.get("class") or "")]
        assert not re.search(r'class="top', render(single))


def test_the_page_needs_nothing_from_elsewhere(summary):
    source = render(summary, FIGURES)
    parsed = Page(source)
    assert not parsed.all("script")
    assert not parsed.all("link")
    assert not parsed.all("iframe")
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    assert "url(" not in source
    assert "@import" not in source
    assert "http" not in source
    assert source.startswith('<!doctype html>\n<html lang="en">')
    assert source.endswith("</html>\n")
    assert {"charset": "utf-8"} in parsed.all("meta")


def test_the_table_of_many_results_names_each_family_above_its_rows() -> None:
    every = {**example.run()[0], "methods": example.many()}
    rows = aggregate(every["methods"])
    source = render(every)
    table = next(cells for cells in Page(source).cells if cells[1][0] == "Method")
    expected = []
    for name, indices in in_families(rows):
        expected += [name, *(rows[index].name for index in indices)]
    assert [cells[0] for cells in table[2:]] == expected
    assert source.count('scope="rowgroup"') == 4
    # The mark of an entry is the one that figures know it by.
    for index, row in enumerate(rows):
        assert f'<tr class="entry-{index}"><th scope="row"><span class="swatch entry-{index}' in source, row.name
    summaries = re.findall(r"<summary>.*?</span>(entry \d+)<", source)
    assert summaries == [name for name in expected if name.startswith("entry")]


def test_the_table_of_results_holds_the_rows(summary):
    rows = aggregate(summary["methods"])
    heading, names, *body = page(summary).cells[0]
    assert heading == ["", " ", "accuracy, %", "points", "train GFLOPs", "memory, MB", "time"]
    # What follows the blank is for narrow screens.
    assert names == ["Method", "Sparsity", "Class-IL %", "Task-IL", "Forgetting", "paper", "fewer", "exact GFLOPs",
                     "fewer", "paper", "exact", "seconds"]  # fmt: skip
    assert len(body) == len(rows)
    reference = next(row for row in rows if row.name == "DER++ (single head)")
    for row, cells in zip(rows, body, strict=True):
        assert cells[0] == row.name
        mean, std = row.class_il_accuracy.mean, row.class_il_accuracy.std
        assert cells[2] == f"{100 * mean:.1f} ±{100 * std:.1f}"
        assert float(cells[5]) == pytest.approx(row.train_flops["paper"].mean / 1e9, rel=0.005)
        assert float(cells[7]) == pytest.approx(row.train_flops["exact"].mean / 1e9, rel=0.005)
        for convention, shown in zip(("paper", "exact"), (cells[6], cells[8]), strict=True):
            assert float(shown.rstrip("×")) == pytest.approx(times_fewer(row, reference, convention), abs=0.0501)
        assert float(cells[10]) == pytest.approx(row.memory_bytes["exact"].mean / 1e6, rel=0.005)
    assert body[-1][4] == "-"


def test_only_the_highest_is_bold(summary):
    source = render(summary)
    bold = re.findall(r'<td class="top(?: wide)?">([\d.]+)', source)
    rows = aggregate(summary["methods"])
    for key in ("class_il_accuracy", "task_il_accuracy"):
        assert f"{100 * max(getattr(row, key).mean for row in rows):.1f}" in bold
    assert len(bold) >= 2


def test_without_dense_derpp_the_table_has_no_times_fewer(summary):
    some = {**summary, "methods": summary["methods"][:4]}
    parsed = page(some)
    assert "fewer" not in parsed.cells[0][1]


def test_narrow_screens_keep_accuracy_and_cost(summary):
    rows = aggregate(summary["methods"])
    classes = [attributes.get("class") or "" for attributes in page(summary, []).all("td")]
    first = classes[:11]
    shown = [index for index, name in enumerate(first) if "wide" not in name.split()]
    # Class-IL, exact train FLOPs, times fewer.
    assert shown == [1, 6, 7]
    assert all(classes[11 * index + i] for index in range(len(rows)) for i in range(11) if i not in shown)


def test_what_a_narrow_table_leaves_out_stands_in_the_box_of_its_entry(summary):
    text = page(summary).text
    box = text[text.index("SparCL-DER++ .75", text.rindex("Entry by entry")) :]
    box = box[: box.index("Class-IL accuracy")]
    row = next(row for row in aggregate(summary["methods"]) if row.name == "SparCL-DER++ .75")
    assert f"{100 * row.task_il_accuracy.mean:.1f} % Task-IL" in box
    assert f"Forgetting {100 * row.forgetting.mean:.1f}" in box
    assert "Training, paper 64.0 GFLOPs Training, exact 123 GFLOPs Memory, paper 5.41 MB Memory, exact 5.90 MB" in box
    assert "Seconds 12.2" in box


def test_unknown_costs_are_called_so_everywhere(summary):
    bare = copy.deepcopy(summary)
    for record in bare["methods"]:
        record.update(train_flops=None, memory_bytes=None, savings=None, predicted=None)
        for row in record["data_removed"]:
            row["saved_flops"] = None
    parsed = page(bare)
    for cells in parsed.cells[0][2:]:
        assert cells[5:11] == ["unknown"] * 6
    assert "an unknown number of train FLOPs" in parsed.text
    assert "FLOPs saved" not in parsed.text
    (ledger,) = [cells for cells in parsed.cells if "stage 1" in cells[0]]
    assert len(ledger) == 1 + 5


def test_matrices_hold_means_and_mark_what_is_ahead(summary):
    parsed = page(summary)
    matrices = [cells for cells in parsed.cells if cells[0] == ["", *(f"task {task}" for task in range(1, 6))]]
    rows = aggregate(summary["methods"])
    # Class-IL and Task-IL of each entry.
    assert len(matrices) == 2 * len(rows)
    runs = [record for record in summary["methods"] if record["name"] == "ER"]
    shown = matrices[2 * [row.name for row in rows].index("ER")]
    assert [line[0] for line in shown[1:]] == ["untrained", *(f"after task {task}" for task in range(1, 6))]
    for moment, line in enumerate(shown[1:]):
        for task, text in enumerate(line[1:]):
            mean = sum(record["class_il_matrix"][moment][task] for record in runs) / len(runs)
            assert text == f"{100 * mean:.1f}"
    for key, offset in (("class_il_matrix", 0), ("task_il_matrix", 1)):
        last = matrices[2 * [row.name for row in rows].index("SGD") + offset][-1]
        finals = zip(*(record[key][-1] for record in summary["methods"] if record["name"] == "SGD"), strict=True)
        assert last[1:] == [f"{100 * sum(values) / len(values):.1f}" for values in finals]
    assert [line[0] for line in matrices[-1]] == ["", "untrained", "all tasks"]
    classes = [attributes.get("class", "") for attributes in parsed.all("td")]
    ahead = [name for name in classes if name == "ahead"]
    # Upper triangle and untrained row: 5 + 4 + 3 + 2 + 1 of two matrices for each of the eight that learn in order.
    assert len(ahead) == 15 * 2 * 8


def test_each_figure_comes_in_both_themes_and_widths_with_words(summary):
    source = render(summary, FIGURES)
    parsed = Page(source)
    images, sources = parsed.all("img"), parsed.all("source")
    assert [image["alt"] for image in images] == [each.sketch.alt for each in FIGURES]
    dark, narrow = "(prefers-color-scheme: dark)", "(max-width: 640px)"
    for index, (each, image) in enumerate(zip(FIGURES, images, strict=True)):
        shown = [*sources[3 * index : 3 * index + 3], image]
        wanted = [each.narrow_dark, each.narrow_light, each.dark, each.light]
        for attributes, picture in zip(shown, wanted, strict=True):
            data = attributes.get("srcset", attributes.get("src")).removeprefix("data:image/png;base64,")
            assert base64.b64decode(data) == picture.data
            assert attributes["width"] == str(picture.width)
        # The first that fits is shown, and none of them on paper.
        conditions = [attributes["media"].split(" and ") for attributes in shown[:3]]
        assert conditions == [["screen", narrow, dark], ["screen", narrow], ["screen", dark]]
        assert all(text in parsed.text for text in (each.sketch.caption, each.title, each.under))
    assert source.count('class="key narrow"') == 1


def test_names_for_a_narrow_drawing_stand_in_the_order_of_accuracy(summary):
    parsed = page(summary, FIGURES[:1])
    rows = sorted(aggregate(summary["methods"]), key=lambda row: row.accuracy, reverse=True)
    assert " ".join(f"{100 * row.accuracy:.1f} {row.name}" for row in rows) in parsed.text


@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
def test_numbers_of_tasks_ahead_read_well(theme, summary):
    """They have no heat: muted text on the page."""
    assert ".heat .ahead{color:var(--muted)}" in render(summary)
    assert "opacity" not in render(summary)
    assert style.contrast(theme.muted, theme.background) >= 4.5


def test_removed_data_are_listed_once_for_entries_with_one_ledger(summary):
    parsed = page(summary)
    (ledger,) = [cells for cells in parsed.cells if "stage 1" in cells[0]]
    assert ledger[0] == ["", "stage 1", "stage 2", "stage 3", "stage 4", "in all"]
    assert ledger[1] == ["task 1", "22 → 266", "21 → 245", "22 → 223", "21 → 202", "86"]
    # Five tasks of 4, 3, 2 and 1 times 1e8 FLOPs.
    assert ledger[6] == ["GFLOPs saved, SparCL-ER .75", "2.00", "1.50", "1.00", "0.500", "5.00"]
    assert len(ledger) == 1 + 5 + 4
    assert "SparCL-ER .75, SparCL-DER++ .75, SparCL-DER++ .90 and SparCL-DER++ .95" in parsed.text
    odd = copy.deepcopy(summary)
    odd["methods"][8]["data_removed"] = [{"task": 1, "stage": 1, "removed": 5, "left": 283},
                                         {"task": 2, "stage": 2, "removed": 6, "left": 282}]  # fmt: skip
    ledgers = [cells for cells in page(odd).cells if "stage 1" in cells[0]]
    assert len(ledgers) == 2
    assert ledgers[0][1:] == [["task 1", "5 → 283", "-", "5"], ["task 2", "-", "6 → 282", "6"]]
    dense = {**summary, "methods": summary["methods"][:4]}
    assert "Data removed" not in page(dense).text


def test_configuration_is_split_into_what_is_shared_and_what_differs(summary):
    parsed = page(summary)
    (varied,) = [cells for cells in parsed.cells if cells[0][0] == "Entry"]
    assert varied[0] == ["Entry", "method", "head", "sparsity"]
    assert ["SparCL-DER++ .95", "derpp", "single", "0.95"] in varied
    assert ["SGD", "sgd", "full", "-"] in varied
    (shared,) = [cells for cells in parsed.cells if cells[0][0] == "Setting"]
    assert ["lr", "0.03"] in shared
    assert ["tdm", "true"] in shared
    assert not any(line[0] in ("seed", "method") for line in shared)
    one = {**summary, "methods": summary["methods"][:1]}
    assert f"{len(summary['methods'][0]['config']) - 1} settings that were used" in page(one).text
    assert not [cells for cells in page(one).cells if cells[0][0] == "Entry"]
    bare = {**summary, "methods": [{**record, "config": {}} for record in summary["methods"]]}
    assert "configuration" not in [each["id"] for each in page(bare).all("section")]


def test_achieved_sparsity_is_listed_by_layer(summary):
    layers = [cells for cells in page(summary).cells if cells[0][0] == "Layer"]
    assert len(layers) == 4
    assert layers[-1][1:] == [["body.conv2.weight", "0.9500"], ["body.conv3.weight", "0.9500"]]


def test_the_page_tells_how_to_run_it_again(summary):
    parsed = page(summary)
    assert "python -m sparcl_ref.run --tiny --seeds 2" in parsed.text
    assert "python -m sparcl_ref.run --config summary.json" in parsed.text
    (versions,) = [cells for cells in parsed.cells if cells[0] == ["What", "Value"]]
    assert ["numpy", "2.4.0"] in versions
    assert ["threads, blas", "1"] in versions
    assert ["class order", "0 1 2 3 4 5 6 7 8 9"] in versions


def test_what_is_not_recorded_is_left_out(summary):
    least = {key: summary[key] for key in ("schema_version", "command", "config", "methods")}
    parsed = page(least, figures=[])
    assert "learners compared on a data set" in parsed.text
    assert "Versions" not in parsed.text
    assert facts(least, aggregate(least["methods"])) == "mean ± standard deviation over 2 seeds"
    sourced = {"dataset": {"name": "d", "train": 1000, "test": 5, "source": "UCI", "licence": "CC BY 4.0"}}
    assert facts(sourced, aggregate(summary["methods"][:1])) == (
        "1,000 training and 5 test images · source: UCI · licence: CC BY 4.0 · one seed"
    )


def test_tasks_are_counted_only_if_all_runs_agree(summary):
    assert number_of_tasks(summary["methods"]) == 5
    other = {**summary["methods"][0], "class_il_matrix": [[0.1], [0.9]]}
    assert number_of_tasks([*summary["methods"], other]) is None


def test_text_from_outside_cannot_become_markup(summary):
    evil = "</style><script>alert('x')</script>&<img src=x onerror=y>"
    bad = copy.deepcopy(summary)
    bad["command"] = bad["dataset"]["name"] = evil
    bad["versions"] = {evil: evil}
    bad["threads"] = {evil: 1}
    bad["class_order"] = [evil]
    for record in bad["methods"]:
        record["name"] += evil
        record["warnings"] = [evil]
        record["config"][evil] = evil
        record["config"]["model"] = evil
        record["layer_sparsity"] = {evil: 0.5}
    figures = [dataclasses.replace(FIGURES[0], title=evil, under=evil, sketch=Sketch(NAMES[0], evil, evil, None))]
    clean = copy.deepcopy(summary)
    clean["methods"][0]["warnings"] = ["careful"]
    clean, soiled = page(clean), page(bad, figures)
    assert not soiled.all("script")
    assert {name for name, _ in soiled.elements} <= {name for name, _ in clean.elements}
    assert len(soiled.all("img")) == 1
    assert not any(name.startswith("on") for _, attributes in soiled.elements for name in attributes)
    assert soiled.text.count("alert('x')") > 20


def test_names_and_numbers_are_kept_on_one_line(summary):
    rows = aggregate(summary["methods"])
    sentence = "SparCL-DER++ .90 took 7.7 times fewer, 3.1 points, 90 %, DER++ (single head)."
    whole = ["SparCL-DER++ .90", "7.7 times", "3.1 points", "90 %", "DER++ (single head)"]
    source = unbroken(sentence, rows)
    assert re.findall('<span class="whole">(.*?)</span>', source) == whole
    assert Page(source).text == sentence
