"""Records to rows, rows to a table."""

from __future__ import annotations

import copy
import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.table import (
    CONVENTIONS,
    aggregate,
    cost_reference,
    format_table,
    group_by_entry,
    is_joint,
    seeds_phrase,
    times_fewer,
)
from tests.report import example

MEASURES = (
    "class_il_accuracy", "task_il_accuracy", "forgetting", "backward_transfer", "forward_transfer", "learning_accuracy",
    "steps", "wall_seconds",
)  # fmt: skip


TWO_SEEDS = example.run(seeds=2)[0]["methods"]


def records(seeds: int = 1, **options):
    return example.run(seeds=seeds, **options)[0]["methods"]


def test_a_row_holds_mean_and_deviation_over_its_seeds():
    every = records(seeds=4)
    rows = aggregate(every)
    assert [row.name for row in rows] == [entry[0] for entry in example.ENTRIES]
    for row in rows:
        mine = [record for record in every if record["name"] == row.name]
        assert row.seeds == (0, 1, 2, 3)
        for key in MEASURES:
            values = [record[key] for record in mine]
            assert getattr(row, key).mean == pytest.approx(statistics.mean(values), rel=1e-12, abs=1e-15), key
            assert getattr(row, key).std == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-15), key
        for key in ("train_flops", "memory_bytes"):
            for convention in CONVENTIONS:
                mean = getattr(row, key)[convention].mean
                assert mean == pytest.approx(statistics.mean(record[key][convention] for record in mine), rel=1e-12)


@given(order=st.permutations(range(16)))
def test_the_order_of_records_decides_nothing_but_the_order_of_rows(order):
    every = TWO_SEEDS
    shuffled = [every[index] for index in order]
    rows = {row.name: row for row in aggregate(shuffled)}
    assert list(rows) == list(dict.fromkeys(record["name"] for record in shuffled))
    for row in aggregate(every):
        found = rows[row.name]
        assert sorted(found.seeds) == list(row.seeds)
        assert found.class_il_accuracy == pytest.approx(row.class_il_accuracy, rel=1e-12)


def test_records_are_left_alone():
    every = records(seeds=2)
    before = copy.deepcopy(every)
    format_table(aggregate(every))
    assert every == before


def test_one_seed_has_no_deviation_and_joint_training_no_forgetting():
    row = aggregate([example.joint_record()])[0]
    assert row.class_il_accuracy == (0.972, None, 1)
    assert row.forgetting == (None, None, 0)


def test_same_name_with_other_settings_is_another_entry():
    one = example.record(example.ENTRIES[1], 0)
    other = copy.deepcopy(one)
    other["config"]["lr"] = 0.1
    assert [len(group) for group in group_by_entry([one, other])] == [1, 1]
    other["config"].update(lr=one["config"]["lr"], seed=7)
    assert [len(group) for group in group_by_entry([one, other])] == [2]


def test_records_without_config_are_told_apart_by_what_they_are():
    every = [{key: value for key, value in record.items() if key != "config"} for record in records(seeds=2)]
    assert len(aggregate(every)) == len(example.ENTRIES)


def test_joint_training_is_known_by_its_two_rows():
    assert is_joint(example.joint_record())
    assert not is_joint(records()[0])
    assert not is_joint({"class_il_matrix": [[0.1], [0.9]]})


def test_times_fewer_refers_to_dense_derpp_with_the_full_head():
    rows = aggregate(records())
    reference = cost_reference(rows[::-1])
    assert reference.name == "DER++ (full head)"
    by_name = {row.name: row for row in rows}
    assert times_fewer(by_name["SparCL-DER++ .90"], reference, "exact") == pytest.approx(4.79e11 / 6.2e10)
    assert times_fewer(by_name["SparCL-DER++ .90"], reference, "paper") == pytest.approx(2.70e11 / 2.8e10)
    assert times_fewer(reference, reference, "exact") == 1


def test_times_fewer_is_undefined_without_a_reference_or_without_flops():
    rows = aggregate(records())
    assert cost_reference(rows[:2]) is None
    assert times_fewer(rows[0], None, "exact") is None
    free = copy.deepcopy(records()[0])
    free["train_flops"] = {"paper": 0, "exact": None}
    row = aggregate([free])[0]
    assert times_fewer(row, cost_reference(rows), "paper") is None
    assert times_fewer(row, cost_reference(rows), "exact") is None


def cells(line: str, rule: str) -> list[str]:
    """The parts of a line that stand over the dashes of the rule."""
    edges = [0, *(i for i in range(1, len(rule)) if rule[i] == "-" and rule[i - 1] == " "), max(len(rule), len(line))]
    return [line[a:b].strip() for a, b in itertools.pairwise(edges)]


def test_the_table_shows_what_the_records_say():
    text = format_table(aggregate(records(joint=True)), width=130)
    lines = text.split("\n")
    rule = lines[2]
    above = ["", "", "Class-IL", "Task-IL", "forgetting", "GFLOPs", "times", "GFLOPs", "times", "MB", "MB", ""]
    below = ["method", "sparsity", "%", "%", "points", "paper", "fewer", "exact", "fewer", "paper", "exact", "seconds"]
    assert cells(lines[0], rule) == above
    assert cells(lines[1], rule) == below
    found = {name: rest for name, *rest in (cells(line, rule) for line in lines[3:12])}
    assert found["DER++ (full head)"][0] == "-"
    assert found["DER++ (full head)"][4:] == ["270", "1.0x", "479", "1.0x", "6.31", "6.81", "13.9"]
    assert found["SparCL-DER++ .90"][0] == "0.90"
    assert found["SparCL-DER++ .90"][4:] == ["28.0", "9.6x", "62.0", "7.7x", "5.19", "5.60", "12.0"]
    assert found["Joint"][1:4] == ["97.2", f"{100 * records(joint=True)[-1]['task_il_accuracy']:.1f}", "-"]
    assert "one seed" in text
    assert "times fewer than DER++ (full head)" in text


def test_columns_are_aligned_and_lines_have_no_blanks_at_their_end():
    for seeds in (1, 3):
        lines = format_table(aggregate(records(seeds=seeds, joint=True))).split("\n")
        assert all(line == line.rstrip() for line in lines)
        rule, body = lines[2], lines[3:12]
        gaps = [index for index, character in enumerate(rule) if character == " "]
        assert gaps
        for line in body:
            assert len(line) <= len(rule)
            # Nothing but the left-aligned names may reach into a gap, and these do not either.
            assert all(line[index] == " " for index in gaps if index < len(line))


@pytest.mark.parametrize(
    ("width", "flops", "memory"),
    [(130, ["paper", "exact"], ["paper", "exact"]), (110, ["paper", "exact"], ["exact"]), (100, ["exact"], ["exact"])],
)
def test_a_narrow_table_drops_the_paper_convention_of_memory_then_of_flops(width, flops, memory):
    text = format_table(aggregate(records(seeds=5)), width=width)
    lines = text.split("\n\n")[0].split("\n")
    assert max(map(len, lines)) <= width
    units, conventions = cells(lines[0], lines[2]), cells(lines[1], lines[2])
    assert [how for unit, how in zip(units, conventions, strict=True) if unit == "GFLOPs"] == flops
    assert [how for unit, how in zip(units, conventions, strict=True) if unit == "MB"] == memory
    assert ("FLOPs: train FLOPs in the exact convention" in text) == (flops == ["exact"])
    assert ("Memory in the exact convention" in text) == (len(flops) > len(memory))


def test_a_name_too_long_for_the_width_is_not_cut():
    record = {**records()[0], "name": "x" * 200}
    assert "x" * 200 in format_table(aggregate([record]))


def test_the_example_fits_a_usual_terminal():
    for seeds in (1, 5):
        text = format_table(aggregate(records(seeds=seeds)))
        assert max(map(len, text.split("\n"))) <= 110


def test_seeds_are_named():
    rows = aggregate(records(seeds=3))
    top = rows[3].class_il_accuracy
    assert f"{100 * top.mean:.1f} ±{100 * top.std:.1f}" in format_table(rows)
    assert seeds_phrase(rows) == "mean ± standard deviation over 3 seeds"
    assert seeds_phrase(aggregate(records(seeds=3)[1:])) == "mean ± standard deviation over 2 to 3 seeds"
    assert seeds_phrase(aggregate(records())) == "one seed"


def test_without_dense_derpp_there_is_no_such_column_and_the_caption_says_so():
    text = format_table(aggregate(records()[:2]))
    assert "fewer" not in text.split("\n\n")[0]
    assert "No dense DER++" in text


def test_means_stand_under_each_other_beside_entries_without_deviation():
    every = [record for record in records(seeds=2) if record["name"] != "ER" or record["seed"] == 0]
    lines = format_table(aggregate(every)).split("\n")
    points = {line.index(".", 29) for line in lines[3:7]}
    assert len(points) == 1


def test_no_rows():
    assert format_table([]) == "no results"
