"""Weights on disk: they predict what was evaluated, to the bit, and whatever is no such file is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparcl_ref
from sparcl_ref import Config, load, train
from sparcl_ref.experiment import build
from sparcl_ref.methods import METHODS, FineTuning
from sparcl_ref.result import Result
from sparcl_ref.saved import file_names, save_weights
from sparcl_ref.streams import Dataset, load_dataset

SMALL = Config(
    model="mlp",
    width=8,
    epochs=2,
    delta_k=2,
    batch_size=16,
    buffer_size=20,
    sparsity=0.5,
    ddr=False,
    class_order="random",
)
CASES = {
    "sparse": {},
    "convnet": {"model": "convnet", "width": 4},
    "float64": {"dtype": "float64"},
    "dense, single head": {"sparsity": None, "head": "single"},
    "joint": {"sparsity": None, "method": "joint"},
}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="module")
def result(digits) -> Result:
    return train(SMALL, dataset=digits)


@pytest.fixture(scope="module")
def saved(result, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "deep" / "one.npz"
    result.learner.save(path)
    return path


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_a_loaded_network_predicts_what_was_evaluated(digits, tmp_path, changes) -> None:
    trained = train(dataclasses.replace(SMALL, **changes), dataset=digits)
    trained.learner.save(tmp_path / "w.npz")
    learner = load(tmp_path / "w.npz")
    order = trained.class_order
    assert learner.about["tasks"] == [list(order[i : i + 2]) for i in range(0, 10, 2)]
    for task, classes in enumerate(learner.about["tasks"], start=1):
        index = np.flatnonzero(np.isin(digits.test_y, classes))
        images, labels = digits.test_x[index], digits.test_y[index]
        assert np.mean(learner.predict(images) == labels) == trained.class_il_matrix[-1, task - 1]
        told = learner.predict(images, task=task)
        assert np.mean(told == labels) == trained.task_il_matrix[-1, task - 1]
        assert set(told.tolist()) <= set(classes)
        assert np.array_equal(told, learner.predict(images, classes=classes[::-1]))


def test_weights_masks_and_logits_come_back_to_the_bit(result, saved, digits) -> None:
    learner = load(str(saved))
    before, after = result.learner.network, learner.network
    for name, array in before.state_dict().items():
        assert array.dtype == after.state_dict()[name].dtype
        assert array.tobytes() == after.state_dict()[name].tobytes(), name
    masks = [[parameter.mask for parameter in network.parameters()] for network in (before, after)]
    assert any(mask is not None and not mask.all() for mask in masks[0])
    for one, other in zip(*masks, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)
    assert learner.about == json.loads(json.dumps(result.learner.about))
    assert np.array_equal(learner.logits(digits.test_x), result.learner.logits(digits.test_x))
    assert "labels" in str(learner)


def test_images_come_as_people_have_them(saved, digits) -> None:
    learner, images = load(saved), digits.test_x[:7]
    assert np.array_equal(learner.predict(images[:, 0]), learner.predict(images))
    assert learner.predict(images[:0]).shape == (0,)
    assert learner.logits(images[:0]).shape == (0, 10)
    assert learner.predict(images).dtype == np.int64


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        ([[1]], TypeError, "must be a NumPy array, got list"),
        (np.zeros((2, 1, 8, 8)), TypeError, "must be of uint8, 0..255"),
        (np.zeros((8, 8), np.uint8), ValueError, r"must have shape \(N, 1, 8, 8\), got \(8, 8\)"),
        (np.zeros((2, 1, 8, 9), np.uint8), ValueError, r"must have shape \(N, 1, 8, 8\)"),
    ],
    ids=str,
)
def test_other_images_are_refused(saved, images, kind, message) -> None:
    with pytest.raises(kind, match=message):
        load(saved).predict(images)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"task": 0}, r"task must lie in 1..5, got 0"),
        ({"task": 6}, r"task must lie in 1..5"),
        ({"task": 2.0}, r"task must lie in 1..5, got 2.0"),
        ({"task": True}, r"task must lie in 1..5, got True"),
        ({"task": 1, "classes": [1]}, "give task or classes, not both"),
        ({"classes": []}, r"distinct labels of 0..9"),
        ({"classes": [1, 1]}, r"distinct labels of 0..9"),
        ({"classes": [10]}, r"distinct labels of 0..9"),
    ],
    ids=str,
)
def test_tasks_and_labels_that_there_are_none_of(saved, digits, choice, message) -> None:
    with pytest.raises(ValueError, match=message):
        load(saved).predict(digits.test_x[:2], **choice)


def test_among_equal_logits_the_lowest_label_wins(saved, digits) -> None:
    learner = load(saved)
    for parameter in learner.network.parameters():
        parameter.value[...] = 0
    assert set(learner.predict(digits.test_x[:3]).tolist()) == {0}
    assert set(learner.predict(digits.test_x[:3], classes=[7, 4, 9]).tolist()) == {4}


def test_float_images_are_normalised_as_they_were_and_nan_is_refused(digits, tmp_path) -> None:
    arrays = {"train_x": digits.train_x / np.float32(16), "test_x": digits.test_x / np.float32(16)}
    floats = Dataset.from_arrays("floats", train_y=digits.train_y, test_y=digits.test_y, **arrays)
    trained = train(dataclasses.replace(SMALL, epochs=1, sparsity=None), dataset=floats)
    trained.learner.save(tmp_path / "w.npz")
    learner = load(tmp_path / "w.npz")
    index = np.flatnonzero(np.isin(floats.test_y, learner.about["tasks"][0]))
    right = learner.predict(floats.test_x[index]) == floats.test_y[index]
    assert np.mean(right) == trained.class_il_matrix[-1, 0]
    with pytest.raises(TypeError, match="must be of float32, scaled as those of the data set; got uint8"):
        learner.predict(digits.test_x)
    bad = floats.test_x[:2].copy()
    bad[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or an infinity"):
        learner.predict(bad)


def test_a_logit_that_is_no_number_is_no_prediction(saved, digits) -> None:
    learner = load(saved)
    learner.network.parameters()[-1].value[3] = np.nan
    with pytest.raises(FloatingPointError, match="image 0 has NaN"):
        learner.predict(digits.test_x[:2])


class Contrary(FineTuning):
    title = "Contrary"

    def predict(self, x, *, task=None):
        return -super().predict(x, task=task)


def test_a_method_with_a_predict_of_its_own_says_so(digits, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(METHODS.added, "contrary", Contrary)
    config = dataclasses.replace(SMALL, method="contrary", sparsity=None, epochs=1)
    train(config, dataset=digits).learner.save(tmp_path / "w.npz")
    learner = load(tmp_path / "w.npz")
    with pytest.raises(ValueError, match="Contrary was evaluated by its method's own predict"):
        learner.predict(digits.test_x[:2])
    assert learner.logits(digits.test_x[:2]).shape == (2, 10)


def test_a_trainer_can_be_saved_on_its_way(digits, tmp_path) -> None:
    trainer = build(SMALL, digits)
    save_weights(tmp_path / "w.npz", trainer)
    network = load(tmp_path / "w.npz").network
    for one, other in zip(network.parameters(), trainer.model.parameters(), strict=True):
        assert one.value.tobytes() == other.value.tobytes()


def test_a_result_gives_its_network_to_a_file_or_fails(result, tmp_path) -> None:
    kept = result.with_weights(tmp_path / "weights" / "one.npz")
    assert (kept.learner, kept.weights) == (None, "weights/one.npz")
    assert load(tmp_path / "weights" / "one.npz").about["name"] == result.name
    assert (result.with_weights(None).learner, result.with_weights(None).weights) == (None, None)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        result.with_weights(tmp_path / "file" / "one.npz")


def test_predicting_needs_nothing_but_numpy(saved) -> None:
    code = (
        "import sys, numpy as np, sparcl_ref\n"
        f"sparcl_ref.load({str(saved)!r}).predict(np.zeros((2, 8, 8), np.uint8))\n"
        "print(sorted({'numba', 'scipy', 'matplotlib', 'torch', 'tqdm', 'threadpoolctl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert sparcl_ref.load is load


@given(st.lists(st.tuples(st.text(max_size=12), st.integers(0, 2)), max_size=6))
def test_names_of_files_are_distinct_and_harmless(entries) -> None:
    names = file_names(entries)
    assert len({name.lower() for name in names}) == len(entries)
    assert all(name.endswith(".npz") and Path(name).name == name and name[0] not in ".-" for name in names)
    assert not any(set(name) & set(" /\\:\0\n") for name in names)


@pytest.mark.parametrize("stream", ["rotated", "permuted"])
def test_weights_of_tasks_that_share_all_classes_are_read(stream, digits, tmp_path) -> None:
    trainer = build(Config(model="mlp", width=8, stream=stream, domains=2, method="sgd"), digits)
    save_weights(tmp_path / "w.npz", trainer)
    learner = load(tmp_path / "w.npz")
    np.testing.assert_array_equal(learner.predict(digits.test_x, task=2), learner.predict(digits.test_x))
