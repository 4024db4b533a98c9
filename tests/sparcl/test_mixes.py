"""Whole deviations taken from a profile, and what tables call a mix."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.sparcl import mixes
from sparcl_ref.sparcl.rules import PAPER, PROFILES, RELEASED, Rules, mixed_rules, register

NUMBERS = {item.name: item.metadata["number"] for item in dataclasses.fields(Rules)}


def test_deviations_are_the_numbers_in_which_profiles_differ(monkeypatch) -> None:
    assert mixes.deviations("released") == list(range(1, 12))
    assert mixes.deviations("released", dense=True) == [9, 10, 11]
    assert mixes.deviations("paper") == mixes.deviations("released", base="released") == []
    monkeypatch.setattr(PROFILES, "added", dict(PROFILES.added))
    register("mine", dataclasses.replace(PAPER, shrink=RELEASED.shrink, drop_last=True))
    assert mixes.deviations("mine") == [3, 9]
    assert mixes.deviations("mine", dense=True) == [9]


def test_a_deviation_is_mixed_with_all_its_rules() -> None:
    assert mixes.fields_of(10) == ["replay_from_task", "augment_replay"]
    assert mixes.mix_of([2, 9], "released") == "schedule=released,p_intra=released,drop_last=released"


@given(st.sets(st.integers(1, 11)))
def test_a_mix_takes_its_deviations_and_leaves_the_others(numbers) -> None:
    mixed = mixed_rules("paper", mixes.mix_of(sorted(numbers), "released"))
    for name, number in NUMBERS.items():
        assert getattr(mixed, name) == getattr(RELEASED if number in numbers else PAPER, name)


@given(st.lists(st.integers(1, 99), unique=True, max_size=5))
def test_subsets_are_all_of_them_smallest_first(numbers) -> None:
    found = list(mixes.subsets(numbers))
    assert len(found) == len(set(found)) == 2 ** len(numbers)
    assert [len(one) for one in found] == sorted(len(one) for one in found)
    assert all(set(one) <= set(numbers) for one in found)


@given(st.sets(st.integers(1, 30)))
def test_ranges_say_each_number_once(numbers) -> None:
    said = []
    for part in filter(None, mixes.ranges(sorted(numbers)).split(", ")):
        first, _, last = part.partition("-")
        assert not last or int(last) - int(first) >= 2
        said += range(int(first), int(last or first) + 1)
    assert said == sorted(numbers)


@pytest.mark.parametrize(
    ("mix", "remarks"),
    [
        ("", []),
        ("drop_last=released", ["rule 9 released"]),
        ("freeze=released, drop_last=released", ["rules 8, 9 released"]),
        (mixes.mix_of([1, 2, 3, 9], "released"), ["rules 1-3, 9 released"]),
        ("p_intra=released", ["p_intra released"]),
        ("ddr_keep=released,freeze=paper", ["ddr_keep released", "rule 8 paper"]),
        ("shrink=released,p_intra=released", ["rule 3 released", "p_intra released"]),
    ],
)
def test_a_title_names_what_was_mixed(mix, remarks) -> None:
    assert mixes.mix_remarks(mix) == remarks
    title = Config(sparsity=0.9, mix=mix).title
    assert title == "SparCL-DER++ .90" + (f" ({', '.join(remarks)})" if remarks else "")


def test_rules_that_decide_without_masks_are_those_a_dense_run_asks() -> None:
    """By running: a dense run notices the other side of each rule that says so, and of no other."""
    settings = {"classes_per_task": 5, "epochs": 1, "model": "mlp", "width": 4, "buffer_size": 20, "batch_size": 50}

    def learned(mix: str) -> dict[str, np.ndarray]:
        trainer = build(Config(**settings, engine="numpy", augmentation="crop_flip", mix=mix))
        for _ in trainer.events():
            pass
        return trainer.model.state_dict()

    plain = learned("")
    for item in dataclasses.fields(Rules):
        mixed = learned(f"{item.name}=released")
        notices = any(not np.array_equal(mixed[name], plain[name]) for name in plain)
        assert notices == item.metadata["dense"], item.name
