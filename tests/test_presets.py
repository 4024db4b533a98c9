"""Named comparisons: each can be run as it stands, and has the entries that its results are committed for."""

from __future__ import annotations

import dataclasses

import pytest

from sparcl_ref.config import Config
from sparcl_ref.methods import METHODS
from sparcl_ref.methods.fine_tuning import FineTuning
from sparcl_ref.policies import POLICIES
from sparcl_ref.policies.static import Static
from sparcl_ref.presets import PRESETS, configurations, preset
from sparcl_ref.sparcl.mixes import deviations_of, subsets
from sparcl_ref.sparcl.rules import PAPER, PROFILES, RELEASED, sources

COMMON = ("dataset", "classes_per_task", "model", "epochs", "batch_size", "lr", "delta_k", "buffer_size", "profile")


@pytest.mark.parametrize("name", PRESETS)
def test_entries_are_distinct_and_reach_all_that_they_ask_for(name) -> None:
    configs = configurations(PRESETS[name], {})
    assert len({config.title for config in configs}) == len(configs) == len(list(PRESETS[name]))
    assert [line for config in configs for line in config.warnings()] == []


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_configurations_with_the_settings_given(name) -> None:
    assert preset(name) == configurations(PRESETS[name], {})
    shorter = preset(name, epochs=3, seed=4)
    assert [config.title for config in shorter] == [config.title for config in preset(name)]
    assert {(config.epochs, config.seed) for config in shorter} == {(3, 4)}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("Tiny", {}, "there is no preset 'Tiny'; did you mean 'tiny'"),
        ("everything", {}, "there is no preset 'everything'; choose one of tiny, importance"),
        ("tiny", {"epochs": 0}, "epochs"),
        ("importance", {"er_weight": 2.0}, "--er-weight is a setting of"),
    ],
)
def test_presets_and_settings_that_make_no_sense_are_refused(name, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        preset(name, **settings)


def test_fashion_mnist_is_compared_on_the_whole_of_it() -> None:
    configs = configurations(PRESETS["fashion-mnist"], {})
    assert [config.title for config in configs] == [
        "SGD", "ER", "DER++ (full head)", "DER++ (single head)", "SparCL-DER++ .90", "SparCL-DER++ .95",
        "SparCL-DER++ .95 (no TDM)",
    ]  # fmt: skip
    asked = {
        "dataset": "fashion-mnist", "classes_per_task": 2, "model": "convnet", "width": 64, "buffer_size": 200,
        "epochs": 5, "batch_size": 32, "lr": 0.03, "delta_k": 2, "ddr_cutoff": 2,
    }  # fmt: skip
    for config in configs:
        assert {key: config.to_json()[key] for key in asked} == asked


def test_rivals_are_all_methods_in_all_forms_with_the_settings_of_the_tiny_job() -> None:
    configs = configurations(PRESETS["rivals"], {})
    assert {config.method for config in configs} == set(METHODS)
    for method, forms in {"oewc": 2, "lwf": 2, "agem": 2, "fdr": 2, "gdumb": 2, "icarl": 2, "er-ace": 2}.items():
        assert len([config for config in configs if config.method == method]) == forms, method
    titles = [config.title for config in configs]
    assert {
        "Joint", "ER (WA)", "DER++", "DER++ (single head)", "SparCL-DER++ .90", "SparCL-DER++ .95",
        "SparCL-DER++ .95 (no TDM)",
    } < set(titles)  # fmt: skip
    (tiny,) = {tuple(getattr(config, name) for name in COMMON) for config in configurations(PRESETS["tiny"], {})}
    assert {tuple(getattr(config, name) for name in COMMON) for config in configs} == {tiny}


def test_sparse_trainers_are_all_policies_over_er_and_derpp_at_two_sparsities() -> None:
    configs = configurations(PRESETS["sparse-trainers"], {})
    dense = [(config.method, config.effective_head) for config in configs if not config.sparse]
    assert dense == [("er", "single"), ("derpp", "single")]
    sparse = {(config.method, config.sparsity, config.policy) for config in configs if config.sparse}
    assert sparse == {(method, s, policy) for method in ("er", "derpp") for s in (0.9, 0.95) for policy in POLICIES}


def test_paper_and_code_is_every_deviation_over_the_tiny_job() -> None:
    configs = configurations(PRESETS["paper-and-code"], {})
    (tiny,) = {tuple(getattr(config, name) for name in COMMON) for config in configurations(PRESETS["tiny"], {})}
    assert {tuple(getattr(config, name) for name in COMMON) for config in configs} == {tiny}
    assert {(config.method, config.sparsity, config.effective_head) for config in configs} == {
        ("derpp", None, "single"),
        ("derpp", 0.9, "single"),
    }
    taken = {
        sparse: [tuple(deviations_of(sources(config.mix))) for config in configs if config.sparse == sparse]
        for sparse in (False, True)
    }
    assert sorted(taken[False]) == sorted(subsets([9, 10, 11]))
    alone = [(number,) for number in range(1, 9)]
    assert taken[True] == [(), (9, 10, 11), tuple(range(1, 9)), tuple(range(1, 12)), *alone]
    longest = max((config.mix for config in configs), key=len)
    assert Config(mix=longest).rules == RELEASED


def test_what_is_registered_takes_part_without_an_edit(monkeypatch) -> None:
    class Mine(FineTuning):
        title = "Mine"

        @classmethod
        def entries(cls):
            return [{}, {"lr": 0.1}]

    class Still(Static):
        title = "still"

        @classmethod
        def remarks(cls, settings):
            return ["still"]

    monkeypatch.setitem(PROFILES.added, "new", dataclasses.replace(PAPER, freeze=RELEASED.freeze))
    monkeypatch.setitem(METHODS.added, "mine", Mine)
    monkeypatch.setitem(POLICIES.added, "still", Still)
    mine = [config for config in configurations(PRESETS["rivals"], {}) if config.method == "mine"]
    assert [config.lr for config in mine] == [0.03, 0.1]
    trainers = configurations(PRESETS["sparse-trainers"], {})
    assert [config.title for config in trainers if config.policy == "still"] == [
        "SparCL-ER .90 (still)", "SparCL-ER .95 (still)", "SparCL-DER++ .90 (still)", "SparCL-DER++ .95 (still)",
    ]  # fmt: skip
    added = [config.title for config in configurations(PRESETS["paper-and-code"], {}) if "=new" in config.mix]
    assert added == ["SparCL-DER++ .90 (rule 8 new)"]
