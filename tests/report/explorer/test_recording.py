"""A recording says what an ear at the same run's events hears, and the run is none the wiser."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.groups import mask_of
from sparcl_ref.report import explorer
from sparcl_ref.report.explorer.layer import quarters
from sparcl_ref.report.explorer.recording import NOBODY
from tests.report.explorer import example


def moments_of(trainer):
    """Events up to each moment: those before any training, then those of each epoch with what ends it."""
    epochs, heard = trainer.config.epochs, []
    for event in trainer.events():
        heard.append(event)
        if event.kind in ("untrained", "end_task") or (event.kind == "end_epoch" and event.epoch < epochs):
            yield heard
            heard = []


def recorded(**settings):
    return explorer.record(example.trainer(**settings))


@pytest.mark.parametrize("index", range(len(example.RUNS)))
def test_the_run_is_the_same_to_the_bit(index):
    alone, watched = example.trainer(**example.RUNS[index]), example.trainer(**example.RUNS[index])
    for _ in alone.events():
        pass
    explorer.record(watched)
    assert watched.history.class_il_matrix == alone.history.class_il_matrix
    assert watched.history.epochs == alone.history.epochs  # with the FLOPs so far
    for name, array in alone.model.state_dict().items():
        assert array.tobytes() == watched.model.state_dict()[name].tobytes(), name
    for name, generator in alone.generators.items():
        assert generator.bit_generator.state == watched.generators[name].bit_generator.state


@pytest.mark.parametrize("index", range(len(example.RUNS)))
def test_accuracy_is_what_the_trainer_measures_at_the_ends_of_tasks(index):
    found = example.recordings()[index]
    trainer = example.trainer(**example.RUNS[index])
    for _ in trainer.events():
        pass
    last = [
        row
        for (_, epoch), row in zip(found.moments, found.accuracy, strict=True)
        if epoch in (0, trainer.config.epochs)
    ]
    assert np.array(last).tolist() == trainer.history.class_il_matrix
    assert found.moments == [(0, 0), *((t, e) for t in range(1, 6) for e in range(1, trainer.config.epochs + 1))]


@pytest.mark.parametrize("profile", ["paper", "released"])
def test_buffer_mistakes_and_removals_are_those_of_the_events(profile):
    settings = {**example.SPARSE, "profile": profile}
    found, trainer = recorded(**settings), example.trainer(**settings)
    owner = np.full(20, NOBODY)
    gone = np.zeros(120, dtype=bool)
    for moment, heard in enumerate(moments_of(trainer)):
        wrong, removed = np.zeros(120, dtype=bool), 0
        for event in heard:
            if event.kind == "step":
                stored = event.slots >= 0
                owner[event.slots[stored]] = event.indices[stored]
                wrong[event.indices[~event.observation.correct]] = True
            if event.removed is not None:
                removed += len(event.removed)
                gone[event.removed] = True
        assert found.slots[moment].tolist() == owner.tolist()
        assert found.wrong[moment].tolist() == wrong.tolist()
        assert found.gone[moment].tolist() == gone.tolist()
        assert found.removed[moment] == removed
    assert gone.any()
    assert found.removes_before == (profile == "released")


@pytest.mark.parametrize(
    "settings",
    [
        example.SPARSE,
        {**example.SPARSE, "profile": "released"},
        {**{k: v for k, v in example.SPARSE.items() if k[:2] != "p_"}, "policy": "rigl"},
        {"width": 12, "epochs": 2, "batch_size": 16, "method": "packnet"},
    ],
    ids=["tdm", "released", "rigl", "packnet"],
)
def test_masks_are_those_of_the_epoch_and_what_moved_is_counted(settings):
    found, trainer = recorded(**settings), example.trainer(**settings)
    layers = trainer.model.sparsifiable()
    assert [layer.name for layer in found.layers] == ["conv2", "conv3"]
    before = [mask_of([p]).reshape(-1) for p in layers]
    for moment, heard in enumerate(moments_of(trainer)):
        for number, (layer, parameter) in enumerate(zip(found.layers, layers, strict=True)):
            order = layer.grid.reshape(-1)
            alive = mask_of([parameter]).reshape(-1)
            formed = alive if parameter.grad_mask is None else parameter.grad_mask.reshape(-1)
            assert layer.alive[moment].tolist() == alive[order].tolist()
            assert layer.silenced[moment].tolist() == (alive & ~formed)[order].tolist()
            assert layer.living[moment] == alive.sum()
            assert layer.silent[moment] == (alive & ~formed).sum()
            # In the order of the events: the living that are named leave, the dead join.
            now, came, left, joined = before[number].copy(), 0, 0, np.zeros(alive.size, dtype=bool)
            for change in (change for event in heard for change in event.mask_changes):
                for flat in change.indices.get(parameter.name, ()):
                    came, left = came + (not now[flat]), left + now[flat]
                    now[flat] = joined[flat] = not now[flat]
            silent_changes = np.flatnonzero(now != alive)  # by a method that owns its masks
            came, left = came + alive[silent_changes].sum(), left + (~alive[silent_changes]).sum()
            joined[silent_changes] = alive[silent_changes]
            assert (layer.came[moment], layer.left[moment]) == (came, left)
            assert layer.joined[moment].tolist() == joined[order].tolist()
            before[number] = alive.copy()
    assert any(layer.came[1:] for layer in found.layers)


def test_the_least_important_are_those_that_leave_next():
    """Equation 1, held against the trainer's own choice: nobody leaves from above one who stays."""
    found, checked = example.recordings()[0], 0
    for layer in found.layers:
        for moment in range(1, len(found.moments) - 1):
            if found.moments[moment + 1][1] == 1 or not layer.left[moment + 1]:
                continue
            alive, level = layer.alive[moment], layer.importance[moment]
            leaves = alive & (~layer.alive[moment + 1] | layer.joined[moment + 1])
            assert leaves.sum() == layer.left[moment + 1]
            assert level[leaves].max() <= level[alive & ~leaves].min()
            checked += 1
    assert checked >= 8


def test_gradients_rank_otherwise_than_importance():
    found = example.recordings()[0].layers[-1]
    assert not np.array_equal(found.gradient, found.importance)
    assert (found.gradient[1:].max(axis=1) == 3).all()
    assert not found.gradient[~found.alive].any()


def test_quarters_hold_a_quarter_each_and_ties_go_by_place():
    score = np.array([5.0, 1.0, 9.0, 1.0, 1.0, 7.0, 8.0, 3.0, 6.0])
    alive = np.array([True, True, False, True, True, True, True, True, True])
    assert quarters(score, alive).tolist() == [2, 0, 0, 0, 1, 3, 3, 1, 2]
    assert quarters(score, np.zeros(9, dtype=bool)).tolist() == [0] * 9


def test_a_dense_run_without_a_buffer_lives_whole_and_remembers_nothing():
    found = example.recordings()[2]
    assert found.slots.shape == (21, 0)
    assert all(layer.alive.all() and not layer.importance.any() for layer in found.layers)


def test_of_equal_images_the_first_is_named():
    trainer = example.trainer(**example.SPARSE)
    twice = np.concatenate([trainer.dataset.train_x] * 2)
    recorder = explorer.Recorder(trainer)
    assert recorder._whose[hash(twice[125].tobytes())] == 5


def test_a_run_that_has_begun_is_refused():
    trainer = example.trainer(**example.SPARSE)
    trainer.advance()
    with pytest.raises(ValueError, match="from its beginning"):
        explorer.record(trainer)


def test_of_all_tasks_at_once_each_is_measured_and_learned_in_the_first():
    _, at_once, _ = example.unusual()
    assert at_once.moments == [(0, 0), (1, 1)]
    assert (at_once.classes, at_once.learned) == ([[0, 1], [2, 3]], [1, 1])
    assert at_once.accuracy.shape == (2, 2)
    assert [len(members) for members in at_once.members] == [48]


def test_a_buffer_that_the_method_fills_is_seen_too():
    filled = example.unusual()[2]
    assert filled.slots.shape[0] == 3
    assert (filled.slots[0] == NOBODY).all()
    for moment in (1, 2):
        inside = filled.slots[moment][filled.slots[moment] != NOBODY]
        assert len(inside) == len(set(inside.tolist())) > 0
        seen = np.concatenate(filled.members[:moment])
        assert set(inside.tolist()) <= set(seen.tolist())
