"""The twin as a whole: short runs whose promises are checked after every event."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from . import Config, Twin, masks, models, released


class Drive:
    """Feeds a twin decisions drawn here and checks after every event what must always hold."""

    def __init__(self, twin: Twin, seed: int = 0) -> None:
        self.twin, self.rng = twin, np.random.default_rng(seed)
        self.steps = 0
        self.joined = 0

    def growth(self, group: masks.Group, candidates: np.ndarray, count: int) -> np.ndarray:
        self.joined += count
        return self.rng.choice(candidates, size=count, replace=False)

    def begin_epoch(self, task: int, epoch: int) -> None:
        self.twin.begin_epoch(task, epoch, self.growth)
        self.check()

    def step(self, batch: np.ndarray) -> None:
        twin, filled, draws = self.twin, len(self.twin.buffer), []
        if filled > 0 and (twin.task > 1 or not twin.config.released):
            size = min(twin.config.replay_batch_size, filled)
            draws = [self.rng.choice(filled, size=size, replace=False) for _ in range(twin.config.draws)]
        order = twin.buffer.seen + np.arange(len(batch))
        found = twin.step(batch, draws, self.rng.integers(0, order + 1))
        assert np.isfinite(list(found.values())).all()
        self.steps += 1
        for name, mask in twin.gradient_masks.items():
            assert not bool(twin.gradients["total"][name][~mask].any())
        self.check()
        if not twin.config.released:
            for mask in twin.gradient_masks.values():
                assert int(mask.sum()) == masks.active_count(mask.numel(), twin.config.gradient_sparsity)

    def run(self, tasks: list[tuple]) -> None:
        for task, data in enumerate(tasks, start=1):
            self.twin.begin_task(task, *data)
            for epoch in range(1, self.twin.config.epochs + 1):
                self.begin_epoch(task, epoch)
                for batch in self.twin.batches(self.rng.permutation(self.twin.remaining)):
                    self.step(batch)
                self.twin.end_epoch()

    def check(self) -> None:
        twin = self.twin
        for name, mask in twin.masks.items():
            for tensor in (twin.parameters[name], twin.momentum[name], *(g[name] for g in twin.gradients.values())):
                dead = tensor.detach()[~mask]
                assert not bool((dead != 0).any() | torch.signbit(dead).any())
            assert not bool((twin.gradient_masks[name] & ~mask).any())


def stream(tasks: int = 2, n: int = 14) -> list[tuple]:
    """Tasks of two classes each: random images, labels, classes."""
    rng = np.random.default_rng(1)
    return [
        (rng.normal(size=(n, 1, 6, 6)), rng.integers(2 * t, 2 * t + 2, size=n), (2 * t, 2 * t + 1))
        for t in range(tasks)
    ]


def make(profile: str, **changes: object) -> Twin:
    settings = {"epochs": 6, "delta_k": 2, "sparsity": 0.5, "batch_size": 4, "buffer_size": 10, "ddr_cutoff": 2}
    more = {"p_inter": 0.1, "p_intra": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "dgm_interval": 2}
    config = Config(profile=profile, **(settings | more | changes))
    twin = Twin(models.convnet(4, width=4, pools=(True, False)), config)
    released.default_initialisation(twin.model, 0)
    weights = {name: value.numpy().copy() for name, value in twin.model.state_dict().items()}
    start = {}
    if profile == "paper":
        start = masks.random_mask(twin.shapes, config.sparsity, config.budgets, np.random.default_rng(2))
    twin.initialise(weights, {name: mask.numpy() for name, mask in start.items()})
    return twin


@pytest.mark.parametrize("budgets", ["uniform", "global"])
def test_paper_run_keeps_its_promises(budgets: str) -> None:
    twin = make("paper", budgets=budgets)
    drive = Drive(twin)
    drive.run(stream())
    # 14 samples lose floor(.3 * 14 / 2 + .5) = 2, then 4 in all: 4 + 4 + 3 + 3 + 3 + 3 batches a task
    assert drive.steps == 40
    assert len(twin.remaining) == 10
    # 72 + 144 weights at .5: 36 + 72; .4: 43 + 86; .55: 32 + 65. In all 108, 130 (129.6), 97 (97.2)
    assert drive.joined == {"uniform": 6 * (4 + 7) + 7 + 14, "global": 6 * 11 + 22}[budgets]
    assert {m["event"] for m in twin.margins} == {"shrink", "gradient_mask", "ddr", "argmax"}
    assert {m["iteration"] for m in twin.margins if m["event"] == "gradient_mask"} == {0, 2}  # of 0..3, every second
    assert [entry[:2] for entry in twin.log if entry[2]] == [(1, 2), (1, 4), (1, 6), (2, 1), (2, 2), (2, 4), (2, 6)]
    assert set(twin.buffer.tasks.tolist()) == {1, 2}


def test_released_run_keeps_its_promises() -> None:
    twin = make("released")
    drive = Drive(twin)
    drive.run(stream())
    assert drive.steps == 2 * (3 + 3 + 3 + 3 + 2 + 2)
    assert drive.joined > 0
    assert set(twin.frozen) == {"bn1.bias", "bn2.bias", "bn3.bias"}
    assert all(not bool(twin.parameters[name].any()) for name in twin.frozen)
    assert [entry[:2] for entry in twin.log if entry[2]] == [(t, e) for t in (1, 2) for e in (1, 3, 5)]


def test_released_regrowth_starts_from_nothing() -> None:
    twin = make("released")
    drive = Drive(twin)
    twin.begin_task(1, *stream()[0])
    drive.begin_epoch(1, 1)
    unborn = {name: mask & (twin.parameters[name] == 0) for name, mask in twin.masks.items()}
    for name, grown in unborn.items():  # weights that grew and never moved, but have a velocity
        twin.momentum[name][grown] = 1.0
    assert sum(int(grown.sum()) for grown in unborn.values()) == 7 + 14
    twin.begin_task(2, *stream()[1])
    drive.begin_epoch(2, 1)
    assert all(not bool(twin.momentum[name][grown].any()) for name, grown in unborn.items())


@pytest.mark.parametrize("method", ["er", "der", "derpp"])
def test_parts_add_up_to_the_gradient_of_the_whole_loss(method: str) -> None:
    plain = {"dgm": False, "momentum": 0.0, "weight_decay": 0.0, "head": "full"}
    twin = make("paper", method=method, replay_batch_size=2, **plain)
    images, labels, classes = stream()[0]
    twin.begin_task(1, images, labels, classes)
    twin.begin_epoch(1, 1)
    twin.step(np.arange(4), (), np.arange(4))
    kept, net = twin.buffer.content(), twin.model
    draws = [np.array([3, 0]), np.array([1, 2])][: twin.config.draws]
    x, y = torch.as_tensor(images), torch.as_tensor(labels)
    before = {n: p.detach().clone() for n, p in twin.parameters.items()}
    current, stored = torch.nn.functional.cross_entropy(net(x[4:8]), y[4:8]), torch.as_tensor(kept["logits"])
    ce = torch.nn.functional.cross_entropy(net(x[draws[-1]]), y[draws[-1]])
    mse = torch.nn.functional.mse_loss(net(x[draws[0]]), stored[draws[0]])
    whole = current + {"er": ce, "der": 0.1 * mse, "derpp": 0.1 * mse + 0.5 * ce}[method]
    expected = dict(zip(before, torch.autograd.grad(whole, net.parameters()), strict=True))
    assert twin.step(np.arange(4, 8), draws, np.arange(4, 8))["total"] == pytest.approx(whole.item(), rel=1e-13)
    for name, p in twin.parameters.items():
        gradient = expected[name] * twin.masks.get(name, torch.ones_like(p).bool())
        torch.testing.assert_close(p.detach(), before[name] - 0.03 * gradient, rtol=1e-12, atol=1e-15)


def test_a_step_notes_what_the_training_pass_saw() -> None:
    twin = make("paper")
    images, labels, classes = stream()[0]
    twin.begin_task(1, images, labels, classes)
    twin.begin_epoch(1, 1)
    logits = copy.deepcopy(twin.model).train()(torch.as_tensor(images[:4])).detach().numpy()
    twin.step(np.arange(4), (), np.arange(4))
    assert np.array_equal(twin.buffer.content()["logits"], logits)
    assert twin.misclassified.tolist() == [*(logits.argmax(axis=1) != labels[:4]).tolist(), *[0] * 10]


def test_importance_probes_the_first_samples_with_the_single_head() -> None:
    twin = make("paper", importance_samples=3, head="full")
    images, labels, classes = stream(tasks=2)[1]
    twin.begin_task(1, images, labels, classes)
    z = copy.deepcopy(twin.model).train()
    loss = torch.nn.functional.cross_entropy(z(torch.as_tensor(images[:3]))[:, 2:], torch.as_tensor(labels[:3] - 2))
    expected = z.conv3.weight.detach().abs() + 0.5 * torch.autograd.grad(loss, z.conv3.weight)[0].abs()
    torch.testing.assert_close(twin.cwi()["conv3.weight"], expected, rtol=1e-12, atol=1e-15)


def leaves(state: object, path: str = "") -> dict[str, np.ndarray]:
    """Flat view of a nested state."""
    if not isinstance(state, dict):
        return {path: np.asarray(state)}
    return {key: value for name, part in state.items() for key, value in leaves(part, f"{path}/{name}").items()}


def test_a_loaded_state_goes_on_to_the_bit() -> None:
    first, second, data = make("paper"), make("paper"), stream()
    Drive(first).run(data[:1])
    second.begin_task(1, *data[0])
    second.load(first.state())
    for twin in (first, second):
        twin.begin_task(2, *data[1])
        drive = Drive(twin, seed=5)
        drive.begin_epoch(2, 1)
        drive.step(np.arange(4))
    one, two = leaves(first.state()), leaves(second.state())
    assert len(one) > 60
    assert one.keys() == two.keys()
    assert [name for name in one if not np.array_equal(one[name], two[name])] == []
    with pytest.raises(ValueError, match="unknown parts"):
        second.load({"weights": {}})


def test_what_the_rules_do_not_ask_for_is_refused() -> None:
    twin = make("paper")
    twin.begin_task(1, *stream()[0])
    with pytest.raises(RuntimeError, match="before begin_epoch"):
        twin.step(np.arange(4), (), np.arange(4))
    with pytest.raises(ValueError, match="not due"):
        twin.begin_epoch(1, 1, {"conv2.weight": np.array([0])})
    twin.begin_epoch(1, 1)
    with pytest.raises(ValueError, match="sizes"):
        twin.step(np.arange(4), [np.array([0])], np.arange(4))
    with pytest.raises(ValueError, match="delta_k"):
        Config(delta_k=7, epochs=6)
