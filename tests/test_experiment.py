"""From a configuration to a result: that each setting reaches the part it is for, and each number the result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import masks
from sparcl_ref.assembly import build_stream, smallest_epoch
from sparcl_ref.cost.sizes import epoch_sizes
from sparcl_ref.experiment import build, train
from sparcl_ref.forecast import forecast
from sparcl_ref.layers import debug
from sparcl_ref.models import build_model
from sparcl_ref.randomness import named_streams
from sparcl_ref.streams import Dataset
from tests import strategies as own
from tests.noise import noise
from tests.test_trainer import SMALL


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return noise([20, 20])


def test_weights_come_from_one_stream_and_masks_from_another(dataset: Dataset) -> None:
    trainer, streams = build(SMALL, dataset), named_streams(SMALL.seed)
    model = build_model(
        "convnet", input_shape=(1, 8, 8), classes=4, width=SMALL.width, dtype=np.float64, rng=streams["init"]
    )
    for ours, theirs in zip(trainer.model.parameters(), model.parameters(), strict=True):
        expected = theirs.value
        if ours.sparsifiable:
            active = masks.budget(ours.value.size, SMALL.sparsity)
            mask = masks.random_mask(ours.value.shape, active, streams["mask"])
            np.testing.assert_array_equal(ours.mask, mask)
            expected = np.where(mask, expected, 0.0)
        np.testing.assert_array_equal(ours.value, expected)


@pytest.mark.parametrize(("asked", "drawn"), [(None, 6), (4, 4), (8, 8), (20, 9)])
def test_draws_are_as_large_as_asked_for_or_as_the_buffer(dataset: Dataset, asked: int | None, drawn: int) -> None:
    trainer = build(dataclasses.replace(SMALL, replay_batch_size=asked), dataset)
    steps = [event for event in trainer.events() if event.kind == "step"]
    assert [len(slots) for slots in steps[-1].observation.draws] == [drawn, drawn]
    assert steps[0].observation.draws == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stored_logits_have_the_runs_dtype(dataset: Dataset, dtype: str) -> None:
    trainer = build(dataclasses.replace(SMALL, dtype=dtype), dataset)
    while (event := trainer.advance()).kind != "step":
        pass
    stored = trainer.buffer.content().logits
    assert stored.dtype == event.observation.logits.dtype == dtype
    np.testing.assert_array_equal(stored, event.observation.logits)


@pytest.mark.parametrize(
    ("method", "sparsity", "head"), [("sgd", 0.5, "single"), ("sgd", None, "full"), ("er", 0.5, "single")]
)
def test_the_head_of_sparcl_is_single_with_or_without_a_buffer(dataset, method: str, sparsity, head: str) -> None:
    trainer = build(dataclasses.replace(SMALL, method=method, sparsity=sparsity), dataset)
    assert trainer.method.head == head


@pytest.mark.parametrize("sparsity", [0.77, 0.5, None])
def test_a_result_says_how_sparse_layers_are_and_which_the_masks_are_of(dataset: Dataset, sparsity) -> None:
    config = dataclasses.replace(SMALL, sparsity=sparsity, engine="numpy")
    trainer = build(config, dataset)
    result = train(config, dataset=dataset)
    for _ in trainer.events():
        pass
    prunable = [p for p in trainer.model.parameters() if p.sparsifiable] if sparsity else []
    assert result.layer_sparsity == {p.name: np.mean(~p.mask) for p in prunable}
    if sparsity == 0.77:  # 77 % of no layer's weights is a whole number
        assert sparsity not in result.layer_sparsity.values()
    largest = max(prunable, key=lambda p: p.value.size, default=None)
    assert result.mask_layer == (largest and largest.name)
    assert result.mask_shape == (largest.value.shape if largest else ())
    if largest is not None:
        assert largest is not prunable[0]
        np.testing.assert_array_equal(result.mask_snapshots()["alive"][-1], largest.mask.reshape(-1))


@pytest.mark.parametrize(
    "descent",
    [
        {"momentum": 0.0, "weight_decay": 0.0},
        {"momentum": 0.9, "weight_decay": 0.0},
        {"momentum": 0.9, "weight_decay": 0.0, "nesterov": True},
        {"momentum": 0.0, "weight_decay": 1e-3},
    ],
)
def test_updates_are_counted_as_the_optimiser_makes_them(dataset: Dataset, descent: dict) -> None:
    config = dataclasses.replace(SMALL, engine="numpy", **descent)
    trainer = build(config, dataset)
    for _ in trainer.events():
        pass
    per_weight = 1 + sum(map(bool, descent.values()))
    overhead = trainer.ledger.state()["overhead_macs"]["optimizer"]
    if per_weight > 1:
        dense = sum(p.value.size for p in trainer.model.parameters() if not p.sparsifiable)
        # Between tasks the masks are denser by p_inter for two of the four epochs of task 2: at least what s leaves.
        assert overhead >= per_weight * trainer.cursor.updates * (dense + trainer.model.sparsifiable()[0].active)
    assert forecast(config, dataset).train_flops["exact"] == trainer.ledger.train_flops


@given(own.run_configs(), st.integers(1, 60))
def test_the_smallest_epoch_is_the_smallest_of_the_epochs(config, samples: int) -> None:
    assert smallest_epoch(config, samples) == min(epoch_sizes(samples, config))


def test_where_partial_batches_are_skipped_one_must_fit_what_removal_leaves(dataset: Dataset) -> None:
    # Of 20 samples a task 14 are left for the third epoch.
    config = dataclasses.replace(SMALL, mix="drop_last=released", batch_size=14)
    rng = np.random.default_rng(0)
    build_stream(config, dataset, rng)
    with pytest.raises(ValueError, match=r"--batch-size must not exceed the 14 samples that data removal leaves"):
        build_stream(dataclasses.replace(config, batch_size=15), dataset, rng)
    for changes in ({"mix": ""}, {"ddr": False}, {"epochs": 2}):
        build_stream(dataclasses.replace(config, batch_size=15, **changes), dataset, rng)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_run_in_debug_mode_is_the_same_run(dataset: Dataset, engine: str) -> None:
    config = dataclasses.replace(SMALL, engine=engine, epochs=3)
    plain = train(config, dataset=dataset)
    with debug():
        checked = train(config, dataset=dataset)
    assert checked.history.epochs == plain.history.epochs
    assert checked.history.class_il_matrix == plain.history.class_il_matrix
