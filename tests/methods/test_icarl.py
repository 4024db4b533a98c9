"""iCaRL: the loss, herding, nearest means, and the run beside PyTorch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.experiment import build, train
from sparcl_ref.methods.binary import binary_cross_entropy, sigmoid
from sparcl_ref.methods.herding import herd, nearness, normalised
from tests.helpers import assert_close, assert_positive_zero, finite_difference
from tests.methods.twin import BASE, REGIMES, Twin, assert_equal_for_30_steps, run_of, small_dataset

FORMS = ("paper", "mammoth")


class TorchICaRL(Twin):
    """Algorithms 1 to 5 of the paper, and what the published code does otherwise; it herds for itself."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.lists: dict[int, list[np.ndarray]] = {}
        self.said: dict[bytes, torch.Tensor] = {}
        self.seen: list[int] = []
        self.net.linear.register_forward_hook(lambda _, inputs, __: setattr(self, "phi", inputs[0].detach()))

    def features(self, x):
        self.net.eval()
        with torch.no_grad():
            self.net(x)
        return functional.normalize(self.phi, dim=1)

    def raw(self):
        return self.trainer.dataset.train_x[self.trainer.stream.training[self.number - 1].train_index]

    def begin_task(self):
        self.net.eval()
        if self.lists:
            for image in [*self.raw(), *(image for images in self.lists.values() for image in images)]:
                with torch.no_grad():
                    self.said[image.tobytes()] = torch.sigmoid(self.net(self.images(image[None])))[0]

    def follow(self, event, held):
        if event.kind == "step":
            self.batch = self.trainer.dataset.train_x[event.indices]
        super().follow(event, held)

    def loss(self, x, y, old):
        targets = functional.one_hot(y, 6).double()
        for row, image in zip(targets, self.batch, strict=True):
            for label in self.seen:
                row[label] = self.said[image.tobytes()][label]
        logits = self.net(x)
        if self.own.form == "mammoth":
            squares = sum((value**2).sum() for value in self.values.values())
            return functional.binary_cross_entropy_with_logits(logits, targets) + 1e-5 * squares
        columns = [*self.seen, *self.classes]
        loss = functional.binary_cross_entropy_with_logits(logits[:, columns], targets[:, columns], reduction="sum")
        return loss / len(x)

    def end_task(self):
        self.seen += list(self.classes)
        share = self.config.buffer_size // len(self.seen)
        self.lists = {label: images[:share] for label, images in self.lists.items()}
        phi, raw = self.features(self.data), self.raw()
        for label in self.classes:
            own = (self.labels == label).nonzero()[:, 0].tolist()
            mean, chosen = phi[own].mean(dim=0), []
            while len(chosen) < min(share, len(own)):
                rest = [i for i in own if i not in chosen]
                distances = [(mean - phi[[*chosen, i]].mean(dim=0)).norm().item() for i in rest]
                chosen.append(rest[int(np.argmin(distances))])
            self.lists[label] = [raw[i] for i in chosen]
        content = self.trainer.buffer.content()
        for label, images in self.lists.items():
            np.testing.assert_array_equal(content.images[content.labels == label], np.stack(images))
        self.check_answers()

    def check_answers(self):
        means = []
        for images in self.lists.values():
            x = self.images(np.stack(images))
            phi = self.features(x)
            if self.own.form == "mammoth":
                phi = phi + self.features(x.flip(3))
            means.append(functional.normalize(phi.mean(dim=0), dim=0))
        test = self.images(self.trainer.dataset.test_x)
        distance = torch.cdist(self.features(test), torch.stack(means)) ** 2
        ours = self.trainer.method.predict(test.numpy())
        assert_close(ours[:, list(self.lists)], -distance.numpy(), call="scores", atol=1e-9)
        assert (np.delete(ours, list(self.lists), axis=1) == -np.inf).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_and_answers_as_its_twin(form, regime) -> None:
    own = {"form": form, "class_order": "3,1,0,5,2,4", "buffer_size": 20}
    trainer = assert_equal_for_30_steps(TorchICaRL, method="icarl", **own, **REGIMES[regime])
    assert np.bincount(trainer.buffer.content().labels).tolist() == [3] * 6
    assert trainer.history.epochs[3]["samples"] == 30 + 20  # new samples, and what was kept of the first task


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(0, 9))
def test_herding_by_brute_force(seed, n, count) -> None:
    features = np.random.default_rng(seed).standard_normal((n, 3))
    mean, found = features.mean(axis=0), herd(features, count)
    assert len(set(found.tolist())) == len(found) == min(n, count)
    for step, choice in enumerate(found):
        before = found[:step].tolist()
        left = [i for i in range(n) if i not in before]
        distances = {i: np.linalg.norm(mean - features[[*before, i]].mean(axis=0)) for i in left}
        assert distances[choice] <= min(distances.values()) + 1e-12  # of two that are equally near rounding decides
    for shorter in range(count):
        np.testing.assert_array_equal(herd(features, shorter), found[:shorter])


def test_of_equals_the_lowest_index_is_chosen() -> None:
    assert herd(np.ones((4, 2)), 3).tolist() == [0, 1, 2]


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_answers_do_not_depend_on_the_scale_of_features(seed, scale) -> None:
    rng = np.random.default_rng(seed)
    features, means = rng.standard_normal((6, 4)), normalised(rng.standard_normal((5, 4)))
    means[2] = np.inf
    scores = nearness(features, means)
    assert (scores[:, 2] == -np.inf).all()
    np.testing.assert_allclose(nearness(scale * features, means), scores, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(nearness(scale * features, means).argmax(1), scores.argmax(1))
    np.testing.assert_allclose(np.linalg.norm(normalised(features), axis=1), 1, rtol=1e-12)
    assert_positive_zero(normalised(np.zeros((2, 3))), call="rows of zeros")


@given(st.integers(0, 10_000), st.sampled_from([(0, 1, 2, 3, 4), (3, 1), (2,)]), st.sampled_from([1.0, 5.0]))
def test_the_loss_is_pytorchs_and_its_gradient_its_own(seed, classes, divisor) -> None:
    rng = np.random.default_rng(seed)
    logits, targets, columns = 4 * rng.standard_normal((3, 5)), rng.random((3, 5)), list(classes)
    how = {"classes": classes, "divisor": divisor}
    per_sample, gradient = binary_cross_entropy(logits, targets, **how)
    theirs = functional.binary_cross_entropy_with_logits(
        torch.tensor(logits[:, columns]), torch.tensor(targets[:, columns]), reduction="none"
    )
    np.testing.assert_allclose(per_sample, theirs.numpy().sum(axis=1) / divisor, rtol=1e-10)
    numerical = finite_difference(lambda: binary_cross_entropy(logits, targets, **how)[0].mean(), logits)
    assert_close(gradient, numerical, call="binary", rtol=1e-6, atol=1e-8)
    others = np.delete(gradient, columns, axis=1)
    if others.size:
        assert_positive_zero(others, call="other classes")


def test_the_sigmoid_does_not_overflow() -> None:
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0, 0.5, 1])


@pytest.mark.parametrize("form", FORMS)
def test_means_are_of_unit_length_and_lists_are_prefixes(form) -> None:
    trainer = build(dataclasses.replace(BASE, method="icarl", form=form, buffer_size=20, epochs=1), small_dataset())
    before: dict[int, np.ndarray] = {}
    for event in trainer.events():
        if event.kind == "end_task":
            method = trainer.method
            known = method.means[np.isfinite(method.means).all(axis=1)]
            assert len(known) == 2 * event.task == len(method.exemplars)
            np.testing.assert_allclose(np.linalg.norm(known, axis=1), 1, rtol=1e-12)
            for label, indices in before.items():
                shorter = method.exemplars[label]
                assert shorter.tolist() == indices[: len(shorter)].tolist()
            before = dict(method.exemplars)
            assert len(trainer.buffer) == sum(map(len, before.values())) <= 20


def test_its_weights_say_that_they_do_not_answer_by_themselves() -> None:
    dataset = small_dataset()
    learner = train(dataclasses.replace(BASE, method="icarl", epochs=1), dataset=dataset).learner
    with pytest.raises(ValueError, match="iCaRL was evaluated by its method's own predict"):
        learner.predict(dataset.test_x)
    assert learner.logits(dataset.test_x).shape == (len(dataset.test_x), 6)


def test_a_memory_too_small_for_all_classes_is_empty_but_runs() -> None:
    trainer = run_of(method="icarl", buffer_size=3, epochs=1)
    assert len(trainer.buffer) == 0
    assert trainer.done
