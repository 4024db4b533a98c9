"""EWC and online EWC: Fisher information, the penalty, and the runs beside PyTorch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.experiment import build
from sparcl_ref.methods.ewc import Anchor, fisher_penalty
from sparcl_ref.methods.fisher import probabilities, squared_gradients
from sparcl_ref.methods.oewc import faded
from sparcl_ref.randomness import own_stream
from tests import tiny
from tests.helpers import assert_close, finite_difference
from tests.methods.twin import BASE, REGIMES, Twin, assert_equal_for_30_steps, assert_same_bits, run_of, small_dataset

WAYS = {
    "ewc-sampled": {"method": "ewc"},
    "ewc-empirical": {"method": "ewc", "fisher": "empirical"},
    "oewc-sampled": {"method": "oewc", "gamma": 0.6},
    "oewc-empirical": {"method": "oewc", "fisher": "empirical"},
    "oewc-mammoth": {"method": "oewc", "form": "mammoth", "gamma": 0.9},
}


class TorchEWC(Twin):
    """Both papers' formulas, and the loop of the published code."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.rng = own_stream(self.config.seed, f"method {self.config.method}")
        self.mammoth = getattr(self.own, "form", "paper") == "mammoth"
        self.past = []

    def loss(self, x, y, old):
        loss = self.current(x, y)
        half = 1.0 if self.mammoth else 0.5
        for fisher, start in self.past:
            for name, value in self.values.items():
                loss = loss + self.own.strength * half * (fisher[name] * (value - start[name]) ** 2).sum()
        return loss

    def end_task(self):
        self.net.train(self.mammoth)
        sums = {name: torch.zeros_like(value) for name, value in self.values.items()}
        outside = torch.ones(6, dtype=torch.bool)
        outside[list(self.classes) if self.single and not self.mammoth else list(range(6))] = False
        for x, y in zip(self.data, self.labels, strict=True):
            log_p = functional.log_softmax(self.net(x[None]).masked_fill(outside, float("-inf")), dim=1)[0]
            p = log_p.detach().exp()
            label = y
            if not self.mammoth and self.own.fisher == "sampled":
                label = self.rng.choice(6, p=(p / p.sum()).numpy())
            for name, grad in self.gradients(log_p[label]).items():
                sums[name] += (p[label] if self.mammoth else 1) * grad**2
        count = len(self.data)
        if self.mammoth:
            count = -(-count // self.config.batch_size) * self.config.batch_size
        fisher = {name: total / count for name, total in sums.items()}
        if self.config.method == "oewc":
            for before, _ in self.past:
                fisher = {name: f + self.own.gamma * before[name] for name, f in fisher.items()}
            self.past = []
        self.past.append((fisher, {name: value.detach().clone() for name, value in self.values.items()}))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_as_its_twin(way, regime) -> None:
    trainer = assert_equal_for_30_steps(TorchEWC, **WAYS[way], strength=0.5, **REGIMES[regime])
    anchors = trainer.method.anchors
    assert len(anchors) == (3 if WAYS[way]["method"] == "ewc" else 1)
    for anchor in anchors:
        assert all((fisher >= 0).all() for fisher in anchor.fisher)
        assert any(fisher.any() for fisher in anchor.fisher)


@pytest.mark.parametrize("way", WAYS)
def test_without_strength_it_is_fine_tuning(way) -> None:
    # A mammoth run differs by its running statistics: Fisher passes move them.
    way = WAYS[way]
    if way.get("form") != "mammoth":
        assert_same_bits(run_of(**way, strength=0.0), run_of(method="sgd"))
    one, other = run_of(**way, strength=0.0, model="mlp"), run_of(method="sgd", model="mlp")
    assert_same_bits(one, other)
    assert_same_bits(
        run_of(**way, classes_per_task=6, model="mlp"), run_of(method="sgd", classes_per_task=6, model="mlp")
    )


def arrays(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((2, 3), (4,))]


@given(st.integers(0, 999), st.sampled_from([0.1, 1.0, 30.0]))
def test_the_penalty_is_a_quadratic_well_around_its_anchor(seed, strength) -> None:
    start, moved = arrays(seed), arrays(seed + 1000)
    anchor = Anchor([f**2 for f in arrays(seed + 2000)], start)
    loss, pull = fisher_penalty(start, anchor, strength)
    assert loss == 0
    assert not any(grad.any() for grad in pull)
    weights = [w + d for w, d in zip(start, moved, strict=True)]
    loss, pull = fisher_penalty(weights, anchor, strength)
    twice, _ = fisher_penalty([w + 2 * d for w, d in zip(start, moved, strict=True)], anchor, strength)
    assert twice == pytest.approx(4 * loss, rel=1e-12)
    for w, grad in zip(weights, pull, strict=True):
        numerical = finite_difference(lambda: fisher_penalty(weights, anchor, strength)[0], w)
        # Central differences of a quadratic carry only the rounding of the loss, over the step.
        assert_close(grad, numerical, call="pull", rtol=1e-6)


@given(st.integers(0, 999))
def test_a_fisher_information_that_does_not_last_is_the_last_tasks(seed) -> None:
    old, new = arrays(seed), arrays(seed + 1)
    for kept, fresh in zip(faded(old, new, 0.0), new, strict=True):
        np.testing.assert_array_equal(kept, fresh)
    for kept, one, other in zip(faded(old, new, 1.0), old, new, strict=True):
        np.testing.assert_array_equal(kept, one + other)


@given(st.integers(0, 99), st.sampled_from([None, (1, 3)]))
def test_fisher_information_is_the_sum_of_squared_gradients(seed, classes) -> None:
    net, rng = tiny.network(batchnorm=False, seed=seed), np.random.default_rng(seed)
    for parameter in net.sparsifiable():
        tiny.restrict(parameter, rng)
    x, labels, weights = rng.standard_normal((4, *tiny.INPUT)), rng.choice([1, 3], 4), rng.random(4)
    before = net.state()
    chosen = [(x[i : i + 1], lambda logits, i=i: (int(labels[i]), weights[i])) for i in range(4)]
    found = squared_gradients(net, chosen, classes=classes)
    expected = [np.zeros_like(parameter.value) for parameter in net.parameters()]
    for i in range(4):
        grads = tiny.autograd(
            net, lambda logits, i=i: tiny.cross_entropy(logits(x[i : i + 1]), labels[i : i + 1], classes)
        )
        for total, grad, parameter in zip(expected, grads, net.parameters(), strict=True):
            total += weights[i] * (grad**2 if parameter.mask is None else np.where(parameter.mask, grad, 0) ** 2)
    for parameter, ours, theirs in zip(net.parameters(), found, expected, strict=True):
        assert_close(ours, theirs, call=parameter.name, atol=1e-12)
    np.testing.assert_equal(net.state(), before)  # whatever gradients were there


@given(st.lists(st.floats(-500, 500), min_size=4, max_size=4), st.sampled_from([None, (2,), (1, 3)]))
def test_probabilities_are_a_softmax(logits, classes) -> None:
    p = probabilities(np.array(logits), classes)
    assert p.sum() == pytest.approx(1, rel=1e-12)
    assert (p >= 0).all()
    inside = list(range(4)) if classes is None else list(classes)
    assert not np.delete(p, inside).any()
    expected = torch.softmax(torch.tensor(logits, dtype=torch.float64)[inside], 0).numpy()
    np.testing.assert_allclose(p[inside], expected, rtol=1e-12, atol=1e-300)


def test_sampled_labels_are_as_frequent_as_they_are_likely() -> None:
    """Labels come from the model: at initialisation hardly any is certain, so that most differ from the data's."""
    sampled, empirical = (run_of(method="ewc", fisher=f, classes_per_task=6, lr=1e-9).method.anchors[0] for f in
                          ("sampled", "empirical"))  # fmt: skip
    bias = [anchor.fisher[-1] for anchor in (sampled, empirical)]
    assert not np.array_equal(*bias)
    # E over y of (p - y)^2 is p (1 - p) for each logit; 90 samples tell it to some tens of percent.
    net = run_of(method="sgd", classes_per_task=6, lr=1e-9)
    x = net.dataset.normalise(net.dataset.train_x, np.float64)
    p = np.array([probabilities(z) for z in net.model.forward(x, mode="eval")])
    np.testing.assert_allclose(bias[0], (p * (1 - p)).mean(axis=0), rtol=0.6, atol=0.02)


def test_a_network_that_cannot_take_single_images_is_refused_before_the_run() -> None:
    config = dataclasses.replace(BASE, model="resnet18", width=2)
    with pytest.raises(ValueError, match=r"--form mammoth of oewc passes single images.*choose --form paper"):
        build(dataclasses.replace(config, method="oewc", form="mammoth"), small_dataset())
    build(dataclasses.replace(config, method="oewc"), small_dataset())
