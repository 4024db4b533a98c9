"""LPS: the run beside PyTorch, what tasks own and share, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call

from sparcl_ref import saved
from sparcl_ref.config import Config
from sparcl_ref.cost import describe
from sparcl_ref.cost.predict import predict
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.methods.lps_settings import LPSSettings
from sparcl_ref.randomness import own_stream
from tests.helpers import assert_positive_zero
from tests.methods.twin import BASE, Twin, assert_equal_for_30_steps, run_of, small_dataset

DATASET = small_dataset()
#: Short, with updates of Z and U and of the multipliers within each period.
SHORT = {
    "method": "lps", "rho": 0.1, "rho_num": 2, "admm_epochs": 2, "mask_admm_epochs": 3, "adaptive_ratio": 0.6,
    "prune_epochs": 5, "retrain_epochs": 2, "prune_lr": 0.05,
}  # fmt: skip


def reaches(values, share):
    """Where values are at least the upper neighbour of the percentile."""
    if not values.numel():
        return torch.zeros(values.shape, dtype=torch.bool)
    ascending = torch.sort(values.reshape(-1)).values
    return values >= ascending[math.ceil((1 - Fraction(share)) * (values.numel() - 1))]


class TorchLPS(Twin):
    """Everything by autograd: pulls are terms of the loss, multipliers are leaves."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.rng = own_stream(self.config.seed, "method lps")
        self.shared = [name for name, value in self.values.items() if value.ndim > 1 and name != "linear.weight"]
        self.owned = {name: torch.zeros(self.values[name].shape, dtype=torch.bool) for name in self.shared}

    def fixed(self):
        """By name, what this task must not move."""
        own = torch.tensor(list(self.classes))
        rows = ~torch.isin(torch.arange(6), own)
        found = dict(self.owned)
        for name, value in self.values.items():
            if name.startswith("linear"):
                found[name] = rows
            elif name not in self.shared:
                found[name] = torch.full(value.shape, self.number > 1)
        return found

    def begin_task(self):
        if self.number > 1:  # what is free starts anew
            for name in [*self.shared, "linear.weight"]:
                value = self.values[name].data
                new = self.rng.standard_normal(tuple(value.shape)) * np.sqrt(2 / value[0].numel())
                if name in self.shared:
                    value[~self.owned[name]] = torch.tensor(new)[~self.owned[name]]

    def step(self, x, y, old):
        self.net.train(self.number == 1)
        self.set_gradients(self.gradients(self.cross_entropy(self.net(x), y, self.classes)))

    def formed(self, name):
        return torch.ones(())

    def update(self):
        self.descend(self.descent, self.fixed())

    def descend(self, descent, fixed):
        kept = {name: self.values[name].detach()[at].clone() for name, at in fixed.items()}
        for name, at in fixed.items():
            self.values[name].grad[at] = 0
        descent.step()
        with torch.no_grad():
            for name, at in fixed.items():
                self.values[name][at] = kept[name]

    def kept(self, name, value, share):
        size = value.abs().masked_fill(self.owned[name], 0)
        return reaches(size, share) & (size > 0)

    def chosen(self, name, value):
        found = torch.zeros(value.shape, dtype=torch.bool)
        found[self.owned[name]] = reaches(value[self.owned[name]], Fraction("0.6"))
        return found

    def batches(self):
        order = self.rng.permutation(len(self.data))
        for start in range(0, len(order), self.config.batch_size):
            part = order[start : start + self.config.batch_size]
            yield self.data[part], self.labels[part]

    def end_task(self):
        first, last = self.number == 1, self.number == 3
        share = Fraction(5 if first else 1, 7)
        m = {name: torch.ones_like(self.values[name]).detach().requires_grad_() for name in self.shared}
        self.net.train(first)
        self.pull(m, share, prunes=not last, chooses=not first and self.own.share_by_choice)
        with torch.no_grad():
            weights = {name: self.values[name].clone() for name in self.shared}
            new = {name: ~self.owned[name] if last else self.kept(name, w, share) for name, w in weights.items()}
            used = dict(self.owned)
            if not first and self.own.share_by_choice:
                used = {name: self.chosen(name, m[name]) for name in self.shared}
            for name in self.shared:
                self.values[name][~(new[name] | used[name])] = 0
        if not last or self.own.share_by_choice:
            fixed = self.fixed() | {name: ~new[name] for name in self.shared}
            fixed |= {name: torch.ones_like(v).bool() for name, v in self.values.items() if name not in fixed}
            for name, value in self.values.items():
                if not name.startswith("linear") and name not in self.shared:
                    fixed[name] = torch.ones(value.shape, dtype=torch.bool)
            descent = torch.optim.SGD(self.values.values(), lr=0.05, momentum=0.9)
            for _ in range(2):
                for x, y in self.batches():
                    self.set_gradients(self.gradients(self.cross_entropy(self.net(x), y, self.classes)))
                    self.descend(descent, fixed)
        with torch.no_grad():
            for name in self.shared:
                self.values[name][self.owned[name]] = weights[name][self.owned[name]]
                self.owned[name] = self.owned[name] | new[name]
        config = self.config
        self.descent = torch.optim.SGD(
            self.values.values(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )

    def pull(self, m, share, *, prunes, chooses):
        if not (prunes or chooses):
            return
        descent = torch.optim.SGD([*self.values.values(), *m.values()], lr=0.05, momentum=0.9)
        for period in range(2):
            rho = 0.1 * 10**period
            with torch.no_grad():
                w = {name: self.values[name].clone() for name in self.shared}
                z = {name: torch.where(self.kept(name, w[name], share), w[name], 0.0) for name in self.shared}
                u = {name: torch.zeros_like(w[name]) for name in self.shared}
                big_y = {name: self.chosen(name, m[name]).double() for name in self.shared}
                k = {name: torch.zeros_like(w[name]) for name in self.shared}
            for epoch in range(1, 6):
                with torch.no_grad():
                    for name in self.shared:
                        w, own = self.values[name], m[name]
                        if epoch in (3, 5):
                            both = w + u[name]
                            z[name] = torch.where(self.kept(name, both, share), both, 0.0)
                            u[name] = u[name] + w - z[name]
                        if epoch == 4:
                            big_y[name] = self.chosen(name, own + k[name]).double()
                            k[name] = k[name] + own - big_y[name]
                descent.param_groups[0]["lr"] = 0.05 * 0.1 ** ((epoch % 2) // (2 / 3))
                for x, y in self.batches():
                    products = {name: m[name] * self.values[name] for name in self.shared} if chooses else {}
                    loss = self.cross_entropy(functional_call(self.net, products, (x,)), y, self.classes)
                    for name in self.shared:
                        at = self.owned[name]
                        if prunes:
                            loss = loss + rho / 2 * ((self.values[name] - z[name] + u[name])[~at] ** 2).sum()
                        if chooses:
                            loss = loss + rho / 2 * ((m[name] - big_y[name] + k[name])[at] ** 2).sum()
                    for tensor in (*self.values.values(), *m.values()):
                        tensor.grad = None
                    loss.backward()
                    for name in self.shared if chooses else ():
                        m[name].grad[~self.owned[name]] = 0
                    for value in self.values.values():
                        value.grad = torch.zeros_like(value) if value.grad is None else value.grad
                    self.descend(descent, self.fixed())


@pytest.mark.parametrize("share_by_choice", [True, False])
def test_it_trains_as_its_twin(share_by_choice) -> None:
    trainer = assert_equal_for_30_steps(TorchLPS, class_order="3,1,0,5,2,4", **SHORT, share_by_choice=share_by_choice)
    for parameter in trainer.method.shared:
        masks = [trainer.method.archive.mask(task, parameter) for task in (1, 2, 3)]
        before = masks[0] | masks[1]
        assert (masks[2] & before).any()
        assert (masks[2] & before).sum() < before.sum() or not share_by_choice


def logits_of(trainer, task):
    index = trainer.stream.tasks[task - 1].test_index
    x = trainer.dataset.normalise(trainer.dataset.test_x[index], np.dtype(trainer.config.dtype))
    return trainer.method.predict(x, task=task)[:, list(trainer.stream.tasks[task - 1].classes)]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_old_logits_and_owned_weights_stay_to_the_bit_and_what_is_owned_grows(engine, dtype) -> None:
    trainer = build(dataclasses.replace(BASE, engine=engine, dtype=dtype, **SHORT), DATASET)
    kept, owned = {}, {}
    for event in trainer.events():
        if event.kind == "begin_task" and owned:  # what is free starts anew
            for parameter in trainer.method.shared:
                before, values = owned[parameter.name]
                assert parameter.value[before].tobytes() == values.tobytes()
                assert parameter.value[~before].all()
        if event.kind == "end_task":
            kept[event.task] = logits_of(trainer, event.task)
            for parameter in trainer.method.shared:
                now = trainer.method.archive.owners(parameter) > 0
                if event.task > 1:
                    before, values = owned[parameter.name]
                    assert (now >= before).all()
                    assert now.sum() > before.sum()
                    assert parameter.value[before].tobytes() == values.tobytes()
                assert_positive_zero(parameter.value, call="free", where=~now)
                owned[parameter.name] = now, parameter.value[now].copy()
    for task, logits in kept.items():
        assert logits.any()
        assert logits_of(trainer, task).tobytes() == logits.tobytes()
    assert trainer.history.task_il_matrix[-1] == [row[t] for t, row in enumerate(trainer.history.task_il_matrix[1:])]
    # The last task takes all that is left.
    assert all(before.all() for before, _ in owned.values())


def test_each_task_gets_its_share_of_every_layer_and_a_share_of_what_is_owned() -> None:
    trainer = run_of(**SHORT)
    for parameter in trainer.method.shared:
        owners, n = trainer.method.archive.owners(parameter), parameter.value.size
        assert np.sum(owners == 1) == math.floor(Fraction(5, 7) * (n - 1)) + 1
        assert np.sum(owners == 2) == math.floor(Fraction(1, 7) * (n - 1)) + 1
        before = owners == 1
        shared = trainer.method.archive.mask(2, parameter) & before
        assert shared.sum() == math.floor(Fraction(6, 10) * (before.sum() - 1)) + 1
    # Shares by number.
    trainer = run_of(**SHORT, shares="1,2,1")
    for parameter in trainer.method.shared:
        owners, n = trainer.method.archive.owners(parameter), parameter.value.size
        assert [np.sum(owners == task) for task in (1, 2)] == [(n - 1) // 4 + 1, (n - 1) // 2 + 1]


def test_without_a_choice_tasks_partition_the_weights_and_use_all_earlier_ones() -> None:
    trainer = run_of(**SHORT, share_by_choice=False)
    for parameter in trainer.method.shared:
        owners = trainer.method.archive.owners(parameter)
        for task in (1, 2, 3):
            np.testing.assert_array_equal(trainer.method.archive.mask(task, parameter), (owners > 0) & (owners <= task))


def test_without_a_pull_a_period_is_plain_training() -> None:
    runs = []
    for kind in ("pull", "retrain"):
        settings = SHORT | {"rho": 0.0, "rho_num": 1, "admm_epochs": 1}
        trainer = build(dataclasses.replace(BASE, **settings), DATASET)
        while trainer.cursor.due != "own_step":
            trainer.advance()
        method, data = trainer.method, trainer.task_data
        if kind == "pull":
            while trainer.cursor.phase == 0:
                trainer.advance()
        else:
            method._forget_momentum()
            for _ in range(5):
                order = method.phase_order(data, "retraining")
                for start in range(0, len(order), data.batch_size):
                    method._retrain(data.take(order[start : start + data.batch_size]), lr=0.05)
        runs.append(trainer.model.state_dict())
    for name, array in runs[0].items():
        assert array.tobytes() == runs[1][name].tobytes(), name


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.0, "weight_decay": 0.0}], ids=["momentum", "plain"])
def test_its_cost_is_known_before_to_the_last_multiply_add(settings) -> None:
    config = dataclasses.replace(BASE, **SHORT, **settings)
    trainer = build(config, DATASET)
    for _ in trainer.events():
        pass
    sizes = [len(task.train_index) for task in trainer.stream.training]
    found = predict(describe(trainer.model), config, sizes)
    assert found.table == trainer.ledger.table
    assert not found.nominal
    assert forecast(config, DATASET).train_flops["exact"] == trainer.ledger.train_flops
    rows = trainer.ledger.table.macs
    epochs = {kind: rows[f"forward_{kind}"]["conv2"] for kind in ("current", "admm", "retraining")}
    assert [epochs[kind] // (epochs["current"] // 3) for kind in epochs] == [3, 10, 2]


def test_saved_weights_answer_by_task(tmp_path) -> None:
    trainer = run_of(**SHORT)
    saved.save_weights(tmp_path / "lps.npz", trainer)
    learner = saved.load(tmp_path / "lps.npz")
    for task in trainer.stream.tasks:
        logits = learner.logits(trainer.dataset.test_x[task.test_index], task=task.number)
        assert logits[:, list(task.classes)].tobytes() == logits_of(trainer, task.number).tobytes()


def test_not_told_the_task_it_answers_by_the_newest_network() -> None:
    trainer = build(dataclasses.replace(BASE, **SHORT), DATASET)
    while trainer.cursor.due != "begin_task" or trainer.cursor.task < 2:
        trainer.advance()
    index = trainer.stream.tasks[0].test_index
    x = trainer.dataset.normalise(trainer.dataset.test_x[index], np.float64)
    newest = list(trainer.stream.tasks[1].classes)
    told, answer = trainer.method.predict(x, task=2), trainer.method.predict(x)
    np.testing.assert_allclose(answer[:, newest], told[:, newest], rtol=1e-12, atol=1e-12)
    assert answer.all()


@given(st.integers(1, 12), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_shares_are_parts_of_their_sum(tasks, parts) -> None:
    usual = [LPSSettings().share(task, tasks) for task in range(1, tasks + 1)]
    assert sum(usual) == 1
    assert usual == [Fraction(5 if task == 0 else 1, tasks + 4) for task in range(tasks)]
    given_ = LPSSettings(shares=", ".join(map(str, parts)))
    assert [given_.share(task, len(parts)) for task in range(1, len(parts) + 1)] == [
        Fraction(p, sum(parts)) for p in parts
    ]


def test_epochs_follow_those_of_learning_unless_they_are_given() -> None:
    assert LPSSettings().epochs_of(7) == (7, 7)
    assert LPSSettings(prune_epochs=2, retrain_epochs=0).epochs_of(7) == (2, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 0.5}, r"^--sparsity needs a method that leaves masks to a policy, and lps "),
        ({"stream": "permuted"}, r"^--method lps has rows of the classifier for each task"),
        ({"align": "wa"}, r"^--align wa .*lps has one for each task; choose --align none$"),
        ({"shares": "5,,1"}, r"^--shares must be numbers above 0 joined by commas, such as 5,1,1, got '5,,1'$"),
        ({"shares": "5,0"}, r"^--shares must be numbers above 0"),
        ({"shares": "1/0"}, r"^--shares must be numbers above 0"),
        ({"rho": -1.0}, r"^--rho must be at least 0"),
    ],
)
def test_what_does_not_go_with_it_is_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Config(method="lps", **settings)


def test_shares_for_another_number_of_tasks_are_refused_before_the_run() -> None:
    config = dataclasses.replace(BASE, **SHORT, shares="5,1")
    message = r"^--shares of lps must have a part for each of 3 tasks, got 5,1$"
    with pytest.raises(ValueError, match=message):
        forecast(config, DATASET)
    trainer = build(config, DATASET)
    assert trainer.advance().kind == "untrained"
    with pytest.raises(ValueError, match=message):
        trainer.advance()
