"""LwF: the distillation loss, the recording and the warm-up, and the run beside PyTorch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sparcl_ref.experiment import build
from sparcl_ref.methods.classifier import classifier_of, features
from sparcl_ref.methods.distances import distillation
from sparcl_ref.methods.icarl import ICaRL
from sparcl_ref.methods.lwf import LwF
from sparcl_ref.models import Network, build_model
from sparcl_ref.randomness import own_stream
from sparcl_ref.trainer import Trainer
from tests.helpers import assert_close, assert_positive_zero, finite_difference
from tests.methods.common import rehearsal
from tests.methods.twin import BASE, REGIMES, Twin, assert_equal_for_30_steps, assert_same_bits, run_of, small_dataset

FORMS = ("paper", "mammoth")


class TorchLwF(Twin):
    """The paper's losses by autograd, with its warm-up of the new rows."""

    old: tuple[int, ...] = ()

    def begin_task(self):
        if not self.old:
            self.rng = own_stream(self.config.seed, "method lwf")
            return
        self.net.eval()
        with torch.no_grad():
            self.recorded = self.net(self.data)
        rows = list(self.classes)
        for _ in range(self.own.warmup_epochs):
            order = self.rng.permutation(len(self.data))
            for start in range(0, len(order), self.config.batch_size):
                part = order[start : start + self.config.batch_size]
                loss = self.cross_entropy(self.net(self.data[part]), self.labels[part], rows)
                head = [self.values["linear.weight"], self.values["linear.bias"]]
                with torch.no_grad():
                    for value, grad in zip(head, torch.autograd.grad(loss, head), strict=True):
                        value[rows] -= self.own.warmup_lr * grad[rows]

    def loss(self, x, y, old):
        logits = self.net(x)
        classes = self.classes if self.own.form == "paper" else [*self.old, *self.classes]
        loss = self.cross_entropy(logits, y, classes)
        if self.old:
            # Which of the task's images these are: all are different.
            at = [int(((self.data - image).abs().sum(dim=(1, 2, 3)) == 0).nonzero()) for image in x]
            columns, temperature = list(self.old), self.own.temperature
            said = functional.softmax(self.recorded[at][:, columns] / temperature, dim=1)
            says = functional.log_softmax(logits[:, columns] / temperature, dim=1)
            loss = loss - self.own.distil_weight * (said * says).sum(dim=1).mean()
        return loss

    def end_task(self):
        self.old = (*self.old, *self.classes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_as_its_twin(form, regime) -> None:
    own = {"form": form, "distil_weight": 0.7, "temperature": 1.5, "warmup_epochs": 2, "warmup_lr": 0.1}
    assert_equal_for_30_steps(TorchLwF, method="lwf", class_order="3,1,0,5,2,4", **own, **REGIMES[regime])


LOGITS = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).standard_normal((3, 6)) * 3)


@given(LOGITS, LOGITS, st.sampled_from([0.5, 1.0, 2.0, 7.0]), st.sampled_from([(0, 1), (4, 2, 5), (3,)]))
def test_its_gradient_is_the_difference_of_what_is_and_was_said(logits, old, temperature, classes) -> None:
    how = {"classes": classes, "temperature": temperature}
    per_sample, gradient = distillation(logits, old, **how)
    numerical = finite_difference(lambda: distillation(logits, old, **how)[0].mean(), logits)
    assert_close(gradient, numerical, call="distillation", rtol=1e-6, atol=1e-8)
    columns = list(classes)
    said, says = (torch.softmax(torch.tensor(z[:, columns]) / temperature, 1).numpy() for z in (old, logits))
    np.testing.assert_allclose(gradient[:, columns], (says - said) / (temperature * 3), rtol=1e-9, atol=1e-15)
    assert_positive_zero(np.delete(gradient, columns, axis=1), call="other classes")
    np.testing.assert_allclose(per_sample, -(said * np.log(says)).sum(axis=1), rtol=1e-9, atol=1e-15)
    # Nothing pulls where all is said as before, and a shift of all logits says nothing.
    assert not distillation(old, old, **how)[1].any()
    np.testing.assert_allclose(distillation(logits + 5, old, **how)[1], gradient, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_the_first_task_is_fine_tuning_with_the_single_head(form) -> None:
    assert_same_bits(
        run_of(method="lwf", form=form, classes_per_task=6), run_of(method="sgd", head="single", classes_per_task=6)
    )


def test_without_distillation_and_warm_up_it_is_fine_tuning_with_the_single_head() -> None:
    assert_same_bits(run_of(method="lwf", distil_weight=0.0, warmup_epochs=0), run_of(method="sgd", head="single"))


def test_the_warm_up_moves_the_new_rows_alone() -> None:
    trainer = build(dataclasses.replace(BASE, method="lwf", warmup_epochs=3), small_dataset())
    while (trainer.cursor.due, trainer.cursor.task) != ("begin_task", 1):
        trainer.advance()
    before = trainer.model.state_dict()
    trainer.advance()
    after, rows = trainer.model.state_dict(), list(trainer.stream.training[1].classes)
    for name, array in after.items():
        if name.startswith("linear"):
            assert (array[rows] != before[name][rows]).all()
            assert np.delete(array, rows, axis=0).tobytes() == np.delete(before[name], rows, axis=0).tobytes()
        else:
            assert array.tobytes() == before[name].tobytes(), name
    data = trainer.dataset
    index = trainer.stream.training[1].train_index
    old = trainer.model.forward(data.normalise(data.train_x[index], np.float64), mode="eval")
    columns = list(trainer.stream.training[0].classes)
    np.testing.assert_allclose(trainer.method.recorded[:, columns], old[:, columns], rtol=1e-12)


def test_the_warm_up_tells_what_computes_by_the_rows_that_they_have_changed() -> None:
    trainer = build(dataclasses.replace(BASE, method="lwf"), small_dataset())
    while (trainer.cursor.due, trainer.cursor.task) != ("begin_task", 1):
        trainer.advance()
    parameters = trainer.model.parameters()
    before = [parameter.changes for parameter in parameters]
    trainer.advance()
    changed = [p.name for p, changes in zip(parameters, before, strict=True) if p.changes != changes]
    assert changed == [parameter.name for parameter in classifier_of(trainer.model).own_parameters().values()]


@pytest.mark.parametrize("form", FORMS)
def test_where_tasks_share_all_classes_no_row_is_warmed_up_and_each_class_counts_once(form) -> None:
    config = dataclasses.replace(BASE, method="lwf", form=form, model="mlp", stream="permuted", domains=3)
    trainer = build(config, small_dataset())
    while trainer.cursor.task < 3 or trainer.cursor.due != "step":
        before = trainer.model.state_dict()
        if trainer.advance().kind == "begin_task":
            assert all(array.tobytes() == before[name].tobytes() for name, array in trainer.model.state_dict().items())
    assert trainer.method.state()["old"] == list(range(6))
    recorded = trainer.method.recorded
    event = trainer.advance()
    # Before the first update of a task all is said as recorded, so that the distance is the entropy of what is said.
    said = torch.softmax(torch.tensor(recorded) / 2, 1)
    places = np.searchsorted(trainer.stream.training[2].train_index, event.indices)
    entropy = -(said * said.log()).sum(1)[torch.tensor(places)].mean()
    assert event.observation.losses["distillation"] == pytest.approx(float(entropy), rel=1e-9)


def test_features_are_what_the_classifier_sees() -> None:
    model = build_model("convnet", input_shape=(1, 8, 8), classes=6, width=4, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((3, 1, 8, 8)).astype(np.float32)
    seen = features(model, x)
    assert seen.shape == (3, 4)
    head = classifier_of(model)
    np.testing.assert_allclose(seen @ head.weight.value.T + head.bias.value, model.forward(x, mode="eval"), rtol=1e-5)


def test_a_network_that_does_not_end_in_a_classifier_is_refused() -> None:
    model = build_model("mlp", input_shape=(1, 8, 8), classes=6, width=4, rng=np.random.default_rng(0))
    other = Network("other", model.body, input_shape=(1, 8, 8), classes=7)
    with pytest.raises(ValueError, match="other: the last layer must be Linear with 7 outputs"):
        classifier_of(other)
    config = dataclasses.replace(BASE, method="sgd", model="mlp")
    trainer = build(config, small_dataset())
    for method in (LwF, ICaRL):
        with pytest.raises(ValueError, match="other: the last layer must be Linear"):
            rehearsal(method, other) if method.rehearses else method(other)
    with pytest.raises(ValueError, match="other: the last layer must be Linear"):
        Trainer(
            dataclasses.replace(config, align="wa"), trainer.stream, other, trainer.method, trainer.optimizer,
            ledger=trainer.ledger, generators=trainer.generators,
        )  # fmt: skip
