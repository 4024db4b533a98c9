"""A result's measures are attributes, and its record gives the whole of it back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sparcl_ref import Config, metrics, train
from sparcl_ref.result import MEASURES, Result
from sparcl_ref.streams import load_dataset

SMALL = Config(model="mlp", width=8, epochs=3, delta_k=2, batch_size=16, buffer_size=20, sparsity=0.5, ddr_cutoff=1)


@pytest.fixture(scope="module")
def result() -> Result:
    return train(SMALL, dataset=load_dataset("digits"))


def with_matrix(result: Result, class_il: list[list[float]]) -> Result:
    history = dataclasses.replace(result.history, class_il_matrix=class_il, task_il_matrix=class_il)
    return dataclasses.replace(result, history=history)


def test_measures_by_hand(result) -> None:
    two = with_matrix(result, [[0.5, 0.25], [1.0, 0.5], [0.75, 0.875]])
    assert two.class_il_accuracy == two.task_il_accuracy == 0.8125
    assert two.newest_task_accuracy == 0.875
    assert two.learning_accuracy == 0.9375
    assert two.forgetting == 0.25
    assert two.backward_transfer == -0.25
    assert two.forward_transfer == 0.25
    assert two.class_il_matrix.shape == two.task_il_matrix.shape == (3, 2)


def test_what_joint_training_has_no_measure_of_is_none(result) -> None:
    joint = with_matrix(result, [[0.5, 0.25], [1.0, 0.5]])
    none = {name for name in MEASURES if getattr(joint, name) is None}
    assert none == {"learning_accuracy", "forgetting", "backward_transfer", "forward_transfer"}
    assert "forgetting" not in str(joint)
    assert "\ntrained " in str(joint)


def test_every_measure_of_the_record_is_an_attribute(result) -> None:
    record = result.record()
    for name in MEASURES.keys() & record.keys():
        assert getattr(result, name) == record[name]
    assert {
        "class_il_accuracy",
        "task_il_accuracy",
        "forgetting",
        "learning_accuracy",
    } <= MEASURES.keys() & record.keys()
    assert result.forgetting == metrics.forgetting(result.history.class_il_matrix)


def test_a_result_prints_as_a_block_of_eighty_columns(result) -> None:
    text = str(result)
    assert text.startswith("SparCL-DER++ .50: digits, mlp, seed 0\n")
    assert f"{100 * result.class_il_accuracy:.1f} %" in text
    assert f"{100 * result.class_il_matrix[1, 0]:.1f}" in text.split("after task 1")[1].splitlines()[0]
    assert max(map(len, text.splitlines())) <= 80
    many = with_matrix(result, np.eye(21, 20, -1).tolist())
    assert max(map(len, str(many).splitlines())) <= 80
    assert "accuracy on each of 20 tasks" in str(many)


def test_a_record_gives_the_result_back(result) -> None:
    record = json.loads(json.dumps(result.record()))
    again = Result.from_record(record, epochs=result.epoch_rows(), mask=result.mask_snapshots())
    assert json.loads(json.dumps(again.record())) == record
    assert again.epoch_rows() == result.epoch_rows()
    one, other = again.mask_snapshots(), result.mask_snapshots()
    assert (one["layer"], one["shape"], one["labels"]) == (other["layer"], other["shape"], other["labels"])
    assert np.array_equal(one["alive"], other["alive"])
    assert again.config == result.config
    assert again.peak_memory_bytes == result.peak_memory_bytes
    bare = Result.from_record(record)
    assert bare.mask_snapshots() is None
    assert bare.epoch_rows() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"class_il_matrix": None}, {"class_il_matrix": [[2.0]]}, {"task_il_matrix": [[0.5], [None]]},
        {"config": []}, {"config": {"method": "nobody"}}, {"config": {"colour": 1}}, {"class_order": 3},
        {"data_removed": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_record_is_refused_in_one_line(result, changes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Result.from_record(result.record() | changes)


@pytest.mark.parametrize(
    "key",
    ["name", "class_il_matrix", "task_il_matrix", "config", "class_order", "wall_seconds", "train_flops", "steps"],
)
def test_a_key_that_is_lacking_is_named(result, key) -> None:
    record = {name: value for name, value in result.record().items() if name != key}
    with pytest.raises(ValueError, match=key):
        Result.from_record(record)
