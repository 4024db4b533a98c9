"""Decisions about samples: what the network sees, and what is kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sparcl_ref.draws import Decisions, Draws, Place
from sparcl_ref.experiment import build
from sparcl_ref.randomness import named_streams
from sparcl_ref.streams import Dataset, Task
from tests.noise import noise
from tests.test_trainer import SMALL

PLACE = Place(1, 1, 0)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return noise([20, 20])


def decisions(dataset: Dataset, **changes) -> Decisions:
    config = dataclasses.replace(SMALL, augmentation="crop_flip", **changes)
    return Decisions(config, dataset, named_streams(0), Draws())


def test_a_batch_keeps_images_as_stored_beside_what_the_network_sees(dataset: Dataset) -> None:
    made, indices = decisions(dataset), np.array([3, 7, 11])
    batch = made.batch(PLACE, Task(1, (0, 1), np.arange(20), np.arange(4)), indices)
    np.testing.assert_array_equal(batch.images, dataset.train_x[indices])
    assert batch.images.dtype == np.uint8
    assert batch.x.dtype == np.float64
    assert not np.array_equal(batch.x, made.prepare(batch.images))  # those were augmented
    np.testing.assert_array_equal(batch.labels, dataset.train_y[indices])


def test_orders_and_slots_are_drawn_from_the_streams_of_their_names(dataset: Dataset) -> None:
    made, streams, ranks = decisions(dataset), named_streams(0), np.arange(10, 40)
    for _ in range(2):
        np.testing.assert_array_equal(made.order(PLACE, 30), streams["order"].permutation(30))
        np.testing.assert_array_equal(made.reservoir(PLACE, ranks), streams["reservoir"].integers(0, ranks + 1))


def test_the_buffer_of_an_augmented_run_holds_training_images(dataset: Dataset) -> None:
    trainer = build(dataclasses.replace(SMALL, augmentation="crop_flip", sparsity=None), dataset)
    steps = [event for event in trainer.events() if event.kind == "step"]
    assert steps
    known = {image.tobytes() for image in dataset.train_x}
    memory = trainer.buffer.content()
    assert len(memory.images) == SMALL.buffer_size
    assert all(image.tobytes() in known for image in memory.images)


@pytest.mark.parametrize("mix", ["", "augment_replay=released"])
def test_replayed_images_are_augmented_only_where_the_rules_say_so(dataset: Dataset, mix: str) -> None:
    made, images = decisions(dataset, mix=mix), dataset.train_x[:12]
    before = made.generators["augment"].bit_generator.state
    seen = made.replayed(PLACE, images)
    as_stored = np.array_equal(seen, made.prepare(images))
    drew_nothing = made.generators["augment"].bit_generator.state == before
    assert as_stored == drew_nothing == (mix == "")


def test_chance_of_removal_is_drawn_from_its_own_stream_or_given(dataset: Dataset) -> None:
    config = dataclasses.replace(SMALL, ddr_by="random", ddr_cutoff=2, epochs=6)
    usual, drawn = build(dataclasses.replace(config, ddr_by="mistakes"), dataset), build(config, dataset)
    assert drawn.generators.keys() - usual.generators.keys() == {"removal"}
    assert not {"removal"} & build(dataclasses.replace(config, ddr=False), dataset).generators.keys()
    places, removed = [], []

    def highest_first(place: Place, count: int) -> np.ndarray:
        places.append(place)
        return np.arange(count)[::-1] / count

    given = build(config, dataset, draws=Draws(removal=highest_first))
    before = given.generators["removal"].bit_generator.state
    for event in given.events():
        if event.kind == "begin_task":
            left = given.cursor.remaining
        if event.removed is not None and len(event.removed):
            removed.append(left[-len(event.removed) :].tolist() == event.removed.tolist())
            left = given.cursor.remaining
    assert places == [Place(task, epoch, 0) for task in (1, 2) for epoch in (2, 4)]
    assert removed == [True] * 4
    assert given.generators["removal"].bit_generator.state == before


def test_a_removal_by_chance_shifts_no_other_draw(dataset: Dataset) -> None:
    config = dataclasses.replace(SMALL, augmentation="crop_flip", p_inter=0.1)
    runs = [build(dataclasses.replace(config, ddr_by=by), dataset) for by in ("mistakes", "random")]
    for trainer in runs:
        for _ in trainer.events():
            pass
    assert all(trainer.history.data_removed for trainer in runs)
    # Batches draw equally often from each stream, whatever is in them.
    for name in set(runs[0].generators) - {"replay", "reservoir"}:
        states = [trainer.generators[name].bit_generator.state for trainer in runs]
        assert states[0] == states[1], name
    assert [row["samples"] for row in runs[0].history.epochs] == [row["samples"] for row in runs[1].history.epochs]
    assert runs[0].ledger.train_flops == runs[1].ledger.train_flops
