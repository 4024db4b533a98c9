"""Records to rows, rows to a table."""

from __future__ import annotations

import copy
import re
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.table import (
    CONVENTIONS,
    FEW,
    aggregate,
    dense_reference,
    format_table,
    group_by_entry,
    in_families,
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
    assert row.class_il_accuracy == (0.972, None)
    assert row.forgetting == (None, None)


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


def test_savings_are_counted_against_the_dense_entry_most_like_the_sparse_ones():
    every = records()
    reference = dense_reference(aggregate(every[::-1]))
    assert reference.name == "DER++ (single head)"
    assert dense_reference(aggregate([every[2], *every[4:]])).name == "DER++ (full head)"
    # Two SparCL entries over ER, one over DER++.
    assert dense_reference(aggregate([*every[:6], {**every[4], "name": "another"}])).name == "ER"
    assert dense_reference(aggregate(every[:4])) is None
    assert dense_reference(aggregate(every[4:])) is None
    assert dense_reference([]) is None


def test_the_reference_does_not_depend_on_what_was_measured():
    every = records()
    every[3]["class_il_accuracy"], every[3]["train_flops"] = 0.1, None
    assert dense_reference(aggregate(every)).name == "DER++ (single head)"


def test_times_fewer():
    rows = aggregate(records())
    reference = dense_reference(rows)
    by_name = {row.name: row for row in rows}
    assert times_fewer(by_name["SparCL-DER++ .90"], reference, "exact") == pytest.approx(4.79e11 / 6.2e10)
    assert times_fewer(by_name["SparCL-DER++ .90"], reference, "paper") == pytest.approx(2.70e11 / 2.8e10)
    assert times_fewer(reference, reference, "exact") == 1


@pytest.mark.parametrize("flops", [None, {}, {"paper": 0, "exact": None}])
def test_times_fewer_is_undefined_without_a_reference_or_without_flops(flops):
    rows = aggregate(records())
    assert times_fewer(rows[0], None, "exact") is None
    row = aggregate([{**records()[0], "train_flops": flops}])[0]
    assert times_fewer(row, dense_reference(rows), "paper") is None
    assert times_fewer(row, dense_reference(rows), "exact") is None
    assert row.exact_flops is None


def test_a_cost_that_is_unknown_for_some_seeds_is_the_mean_over_the_others():
    one, other = records(seeds=2)[:2]
    other["train_flops"] = None
    assert aggregate([one, other])[0].exact_flops == one["train_flops"]["exact"]


def split(line: str) -> list[str]:
    """The cells of a line, which are two blanks apart; for lines without empty cells and deviations."""
    return line.split("  ") if "   " not in line else [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_table_shows_what_the_records_say():
    text = format_table(aggregate(records(joint=True)), width=130)
    lines = text.split("\n")
    assert split(lines[0]) == ["Class-", "Task-", "forgot", "GFLOPs", "times", "GFLOPs", "times", "MB", "MB"]
    below = ["method", "IL, %", "IL, %", "points", "paper", "fewer", "exact", "fewer", "paper", "exact", "sec"]
    assert split(lines[1]) == below
    found = {name: rest for name, *rest in map(split, lines[3:12])}
    assert found["DER++ (full head)"][3:] == ["270", "1.0x", "479", "1.0x", "6.31", "6.81", "13.9"]
    assert found["SparCL-DER++ .90"][3:] == ["28.0", "9.6x", "62.0", "7.7x", "5.19", "5.60", "12.0"]
    assert found["Joint"][:3] == ["97.2", f"{100 * records(joint=True)[-1]['task_il_accuracy']:.1f}", "-"]
    assert "one seed" in text
    assert "times fewer than DER++ (single head)" in text


def test_an_unknown_cost_is_called_unknown():
    every = records()
    every[1]["train_flops"] = every[1]["memory_bytes"] = None
    every[5]["train_flops"] = {"paper": 6.4e10, "exact": None}
    lines = format_table(aggregate(every), width=130).split("\n")
    found = {name: rest for name, *rest in map(split, lines[3:11])}
    assert found["ER"][3:] == [*["unknown"] * 6, "9.6"]
    assert found["SparCL-DER++ .75"][3:7] == ["64.0", "4.2x", "unknown", "unknown"]
    every = [{**each, "train_flops": None, "memory_bytes": None} for each in every]
    assert "unknown" in format_table(aggregate(every))


def test_columns_are_aligned_and_lines_have_no_blanks_at_their_end():
    for seeds in (1, 3):
        lines = format_table(aggregate(records(seeds=seeds, joint=True))).split("\n")
        assert all(line == line.rstrip() for line in lines)
        assert set(lines[2]) == {"-"}
        # Every number ends where the one above it ends.
        assert len({len(line) for line in lines[1:12]}) == 1


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (130, []),
        (91, ["paper MB"]),
        (80, ["paper MB", "paper times"]),
        (72, ["paper MB", "paper times", "exact MB"]),
        (60, ["paper MB", "paper times", "exact MB", "paper GFLOPs", "sec"]),
        (55, ["paper MB", "paper times", "exact MB", "paper GFLOPs", "sec", "forgot"]),
        (20, ["paper MB", "paper times", "exact MB", "paper GFLOPs", "sec", "forgot", "Task-"]),
    ],
)
def test_a_narrow_table_leaves_columns_out_in_a_stated_order(width, left_out):
    text = format_table(aggregate(records()), width=width)
    head, names = text.split("\n")[:2]
    assert ("paper" in text.split("\n\n")[1]) == ("paper GFLOPs" not in left_out)
    assert head.count("MB") == 2 - sum("MB" in name for name in left_out)
    assert head.count("times") == 2 - sum("times" in name for name in left_out)
    assert head.count("GFLOPs") == 2 - sum("GFLOPs" in name for name in left_out)
    assert "Class-" in head
    assert all((name in head) == (name not in left_out) for name in ("Task-", "forgot"))
    assert ("sec" in names) == ("sec" not in left_out)
    assert width == 20 or max(map(len, text.split("\n"))) <= width


def test_a_name_too_long_for_the_width_is_not_cut():
    record = {**records()[0], "name": "x" * 200}
    assert "x" * 200 in format_table(aggregate([record]))


def test_the_example_fits_a_usual_terminal():
    for seeds in (1, 5):
        text = format_table(aggregate(records(seeds=seeds)))
        assert max(map(len, text.split("\n"))) <= 80


def test_seeds_are_named():
    rows = aggregate(records(seeds=3))
    top = rows[3].class_il_accuracy
    assert f"{100 * top.mean:.1f} ±{100 * top.std:.1f}" in format_table(rows)
    assert seeds_phrase(rows) == "mean ± standard deviation over 3 seeds"
    assert seeds_phrase(aggregate(records(seeds=3)[1:])) == "mean ± standard deviation over 2 to 3 seeds"
    assert seeds_phrase(aggregate(records())) == "one seed"


def test_without_a_reference_there_is_no_such_column():
    assert "fewer" not in format_table(aggregate(records()[:2]))


def test_means_stand_under_each_other_beside_entries_without_deviation():
    every = [record for record in records(seeds=2) if record["name"] != "ER" or record["seed"] == 0]
    lines = format_table(aggregate(every)).split("\n")
    points = {line.index(".") for line in lines[3:7]}
    assert len(points) == 1


def test_no_rows():
    assert format_table([]) == "no results"


def test_many_entries_are_put_together_by_family_the_most_accurate_first() -> None:
    rows = aggregate(example.many(seeds=2))
    families = in_families(rows)
    assert [name for name, _ in families] == ["baselines", "rehearsal", "regularisation", "sparse"]
    assert sorted(index for _, indices in families for index in indices) == list(range(25))
    for name, indices in families:
        assert {rows[index].family for index in indices} == {name}
        accuracies = [rows[index].accuracy for index in indices]
        assert accuracies == sorted(accuracies, reverse=True)


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_few_entries_and_those_of_no_family_stay_as_they_were_run(count) -> None:
    every = example.many()[:count]
    as_run = [("", list(range(count)))]
    assert (in_families(aggregate(every)) == as_run) == (count <= FEW)
    every[0] = {key: value for key, value in every[0].items() if key != "family"}
    assert in_families(aggregate(every)) == as_run


def test_a_table_of_many_entries_fits_a_usual_terminal_and_names_each_family_once() -> None:
    rows = aggregate(example.many(seeds=5))
    lines = format_table(rows).split("\n")
    assert max(map(len, lines)) <= 80
    shown = lines[3 : lines.index("")]
    expected = []
    for name, indices in in_families(rows):
        expected += [name, *(f"  {rows[index].name}" for index in indices)]
    assert [re.match(r" *[a-z]+( \d+)?", line)[0] for line in shown] == expected
    for line in shown:
        found = next((row for row in rows if line.startswith(f"  {row.name}  ")), None)
        assert found is None or f" {100 * found.accuracy:.1f} ±" in line
