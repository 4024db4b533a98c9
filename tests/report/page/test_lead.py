"""What a run says in words has to be true of whatever rows there are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.page.lead import best_trades, caveats, duration, findings, headline
from sparcl_ref.report.table import aggregate
from tests.report import example

TEMPLATE = example.record(example.ENTRIES[1], 0)


def record(name, method, sparsity, head, accuracy, flops, seed=0):
    matrix = [[0.1, 0.2], [0.9, 0.9], [0.9, 0.9]]
    return {
        **TEMPLATE, "name": name, "method": method, "sparsity": sparsity, "head": head, "seed": seed, "config": {},
        "class_il_matrix": matrix[: 2 if method == "joint" else 3],
        "class_il_accuracy": accuracy, "train_flops": {"paper": 1, "exact": flops}, "warnings": [],
    }  # fmt: skip


SGD = record("SGD", "sgd", None, "full", 0.197, 160)
DENSE_FULL = record("DER++ (full head)", "derpp", None, "full", 0.885, 480)
DENSE_SINGLE = record("DER++ (single head)", "derpp", None, "single", 0.93, 480)
SPARSE_75 = record("SparCL-DER++ .75", "derpp", 0.75, "single", 0.92, 160)
SPARSE_90 = record("SparCL-DER++ .90", "derpp", 0.9, "single", 0.9, 60)
SPARSE_95 = record("SparCL-DER++ .95", "derpp", 0.95, "single", 0.87, 40)
ER = record("ER", "er", None, "full", 0.86, 320)
SPARSE_ER = record("SparCL-ER .75", "er", 0.75, "single", 0.89, 84)
JOINT = record("Joint", "joint", None, "full", 0.97, 160)


def said(*records):
    return findings(aggregate(records))


def test_the_usual_comparison():
    assert said(SGD, ER, DENSE_FULL, DENSE_SINGLE, SPARSE_ER, SPARSE_75, SPARSE_90, SPARSE_95) == [
        "After the last task, DER++ (single head) scored highest of 8 learners, with a Class-IL accuracy of 93.0 %, "
        "and SGD lowest, with 19.7 %.",
        "SparCL's best trades against DER++ (single head): SparCL-DER++ .75 took 3.0 times fewer train FLOPs and lost "
        "1.0 points; SparCL-DER++ .90 took 8.0 times fewer train FLOPs and lost 3.0 points; SparCL-DER++ .95 took 12.0 "
        "times fewer train FLOPs and lost 6.0 points.",
    ]


def test_the_best_trade_is_told_whatever_method_it_is_over():
    better = {**SPARSE_ER, "class_il_accuracy": 0.925}
    second = said(DENSE_FULL, DENSE_SINGLE, better, SPARSE_75, SPARSE_90)[1]
    assert second.startswith(
        "SparCL's best trades against DER++ (single head): SparCL-ER .75 took 5.7 times fewer train FLOPs and lost 0.5 "
        "points; "
    )
    # Beaten by it in both.
    assert "SparCL-DER++ .75" not in second


def test_joint_training_is_told_apart_from_learners():
    first, second = said(ER, JOINT, SPARSE_ER)
    assert first == (
        "After the last task, SparCL-ER .75 scored highest of 2 learners, with a Class-IL accuracy of 89.0 %, and ER "
        "lowest, with 86.0 %; Joint, which learned all tasks at once, reached 97.0 %."
    )
    assert second.endswith("against ER: SparCL-ER .75 took 3.8 times fewer train FLOPs and gained 3.0 points.")
    assert said(JOINT) == ["Joint, which learned all tasks at once, reached 97.0 %."]


def test_of_a_single_learner_nothing_is_said_that_takes_two():
    assert said(ER) == ["After the last task, ER has a Class-IL accuracy of 86.0 %."]
    assert said(SPARSE_75) == [
        "After the last task, SparCL-DER++ .75 has a Class-IL accuracy of 92.0 %.",
        "The dense method was not run beside SparCL, so what SparCL costs in accuracy is not known.",
    ]
    assert len(said(SGD, ER)) == 1


def test_what_prints_alike_shares_its_place():
    twin = {**ER, "name": "Twin", "class_il_accuracy": ER["class_il_accuracy"] + 0.0004}
    assert said(ER, twin, SGD)[0].startswith(
        "After the last task, Twin and ER scored highest of 3 learners, with a Class-IL accuracy of 86.0 %, and SGD"
    )
    assert said(ER, twin)[0] == "After the last task, Twin and ER each have a Class-IL accuracy of 86.0 %."


@pytest.mark.parametrize(
    ("accuracy", "flops", "clause"),
    [
        (0.9298, 160, "took 3.0 times fewer train FLOPs and kept the accuracy"),
        (0.94, 160, "took 3.0 times fewer train FLOPs and gained 1.0 points"),
        (0.92, 481, "took as many train FLOPs and lost 1.0 points"),
        (0.92, 960, "took 2.0 times as many train FLOPs and lost 1.0 points"),
        (0.92, None, "took an unknown number of train FLOPs and lost 1.0 points"),
    ],
)
def test_every_kind_of_trade(accuracy, flops, clause):
    sparse = record("SparCL-DER++ .75", "derpp", 0.75, "single", accuracy, flops)
    assert said(DENSE_SINGLE, sparse)[1].endswith(f": SparCL-DER++ .75 {clause}.")


def test_costs_that_are_unknown_altogether_stop_no_sentence():
    every = [{**each, "train_flops": None, "memory_bytes": None} for each in (DENSE_SINGLE, SPARSE_75, SPARSE_90)]
    assert said(*every)[1].endswith(": SparCL-DER++ .75 took an unknown number of train FLOPs and lost 1.0 points.")


def names(rows):
    return [row.name for row in rows]


def test_of_many_trades_the_ends_and_a_middle_are_named():
    points = [(0.92, 200), (0.91, 160), (0.9, 120), (0.89, 100), (0.88, 90)]
    many = [record(f"S{i}", "derpp", 0.75, "single", *point) for i, point in enumerate(points)]
    assert names(best_trades(aggregate(many[:3]))) == ["S0", "S1", "S2"]
    assert names(best_trades(aggregate(many[::-1]))) == ["S0", "S2", "S4"]


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 9)), min_size=1, max_size=8))
def test_no_trade_that_is_told_is_beaten_in_both(points):
    rows = aggregate([record(f"S{i}", "er", 0.5, "single", accuracy / 10, flops)
                      for i, (accuracy, flops) in enumerate(points)])  # fmt: skip
    cost = {row.name: row.exact_flops or 99 for row in rows}
    told = best_trades(rows)
    assert 1 <= len(told) <= 3
    assert told[0].accuracy == max(row.accuracy for row in rows)
    assert cost[told[-1].name] == min(cost.values()) or all(cost[each.name] == 99 for each in told)
    for one in told:
        assert not any(row.accuracy >= one.accuracy and cost[row.name] < cost[one.name] for row in rows)
        assert not any(row.accuracy > one.accuracy and cost[row.name] <= cost[one.name] for row in rows)


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["sgd", "joint", "er", "derpp"]),
        st.sampled_from([None, 0.0, 0.75, 0.9]),
        st.sampled_from(["full", "single"]),
        st.integers(0, 1000),
        st.integers(1, 10**12),
    ).filter(lambda entry: entry[1] is None or entry[0] in ("er", "derpp")),
    min_size=1,
    max_size=7,
)


@given(entries=ENTRIES)
def test_whatever_was_run_the_sentences_hold(entries):
    records = [
        record(f"<{index}>", method, sparsity, head, thousandths / 1000, flops)
        for index, (method, sparsity, head, thousandths, flops) in enumerate(entries)
    ]
    by_name = {each["name"]: each for each in records}
    first, *rest = said(*records)
    assert all(sentence.endswith(".") for sentence in (first, *rest))
    learners = [f"{100 * each['class_il_accuracy']:.1f}" for each in records if each["method"] != "joint"]
    pattern = (
        r"After the last task, (.*) scored highest of (\d+) learners, .* of (\S+) %, and (.*) lowest, with (\S+) %"
    )
    if found := re.match(pattern, first):
        assert int(found.group(2)) == len(learners)
        for group, shown, extreme in ((1, found.group(3), max), (4, found.group(5), min)):
            assert shown == extreme(learners, key=float)
            named = [
                f"{100 * by_name[name]['class_il_accuracy']:.1f}" for name in re.findall(r"<\d+>", found.group(group))
            ]
            assert named == [shown] * learners.count(shown)
    else:
        assert len(set(learners)) <= 1
    for name, shown in re.findall(r"(<\d+>), which learned all tasks at once, reached ([\d.]+) %", first):
        assert f"{100 * by_name[name]['class_il_accuracy']:.1f}" == shown
    if rest and (found := re.match(r"SparCL's best trades against (<\d+>): ", rest[0])):
        reference = by_name[found.group(1)]
        assert reference["sparsity"] is None
        clauses = re.findall(r"(<\d+>) took (.*?) train FLOPs and (.*?)(?:; |\.$)", rest[0][found.end() :])
        assert clauses
        for name, cost, text in clauses:
            mine = by_name[name]
            assert mine["sparsity"] is not None
            lost = 100 * (reference["class_il_accuracy"] - mine["class_il_accuracy"])
            amount = {word: float(value) for word, value in re.findall(r"(lost|gained) ([\d.]+) points", text)}
            assert amount.get("lost", 0) - amount.get("gained", 0) == pytest.approx(lost, abs=0.0501)
            assert ("kept" in text) == (not amount)
            fewer = reference["train_flops"]["exact"] / mine["train_flops"]["exact"]
            if factor := re.match(r"([\d.]+) times (fewer|as many)", cost):
                truth = fewer if factor.group(2) == "fewer" else 1 / fewer
                # One decimal below 100, none above.
                assert float(factor.group(1)) == pytest.approx(truth, abs=0.0501 if truth < 99 else 0.501)
            else:
                assert fewer == pytest.approx(1, abs=0.0501)


def test_titles():
    rows = aggregate([ER, SPARSE_ER])
    assert headline("digits", 5, rows) == "2 learners compared on digits, learned in 5 tasks"
    assert headline("digits", 5, rows[:1]) == "ER on digits, learned in 5 tasks"
    assert headline("digits", None, rows) == headline("digits", 1, rows) == "2 learners compared on digits"


def over_seeds(base, *accuracies):
    return [{**base, "seed": seed, "class_il_accuracy": value} for seed, value in enumerate(accuracies)]


def test_one_seed_is_pointed_out():
    notes = caveats(aggregate([ER]), [ER])
    assert len(notes) == 1
    assert "one seed" in notes[0]
    assert caveats(aggregate(over_seeds(ER, 0.8, 0.9)), []) == []


def test_a_close_call_is_pointed_out():
    close = [*over_seeds(ER, 0.86, 0.9), *over_seeds(DENSE_FULL, 0.87, 0.91)]
    (note,) = caveats(aggregate(close), [])
    assert note.startswith("DER++ (full head) and ER differ by less than a standard deviation")
    wide = [*over_seeds(ER, 0.8, 0.9), *over_seeds(DENSE_FULL, 0.869, 0.871)]
    assert len(caveats(aggregate(wide), [])) == 1
    clear = [*over_seeds(ER, 0.86, 0.861), *over_seeds(DENSE_FULL, 0.91, 0.911)]
    assert caveats(aggregate(clear), []) == []


def test_a_difference_in_heads_is_pointed_out():
    seeded = [*over_seeds(DENSE_FULL, 0.8, 0.81), *over_seeds(SPARSE_75, 0.9, 0.91)]
    (note,) = caveats(aggregate(seeded), [])
    assert note.startswith("DER++ (full head) was trained with the full head and SparCL with another")
    seeded = [*over_seeds(DENSE_SINGLE, 0.8, 0.81), *over_seeds(SPARSE_75, 0.9, 0.91)]
    assert caveats(aggregate(seeded), []) == []


def test_warnings_of_runs_are_passed_on_once():
    records = [{**each, "warnings": ["mind the gap"]} for each in over_seeds(ER, 0.8, 0.9)]
    records += [{**each, "warnings": ["mind the gap"]} for each in over_seeds(DENSE_FULL, 0.1, 0.2)]
    assert caveats(aggregate(records), records) == ["Warning of ER and DER++ (full head): mind the gap."]


@pytest.mark.parametrize(
    ("value", "text"), [(48.31, "48.3 seconds"), (119.6, "120 seconds"), (150, "2 minutes"), (9000, "2.5 hours")]
)
def test_durations(value, text):
    assert duration(value) == text
