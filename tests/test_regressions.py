"""Mistakes that the other tests would let pass, one test each; found by the mutation check."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sparcl_ref.evaluation import accuracy_rows
from sparcl_ref.losses import correct, cross_entropy
from sparcl_ref.methods import FineTuning
from sparcl_ref.models import build_model
from sparcl_ref.sparcl.rules import Rules
from sparcl_ref.sparcl.structured import keep_column_blocks, keep_filters, keep_kernels_per_filter
from sparcl_ref.streams import Dataset, split


def test_evaluation_normalises_by_running_statistics():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 20)
    images = rng.integers(0, 256, size=(80, 1, 8, 8), dtype=np.uint8)
    dataset = Dataset(name="noise", train_x=images, train_y=labels, test_x=images.copy(), test_y=labels.copy())
    stream = split(dataset, classes_per_task=2, class_order=range(4))
    model = build_model("convnet", input_shape=(1, 8, 8), classes=4, width=8, dtype=np.float64, rng=rng)
    for name, array in model.named_buffers():
        if ".running_" in name:
            array[...] = rng.uniform(0.5, 3, size=array.shape)

    # In eval mode samples do not see each other, so that one at a time is the same as all at once.
    def alone(x, mode):
        return np.concatenate([model.forward(sample[np.newaxis], mode=mode) for sample in x])

    rows = accuracy_rows(FineTuning(model), stream, np.dtype(np.float64))
    other_mode_differs = False
    for position, task in enumerate(stream.tasks):
        x, y = dataset.normalise(dataset.test_x[task.test_index], np.dtype(np.float64)), dataset.test_y[task.test_index]
        for row, classes in zip(rows, (None, task.classes), strict=True):
            assert row[position] == np.mean(correct(alone(x, "eval"), y, classes=classes))
            batch = model.forward(x, mode="probe")
            other_mode_differs |= row[position] != np.mean(correct(batch, y, classes=classes))
    assert other_mode_differs


@pytest.mark.parametrize(
    ("keep", "shape"),
    [(keep_filters, (4, 1, 1, 4)), (keep_kernels_per_filter, (1, 4, 1, 4)), (keep_column_blocks, (4, 1, 1, 4))],
)
def test_units_are_ranked_by_their_euclidean_norm(keep, shape):
    """One unit (3, .1, .1, .1) against three of (1, 1, 1, 1): norms 3.005 and 2, sums of magnitudes 3.3 and 4."""
    units = np.ones((4, 4))
    units[0] = (3, 0.1, 0.1, 0.1)
    weight = (units.T if keep is keep_column_blocks else units).reshape(shape)
    mask = keep(weight, 0.75).reshape(4, 4)
    mask = mask.T if keep is keep_column_blocks else mask
    assert np.flatnonzero(mask.any(axis=1)).tolist() == [0]
    assert mask[0].all()


def test_rules_bear_the_numbers_of_the_deviations_of_the_published_code():
    numbers = {item.name: item.metadata["number"] for item in dataclasses.fields(Rules)}
    assert numbers == {
        "initial_mask": 1,
        "schedule": 2,
        "p_intra": 2,
        "shrink": 3,
        "importance": 4,
        "grow": 5,
        "gradient_mask": 6,
        "ddr_score": 7,
        "ddr_sizes": 7,
        "ddr_keep": 7,
        "remove_after_mask_update": 7,
        "freeze": 8,
        "drop_last": 9,
        "replay_from_task": 10,
        "augment_replay": 10,
        "initialise": 11,
    }


def test_the_first_label_outside_the_classes_is_named():
    logits, labels = np.zeros((4, 6)), np.array([1, 4, 0, 5])
    with pytest.raises(ValueError, match=r"label 4 is not among the classes \[0, 1\]"):
        cross_entropy(logits, labels, classes=(0, 1))
