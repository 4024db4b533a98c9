"""What a run writes down about itself, against what its events said."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.history import EpochTotals
from sparcl_ref.methods import Observation
from sparcl_ref.optimizers import learning_rate
from sparcl_ref.streams import Dataset
from tests.noise import noise
from tests.test_trainer import SMALL

BATCHES = st.lists(
    st.tuples(
        st.lists(st.booleans(), min_size=1, max_size=9),
        st.dictionaries(st.sampled_from(["current", "replay_ce", "replay_mse"]), st.integers(-9, 9), max_size=3),
    ),
    min_size=1,
    max_size=6,
)


@given(BATCHES)
def test_means_of_an_epoch_count_each_sample_once_whatever_its_batch(batches) -> None:
    totals = EpochTotals()
    for correct, losses in batches:
        totals.add(Observation(losses={term: float(loss) for term, loss in losses.items()}, correct=np.array(correct)))
    samples = [(hit, losses) for correct, losses in batches for hit in correct]

    def mean(numbers) -> float:
        return float(Fraction(sum(numbers), len(samples)))

    # Whole numbers, of which the sums are exact; one division rounds.
    assert totals.means() == {
        "loss_current": mean([losses.get("current", 0) for _, losses in samples]),
        "loss_replay": mean([sum(losses.values()) - losses.get("current", 0) for _, losses in samples]),
        "train_accuracy": mean([int(hit) for hit, _ in samples]),
    }


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return noise([20, 20])


@pytest.fixture(scope="module", params=["", "drop_last=released", "schedule=released"])
def run(request, dataset: Dataset):
    """A run of 20 samples a task in batches of 6, of which 6 leave after two of four epochs; its steps by epoch."""
    config = dataclasses.replace(SMALL, lr_schedule="cosine", mix=request.param)
    trainer, steps = build(config, dataset), {}
    masks = []
    while not trainer.done:
        event = trainer.advance()
        if event.kind == "step":
            steps.setdefault((event.task, event.epoch), []).append(event)
        if event.kind in ("untrained", "begin_epoch"):
            masks.append((event.task, event.epoch, {p.name: p.mask.copy() for p in trainer.model.sparsifiable()}))
    return trainer, steps, masks


def test_rows_say_what_the_steps_of_their_epoch_did(run) -> None:
    trainer, steps, _ = run
    config: Config = trainer.config
    assert [(row["task"], row["epoch"]) for row in trainer.history.epochs] == list(steps)
    for row in trainer.history.epochs:
        events = steps[row["task"], row["epoch"]]
        sizes = np.array([len(event.indices) for event in events])
        assert config.rules.drop_last or len(set(sizes)) > 1, "batches of one size would tell nothing"
        losses = np.array([event.observation.losses["current"] for event in events])
        # Some ulps between two orders of summation.
        assert row["loss_current"] == pytest.approx(float(np.sum(sizes * losses) / sizes.sum()), rel=1e-14)
        hits = np.concatenate([event.observation.correct for event in events])
        assert row["train_accuracy"] == pytest.approx(float(np.mean(hits)), rel=1e-14)
        # All that remain, also those that a skipped batch leaves out.
        assert row["samples"] == (20 if row["epoch"] <= 2 else 14)
        assert row["samples"] - sizes.sum() == (row["samples"] % 6 if config.rules.drop_last else 0)


def test_the_schedule_of_the_learning_rate_begins_anew_with_each_task(run) -> None:
    trainer, _, _ = run
    expected = [learning_rate("cosine", trainer.config.lr, epoch=epoch, epochs=4) for epoch in range(1, 5)]
    assert len(set(expected)) == 4
    assert [row["learning_rate"] for row in trainer.history.epochs] == expected * 2


def test_the_mask_over_time_is_that_of_the_largest_layer(run) -> None:
    trainer, _, masks = run
    largest = max(masks[0][2], key=lambda name: masks[0][2][name].size)
    assert largest != next(iter(masks[0][2])), "the first layer would do as well"
    assert trainer.history.mask_labels == [(task, epoch) for task, epoch, _ in masks]
    for packed, (_, _, alive) in zip(trainer.history.mask_alive, masks, strict=True):
        np.testing.assert_array_equal(np.unpackbits(packed, count=alive[largest].size), alive[largest].reshape(-1))
