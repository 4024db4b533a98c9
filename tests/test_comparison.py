"""Entries side by side: means, deviations and paired differences, against Python's own statistics."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import Config, Result, compare, load_run, table
from sparcl_ref.history import History

RESULTS = Path(__file__).parents[1] / "tutorials" / "results"


def result(accuracy: float, *, seed: int = 0, name: str | None = None, **settings) -> Result:
    config = Config(seed=seed, **settings)
    matrix = [[0.0, 0.0], [1.0, 0.0], [accuracy, accuracy]]
    return Result(
        name=name or config.title,
        config=config,
        class_order=tuple(range(10)),
        history=History(class_il_matrix=matrix, task_il_matrix=matrix),
        layer_sparsity={},
        train_flops={},
        memory_bytes={},
        predicted={},
        savings={},
        data_removed=[],
        steps=0,
        wall_seconds=0.0,
    )


values = st.floats(0, 1)
entries = st.dictionaries(
    st.sampled_from(["sgd", "er", "der", "derpp"]), st.dictionaries(st.integers(0, 5), values, min_size=1), min_size=1
)


@given(entries, st.randoms())
def test_differences_are_paired_by_seed(given_, random) -> None:
    runs = [(method, seed) for method, seeds in given_.items() for seed in seeds]
    random.shuffle(runs)
    found = compare([result(given_[method][seed], seed=seed, method=method) for method, seed in runs])
    first = runs[0][0]
    assert found.against == Config(method=first).title
    assert [entry.name for entry in found.entries] == [
        Config(method=method).title for method in dict.fromkeys(method for method, _ in runs)
    ]
    for method, by_seed in given_.items():
        entry = found[Config(method=method).title]
        assert entry.by_seed == by_seed
        assert entry.spread.mean == pytest.approx(statistics.fmean(by_seed.values()), abs=1e-12)
        if len(by_seed) > 1:
            assert entry.spread.std == pytest.approx(statistics.stdev(by_seed.values()), abs=1e-9)
        shared = by_seed.keys() & given_[first].keys() if method != first else set()
        assert entry.differences == {seed: by_seed[seed] - given_[first][seed] for seed in shared}
        if len(shared) > 1:
            paired = [by_seed[seed] - given_[first][seed] for seed in shared]
            assert entry.difference.std == pytest.approx(statistics.stdev(paired), abs=1e-9)
        elif not shared:
            assert entry.difference == (None, None)


def test_a_table_by_hand() -> None:
    runs = [
        result(0.5, seed=0),
        result(0.7, seed=1),
        result(0.6, seed=0, method="er"),
        result(0.65, seed=1, method="er"),
    ]
    assert str(compare(runs)).splitlines() == [
        "Class-IL accuracy, %; points more than DER++, paired by seed",
        "",
        "       seeds  mean    sd  points    sd  seed 0  seed 1",
        "DER++      2  60.0  14.1",
        "ER         2  62.5   3.5    +2.5  10.6   +10.0    -5.0",
    ]


def test_a_wide_table_becomes_two_of_eighty_columns() -> None:
    runs = [
        result(0.5 + 0.01 * seed, seed=seed, sparsity=0.95, importance=importance)
        for importance, seed in itertools.product(("cwi", "negated_cwi"), range(5))
    ]
    lines = str(compare(runs)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("by negated cwi" in line for line in lines) == 2


def test_entries_of_one_name_are_told_apart_by_their_settings() -> None:
    found = compare([result(0.5, lr=0.1), result(0.7, lr=0.2), result(0.6, method="er", lr=0.2)])
    assert [entry.name for entry in found.entries] == ["DER++, lr 0.1", "DER++, lr 0.2", "ER"]


def test_a_mapping_names_its_entries() -> None:
    found = compare({"here": [result(0.5)], "there": [result(0.75)]}, against="there", measure="forgetting")
    assert found["here"].differences == {0: 0.25}
    assert "forgetting" in str(found)


def test_two_results_of_a_run_compare(tmp_path) -> None:
    runs = load_run(RESULTS / "tiny")
    found = compare(runs, against="DER++ (single head)")
    sparse = found["SparCL-DER++ .95"]
    pairs = {
        seed: next(r for r in runs if r.name == "SparCL-DER++ .95" and r.config.seed == seed).class_il_accuracy
        - next(r for r in runs if r.name == "DER++ (single head)" and r.config.seed == seed).class_il_accuracy
        for seed in range(5)
    }
    assert sparse.differences == pairs
    assert sparse.difference.std == pytest.approx(np.std(list(pairs.values()), ddof=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"results": []}, "nothing to compare"),
        ({"results": {"a": []}}, "nothing to compare"),
        ({"results": [result(0.5)], "measure": "luck"}, "measure must be one of class_il_accuracy, .* got 'luck'"),
        ({"results": [result(0.5)], "against": "me"}, r"no entry 'me'; choose one of DER\+\+"),
        ({"results": [result(0.5), result(0.6)]}, r"DER\+\+ has a seed twice"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


def test_a_measure_that_is_undefined_gives_no_difference() -> None:
    joint = result(0.5)
    joint = dataclasses.replace(joint, history=History([[0.0, 0.0], [0.5, 0.5]], [[0.0, 0.0], [0.5, 0.5]]))
    found = compare({"joint": [joint], "er": [result(0.5)]}, measure="forgetting")
    assert found["er"].differences == {}
    assert "None" not in str(found)


def test_results_print_as_a_table_over_their_seeds() -> None:
    results = load_run(RESULTS / "tiny")
    lines = table(results, without=["seconds"]).splitlines()[3:11]
    names = list(dict.fromkeys(each.name for each in results))
    for line, name in zip(lines, names, strict=True):
        found = [100 * each.class_il_accuracy for each in results if each.name == name]
        assert line.startswith(f"{name} ")
        assert line.removeprefix(name).split()[:2] == [
            f"{statistics.fmean(found):.1f}", f"±{statistics.stdev(found):.1f}",
        ]  # fmt: skip
    assert " sec" in table(results[:8])
    assert " sec" not in table(results[:8], without=["seconds"])
    with pytest.raises(ValueError, match="there is no column 'time' to leave out; choose among"):
        table(results, without=["time"])
