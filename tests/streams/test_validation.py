"""The images that are measured on instead of the test images: whose they are, and that nobody trains on them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import Config, Dataset, build, load_dataset, train
from sparcl_ref.streams.validation import for_validation
from tests import strategies
from tests.streams.test_dataset import arrays

CONFIG = Config(method="er", model="mlp", width=4, epochs=1, batch_size=64, engine="numpy", validation=0.25)


@given(st.floats(0.05, 0.95), strategies.seeds())
def test_the_training_images_are_parted_and_the_test_images_gone(fraction, seed):
    digits = load_dataset("digits")
    made = for_validation(digits, fraction, np.random.default_rng(seed))
    parts = [(made.train_x[:], made.train_y), (made.test_x[:], made.test_y)]
    assert sum(len(images) for images, _ in parts) == len(digits.train_x)

    def rows(images, labels):
        return sorted(image.tobytes() + bytes([label]) for image, label in zip(images, labels, strict=True))

    # No two of the digits are equal, so that equal lists mean each image once, with its label.
    assert sorted(row for part in parts for row in rows(*part)) == rows(digits.train_x, digits.train_y)
    counts = np.bincount(digits.train_y)
    assert (abs(np.bincount(made.test_y) - fraction * counts) <= 1).all()
    assert (made.mean, made.std) == (digits.mean, digits.std)


def test_a_run_trains_and_measures_on_the_parts():
    trainer = build(CONFIG)
    digits, seen = load_dataset("digits"), []
    for event in trainer.events():
        if event.kind == "step":
            seen.append(event.indices)
    images = trainer.dataset.train_x[np.concatenate(seen)]
    trained = {image.tobytes() for image in images}
    measured = {image.tobytes() for task in trainer.stream.tasks for image in trainer.dataset.test_x[task.test_index]}
    assert not trained & measured
    assert len(trained) + len(measured) == len(digits.train_x)
    assert not measured & {image.tobytes() for image in digits.test_x}


def test_the_parts_follow_from_the_seed_alone():
    one, other = (
        build(dataclasses.replace(CONFIG, seed=0, **changed)).dataset for changed in ({}, {"method": "derpp"})
    )
    np.testing.assert_array_equal(one.test_x[:], other.test_x[:], strict=True)
    another = build(dataclasses.replace(CONFIG, seed=1)).dataset
    assert len(another.test_x) == len(one.test_x)
    assert not np.array_equal(another.test_x[:], one.test_x[:])


def test_nothing_else_is_drawn_otherwise():
    """Common random numbers: with and without validation the same weights and class order."""
    plain, validated = (
        build(dataclasses.replace(CONFIG, validation=part, class_order="random")) for part in (None, 0.2)
    )
    assert plain.stream.class_order == validated.stream.class_order
    for one, other in zip(plain.model.parameters(), validated.model.parameters(), strict=True):
        np.testing.assert_array_equal(one.value, other.value, strict=True)


def test_the_record_says_so():
    assert train(CONFIG).record()["config"]["validation"] == 0.25


def test_a_class_of_one_image_is_refused():
    toy = arrays(np.uint8)
    toy["train_y"] = np.array([0, 0, 1, 1, 1, 2])
    with pytest.raises(ValueError, match=r"^toy: class 2 has 1 sample\(s\), .* add some, or leave out --validation$"):
        for_validation(Dataset(**toy, name="toy"), 0.5, np.random.default_rng(0))
