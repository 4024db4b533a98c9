"""ER-LAS: the adjusted loss, the window of counts, and the run beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.cost import describe, held_memory
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.er_las import ERLAS, adjusted_cross_entropy
from tests import tiny
from tests.helpers import assert_close, finite_difference
from tests.methods.common import new_batch, prepare, rehearsal
from tests.methods.twin import BASE, REGIMES, Twin, assert_equal_for_30_steps, run_of


class TorchERLAS(Twin):
    """As in section 4 of the paper: a joint batch, logits moved by the log of what was shown."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.shown = []

    def loss(self, x, y, old):
        for samples in old:
            x = torch.cat([x, self.images(samples.images)])
            y = torch.cat([y, torch.tensor(samples.labels)])
        self.shown.append(y)
        recent = torch.cat(self.shown[-self.own.window :])
        counts = torch.tensor([float((recent == c).sum()) for c in range(6)], dtype=torch.float64)
        return functional.cross_entropy(self.net(x) + self.own.tau * torch.log(counts + 1e-50), y)


@pytest.mark.parametrize(("tau", "window"), [(0.0, 1), (1.0, 1), (0.6, 3)])
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_as_its_twin(tau, window, regime) -> None:
    assert_equal_for_30_steps(TorchERLAS, method="er-las", tau=tau, window=window, **REGIMES[regime])


CASES = st.tuples(st.integers(0, 10_000), st.lists(st.integers(0, 5), min_size=1, max_size=8))


def case(drawn):
    seed, labels = drawn
    logits = 3 * np.random.default_rng(seed).standard_normal((len(labels), 6))
    return logits, np.array(labels), np.bincount(labels, minlength=6)


@given(CASES, st.sampled_from([0.0, 0.5, 1.0]))
def test_its_gradient_is_that_of_its_loss(drawn, tau) -> None:
    logits, labels, counts = case(drawn)
    _, gradient = adjusted_cross_entropy(logits, labels, counts, tau=tau)
    numerical = finite_difference(lambda: adjusted_cross_entropy(logits, labels, counts, tau=tau)[0].mean(), logits)
    assert_close(gradient, numerical, call="adjusted", rtol=1e-6, atol=1e-8)


@given(CASES)
def test_without_adjustment_it_is_cross_entropy_to_the_bit(drawn) -> None:
    logits, labels, counts = case(drawn)
    for ours, plain in zip(
        adjusted_cross_entropy(logits, labels, counts, tau=0.0), cross_entropy(logits, labels), strict=True
    ):
        assert ours.tobytes() == plain.tobytes()


@given(CASES)
def test_a_class_that_was_not_shown_has_hardly_a_gradient(drawn) -> None:
    logits, labels, counts = case(drawn)
    _, gradient = adjusted_cross_entropy(logits, labels, counts, tau=1.0)
    assert np.abs(gradient[:, counts == 0]).max(initial=0) < 1e-35


@given(CASES, st.sampled_from([2, 10, 1000]))
def test_shares_decide_and_not_numbers(drawn, factor) -> None:
    logits, labels, counts = case(drawn)
    once = adjusted_cross_entropy(logits, labels, counts, tau=1.0)
    often = adjusted_cross_entropy(logits, labels, factor * counts, tau=1.0)
    for one, other in zip(once, often, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


def test_losses_are_each_samples_share_of_the_joint_mean() -> None:
    net = tiny.network(batchnorm=True)
    method = rehearsal(ERLAS, net)
    batch = new_batch()
    step = method.observe(batch)
    old = method.buffer.get(step.draws[0])
    labels = np.concatenate([batch.labels, old.labels])
    counts = torch.tensor(np.bincount(labels, minlength=4) + 1e-50)
    seen = {}

    def scalar(logits):
        z = logits(np.concatenate([batch.x, prepare(old.images)])) + torch.log(counts)
        seen["per_sample"] = functional.cross_entropy(z, torch.tensor(labels), reduction="none")
        return seen["per_sample"].mean()

    grads = tiny.autograd(net, scalar)
    for parameter, ours, theirs in zip(net.parameters(), step.current_grads, grads, strict=True):
        assert_close(ours, theirs, call=parameter.name, atol=1e-12)
        np.testing.assert_array_equal(parameter.grad, ours)
    assert step.losses["current"] == pytest.approx(float(seen["per_sample"][:5].sum().detach()) / 9)
    assert step.losses["replay_ce"] == pytest.approx(float(seen["per_sample"][5:].sum().detach()) / 9)
    assert step.replay_grads is None
    assert len(step.logits) == len(step.correct) == 5


def test_only_the_last_joint_batches_are_remembered() -> None:
    method = rehearsal(ERLAS, tiny.network(batchnorm=False), window=2)
    for seed in range(4):
        method.observe(new_batch(seed=seed))
    assert [int(counts.sum()) for counts in method.shown] == [9, 9]


def test_a_joint_pass_takes_the_memory_of_both_batches() -> None:
    trainer = run_of(method="er-las", epochs=1)
    spec = describe(trainer.model)
    parts = {}
    for method, sizes in {"er-las": (8, 5), "er": (13, 5), "sgd": (13, 5)}.items():
        config = BASE.__class__(
            model="convnet", width=4, dtype="float64", method=method, batch_size=sizes[0], replay_batch_size=sizes[1]
        )
        parts[method] = held_memory(spec, config).moments, held_memory(spec, config).parts
    assert parts["er-las"][1]["activations"] == parts["er"][1]["activations"]
    numbers = 8 * spec.parameters
    shared = parts["er"][1]["batch"] - parts["er-las"][1]["batch"]
    assert parts["er"][0]["pass"] - parts["er-las"][0]["pass"] == numbers + shared
