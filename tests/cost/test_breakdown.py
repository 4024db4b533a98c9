"""Where savings come from, and the ways of counting side by side."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given

from sparcl_ref.config import Config
from sparcl_ref.cost import describe, describe_model, paper, predict
from sparcl_ref.cost.breakdown import removals, savings
from sparcl_ref.cost.conventions import conventions, pytorch_counter_flops, rigl_flops
from sparcl_ref.cost.predict import Prediction
from sparcl_ref.layers import Conv2d, Flatten, Sequential
from sparcl_ref.models import Network
from tests import strategies as own

SPEC = describe_model("convnet", input_shape=(1, 8, 8), classes=4, width=6)
RESNET = describe_model("resnet18", input_shape=(3, 32, 32), classes=10)


@given(own.run_configs(), own.task_sizes())
def test_parts_add_up_to_the_run(config, task_sizes):
    parts = savings(SPEC, config, task_sizes)
    totals = {
        "paper": paper.train_flops(SPEC, config, task_sizes),
        "exact": predict(SPEC, config, task_sizes).train_flops,
    }
    for convention, steps in parts.items():
        assert steps[-1].total_flops == totals[convention] == sum(part.change_flops for part in steps)
        names = [part.name for part in steps]
        assert names[0] == "new data"
        assert ("replay" in names) == config.rehearses
        for part in ("DDR", "DGM"):
            assert (part in names) == (config.sparse and getattr(config, part.lower()))
        assert ("TDM" in names) == (config.sparse and config.policy == "tdm")
        assert ("static mask" in names) == (config.sparse and config.policy == "static")


def test_parts_of_the_published_run():
    config = Config(model="resnet18", sparsity=0.75)
    steps = savings(RESNET, config, [10_000] * 5)["paper"]
    rounded = {part.name: round(part.total_flops / 1e15, 2) for part in steps}
    assert rounded == {"new data": 8.33, "replay": 13.89, "TDM": 3.62, "DDR": 2.81, "DGM": 2.53}


def test_replay_costs_backward_passes_too():
    """DER++ replays two batches per step: dense `exact` is nearly three times plain training, not 5/3."""
    steps = savings(RESNET, Config(model="resnet18", buffer_size=500), [10_000] * 5)
    exact = {part.name: part.total_flops for part in steps["exact"]}
    assert 2.99 < exact["replay"] / exact["new data"] < 3.01
    published = {part.name: part.total_flops for part in steps["paper"]}
    assert published["replay"] / published["new data"] == pytest.approx(5 / 3)


@given(own.run_configs(), own.task_sizes())
@example(Config(sparsity=0.5, epochs=4, delta_k=1, p_inter=0), [40, 30])
def test_removals_account_for_every_sample_that_leaves(config, task_sizes):
    rows = removals(SPEC, config, task_sizes)
    if not (config.sparse and config.ddr):
        assert rows == []
    for task, size in enumerate(task_sizes, start=1):
        left = size
        for row in (row for row in rows if row.task == task):
            left -= row.removed
            assert row.left == left
            assert row.saved_flops >= 0


@given(own.run_configs(), own.task_sizes())
def test_epochs_add_up_to_the_run(config, task_sizes):
    """Passes on samples epoch by epoch, and the probes beside them."""
    prediction = predict(SPEC, config, task_sizes)
    probes = 2 * sum(macs for phase, macs in prediction.table.phase_macs().items() if phase.endswith("probe"))
    assert sum(prediction.epoch_flops(plan) for plan in prediction.epochs) + probes == prediction.train_flops
    assert sum(plan.steps for plan in prediction.epochs) == prediction.steps


@given(own.run_configs(), own.task_sizes())
def test_a_removal_is_priced_by_the_epochs_that_follow_it_in_its_task(config, task_sizes):
    epochs = predict(SPEC, config, task_sizes).epochs
    prediction = predict(SPEC, config, task_sizes)
    for row in removals(SPEC, config, task_sizes):
        last = row.stage * config.delta_k
        rest = [plan for plan in epochs if plan.task == row.task and plan.epoch > last]
        flops, trained = sum(map(prediction.epoch_flops, rest)), sum(plan.samples for plan in rest)
        assert row.left == rest[0].samples
        assert row.saved_flops == (flops * row.removed * len(rest) // trained if trained else 0)


def test_a_removal_is_priced_without_going_through_the_task_again(monkeypatch):
    calls = []
    monkeypatch.setattr(Prediction, "epoch_flops", lambda self, plan: calls.append(plan) or 1)
    removals(SPEC, Config(sparsity=0.5, epochs=40, delta_k=2, ddr_cutoff=15, p_inter=0), [400])
    assert len(calls) == 40


def test_the_interval_of_rigls_accounting_is_the_policys():
    def said(**settings):
        config = Config(sparsity=0.9, **settings)
        return next(row for row in conventions(SPEC, config, [320] * 5) if "RigL" in row.name)

    rigl = said(policy="rigl", delta_t=7)
    assert rigl.relation == "static, and one dense dW in 8 steps"
    assert rigl.holds
    assert said(policy="set", delta_t=7).relation.endswith("in 8 steps (SET does not grow by it and needs none)")
    # Five epochs of ten batches.
    assert said().relation.endswith("in 51 steps (SparCL does not grow by it and needs none)")


def test_removals_save_about_what_switching_them_off_would_cost():
    config = Config(model="resnet18", sparsity=0.75, dgm=False)
    rows = removals(RESNET, config, [10_000] * 5)
    assert [(row.stage, row.removed, row.left) for row in rows[:4]] == [
        (1, 750, 9250),
        (2, 750, 8500),
        (3, 750, 7750),
        (4, 750, 7000),
    ]
    without = predict(RESNET, dataclasses.replace(config, ddr=False), [10_000] * 5).train_flops
    saved = without - predict(RESNET, config, [10_000] * 5).train_flops
    # Not exactly: a removed sample is priced at the average of the epochs that follow it.
    assert sum(row.saved_flops for row in rows) == pytest.approx(saved, rel=0.01)


@given(own.run_configs(), own.task_sizes())
def test_every_relation_between_conventions_holds(config, task_sizes):
    rows = conventions(SPEC, config, task_sizes)
    assert [row.name for row in rows if not row.holds] == []
    assert ("sparse, exact" in {row.name for row in rows}) == config.sparse


def test_conventions_of_resnet18():
    rows = {row.name: row.value for row in conventions(RESNET, Config(model="resnet18", sparsity=0.9), [10_000] * 5)}
    assert rows["forward MACs"] == 555_422_720
    assert rows["forward FLOPs"] == 1_110_845_440
    assert rows["backward = 2 x forward"] == 3_332_536_320
    assert rows["PyTorch's counter"] == 3_328_997_376
    assert rows["run, paper"] == paper.train_flops(RESNET, Config(model="resnet18", sparsity=0.9), [10_000] * 5)
    density = 0.98548 * 0.1 + 0.01452
    assert rows["sparse, static"] == pytest.approx(3_332_536_320 * density, rel=1e-4)
    assert rows["sparse, exact"] < rows["sparse, static"] < rows["sparse, RigL's accounting"]


def test_rigl_forms_one_dense_weight_gradient_per_interval():
    dense, sparse, interval = 100.0, 10.0, 4
    steps = [3 * sparse] * interval + [2 * sparse + dense]
    assert rigl_flops(dense, sparse, interval) == pytest.approx(sum(steps) / len(steps))


def test_grouped_convolutions_are_overcounted_by_pytorch():
    layers = Sequential({"stem": Conv2d(4, 4, 1, groups=2), "conv": Conv2d(4, 4, 3, groups=4), "flatten": Flatten()})
    spec = describe(Network("grouped", layers, input_shape=(4, 5, 5), classes=1))
    stem, conv = 25 * 8, 9 * 36
    assert pytorch_counter_flops(spec) == 2 * ((1 + 2) * stem + (2 + 4) * conv)
    assert all(row.holds for row in conventions(spec, Config(), [8]))
