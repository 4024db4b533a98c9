"""WSN: the run beside PyTorch, what stays of earlier tasks, and what it refuses."""

from __future__ import annotations

import dataclasses
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
from sparcl_ref.methods import FineTuning
from sparcl_ref.methods.score_mask import product, score_mask, used_entries
from sparcl_ref.methods.wsn import WSN
from sparcl_ref.randomness import own_stream
from tests import tiny
from tests.helpers import assert_close, assert_positive_zero
from tests.methods.common import new_batch
from tests.methods.twin import BASE, Twin, assert_equal_for_30_steps, run_of, small_dataset

DATASET = small_dataset()
PLAIN = {"momentum": 0.0, "weight_decay": 0.0}


class Straight(torch.autograd.Function):
    """The best of some sizes as ones, by a gradient that passes straight through."""

    @staticmethod
    def forward(ctx, sizes, share):
        count = int(Fraction(str(share)) * sizes.numel() + Fraction(1, 2))
        order = torch.sort(sizes.reshape(-1), descending=True, stable=True).indices
        mask = torch.zeros(sizes.numel(), dtype=sizes.dtype)
        mask[order[:count]] = 1
        return mask.reshape(sizes.shape)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class TorchWSN(Twin):
    """Masked products by autograd; what is consolidated is put back after every update."""

    def __init__(self, trainer):
        super().__init__(trainer)
        rng = own_stream(self.config.seed, "method wsn")
        self.scores = {}
        layers = [(n, m) for n, m in self.net.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
        for name, layer in layers[:-1]:
            fan_in = layer.weight[0].numel()
            for part, value in layer.named_parameters():
                drawn = rng.uniform(-1.0, 1.0, tuple(value.shape)) / np.sqrt(fan_in)
                self.scores[f"{name}.{part}"] = torch.tensor(drawn, requires_grad=True)
        self.used = {name: torch.zeros(a.shape, dtype=torch.bool) for name, a in self.scores.items()}

    def masks(self):
        return {name: Straight.apply(a.abs(), self.own.layer_share) for name, a in self.scores.items()}

    def begin_task(self):
        config = self.config
        self.descent = torch.optim.SGD(
            [*self.values.values(), *self.scores.values()],
            lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay,
        )  # fmt: skip

    def step(self, x, y, old):
        for tensor in (*self.values.values(), *self.scores.values()):
            tensor.grad = None
        products = {name: self.values[name] * mask for name, mask in self.masks().items()}
        self.cross_entropy(functional_call(self.net, products, (x,)), y, self.classes).backward()

    def update(self):
        own = list(self.classes)
        head = {name: ~torch.isin(torch.arange(6), torch.tensor(own)) for name in ("linear.weight", "linear.bias")}
        held = {name: (at, self.values[name].detach()[at].clone()) for name, at in (self.used | head).items()}
        for name, (at, _) in held.items():
            self.values[name].grad[at] = 0
        self.descent.step()
        with torch.no_grad():
            for name, (at, kept) in held.items():
                self.values[name][at] = kept

    def end_task(self):
        for name, mask in self.masks().items():
            self.used[name] |= mask.bool()

    def follow(self, event, held):
        super().follow(event, held)
        for parameter, scores in self.trainer.method.scored:
            place = f"{event.kind} {event.task}.{event.epoch}.{event.step}: {scores.name}"
            assert_close(scores.value, self.scores[parameter.name].detach().numpy(), call=place, rtol=1e-9, atol=1e-9)
            frozen = np.zeros(scores.value.shape, dtype=bool) if parameter.frozen is None else parameter.frozen
            np.testing.assert_array_equal(frozen, self.used[parameter.name].numpy())


@pytest.mark.parametrize("model", ["convnet", "mlp"])
@pytest.mark.parametrize("settings", [{}, PLAIN], ids=["momentum", "plain"])
def test_it_trains_as_its_twin(model, settings) -> None:
    trainer = assert_equal_for_30_steps(
        TorchWSN, method="wsn", model=model, layer_share=0.3, class_order="3,1,0,5,2,4", **settings
    )
    # Something of each kind has happened: weights used twice, and weights never used.
    for parameter, _ in trainer.method.scored:
        masks = [trainer.method.archive.mask(task, parameter) for task in (1, 2, 3)]
        if parameter.value.ndim > 1:
            assert (masks[0] & masks[1]).any()
            assert not parameter.frozen.all()
        np.testing.assert_array_equal(parameter.frozen, np.logical_or.reduce(masks))


@given(st.integers(0, 1000), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_step_asks_only_what_is_used_and_free_to_move_and_scores_of_all(seed, share) -> None:
    net, rng = tiny.network(batchnorm=True), np.random.default_rng(seed)
    method = WSN(net, own_rng=rng, layer_share=share)
    for parameter, _ in method.scored:
        parameter.freeze(rng.random(parameter.value.shape) < 0.4)
    before = net.state_dict()
    step = method.observe(new_batch(seed=seed))
    assert step.losses.keys() == {"current"}
    for name, value in net.state_dict().items():
        if "running" not in name and "tracked" not in name:
            assert value.tobytes() == before[name].tobytes()
    # The gradient of the products is that of a network which has them for weights.
    other = tiny.network(batchnorm=True)
    weights = {parameter.name: product(parameter.value, score_mask(a.value, share)) for parameter, a in method.scored}
    other.load_state_dict(before | weights)
    FineTuning(other, head="single").observe(new_batch(seed=seed))
    gradients = {parameter.name: parameter.grad for parameter in other.parameters()}
    for parameter, scores in method.scored:
        free, of_product = score_mask(scores.value, share) & ~parameter.frozen, gradients[parameter.name]
        np.testing.assert_array_equal(scores.grad, of_product * parameter.value * np.sign(scores.value))
        np.testing.assert_array_equal(parameter.grad[free], of_product[free])
        if not free.all():
            assert_positive_zero(parameter.grad, call=parameter.name, where=~free)


def logits_of(trainer, task):
    index = trainer.stream.tasks[task - 1].test_index
    x = trainer.dataset.normalise(trainer.dataset.test_x[index], np.dtype(trainer.config.dtype))
    return trainer.method.predict(x, task=task)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_old_logits_and_old_weights_stay_to_the_bit(engine, dtype) -> None:
    trainer = build(dataclasses.replace(BASE, method="wsn", layer_share=0.4, engine=engine, dtype=dtype), DATASET)
    kept, weights = {}, {}
    for event in trainer.events():
        if event.kind == "end_task":
            kept[event.task] = logits_of(trainer, event.task)
        elif event.kind == "begin_task":
            weights = {p.name: p.value.copy() for p, _ in trainer.method.scored}
        elif event.kind == "step":
            for parameter, _ in trainer.method.scored:
                if parameter.frozen is not None:
                    held = weights[parameter.name][parameter.frozen]
                    assert parameter.value[parameter.frozen].tobytes() == held.tobytes()
                    assert not parameter.grad[parameter.frozen].any()
    assert trainer.stream.tasks[-1].number == 3
    for task, logits in kept.items():
        own = list(trainer.stream.tasks[task - 1].classes)
        assert logits[:, own].any()
        assert logits_of(trainer, task)[:, own].tobytes() == logits[:, own].tobytes()
    assert trainer.history.task_il_matrix[-1] == [row[t] for t, row in enumerate(trainer.history.task_il_matrix[1:])]


def test_each_task_uses_its_exact_share_of_every_layer_and_moves_only_what_is_free() -> None:
    trainer = build(dataclasses.replace(BASE, method="wsn", model="mlp", layer_share=0.3), DATASET)
    names = {parameter.name for parameter, _ in trainer.method.scored}
    assert names == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    for event in trainer.events():
        if event.kind == "begin_task":
            before = {p.name: (p.value.copy(), p.frozen) for p, _ in trainer.method.scored}
        if event.kind == "end_task":
            for parameter, _ in trainer.method.scored:
                mask = trainer.method.archive.mask(event.task, parameter)
                assert mask.sum() == used_entries(mask.size, 0.3)
                value, frozen = before[parameter.name]
                changed = parameter.value != value
                assert changed.any() or value.ndim == 1
                assert frozen is None or not (changed & frozen).any()


def test_without_decay_only_entries_in_use_move() -> None:
    trainer = build(dataclasses.replace(BASE, method="wsn", layer_share=0.3, **PLAIN), DATASET)
    while trainer.cursor.due != "step":
        trainer.advance()
    for _ in range(3):
        before = [(p, p.value.copy(), mask) for (p, _), mask in zip(
            trainer.method.scored, trainer.method._masks().values(), strict=True
        )]  # fmt: skip
        trainer.advance()
        for parameter, value, mask in before:
            changed = parameter.value != value
            assert changed.any()
            assert not (changed & ~mask).any()


def test_with_the_whole_layer_its_first_task_is_fine_tuning_with_the_single_head() -> None:
    """Every product is the weight itself; rows of other classes are held, which without decay nothing moves."""
    one, other = (
        run_of(method=method, classes_per_task=6, **PLAIN, **own)
        for method, own in (("wsn", {"layer_share": 1.0}), ("sgd", {"head": "single"}))
    )
    for name, array in other.model.state_dict().items():
        assert array.tobytes() == one.model.state_dict()[name].tobytes(), name
    assert one.history.class_il_matrix[-1] == other.history.class_il_matrix[-1]


@pytest.mark.parametrize("settings", [{}, PLAIN], ids=["momentum", "plain"])
def test_its_cost_is_known_before_to_the_last_multiply_add(settings) -> None:
    config = dataclasses.replace(BASE, method="wsn", layer_share=0.3, **settings)
    trainer = build(config, DATASET)
    for _ in trainer.events():
        pass
    found = predict(describe(trainer.model), config, [len(task.train_index) for task in trainer.stream.training])
    assert found.table == trainer.ledger.table
    assert not found.nominal
    assert forecast(config, DATASET).train_flops["exact"] == trainer.ledger.train_flops
    # Dense but for the classifier's rows of other classes, whose gradient nobody needs.
    sgd = build(dataclasses.replace(config, method="sgd"), DATASET)
    for _ in sgd.events():
        pass
    ours, theirs = trainer.ledger.table.macs, sgd.ledger.table.macs
    assert ours["forward_current"] == theirs["forward_current"]
    assert ours["dw_current"]["conv2"] == theirs["dw_current"]["conv2"]
    assert 3 * ours["dw_current"]["linear"] == theirs["dw_current"]["linear"]


def test_saved_weights_answer_by_task(tmp_path) -> None:
    trainer = run_of(method="wsn", layer_share=0.3)
    saved.save_weights(tmp_path / "wsn.npz", trainer)
    learner = saved.load(tmp_path / "wsn.npz")
    for task in trainer.stream.tasks:
        images, own = trainer.dataset.test_x[task.test_index], list(task.classes)
        expected = logits_of(trainer, task.number)[:, own]
        assert learner.logits(images, task=task.number)[:, own].tobytes() == expected.tobytes()


def test_not_told_the_task_it_answers_by_the_newest_subnetwork() -> None:
    trainer = run_of(method="wsn", layer_share=0.3)
    index = trainer.stream.tasks[0].test_index
    x = trainer.dataset.normalise(trainer.dataset.test_x[index], np.float64)
    newest = list(trainer.stream.tasks[-1].classes)
    answer = trainer.method.predict(x)
    np.testing.assert_allclose(answer[:, newest], trainer.method.predict(x, task=3)[:, newest], rtol=1e-12, atol=1e-12)
    assert answer.all()  # rows of all classes say something


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 0.5}, r"^--sparsity needs a method that leaves masks to a policy, and wsn "),
        ({"stream": "permuted"}, r"^--method wsn has rows of the classifier for each task"),
        ({"align": "wa"}, r"^--align wa .*wsn has one for each task; choose --align none$"),
        ({"head": "full"}, r"^--head must be auto for the method wsn"),
        ({"layer_share": 0.0}, r"^--layer-share must be above 0"),
        ({"layer_share": 1.5}, r"^--layer-share must be .*at most 1"),
    ],
)
def test_what_does_not_go_with_it_is_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Config(method="wsn", **settings)


def test_a_share_that_uses_nothing_of_a_layer_is_refused_before_the_run() -> None:
    config = dataclasses.replace(BASE, method="wsn", layer_share=0.01)
    message = r"^--layer-share 0\.01 of wsn uses none of the 18 entries of conv1\.weight; choose a larger one$"
    for begin in (build, forecast):
        with pytest.raises(ValueError, match=message):
            begin(config, DATASET)
