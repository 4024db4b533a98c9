"""PackNet: the partition, what it freezes and gives back, old tasks' answers to the bit, and the run beside PyTorch."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sparcl_ref import load, train
from sparcl_ref.config import Config
from sparcl_ref.cost import describe, held_memory, paper
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.methods import TaskData
from sparcl_ref.methods.packnet import PackNet
from sparcl_ref.methods.partition import free_weights, partition
from sparcl_ref.methods.phases import PhaseStep
from sparcl_ref.models import build_model
from sparcl_ref.randomness import own_stream
from sparcl_ref.saved import learner_of
from sparcl_ref.trainer import Trainer
from tests import tiny
from tests.helpers import assert_close
from tests.methods.test_in_a_run import check_a_run
from tests.methods.twin import BASE, Twin, assert_equal_for_30_steps, assert_same_bits, run_of, small_dataset

DATASET = small_dataset()
IMAGES = DATASET.normalise(DATASET.test_x, np.float64)
CONVS = ("conv1.weight", "conv2.weight", "conv3.weight")
PACKNET = dataclasses.replace(BASE, method="packnet")

# --- the partition


@st.composite
def layers(draw):
    """A weight with ties, and owners of three tasks and none."""
    shape = draw(array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))
    weight = draw(arrays(np.float64, shape, elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0])))
    return weight, draw(arrays(np.int64, shape, elements=st.integers(0, 3)))


SHARES = st.integers(0, 99).map(lambda percent: percent / 100)


@given(layers(), SHARES, st.sampled_from(["exact", "source"]))
def test_it_frees_the_smallest_of_the_tasks_own(layer, fraction, ties) -> None:
    weight, owner = layer
    given_owner, given_weight = owner.copy(), weight.copy()
    after = partition(weight, owner, task=2, fraction=fraction, ties=ties)
    assert np.array_equal(owner, given_owner)
    assert np.array_equal(weight, given_weight)
    assert np.array_equal(after[owner != 2], owner[owner != 2])
    assert set(after[owner == 2].tolist()) <= {0, 2}
    own = np.abs(weight[owner == 2])
    gone = after[owner == 2] == 0
    share = Fraction(str(fraction)) * own.size
    if gone.any() and not gone.all():
        assert own[gone].max() <= own[~gone].min()
    equal = [(i, j) for i in np.flatnonzero(gone) for j in np.flatnonzero(~gone) if own[i] == own[j]]
    if ties == "exact":
        assert gone.sum() == math.floor(share + Fraction(1, 2))
        assert all(j < i for i, j in equal)
    else:
        rank = round(share)  # halves to even
        assert not equal
        assert gone.any() == (rank > 0)
        assert gone.sum() >= rank
        assert np.sum(own < own[gone].max(initial=-1)) < max(rank, 1)


@given(st.integers(0, 200), SHARES, st.integers(0, 2**32))
def test_what_is_free_for_each_task_is_known_before(size, fraction, seed) -> None:
    rng, owner = np.random.default_rng(seed), np.zeros(size, dtype=np.int64)
    for task in range(1, 6):
        assert np.sum(owner == 0) == free_weights(size, fraction, task=task)
        owner[owner == 0] = task
        owner = partition(rng.standard_normal(size), owner, task=task, fraction=fraction)
    assert free_weights(size, 0.5, task=1) == size


# --- beside PyTorch


class TorchPackNet(Twin):
    """Owners in tensors of its own, sorted magnitudes, an optimiser for each phase."""

    def __init__(self, trainer: Trainer):
        super().__init__(trainer)
        self.owner = {name: torch.zeros_like(self.values[name]) for name in CONVS}
        self.rng = own_stream(self.config.seed, "method packnet")
        self.answers: dict[int, np.ndarray] = {}
        self.kept: dict[int, dict[str, torch.Tensor]] = {}

    def formed(self, name):
        """Of everything; what may not move is put back after the step."""
        return torch.ones(())

    def trains(self, name: str) -> torch.Tensor:
        value = self.values[name]
        if name in self.owner:
            return self.owner[name] == self.number
        if name.startswith("linear"):
            own = torch.zeros_like(value, dtype=torch.bool)
            own[list(self.classes)] = True
            return own
        return torch.full_like(value, self.number == 1, dtype=torch.bool)

    def update(self):
        before = {name: value.detach().clone() for name, value in self.values.items()}
        self.descent.step()
        with torch.no_grad():
            for name, value in self.values.items():
                value.copy_(torch.where(self.trains(name), value, before[name]))

    def begin_task(self):
        config = self.config
        self.descent = torch.optim.SGD(
            self.values.values(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        for owner in self.owner.values():
            owner[owner == 0] = self.number

    def loss(self, x, y, old):
        self.net.train(self.number == 1)
        return self.cross_entropy(self.net(x), y, self.classes)

    def end_task(self):
        own, tasks = self.own, len(self.trainer.stream.training)
        if own.prune_last or self.number < tasks:
            with torch.no_grad():
                for name, owner in self.owner.items():
                    mine = (owner == self.number).flatten().nonzero().flatten()
                    count = int(own.prune_fraction * len(mine) + 0.5)
                    smallest = self.values[name].flatten()[mine].abs().argsort()[:count]
                    owner.view(-1)[mine[smallest]] = 0
                    self.values[name][owner == 0] = 0.0
            self.descent = torch.optim.SGD(self.values.values(), lr=own.post_prune_lr, momentum=0.9)
            for _ in range(own.post_prune_epochs):
                order = self.rng.permutation(len(self.data))
                for start in range(0, len(order), self.config.batch_size):
                    part = order[start : start + self.config.batch_size]
                    self.backward(self.loss(self.data[part], self.labels[part], []))
                    self.update()
        self.kept[self.number] = {name: array.clone() for name, array in self.net.state_dict().items()}

    def logits_of(self, task: int) -> np.ndarray:
        """By what the network was then, and the weights that the task owns or found."""
        present = {name: array.clone() for name, array in self.net.state_dict().items()}
        mixed = dict(self.kept[task])
        for name, owner in self.owner.items():
            mixed[name] = torch.where((owner > 0) & (owner <= task), present[name], 0.0)
        self.net.load_state_dict(mixed)
        self.net.eval()
        with torch.no_grad():
            said = self.net(torch.tensor(IMAGES)).numpy()
        self.net.load_state_dict(present)
        return said


@pytest.mark.parametrize("prune_last", [True, False])
@pytest.mark.parametrize(("fraction", "decay"), [(0.5, 0.0), (0.35, 1e-3)])
def test_it_trains_as_its_twin(prune_last, fraction, decay) -> None:
    twins = []

    class Watched(TorchPackNet):
        def __init__(self, trainer):
            super().__init__(trainer)
            twins.append(self)

    own = {"prune_fraction": fraction, "post_prune_epochs": 2, "post_prune_lr": 0.02, "prune_last": prune_last}
    trainer = assert_equal_for_30_steps(
        Watched, method="packnet", class_order="3,1,0,5,2,4", weight_decay=decay, least=36, **own
    )
    for task in (1, 2, 3):
        columns = list(trainer.stream.training[task - 1].classes)
        ours, theirs = trainer.method.predict(IMAGES, task=task), twins[0].logits_of(task)
        assert_close(ours[:, columns], theirs[:, columns], call=f"logits of task {task}", rtol=1e-9, atol=1e-9)


# --- what a run keeps to


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("changes", [{}, {"width": 64, "dtype": "float32", "epochs": 1}, {"model": "mlp", "width": 9}])
def test_what_a_task_owns_and_says_stays_to_the_bit(engine, changes) -> None:
    config = dataclasses.replace(PACKNET, engine=engine, momentum=0.9, weight_decay=0.01, **changes)
    trainer = build(config, DATASET)
    method, shared = trainer.method, trainer.method.shared
    images = IMAGES.astype(config.dtype)
    said: dict[int, bytes] = {}
    owned: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    while not trainer.done:
        event = trainer.advance()
        for name, (owner, values) in owned.items():
            now = {parameter.name: parameter for parameter in shared}[name].value
            assert now[owner > 0].tobytes() == values.tobytes(), (name, event)
        if event.kind == "end_task":
            said[event.task] = method.predict(images, task=event.task).tobytes()
            for parameter in shared:
                owner = method.archive.owners(parameter)
                owned[parameter.name] = owner, parameter.value[owner > 0].copy()
                size = parameter.value.size
                counts = [free_weights(size, 0.5, task=task) for task in range(1, event.task + 2)]
                expected = [counts[-1], *(a - b for a, b in itertools.pairwise(counts))]
                assert np.bincount(owner.reshape(-1), minlength=event.task + 1).tolist() == expected
                assert not parameter.value[owner == 0].any()
        for task, logits in said.items():
            if event.kind in ("begin_task", "end_epoch", "end_task"):
                assert method.predict(images, task=task).tobytes() == logits
    assert len(said) == 3


def test_free_weights_begin_at_zero_and_only_they_and_the_tasks_rows_move() -> None:
    trainer = build(PACKNET, DATASET)
    begun: dict[str, np.ndarray] = {}
    while not trainer.done:
        due, task = trainer.cursor.due, trainer.cursor.task
        if due == "begin_task":
            trainer.advance()
            begun = trainer.model.state_dict()
            free = {p.name: trainer.method.archive.owners(p) == 0 for p in trainer.method.shared}
            assert all((begun[name][where] == 0).all() == (task > 0) for name, where in free.items())
            continue
        trainer.advance()
        if due != "end_task" or task == 1:
            continue
        rows = list(trainer.stream.training[task - 1].classes)
        for name, after in trainer.model.state_dict().items():
            moved = after != begun[name]
            if name in free:
                assert not moved[~free[name]].any()
                assert moved[free[name]].any()
            elif name.startswith("linear"):
                assert moved[rows].all()
                assert not np.delete(moved, rows, axis=0).any()
            else:
                assert not moved.any(), name


def test_what_is_pruned_is_zero_while_the_rest_is_trained_on(monkeypatch) -> None:
    seen = []

    def look(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        share = [1 - parameter.active / parameter.value.size for parameter in self.shared]
        dead = [np.count_nonzero(parameter.value[~parameter.mask]) for parameter in self.shared]
        seen.append((data.task.number, at.epoch, [round(one, 2) for one in share], sum(dead)))

    monkeypatch.setattr(PackNet, "phase_step", look)
    run_of(method="packnet", prune_fraction=0.5, post_prune_lr=0.01)
    assert seen == [
        (task, epoch, shares, 0)
        for task, shares in ((1, [0.5] * 3), (2, [0.28, 0.25, 0.25]), (3, [0.17, 0.12, 0.12]))
        for epoch in (1, 2)
        for _ in range(4)
    ]


def test_with_one_task_that_keeps_all_it_is_fine_tuning_with_the_single_head() -> None:
    one_task = {"classes_per_task": 6, "momentum": 0.9}
    for own in ({"prune_last": False}, {"prune_fraction": 0.0, "post_prune_epochs": 0}):
        assert_same_bits(run_of(method="packnet", **own, **one_task), run_of(method="sgd", head="single", **one_task))


def test_task_il_asks_each_tasks_network_and_class_il_the_newest() -> None:
    trainer = run_of(method="packnet")
    task_il, class_il = [], []
    for task in trainer.stream.tasks:
        x, labels = (array[task.test_index] for array in (IMAGES, DATASET.test_y))
        told = trainer.method.predict(x, task=task.number)[:, list(task.classes)]
        task_il.append(np.mean(np.array(task.classes)[told.argmax(1)] == labels))
        class_il.append(np.mean(trainer.model.forward(x, mode="eval").argmax(1) == labels))
    assert trainer.history.task_il_matrix[-1] == task_il
    assert trainer.history.class_il_matrix[-1] == class_il
    columns = np.array(trainer.history.task_il_matrix)[1:]
    for task in range(3):  # an old row is never another again
        assert len(set(columns[task:, task])) == 1
    assert min(task_il) > 0.75


# --- refusals


def test_giving_nothing_back_leaves_nothing_for_the_next_task() -> None:
    own = {"method": "packnet", "prune_fraction": 0.0}
    config = dataclasses.replace(BASE, **own)
    message = "^--prune-fraction 0 of packnet leaves no free weight for task 2; choose a larger fraction"
    for start in (lambda: forecast(config, DATASET), lambda: train(config, dataset=DATASET), lambda: run_of(**own)):
        with pytest.raises(ValueError, match=message):
            start()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 0.5}, "--sparsity needs a method that leaves masks to a policy, and packnet says itself which"),
        ({"align": "wa"}, "--align wa compares rows .* and packnet has one for each task; choose --align none"),
        (
            {"stream": "permuted"},
            "--method packnet has rows of the classifier for each task and is told .* all classes",
        ),
        ({"head": "full"}, "--head must be auto for the method packnet"),
        ({"prune_fraction": 1.0}, r"--prune-fraction must be in 0\.\.1, below 1, got 1"),
        ({"ties": "all"}, "--ties must be one of exact, source"),
    ],
)
def test_it_refuses_what_it_cannot_go_with(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Config(method="packnet", **settings)


def test_a_network_of_a_classifier_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="stack: PackNet needs a layer with weights before the classifier"):
        PackNet(tiny.stack([4, 3]))
    assert [parameter.name for parameter in PackNet(tiny.stack([4, 5, 3])).shared] == ["fc0.weight"]


def test_a_last_batch_of_one_image_is_refused_where_batch_norm_would_meet_it() -> None:
    # ResNet's last stage is 1x1 here, and the epochs leave out a last batch that is not whole.
    config = dataclasses.replace(PACKNET, model="resnet18", width=2, batch_size=29, mix="drop_last=released")
    with pytest.raises(ValueError, match=r"task 1, .* own pass retraining would have 1 of the 2 samples"):
        build(config, DATASET)
    build(dataclasses.replace(config, post_prune_epochs=0), DATASET)
    build(dataclasses.replace(config, batch_size=28), DATASET)


DIVERGED = r"^task 1, retraining epoch 1, step \d: .*diverged.*; the learning rate of this phase is --post-prune-lr$"


def test_retraining_that_diverges_says_where() -> None:
    with pytest.raises(FloatingPointError, match=DIVERGED), np.errstate(all="ignore"):
        run_of(method="packnet", post_prune_lr=1e200, post_prune_epochs=5)


# --- costs


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0, "weight_decay": 0.0},
        {"prune_fraction": 0.3, "post_prune_epochs": 1, "prune_last": False},
        {"post_prune_epochs": 0},
        {"model": "mlp", "width": 9},
        {"model": "resnet20", "width": 2, "epochs": 1},
        {"dtype": "float32"},
    ],
)
def test_its_cost_is_known_before(changes) -> None:
    check_a_run(dataclasses.replace(PACKNET, **changes), DATASET)


def test_the_masks_it_sets_are_in_the_forecast_of_memory(monkeypatch) -> None:
    most = [0]

    def measure(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        masks = [m for p in self.model.parameters() for m in (p.mask, p.grad_mask, p.frozen, p.effective_grad_mask)]
        most.append(sum({id(mask): mask.nbytes for mask in masks if mask is not None}.values()))

    monkeypatch.setattr(PackNet, "phase_step", measure)
    trainer = run_of(method="packnet")
    spec, sizes = describe(trainer.model), [len(task.train_index) for task in trainer.stream.training]
    memory = held_memory(spec, PACKNET, task_sizes=sizes)
    assert memory is not None
    assert memory.parts["masks"] == max(most)


def test_a_number_of_ties_makes_costs_nominal() -> None:
    assert forecast(dataclasses.replace(PACKNET, ties="source"), DATASET).nominal
    assert not forecast(PACKNET, DATASET).nominal


@pytest.mark.parametrize(
    ("own", "epochs"),
    [({}, 3 * (3 + 2)), ({"post_prune_epochs": 7}, 3 * (3 + 7)), ({"prune_last": False}, 3 * 3 + 2 * 2)],
)
def test_the_published_accounting_charges_retraining_as_steps(own, epochs) -> None:
    def price(**settings) -> int | None:
        return forecast(dataclasses.replace(PACKNET, **settings), DATASET).train_flops["paper"]

    assert price(**own) * 9 == price(method="sgd") * epochs  # of all tasks
    assert paper.paper_forwards(PackNet) == 1


# --- saved weights


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_loaded_weights_answer_by_the_tasks_own_network(tmp_path, engine) -> None:
    trainer = run_of(method="packnet", class_order="3,1,0,5,2,4", engine=engine)
    learner_of(trainer).save(tmp_path / "w.npz")
    learner = load(tmp_path / "w.npz", engine=engine)
    present = learner.network.state_dict()
    for task, classes in enumerate(learner.about["tasks"], start=1):
        logits = trainer.method.predict(IMAGES, task=task)
        assert learner.logits(DATASET.test_x, task=task).tobytes() == logits.tobytes()
        columns = np.sort(classes)
        expected = columns[logits[:, columns].argmax(1)]
        assert np.array_equal(learner.predict(DATASET.test_x, task=task), expected)
        assert np.array_equal(learner_of(trainer).predict(DATASET.test_x, task=task), expected)
    assert all(array.tobytes() == present[name].tobytes() for name, array in learner.network.state_dict().items())
    assert learner.logits(DATASET.test_x).tobytes() == trainer.model.forward(IMAGES, mode="eval").tobytes()
    for choice in ({}, {"classes": [0, 1]}):
        with pytest.raises(ValueError, match=r"PackNet has a network for each task, .* say which: predict"):
            learner.predict(DATASET.test_x, **choice)
    with pytest.raises(ValueError, match=r"task must lie in 1..3, got 4"):
        learner.logits(DATASET.test_x, task=4)


def test_weights_of_a_run_under_way_know_the_tasks_learned() -> None:
    trainer = build(PACKNET, DATASET)
    while trainer.cursor.task < 2:
        trainer.advance()
    learner = learner_of(trainer)
    assert set(learner.predict(DATASET.test_x, task=1).tolist()) <= {0, 1}
    with pytest.raises(ValueError, match=r"task 2 has not been learned yet; choose one of those that have: 1$"):
        learner.predict(DATASET.test_x, task=2)


def test_the_classifier_of_other_models_is_found() -> None:
    model = build_model("resnet20", input_shape=(1, 8, 8), classes=6, width=2, rng=np.random.default_rng(0))
    method = PackNet(model)
    assert len(method.shared) == 21
    assert [p.name for p in method.classifier.own_parameters().values()] == ["linear.weight", "linear.bias"]
