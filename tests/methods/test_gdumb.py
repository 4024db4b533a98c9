"""GDumb: its sampler, its recipe, and its networks beside PyTorch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.methods.balance import greedy_balance
from sparcl_ref.methods.cutmix import box, cutmix
from sparcl_ref.methods.scratch import clip, rate
from sparcl_ref.randomness import own_stream
from tests.methods.twin import BASE, REGIMES, Twin, assert_equal_for_30_steps, run_of, small_dataset

FORMS = ("paper", "mammoth")


class TorchGDumb(Twin):
    """The authors' recipe with PyTorch's own optimiser, schedule and clipping."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.rng = own_stream(self.config.seed, "method gdumb")
        self.steps = 0

    def follow(self, event, held):
        if event.kind != "step":
            super().follow(event, held)

    def store(self):
        order, capacity = self.rng.permutation(len(self.data)), self.config.buffer_size
        if self.own.form == "mammoth":
            self.rng.integers(0, np.arange(len(order)) + 1 + len(order) * (self.number - 1))
            return
        labels = [] if self.held is None else self.held.labels.tolist()
        for label in self.labels[order].tolist():
            counts = {c: labels.count(c) for c in {*labels, label}}
            if counts[label] < capacity / len(counts):
                if len(labels) == capacity:
                    largest = min(counts, key=lambda c: (-counts[c], c))
                    self.rng.integers(counts[largest])  # who of them is for the subject to say
                    labels.remove(largest)
                labels.append(label)
        assert sorted(labels) == sorted(self.trainer.buffer.content().labels.tolist())

    def end_task(self):
        self.store()
        if self.own.form == "mammoth" and self.number < 3:
            return
        with torch.no_grad():
            for name, value in self.values.items():
                if "bn" in name or name == "linear.bias":
                    value.fill_(1.0 if name.endswith("weight") else 0.0)
                else:
                    drawn = self.rng.standard_normal(tuple(value.shape))
                    value.copy_(torch.tensor(drawn * np.sqrt(2 / np.prod(value.shape[1:]))))
        for module in self.net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
        self.descent = torch.optim.SGD(self.values.values(), lr=0.05, momentum=0.9, weight_decay=1e-6)
        self.clear_dead()
        restarts = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.descent, T_0=1, T_mult=2, eta_min=5e-4)
        memory = self.trainer.buffer.content()
        x, y = self.images(memory.images), torch.tensor(memory.labels)
        self.net.train()
        for epoch in range(self.own.buffer_passes):
            if epoch < 2:
                self.descent.param_groups[0]["lr"] = (0.005, 0.05)[epoch]
            else:
                restarts.step(epoch - 2)
            order = self.rng.permutation(len(x))
            for start in range(0, len(x), 16):
                self.batch(x[order[start : start + 16]], y[order[start : start + 16]])

    def batch(self, x, y):
        other, lam = y, 1.0
        if self.own.form == "mammoth" or self.rng.random() < 0.5:
            partner, size = torch.tensor(self.rng.permutation(len(x))), 8
            lam = self.rng.beta(1, 1)
            cut = int(size * np.sqrt(1 - lam))
            cy, cx = self.rng.integers(size), self.rng.integers(size)
            y1, y2, x1, x2 = np.clip([cy - cut // 2, cy - cut // 2 + cut, cx - cut // 2, cx - cut // 2 + cut], 0, size)
            mixed = x.clone()
            mixed[:, :, y1:y2, x1:x2] = x[partner, :, y1:y2, x1:x2]
            lam = 1 - (y2 - y1) * (x2 - x1) / size**2
            x, other = mixed, y[partner]
        logits = self.net(x)
        self.backward(lam * functional.cross_entropy(logits, y) + (1 - lam) * functional.cross_entropy(logits, other))
        torch.nn.utils.clip_grad_norm_(self.values.values(), 10.0)
        self.update_all()

    def update_all(self):
        self.steps += 1
        self.descent.step()
        self.clear_dead()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regime", REGIMES)
def test_its_networks_are_the_twins(form, regime) -> None:
    # Three batches for each of eleven passes.
    own = {"form": form, "buffer_passes": 11, "buffer_size": 40, "epochs": 2}
    assert_equal_for_30_steps(TorchGDumb, method="gdumb", least=24, **own, **REGIMES[regime])


@given(st.lists(st.integers(0, 5), max_size=80), st.integers(1, 30), st.integers(0, 99), st.integers(0, 80))
def test_classes_are_balanced_once_each_was_seen_often_enough(labels, capacity, seed, cut) -> None:
    rng, labels = np.random.default_rng(seed), np.array(labels, dtype=int)
    held = greedy_balance(np.zeros(0, int), labels[:cut], capacity, rng)  # in two goes, as two tasks
    both = np.concatenate([labels[:cut][held], labels[cut:]])
    kept = greedy_balance(labels[:cut][held], labels[cut:], capacity, rng)
    assert len(np.unique(kept)) == len(kept) <= capacity
    counts = np.bincount(both[kept], minlength=6)
    seen = np.unique(labels)
    # What is offered after the last new class came: where each class has enough of that, all are alike.
    if len(seen):
        late = labels[max(np.flatnonzero(labels == c)[0] for c in seen) :]
        if all((late == c).sum() >= capacity / len(seen) for c in seen):
            assert np.ptp(counts[seen]) <= 1
            assert counts.sum() >= capacity - len(seen)


@given(st.integers(0, 99), st.integers(1, 12))
def test_a_memory_with_room_takes_what_is_below_its_share(seed, capacity) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, 12)
    kept = greedy_balance(np.zeros(0, int), labels[: min(3, capacity)], capacity, np.random.default_rng(0))
    assert len(kept) >= 1
    assert kept[0] == 0
    assert np.array_equal(kept, np.sort(kept))


def test_rates_are_a_warm_up_and_a_cosine_with_restarts() -> None:
    found = [rate(epoch, highest=0.05, lowest=5e-4) for epoch in range(1, 18)]
    weight = torch.nn.Parameter(torch.zeros(1))
    descent = torch.optim.SGD([weight], lr=0.05)
    restarts = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(descent, T_0=1, T_mult=2, eta_min=5e-4)
    expected = [0.005, 0.05]
    for epoch in range(15):
        restarts.step(epoch)
        expected.append(descent.param_groups[0]["lr"])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.integers(0, 999), st.sampled_from([0.01, 1.0, 100.0]))
def test_clipping_is_pytorchs(seed, scale) -> None:
    rng = np.random.default_rng(seed)
    grads = [scale * rng.standard_normal(shape) for shape in ((3, 4), (5,))]
    weights = [torch.nn.Parameter(torch.zeros(grad.shape, dtype=torch.float64)) for grad in grads]
    for weight, grad in zip(weights, grads, strict=True):
        weight.grad = torch.tensor(grad)
    torch.nn.utils.clip_grad_norm_(weights, 10.0)
    for ours, weight in zip(clip(grads, 10.0), weights, strict=True):
        np.testing.assert_allclose(ours, weight.grad.numpy(), rtol=1e-12)


@given(st.floats(0, 1), st.integers(0, 7), st.integers(0, 5), st.integers(0, 99))
def test_a_mixed_image_is_its_own_by_the_share_of_its_pixels(share, row, column, seed) -> None:
    rng = np.random.default_rng(seed)
    x, partner = rng.standard_normal((3, 2, 8, 6)), rng.permutation(3)
    mixed, own = cutmix(x, partner, box(share, 8, 6, row, column))
    foreign = mixed != x
    for image in range(3):
        if partner[image] != image:
            assert foreign[image].mean() == pytest.approx(1 - own)
            np.testing.assert_array_equal(mixed[image][foreign[image]], x[partner[image]][foreign[image]])
    assert 1 - own <= share + 1e-12
    assert 0 <= own <= 1


def test_the_network_of_a_task_owes_nothing_to_earlier_ones() -> None:
    """Whatever the weights were before the task's end, it is the same network after."""
    config = dataclasses.replace(BASE, method="gdumb", buffer_passes=2, buffer_size=30, epochs=1)
    ends = []
    for spoil in (False, True):
        trainer = build(config, small_dataset())
        while trainer.cursor.task < 2 or trainer.cursor.due != "own_step":
            trainer.advance()
        if spoil:
            for parameter in trainer.model.parameters():
                parameter.value[...] = 7
            for _, array in trainer.model.named_buffers():
                array[...] = 3
        while trainer.cursor.due != "begin_task":
            trainer.advance()
        ends.append(trainer.model.state_dict())
    for name, array in ends[0].items():
        assert array.tobytes() == ends[1][name].tobytes(), name


def test_steps_cost_nothing_and_passes_over_the_buffer_are_known() -> None:
    config = dataclasses.replace(BASE, method="gdumb", buffer_passes=3, epochs=2)
    trainer = run_of(method="gdumb", buffer_passes=3, epochs=2)
    phases = trainer.ledger.table.phase_macs()
    assert phases["forward_current"] == phases["dw_current"] == 0
    one = phases["forward_scratch"]
    assert one > 0
    assert trainer.ledger.table.overhead_macs["optimizer"] == 0
    found = forecast(config, small_dataset())
    assert found.train_flops == {"paper": None, "exact": trainer.ledger.train_flops}
    assert (
        forecast(dataclasses.replace(config, form="mammoth"), small_dataset()).train_flops["exact"] * 3
        == (found.train_flops["exact"])
    )


def test_mammoth_trains_after_the_last_task_alone() -> None:
    trainer = build(dataclasses.replace(BASE, method="gdumb", form="mammoth", epochs=1), small_dataset())
    first = trainer.model.state_dict()["conv2.weight"]
    changed = []
    for event in trainer.events():
        if event.kind == "end_task":
            changed.append(not np.array_equal(first, trainer.model.state_dict()["conv2.weight"]))
    assert changed == [False, False, True]
