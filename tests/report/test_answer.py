"""What a run says in words has to be true of whatever rows there are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.answer import answer, caveats, comparison, duration, headline
from sparcl_ref.report.table import aggregate
from tests.report import example

TEMPLATE = example.record(example.ENTRIES[1], 0)


def record(name, method, sparsity, head, accuracy, flops, seed=0):
    return {
        **TEMPLATE, "name": name, "method": method, "sparsity": sparsity, "head": head, "seed": seed, "config": {},
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
    return answer(aggregate(records))


def test_the_usual_comparison():
    assert said(SGD, ER, DENSE_FULL, DENSE_SINGLE, SPARSE_ER, SPARSE_75, SPARSE_90, SPARSE_95) == (
        "After the last task, DER++ (single head) scored highest of 8 learners, with a Class-IL accuracy of 93.0 %; "
        "SGD, which rehearses nothing, ended at 19.7 %.",
        "Against DER++ (single head), SparCL-DER++ .75 took 3.0 times fewer train FLOPs and lost 1.0 points of "
        "accuracy; "
        "SparCL-DER++ .90 took 8.0 times fewer and lost 3.0 points; SparCL-DER++ .95 took 12.0 times fewer and lost "
        "6.0 points.",
    )


def test_joint_training_is_told_apart_from_learners():
    first, second = said(ER, JOINT, SPARSE_ER)
    assert first == (
        "After the last task, SparCL-ER .75 scored highest of the 2 that learn task by task, with a Class-IL accuracy "
        "of 89.0 %; Joint, which sees all tasks at once, reached 97.0 %."
    )
    assert second == "Against ER, SparCL-ER .75 took 3.8 times fewer train FLOPs and gained 3.0 points of accuracy."
    assert said(JOINT)[0] == "Joint has a Class-IL accuracy of 97.0 % after training on all tasks at once."


def test_a_single_learner_is_not_called_the_highest():
    assert said(ER) == (
        "After the last task, ER has a Class-IL accuracy of 86.0 %.",
        "SparCL was not among them, so this run does not say what it saves.",
    )
    assert said(SGD)[0] == "After the last task, SGD has a Class-IL accuracy of 19.7 %."


def test_what_prints_alike_shares_the_first_place():
    twin = {**ER, "name": "Twin", "class_il_accuracy": ER["class_il_accuracy"] + 0.0004}
    assert said(ER, twin, SGD)[0].startswith(
        "After the last task, ER and Twin share the highest Class-IL accuracy of 3 learners, 86.0 %; SGD"
    )


def test_without_the_dense_method_nothing_is_said_about_savings():
    assert said(SPARSE_75, SPARSE_90, ER)[1] == (
        "The dense method under SparCL-DER++ .75 and SparCL-DER++ .90 was not run beside it, so this run does not say "
        "what SparCL saves."
    )


@pytest.mark.parametrize(
    ("accuracy", "flops", "clause"),
    [
        (0.9298, 160, "took 3.0 times fewer train FLOPs and kept the accuracy"),
        (0.94, 160, "took 3.0 times fewer train FLOPs and gained 1.0 points of accuracy"),
        (0.92, 481, "took as many train FLOPs and lost 1.0 points of accuracy"),
        (0.92, 960, "took 2.0 times as many train FLOPs and lost 1.0 points of accuracy"),
        (0.92, 0, "lost 1.0 points of accuracy"),
    ],
)
def test_every_kind_of_trade(accuracy, flops, clause):
    sparse = record("SparCL-DER++ .75", "derpp", 0.75, "single", accuracy, flops)
    assert said(DENSE_SINGLE, sparse)[1] == f"Against DER++ (single head), SparCL-DER++ .75 {clause}."


def test_trades_of_different_kinds_are_each_told_in_full():
    better = record("SparCL-DER++ .50", "derpp", 0.5, "single", 0.95, 240)
    same = record("SparCL-DER++ .60", "derpp", 0.6, "single", 0.93, 200)
    assert said(DENSE_SINGLE, SPARSE_75, better, same)[1] == (
        "Against DER++ (single head), SparCL-DER++ .75 took 3.0 times fewer train FLOPs and lost 1.0 points of "
        "accuracy; "
        "SparCL-DER++ .50 took 2.0 times fewer train FLOPs and gained 2.0 points of accuracy; "
        "SparCL-DER++ .60 took 2.4 times fewer train FLOPs and kept the accuracy."
    )
    # What is like the one before is short, whatever the first was like.
    assert said(DENSE_SINGLE, better, SPARSE_75, SPARSE_90)[1].endswith(
        "; SparCL-DER++ .75 took 3.0 times fewer train FLOPs and lost 1.0 points of accuracy; "
        "SparCL-DER++ .90 took 8.0 times fewer and lost 3.0 points."
    )
    # Alike in words but without amounts: there is nothing to shorten to.
    again = {**same, "name": "SparCL-DER++ .61", "sparsity": 0.61}
    assert said(DENSE_SINGLE, same, again)[1].count("kept the accuracy") == 2


def test_of_many_sparse_entries_the_first_the_most_accurate_and_the_cheapest_are_named():
    many = [record(f"S{i}", "derpp", 0.75, "single", accuracy, flops)
            for i, (accuracy, flops) in enumerate([(0.9, 200), (0.92, 160), (0.88, 100), (0.91, 120)])]  # fmt: skip
    reference, chosen = comparison(aggregate([DENSE_SINGLE, *many]))
    assert (reference.name, [row.name for row in chosen]) == ("DER++ (single head)", ["S0", "S1", "S2"])
    free = {**many[3], "train_flops": {"paper": None, "exact": None}}
    assert [row.name for row in comparison(aggregate([DENSE_SINGLE, *many[:3], free]))[1]] == ["S0", "S1", "S2"]
    both = record("S9", "derpp", 0.75, "single", 0.99, 1)
    assert [row.name for row in comparison(aggregate([DENSE_SINGLE, *many, both]))[1]] == ["S0", "S9"]


def test_sparcl_is_compared_under_its_own_head_where_that_was_run():
    assert comparison(aggregate([DENSE_FULL, DENSE_SINGLE, SPARSE_75]))[0].name == "DER++ (single head)"
    assert comparison(aggregate([DENSE_FULL, SPARSE_75]))[0].name == "DER++ (full head)"
    assert comparison(aggregate([ER, SPARSE_ER, SPARSE_75]))[0].name == "ER"
    assert comparison(aggregate([ER, SPARSE_75])) == (None, [])


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
    first, second = said(*records)
    assert first.endswith(".")
    assert second.endswith(".")
    if found := re.search(r"task, (.*) (?:scored|share the) highest", first):
        tops = re.findall(r"<\d+>", found.group(1))
        learners = [each for each in records if each["method"] != "joint"]
        best = max(each["class_il_accuracy"] for each in learners)
        assert {f"{100 * by_name[name]['class_il_accuracy']:.1f}" for name in tops} == {f"{100 * best:.1f}"}
    for name, shown in re.findall(r"(<\d+>), which [^<]*?(?:ended at|reached) ([\d.]+) %", first):
        assert f"{100 * by_name[name]['class_il_accuracy']:.1f}" == shown
    if found := re.match(r"Against (<\d+>), ", second):
        reference = by_name[found.group(1)]
        assert reference["sparsity"] is None
        for name, text in re.findall(r"(<\d+>) ((?:took|lost|gained|kept)[^;]*)[;.](?: |$)", second[found.end() :]):
            mine = by_name[name]
            assert (mine["method"], mine["sparsity"] is None) == (reference["method"], False)
            lost = 100 * (reference["class_il_accuracy"] - mine["class_il_accuracy"])
            amount = {word: float(value) for word, value in re.findall(r"(lost|gained) ([\d.]+) points", text)}
            assert amount.get("lost", 0) - amount.get("gained", 0) == pytest.approx(lost, abs=0.0501)
            assert ("kept" in text) == (not amount)
            fewer = reference["train_flops"]["exact"] / mine["train_flops"]["exact"]
            if factor := re.search(r"([\d.]+) times (fewer|as many)", text):
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
