"""The order of events, and that a run can be stopped and continued anywhere without changing a bit."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import ClassVar

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.draws import Draws
from sparcl_ref.experiment import build
from sparcl_ref.methods import ER, METHODS
from sparcl_ref.streams import Dataset
from sparcl_ref.trainer import Trainer

SMALL = Config(
    model="convnet",
    width=8,
    classes_per_task=2,
    epochs=4,
    delta_k=2,
    batch_size=6,
    buffer_size=9,
    dgm_interval=2,
    ddr_cutoff=1,
    momentum=0.9,
    weight_decay=1e-3,
    sparsity=0.5,
    importance_samples=12,
    augmentation="crop_flip",
    class_order="random",
    dtype="float64",
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(4), 10)
    images = rng.integers(0, 256, size=(40, 1, 8, 8), dtype=np.uint8)
    return Dataset(name="noise", train_x=images, train_y=labels, test_x=images[::2].copy(), test_y=labels[::2].copy())


def flattened(value, path=""):
    """Every leaf of a state as (path, bytes or plain value)."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flattened(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from flattened(item, f"{path}/{index}")
    elif isinstance(value, np.ndarray):
        yield path, (value.dtype.str, value.shape, value.tobytes())
    else:
        yield path, value


def assert_same_state(one: Trainer, other: Trainer):
    first, second = dict(flattened(one.state())), dict(flattened(other.state()))
    assert first.keys() == second.keys()
    assert len(first) > 50
    different = [path for path in first if first[path] != second[path]]
    assert not different


def test_order_of_events(dataset):
    config = dataclasses.replace(SMALL, augmentation="none")
    kinds = [event.kind for event in build(config, dataset).events()]
    # 20 samples a task in batches of 6: four steps. One stage of two epochs takes 6 of them (rho = 0.3), then three.
    epoch = ["begin_epoch", *["step"] * 4, "end_epoch"]
    short = ["begin_epoch", *["step"] * 3, "end_epoch"]
    task = ["begin_task", *epoch * 2, *short * 2, "end_task"]
    assert kinds == ["untrained", *task * 2]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "er", "sparsity": None},
        {"method": "sgd", "budgets": "erk"},
        {"method": "der", "budgets": "global", "importance": "random"},
        {"method": "joint", "sparsity": None, "momentum": 0.0},
        {"profile": "released", "epochs": 6},
        {"ddr_by": "all_stages", "ddr_cutoff": 2, "epochs": 6},
        {"profile": "released", "epochs": 6, "ddr_by": "random"},
        {"structure": "pattern"},
        {"structure": "filter", "profile": "released", "epochs": 6},
        {"engine": "numba"},
        {"engine": "numba", "profile": "released", "epochs": 6, "momentum": 0.0, "weight_decay": 0.0},
    ],
    ids=[
        "sparcl-derpp",
        "er",
        "sparcl-sgd-erk",
        "sparcl-der-global",
        "joint",
        "released",
        "removal-over-stages",
        "removal-by-chance",
        "pattern",
        "filter",
        "numba",
        "numba-released",
    ],
)
def test_continued_from_every_event_to_the_same_bits(dataset, changes):
    config = dataclasses.replace(SMALL, **changes)
    straight = build(config, dataset)
    states, kinds = [straight.state()], [None]
    for event in straight.events():
        # Through pickle: a state is plain values, and shares nothing with the run that goes on.
        states.append(pickle.loads(pickle.dumps(straight.state())))
        kinds.append(event.kind)
    assert straight.done
    own = {"own_step"} if straight.method.phases(straight.task_data) else set()
    assert set(kinds) == {None, "untrained", "begin_task", "begin_epoch", "step", "end_epoch", "end_task"} | own
    seen = dict.fromkeys(kinds, 0)
    for state, kind in zip(states, kinds, strict=True):
        seen[kind] += 1
        if kind in ("step", "own_step") and seen[kind] % 5:
            continue
        resumed = build(config, dataset)
        # Nothing of the run that takes over must shine through.
        for rng in resumed.generators.values():
            rng.random(7)
        for parameter in resumed.model.parameters():
            parameter.value += 1
        untouched = copy.deepcopy(state)
        resumed.load_state(state)
        for _ in resumed.events():
            pass
        assert_same_state(straight, resumed)
        assert dict(flattened(state)) == dict(flattened(untouched))


class Hooked(ER):
    """Uses every hook: draws of its own, changed gradients, answers that depend on the task, something to remember."""

    title = "Hooked"
    predicts_by_task = True
    calls: ClassVar[list] = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.offsets = {}

    def begin_task(self, data):
        self.calls.append(("begin_task", data.task.number, data.tasks))
        self.offset = self.own_rng.standard_normal(self.model.classes)

    def after_backward(self, step):
        self.calls.append("after_backward")
        for parameter in self.model.parameters():
            parameter.add_grad(1e-3 * self.own_rng.standard_normal(parameter.value.shape))

    def end_task(self, data):
        (batch, *_) = data.batches(7)
        assert len(batch.labels) == 7
        self.calls.append(("end_task", data.task.number))
        self.offsets[data.task.number] = self.offset + batch.x.mean()

    def predict(self, x, *, task=None):
        self.calls.append(("predict", task))
        return super().predict(x) + (0 if task is None else self.offsets.get(task, 0))

    def state(self):
        return {
            "offsets": {str(task): offset.copy() for task, offset in self.offsets.items()},
            "offset": getattr(self, "offset", np.zeros(1)).copy(),
        }

    def load_state(self, state):
        self.offsets = {int(task): np.array(offset) for task, offset in state["offsets"].items()}
        self.offset = np.array(state["offset"])


@pytest.fixture
def hooked(monkeypatch):
    monkeypatch.setitem(METHODS.added, "hooked", Hooked)
    monkeypatch.setattr(Hooked, "calls", [])
    return Hooked


def test_a_method_with_every_hook_is_resumed_at_every_event(dataset, hooked):
    test_continued_from_every_event_to_the_same_bits(dataset, {"method": "hooked", "epochs": 2, "ddr": False})


def test_hooks_are_called_in_the_documented_order(dataset, hooked):
    trainer = build(dataclasses.replace(SMALL, method="hooked", epochs=2, ddr=False), dataset)
    for _ in trainer.events():
        pass
    evaluation = [("predict", told) for task in (1, 2) for told in (None, task)]
    expected = [*evaluation]
    for task in (1, 2):
        expected += [("begin_task", task, 2), *["after_backward"] * 8, ("end_task", task), *evaluation]
    assert hooked.calls == expected


def test_a_methods_own_stream_is_its_own(dataset, hooked):
    """Two methods of one seed see the same class order, initial weights and batches, whatever they draw themselves."""
    runs = {
        name: build(dataclasses.replace(SMALL, method=name, augmentation="none"), dataset) for name in ("er", "hooked")
    }
    er, own = runs.values()
    assert er.stream.class_order == own.stream.class_order
    for name, value in er.model.state_dict().items():
        np.testing.assert_array_equal(value, own.model.state_dict()[name])
    while not er.done:
        first, second = er.advance(), own.advance()
        assert first.kind == second.kind
        if first.kind == "step" and first.task == 1 and first.epoch < 3:
            np.testing.assert_array_equal(first.indices, second.indices)
            np.testing.assert_array_equal(first.slots, second.slots)


@pytest.mark.parametrize("profile", ["paper", "released"])
def test_a_run_fed_with_anothers_draws_is_that_run(dataset, profile):
    """Weights, masks, order, augmented images, replay slots, reservoir numbers and growth, all given from outside."""
    config = dataclasses.replace(SMALL, profile=profile, epochs=6, p_intra=0.1)
    told, augmented = build(config, dataset), []
    masks = {parameter.name: parameter.mask.copy() for parameter in told.model.sparsifiable()}
    inner = told.decisions._augmented

    def listening(place, term, images, augmentation):
        augmented.append(inner(place, term, images, augmentation))
        return augmented[-1]

    told.decisions._augmented = listening
    orders, slots, growth, reservoir = {}, {}, {}, {}
    for event in told.events():
        place = (event.task, event.epoch, event.step)
        if event.kind == "begin_epoch":
            orders[place] = told.cursor.permutation.copy()
            for change in event.mask_changes:
                if change.kind == "expand":
                    growth.update({(place, name): flat for name, flat in change.indices.items()})
        elif event.kind == "step":
            slots.update({(place, n): drawn for n, drawn in enumerate(event.observation.draws)})
            reservoir[place] = event.slots
    images = iter(augmented)

    def numbers(place, ranks):
        """Numbers that lead to those slots: any while some are free, then the slot, or the rank to turn it away."""
        return np.where(reservoir[place] >= 0, np.where(ranks < config.buffer_size, 0, reservoir[place]), ranks)

    draws = Draws(
        weights=dense_weights(config, dataset), initial_masks=masks, order=lambda place, count: orders[place],
        images=lambda place, term, stored: next(images), replay=lambda place, draw: slots[place, draw],
        reservoir=numbers, growth=lambda place, name: growth[place, name],
    )  # fmt: skip
    fed = build(dataclasses.replace(config, seed=config.seed + 9, class_order="natural"), dataset, draws=draws)
    fed.stream = told.stream
    untouched = {name: copy.deepcopy(rng.bit_generator.state) for name, rng in fed.generators.items() if name != "init"}
    for _ in fed.events():
        pass
    assert {name: fed.generators[name].bit_generator.state for name in untouched} == untouched
    different = {
        path
        for (path, one), (_, other) in zip(flattened(told.state()), flattened(fed.state()), strict=True)
        if one != other and not path.startswith(("/generators", "/belongs_to"))
    }
    assert not different
    assert growth


def dense_weights(config, dataset):
    """The initial weights of a run before any mask."""
    return build(dataclasses.replace(config, sparsity=None), dataset).model.state_dict()


def test_given_draws_that_cannot_be_are_refused(dataset):
    sparse = SMALL
    trainer = build(sparse, dataset, draws=Draws(order=lambda place, count: np.zeros(count, dtype=int)))
    trainer.advance(), trainer.advance()
    with pytest.raises(ValueError, match=r"given order must be a permutation of 0\.\.19"):
        trainer.advance()
    trainer = build(sparse, dataset, draws=Draws(growth=lambda place, name: np.array([10**6])))
    with pytest.raises(ValueError, match="the given growth must name dead entries in 0"):
        for _ in trainer.events():
            pass


def test_an_ended_run_says_so(dataset):
    trainer = build(dataclasses.replace(SMALL, method="sgd", sparsity=None, epochs=1), dataset)
    for _ in trainer.events():
        pass
    with pytest.raises(RuntimeError, match="the run is over"):
        trainer.advance()


def test_a_loss_that_explodes_stops_the_run_before_the_update(dataset):
    trainer = build(dataclasses.replace(SMALL, sparsity=None, method="er"), dataset)
    for _ in range(4):
        trainer.advance()
    trainer.model.parameters()[-1].value[0] = np.nan
    before = trainer.model.state_dict()
    message = r"task 1, epoch 1, step 1: the current loss is nan; .*: parameter linear\.bias; try"
    with pytest.raises(FloatingPointError, match=message):
        trainer.advance()
    for name, value in trainer.model.state_dict().items():
        if "running" not in name and "tracked" not in name:
            np.testing.assert_array_equal(value, before[name])


def test_dead_weights_are_positive_zero_after_every_event(dataset):
    trainer = build(SMALL, dataset)
    steps = 0
    for event in trainer.events():
        for parameter in trainer.model.sparsifiable():
            dead = ~parameter.mask
            assert dead.any()
            for array in (parameter.value, parameter.grad, *parameter.slots.values()):
                assert not array[dead].any()
                assert not np.signbit(array[dead]).any()
            if event.kind == "step":
                silent = ~parameter.effective_grad_mask
                assert not parameter.grad[silent].any()
                steps += 1
    assert steps > 20


def test_sparcl_with_nothing_to_do_is_the_plain_method_to_the_bit(dataset):
    idle = dataclasses.replace(SMALL, sparsity=0.0, ddr_rho=0.0, dgm_q=0.0)
    plain = dataclasses.replace(SMALL, sparsity=None, head="single")
    one, other = build(idle, dataset), build(plain, dataset)
    for first, second in zip(one.events(), other.events(), strict=True):
        assert first.kind == second.kind
        for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
            assert a.value.tobytes() == b.value.tobytes()
            assert a.grad.tobytes() == b.grad.tobytes()
    assert one.history.class_il_matrix == other.history.class_il_matrix


def test_removed_samples_do_not_come_back_and_counts_are_those_of_the_stage(dataset):
    trainer = build(dataclasses.replace(SMALL, ddr_cutoff=2, epochs=6, ddr_rho=0.5), dataset)
    gone: set[int] = set()
    wrong: dict[int, int] = {}
    removals = 0
    for event in trainer.events():
        if event.kind == "begin_task":
            gone, wrong = set(), dict.fromkeys(trainer.cursor.remaining.tolist(), 0)
        if event.kind == "step":
            assert not gone & set(event.indices.tolist())
            for index, correct in zip(event.indices.tolist(), event.observation.correct, strict=True):
                wrong[index] += not correct
            present = trainer.cursor.remaining.tolist()
            assert trainer.regime.statistics.wrong.tolist() == [wrong[index] for index in present]
        if event.kind == "end_epoch":
            removed = event.removed.tolist()
            if removed:
                removals += 1
                assert event.epoch in (2, 4)
                assert len(removed) == 5
                # The fewest misclassified go, among equals the lowest index.
                assert removed == sorted(sorted(wrong, key=lambda index: (wrong[index], index))[:5])
            gone |= set(removed)
            if event.epoch % 2 == 0:
                wrong = dict.fromkeys(trainer.cursor.remaining.tolist(), 0)
    assert removals == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"sparsity": 0.75}, {"sparsity": None}, {"method": "er"}, {"method": "sgd"}, {"dtype": "float32"},
        {"classes_per_task": 1}, {"lr": 0.5}, {"batch_size": 5}, {"seed": 5}, {"model": "mlp"}, {"width": 4},
        {"buffer_size": 8}, {"p_inter": 0.02},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_of_another_run_is_refused_and_changes_nothing(dataset, changes):
    """All there is to a state is checked before any of it is taken over."""
    run = build(SMALL, dataset)
    for _ in range(9):
        run.advance()
    other = build(dataclasses.replace(SMALL, **changes), dataset)
    before = dict(flattened(other.state()))
    ((name, value),) = changes.items()
    with pytest.raises(ValueError, match=rf"belongs to another run \(.*{name} .* there, {value} here"):
        other.load_state(run.state())
    assert dict(flattened(other.state())) == before


def test_a_state_that_is_not_whole_or_of_other_data_is_refused(dataset):
    run, earlier = build(SMALL, dataset), build(SMALL, dataset)
    for _ in range(9):
        run.advance()
    for _ in range(5):
        earlier.advance()
    before = dict(flattened(run.state()))
    for damage, message in (
        (lambda state: state.pop("optimizer"), "state lacks optimizer"),
        (lambda state: state["model"]["parameters"].pop("conv1.weight"), "state/model/parameters lacks conv1.weight"),
        (lambda state: state["buffer"].update(labels=np.zeros(3, dtype=np.int64)), "state/buffer/labels has shape"),
        (lambda state: state["model"]["parameters"]["bn1.bias"].update(value=np.zeros(8, np.float32)), "float32"),
        (lambda state: state["generators"].pop("replay"), "state/generators lacks replay"),
        (lambda state: state.pop("belongs_to"), "belongs to another run"),
        (lambda state: state["cursor"].update(epochs=1), "TypeError: .*epochs"),
        (lambda state: state["history"].update(losses=[]), "TypeError: .*losses"),
        (lambda state: state["epoch_totals"].update(losses=[]), "TypeError: .*losses"),
        (lambda state: state["generators"].update(mask={}), "cannot be taken over"),
        (lambda state: state["buffer"].update(presented=-1), "-1 samples were presented"),
        (lambda state: state["regime"].pop("statistics"), "KeyError: .*statistics"),
        (lambda state: state["belongs_to"].update(data=["mnist", 1]), r"data \['mnist', 1\] there, \['noise', 40"),
    ):
        state = earlier.state()
        damage(state)
        with pytest.raises(ValueError, match=message):
            run.load_state(state)
        assert dict(flattened(run.state())) == before


def test_numbers_that_round_to_zero_end_no_run(dataset):
    """Whoever looks for overflows with np.errstate must not be told of a divergence by an underflow."""
    config = dataclasses.replace(SMALL, model="mlp", sparsity=None, method="er", lr=0.3, dtype="float32", epochs=12)
    with np.errstate(all="raise"):
        trainer = build(config, dataset)
        for _ in trainer.events():
            pass


@pytest.mark.parametrize(
    "changes", [{}, {"method": "sgd", "sparsity": None}, {"method": "er", "engine": "numba"}], ids=str
)
@pytest.mark.parametrize("duplicate", [lambda trainer: pickle.loads(pickle.dumps(trainer)), copy.deepcopy])
def test_a_copy_of_a_trainer_is_a_run_of_its_own_with_the_same_bits(dataset, changes, duplicate):
    config = dataclasses.replace(SMALL, augmentation="none", **changes)
    trainer = build(config, dataset)
    for _ in range(9):
        trainer.advance()
    twin = duplicate(trainer)
    for _ in trainer.events():
        pass
    assert not twin.done
    for _ in twin.events():
        pass
    assert_same_state(trainer, twin)
