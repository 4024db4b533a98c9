"""Named comparisons: each can be run as it stands, and has the entries that its results are committed for."""

from __future__ import annotations

import pytest

from sparcl_ref.presets import PRESETS, configurations


@pytest.mark.parametrize("name", PRESETS)
def test_entries_are_distinct_and_reach_all_that_they_ask_for(name) -> None:
    configs = configurations(PRESETS[name], {})
    assert len({config.title for config in configs}) == len(configs) == len(PRESETS[name])
    assert [line for config in configs for line in config.warnings()] == []


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
