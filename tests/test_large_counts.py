"""Counters where a narrower integer than theirs would overflow, or a number before: they start there, and go on."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import masks
from sparcl_ref.cost import FlopLedger, MacTable
from sparcl_ref.cost.flops import PassMacs
from sparcl_ref.cost.sizes import clipped_ramp
from sparcl_ref.experiment import build
from sparcl_ref.fast.geometry import Kernel, Rectangle, Window
from sparcl_ref.fast.products import LARGEST, MatrixProducts
from sparcl_ref.fast.shifted_sums import build_shifted_sums
from sparcl_ref.layers import BatchNorm1d
from sparcl_ref.methods import Passes
from sparcl_ref.regime import SparCL
from sparcl_ref.replay import EMPTY, ReservoirBuffer
from sparcl_ref.sparcl.ddr import StageStatistics, ddr_keep
from sparcl_ref.streams import load_dataset
from tests.test_forecast import SMALL

#: The largest of int8, uint8, int16, uint16, int32, uint32 and of the whole numbers that a float32 and a float64 hold.
LAST = [2**bits - 1 for bits in (7, 8, 15, 16, 24, 31, 32, 53)]
at_the_end = pytest.mark.parametrize("last", LAST)


def _buffer(presented: int, capacity: int = 3) -> ReservoirBuffer:
    buffer = ReservoirBuffer(capacity, image_shape=(1, 1, 1), image_dtype=np.uint8, classes=2, logits_dtype=np.float32)
    buffer.load_state(buffer.state() | {"presented": presented})
    return buffer


def _add(buffer: ReservoirBuffer, rng: Any, count: int = 3) -> list[int]:
    images, labels = np.zeros((count, 1, 1, 1), np.uint8), np.zeros(count, np.int64)
    return buffer.add(images, labels, np.zeros((count, 2), np.float32), task=1, rng=rng).tolist()


@at_the_end
def test_a_reservoir_counts_on_and_takes_any_number_up_to_the_rank(last: int) -> None:
    buffer = _buffer(last)
    assert buffer.ranks(3).tolist() == [last, last + 1, last + 2]
    assert _add(buffer, np.array([last, last + 1, 2])) == [EMPTY, EMPTY, 2]
    assert (buffer.presented, len(buffer)) == (last + 3, 3)
    with pytest.raises(ValueError, match=rf"must lie in 0\.\.{last + 3}, got {last + 4}"):
        _add(buffer, np.array([last + 4]), count=1)


@at_the_end
def test_a_reservoirs_draws_reach_over_the_whole_range(last: int) -> None:
    class Watched(np.random.Generator):
        def integers(self, low, high):
            self.seen = np.array(high)
            return super().integers(low, high)

    rng = Watched(np.random.PCG64(0))
    _add(_buffer(last), rng)
    assert rng.seen.tolist() == [last + 1, last + 2, last + 3]
    # A sample is stored with probability 3 / (last + 1): of 300 about 900 / (last + 1).
    stored = sum(slot != EMPTY for slot in _add(_buffer(last), np.random.default_rng(1), count=300))
    assert abs(stored - 900 / (last + 1)) < 5 * np.sqrt(900 / (last + 1)) + 0.1


@at_the_end
def test_misclassifications_and_flips_count_on_and_rank(last: int) -> None:
    statistics = StageStatistics(3)
    state = statistics.state()
    state["wrong"][...] = state["flips"][...] = last
    statistics.load_state(state)
    for correct in ([True, True, False], [False, True, False]):
        statistics.add(np.arange(3), np.array(correct))
    assert statistics.wrong.tolist() == [last + 1, last, last + 2]
    assert statistics.flips.tolist() == [last + 1, last, last]
    assert ddr_keep(statistics.wrong, 2).tolist() == [0, 2]
    restored = StageStatistics(3)
    restored.load_state(statistics.state())
    assert restored.wrong.tolist() == statistics.wrong.tolist()


@at_the_end
def test_a_regime_removes_by_counts_of_any_size(last: int) -> None:
    config = dataclasses.replace(SMALL, epochs=3, delta_k=1, ddr_cutoff=1, ddr_rho=0.5, p_inter=0.0)
    trainer = build(config, load_dataset("digits"))
    regime = SparCL(trainer.model, config, rng=np.random.default_rng(0))
    regime.begin_task(4)
    regime.statistics.wrong[...] = last
    regime.count(np.array([10, 20, 30, 40]), np.array([40, 20]), np.array([False, False]))
    assert regime.end_stage(1, np.array([10, 20, 30, 40]), 4).tolist() == [20, 40]


@at_the_end
def test_a_run_whose_counters_are_high_goes_on_and_through_json(last: int) -> None:
    trainer = build(dataclasses.replace(SMALL, method="er", engine="numpy"), load_dataset("digits"))
    while trainer.advance().kind != "step":
        pass
    state = trainer.state()
    state["buffer"]["presented"] = last
    state["cursor"]["updates"] = last
    state["epoch_totals"] |= {"samples": last, "correct": last}
    for row in state["ledger"]["macs"].values():
        row |= dict.fromkeys(row, last**2)
    trainer.load_state(state)
    flops = trainer.ledger.train_flops
    event = trainer.advance()
    assert event.kind == "step"
    assert event.drawn.dtype == np.int64
    assert (event.drawn <= np.arange(last, last + len(event.drawn))).all()
    after = trainer.state()
    assert after["buffer"]["presented"] == last + len(event.indices)
    assert after["cursor"]["updates"] == last + 1
    assert after["epoch_totals"]["samples"] == last + len(event.indices)
    assert trainer.ledger.train_flops > flops > 2 * last**2
    json.dumps([after["ledger"], after["epoch_totals"], after["cursor"]["updates"], after["buffer"]["presented"]])


@at_the_end
def test_batch_norm_counts_its_batches_on(last: int) -> None:
    layer = BatchNorm1d(1)
    layer.num_batches_tracked[...] = last
    layer.forward(np.ones((2, 1), np.float32), mode="train")
    assert layer.num_batches_tracked == last + 1


@given(
    st.sampled_from([np.uint8, np.int16, np.int32, np.uint32, np.int64, int]),
    st.integers(1, 127),
    st.integers(2**20, 2**62),
)
def test_costs_are_sums_of_whole_numbers_of_any_kind_and_size(kind: type, samples: int, macs: int) -> None:
    table = MacTable()
    for _ in range(3):
        table.add_pass("current", {"layer": PassMacs(macs, 0, 0)}, kind(samples))
    assert table.train_flops == 6 * macs * samples
    assert Passes("fisher", kind(samples)).samples == samples
    assert json.loads(json.dumps(table.state())) == table.state()


def test_a_number_of_samples_must_be_whole() -> None:
    with pytest.raises(TypeError):
        MacTable().add_pass("current", {}, 2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Passes("fisher", 2.5)  # type: ignore[arg-type]


@at_the_end
def test_a_ledger_counts_on(last: int) -> None:
    ledger = FlopLedger()
    model = build(SMALL, load_dataset("digits")).model
    ledger.load_state(MacTable().state() | {"overhead_macs": {"optimizer": last**2, "mask_updates": last**2}})
    ledger.record_scores(model)
    alive = sum(parameter.active for parameter in model.sparsifiable())
    assert ledger.state()["overhead_macs"]["mask_updates"] == last**2 + 2 * alive


@at_the_end
def test_ramps_of_replayed_samples_are_exact(last: int) -> None:
    assert clipped_ramp(last, last - 1, 1, 3) == 3 * last - 1


@given(st.sampled_from([np.uint8, np.int8, np.uint16, np.int64, np.uint64, np.float32, bool]), st.data())
def test_importance_of_any_kind_of_number_is_ranked_by_size(kind: type, data: st.DataObject) -> None:
    info = np.array([0, 1]) if kind in (bool, np.float32) else np.iinfo(kind)
    low, high = (0, 1) if isinstance(info, np.ndarray) else (int(info.min), int(info.max))
    values = data.draw(st.lists(st.sampled_from([low, high]) | st.integers(low, high), min_size=1, max_size=9))
    active = data.draw(st.integers(0, len(values)))
    best = sorted(range(len(values)), key=lambda i: (-values[i], i))[:active]
    kept = masks.shrink(np.ones(len(values), dtype=bool), np.array(values, dtype=kind), active)
    assert np.flatnonzero(kept).tolist() == sorted(best)


def _window(taken: int) -> Window:
    zeros = np.zeros(taken, dtype=np.int64)
    return Window(Rectangle(0, 0, 1, 1, 1, 1, 1), np.arange(taken), zeros, zeros, zeros)


@pytest.mark.parametrize("last", [2**31 - 1, 2**31, 2**32, 2**33 + 1])
def test_weights_that_32_bits_cannot_number_are_refused(last: int) -> None:
    flat = np.array([0, last])
    if last < 2**31:
        sums = build_shifted_sums(_window(2), flat, channels=1, reads=1, seen_bytes=64)
        assert sums.index.tolist() == [0, last]
    else:
        with pytest.raises(ValueError, match=r"fewer than 2\*\*31 weights; use the numpy engine"):
            build_shifted_sums(_window(2), flat, channels=1, reads=1, seen_bytes=64)


def test_gradients_that_blas_cannot_count_are_refused() -> None:
    products = MatrixProducts(Kernel(32, 32), _window(1), backward=False, plane=1)
    with pytest.raises(ValueError, match=r"fewer than 2\*\*31 numbers; use smaller batches"):
        products.dots(np.zeros(1), np.zeros(1), start=0, row=1, plane=LARGEST + 1)
