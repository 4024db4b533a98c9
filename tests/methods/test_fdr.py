"""FDR: the distance, what is recorded and kept, and the run beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.methods.distances import function_distance
from sparcl_ref.methods.fdr import FDR
from sparcl_ref.methods.quotas import fdr_quota
from sparcl_ref.randomness import own_stream
from tests import tiny
from tests.helpers import assert_close, finite_difference
from tests.methods.common import new_batch, rehearsal
from tests.methods.twin import REGIMES, Twin, assert_equal_for_30_steps, assert_same_bits, run_of

FORMS = ("paper", "mammoth")


class TorchFDR(Twin):
    """One loss, or the two updates of the published code; records logits itself."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.rng = own_stream(self.config.seed, "method fdr")
        self.said = {}
        self.updates = 0

    def distance(self, old):
        (samples,) = old
        stored = torch.stack([self.said[image.tobytes()] for image in samples.images])
        now = torch.softmax(self.net(self.images(samples.images)), dim=1)
        return torch.linalg.vector_norm(now - torch.softmax(stored, dim=1), dim=1).mean()

    def loss(self, x, y, old):
        loss = self.current(x, y)
        return loss + self.own.alpha * self.distance(old) if old and self.own.form == "paper" else loss

    def second(self, old):
        if not old or self.own.form == "paper":
            return False
        self.backward(self.distance(old))
        return True

    def end_task(self):
        capacity, paper = self.config.buffer_size, self.own.form == "paper"
        share = capacity // (self.number if paper else max(1, self.number - 1))
        order = self.rng.permutation(len(self.data))[:share]
        raw = self.trainer.dataset.train_x[self.trainer.stream.training[self.number - 1].train_index]
        counts = np.zeros(9, int) if self.held is None else np.bincount(self.held.tasks, minlength=9)
        presented = int(np.minimum(counts, share).sum())
        self.net.train(not paper)
        for start in range(0, len(order), self.config.batch_size):
            part = order[start : start + self.config.batch_size]
            with torch.no_grad():
                logits = self.net(self.data[part])
            self.said |= {raw[i].tobytes(): z for i, z in zip(part, logits, strict=True)}
            if not paper:
                self.rng.integers(0, presented + np.arange(len(part)) + 1)
                presented += len(part)
        content = self.trainer.buffer.content()
        for image, stored in zip(content.images, content.logits, strict=True):
            assert_close(stored, self.said[image.tobytes()].numpy(), call="recorded", rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_as_its_twin(form, regime) -> None:
    trainer = assert_equal_for_30_steps(TorchFDR, method="fdr", form=form, alpha=0.7, **REGIMES[regime])
    if regime == "dense":
        # With momentum and weight decay an update is three multiply-adds a weight.
        updates = trainer.ledger.table.overhead_macs["optimizer"] / 3 / sum(
            parameter.value.size for parameter in trainer.model.parameters()
        )  # fmt: skip
        again = 24 if form == "mammoth" else 0  # of two tasks with three epochs of four steps
        assert updates == trainer.cursor.updates + again == 36 + again


LOGITS = st.integers(0, 10_000).map(lambda seed: 2 * np.random.default_rng(seed).standard_normal((4, 5)))


@given(LOGITS, LOGITS)
def test_its_gradient_is_that_of_its_loss(logits, stored) -> None:
    stored = stored + 1e-2  # two draws are never equal
    distance, gradient = function_distance(logits, stored)
    numerical = finite_difference(lambda: function_distance(logits, stored)[0].mean(), logits)
    if distance.min() > 1e-3:  # the norm has a kink at 0
        assert_close(gradient, numerical, call="distance", rtol=1e-5, atol=1e-8)
    p, q = (torch.softmax(torch.tensor(z), dim=1).numpy() for z in (logits, stored))
    np.testing.assert_allclose(distance, np.sqrt(((p - q) ** 2).sum(axis=1)), rtol=1e-9, atol=1e-15)


@given(LOGITS, st.floats(-20, 20))
def test_at_no_distance_nothing_pulls(logits, shift) -> None:
    distance, gradient = function_distance(logits, logits.copy())
    assert not distance.any()
    assert not gradient.any()
    moved, _ = function_distance(logits, logits + shift)  # the same softmax
    assert moved.max() < 1e-14


@given(st.integers(1, 600), st.integers(1, 9))
def test_quotas(capacity, task) -> None:
    assert fdr_quota("paper", capacity, task) * task <= capacity < (fdr_quota("paper", capacity, task) + 1) * task
    assert fdr_quota("mammoth", capacity, task) == capacity // max(1, task - 1)


def test_what_is_held_after_each_form() -> None:
    tasks = {form: run_of(method="fdr", form=form, buffer_size=12).buffer.content().tasks for form in FORMS}
    assert np.bincount(tasks["paper"]).tolist() == [0, 4, 4, 4]
    shares = np.bincount(tasks["mammoth"])
    assert shares.sum() <= 12
    assert (shares[1:3] <= 6).all()
    assert shares[3] <= 6


@pytest.mark.parametrize("form", FORMS)
def test_the_first_task_is_fine_tuning(form) -> None:
    same = {"classes_per_task": 6, "model": "mlp", "width": 8}  # recording in train mode moves running statistics
    assert_same_bits(run_of(method="fdr", form=form, **same), run_of(method="sgd", **same))


def test_without_coefficient_it_is_fine_tuning() -> None:
    same = {"model": "mlp", "width": 8}
    assert_same_bits(run_of(method="fdr", alpha=0.0, **same), run_of(method="sgd", **same))


def test_a_buffer_too_small_for_a_share_is_empty() -> None:
    for form in FORMS:
        trainer = run_of(method="fdr", form=form, buffer_size=1, epochs=1)
        assert len(trainer.buffer) <= 1
        assert trainer.done


def test_the_second_update_has_the_gradient_of_the_distance_alone() -> None:
    net = tiny.network(batchnorm=False)
    method = rehearsal(FDR, net, form="mammoth")
    batch = new_batch()
    step = method.observe(batch)
    assert set(step.losses) == {"current"}
    assert method.after_update(batch, step)
    assert set(step.losses) == {"current", "distance"}
    old = method.buffer.get(step.draws[0])

    def scalar(logits):
        p = torch.softmax(logits(method.prepare(old.images)), dim=1)
        return (p - torch.softmax(torch.tensor(old.logits), dim=1)).norm(dim=1).mean()

    for parameter, grad in zip(net.parameters(), tiny.autograd(net, scalar), strict=True):
        assert_close(parameter.grad, grad, call=parameter.name, atol=1e-13)
