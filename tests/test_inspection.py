"""Looking at a run: what is seen is what the run would do, and nothing is changed by it."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from sparcl_ref.draws import Draws, Place
from sparcl_ref.experiment import build
from sparcl_ref.losses import cross_entropy
from sparcl_ref.sparcl import probe_gradients
from tests.noise import noise
from tests.test_trainer import SMALL, assert_same_state

CASES = {
    "derpp": {},
    "numba": {"engine": "numba"},
    "released": {"profile": "released", "epochs": 6},
    "no-buffer": {"method": "sgd"},
    "dense": {"method": "er", "sparsity": None},
    "merging": {"method": "icarl"},
    "isolated": {"method": "packnet", "sparsity": None},
}


@pytest.fixture(scope="module")
def dataset():
    return noise([20, 20])


def at(trainer, due, task, epoch=None, step=None):
    """The trainer, advanced to where that is due."""
    while (trainer.cursor.due, trainer.cursor.task) != (due, task) or (
        (epoch, step) != (None, None) and (trainer.cursor.epoch, trainer.cursor.step) != (epoch, step)
    ):
        trainer.advance()
    return trainer


def arrays(grads):
    """Gradients as arrays, whatever form an engine keeps them in."""
    return None if grads is None else [np.asarray(grad) for grad in grads]


# --- a look ahead -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_the_next_step_is_seen_as_it_will_be_and_the_run_stays_as_it_was(dataset, changes) -> None:
    config = dataclasses.replace(SMALL, **changes)
    looking, undisturbed = build(config, dataset), build(config, dataset)
    steps = 0
    for event in undisturbed.events():
        seen = None
        if looking.cursor.due == "step":
            refreshes = config.sparse and config.dgm and looking.cursor.step % config.dgm_interval == 0
            (seen,) = looking.peek(unmasked=refreshes)
            steps += 1
        mine = looking.advance()
        if seen is not None:
            # As observed: what a step does to its gradients later is not seen.
            assert seen.losses == mine.observation.losses == event.observation.losses
            np.testing.assert_equal(seen.logits, event.observation.logits)
            np.testing.assert_equal(seen.draws, event.observation.draws)
            np.testing.assert_equal(seen.correct, event.observation.correct)
            np.testing.assert_equal(arrays(seen.current_grads), arrays(event.observation.current_grads))
            np.testing.assert_equal(arrays(seen.replay_grads), arrays(event.observation.replay_grads))
    assert steps > 20
    assert_same_state(looking, undisturbed)


def test_later_steps_are_seen_at_the_weights_of_now(dataset) -> None:
    # An update that rounds to nothing: the weights of later steps are those of now.
    config = dataclasses.replace(SMALL, method="sgd", sparsity=None, lr=1e-300, momentum=0.0, weight_decay=0.0)
    trainer = at(build(config, dataset), "step", 2)
    seen = trainer.peek(4)
    assert [len(step.correct) for step in seen] == [6, 6, 6, 2]
    for step in seen:
        np.testing.assert_equal(step.current_grads, trainer.advance().observation.current_grads)
    moving = at(build(dataclasses.replace(config, lr=0.5), dataset), "step", 2)
    held, moved = moving.peek(2)[1], [moving.advance() for _ in range(2)][1].observation
    assert not np.array_equal(held.logits, moved.logits)


def test_later_steps_draw_what_they_would_draw_from_a_full_buffer(dataset) -> None:
    trainer = at(build(SMALL, dataset), "step", 2)
    seen = [step.draws for step in trainer.peek(3)]
    np.testing.assert_equal(seen, [trainer.advance().observation.draws for _ in range(3)])
    assert not np.array_equal(seen[0], seen[1])


def test_given_draws_are_asked_for_the_steps_that_are_seen(dataset) -> None:
    asked = []

    def replay(place: Place, draw: int) -> np.ndarray:
        asked.append((*place, draw))
        return np.array([draw, 2 + place.step])

    trainer = at(build(SMALL, dataset, draws=Draws(replay=replay)), "step", 2, 1, 1)
    asked.clear()
    seen = trainer.peek(2)
    assert asked == [(2, 1, step, draw) for step in (1, 2) for draw in (0, 1)]
    assert [[draw.tolist() for draw in step.draws] for step in seen] == [[[0, 3], [1, 3]], [[0, 4], [1, 4]]]


def test_unmasked_gradients_are_those_of_all_living_weights(dataset) -> None:
    trainer = at(build(SMALL, dataset), "step", 2, 2, 1)
    index, layer = next((i, p) for i, p in enumerate(trainer.model.parameters()) if p.sparsifiable)
    silenced = layer.mask & ~layer.grad_mask
    assert silenced.any()
    masked, whole = (trainer.peek(unmasked=unmasked)[0].current_grads[index] for unmasked in (False, True))
    assert (masked[silenced] == 0).all()
    assert (whole[silenced] != 0).any()
    np.testing.assert_array_equal(whole[layer.grad_mask], masked[layer.grad_mask])
    assert (layer.mask & ~layer.grad_mask == silenced).all()


def test_a_look_past_the_epoch_or_between_steps_is_refused(dataset) -> None:
    trainer = build(SMALL, dataset)
    with pytest.raises(ValueError, match="a step that is due, and untrained is; advance to a step first"):
        trainer.peek()
    at(trainer, "step", 1, 1, 1)
    for steps in (0, 4):
        with pytest.raises(ValueError, match=f"can see 1 to 3 steps, the rest of this epoch; got {steps}"):
            trainer.peek(steps)


def test_a_look_that_fails_leaves_the_run_as_it_was(dataset, monkeypatch) -> None:
    trainer, other = (at(build(SMALL, dataset), "step", 2) for _ in range(2))
    observe, calls = trainer.method.observe, []

    def failing(*arguments, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("stop")
        return observe(*arguments, **settings)

    monkeypatch.setattr(trainer.method, "observe", failing)
    with pytest.raises(RuntimeError, match="stop"):
        trainer.peek(3)
    assert_same_state(trainer, other)


# --- a probe ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [None, 5, 100])
@pytest.mark.parametrize("samples", [None, 7])
def test_a_probe_is_the_gradient_on_the_task_and_on_the_buffer(dataset, samples, chunk) -> None:
    trainer, other = (at(build(SMALL, dataset), "step", 2, 2, 1) for _ in range(2))
    layers = trainer.model.sparsifiable()
    found = trainer.probe(layers, samples, chunk=chunk)
    assert_same_state(trainer, other)
    for parameter in trainer.model.parameters():
        parameter.set_grad_mask(None)
    first = trainer.cursor.remaining[: 12 if samples is None else samples]  # 12 are the policy's
    memory, single_head = trainer.buffer.content(), functools.partial(cross_entropy, classes=trainer.task.classes)
    by_hand = [
        probe_gradients(
            trainer.model, layers, dataset.normalise(images, np.float64), labels, loss, batch_size=chunk or 6
        )
        for images, labels, loss in (
            (
                dataset.train_x[first],
                dataset.train_y[first],
                single_head,
            ),
            (memory.images, memory.labels, cross_entropy),
        )
    ]
    np.testing.assert_equal(list(found), by_hand)
    assert all((gradient[parameter.mask] != 0).any() for gradient, parameter in zip(found[0], layers, strict=True))


def test_a_probe_of_one_parameter_gives_its_pair(dataset) -> None:
    trainer = at(build(SMALL, dataset), "begin_epoch", 2)
    layer = trainer.model.sparsifiable()[1]
    np.testing.assert_equal(list(trainer.probe(layer)), [part[0] for part in trainer.probe([layer])])


def test_a_probe_of_a_policy_without_one_takes_the_usual_number_and_no_buffer_gives_zeros() -> None:
    many = noise([300, 300])
    trainer = at(build(dataclasses.replace(SMALL, method="sgd", policy="static", dgm=False), many), "begin_epoch", 1)
    layer = trainer.model.sparsifiable()[0]
    current, memory = trainer.probe(layer)
    assert not memory.any()
    np.testing.assert_array_equal(current, trainer.probe(layer, 256)[0])
    assert not np.array_equal(current, trainer.probe(layer, 300)[0])


def test_a_probe_before_a_task_or_of_nothing_is_refused(dataset) -> None:
    trainer = build(SMALL, dataset)
    with pytest.raises(ValueError, match="a probe needs a task, and none has begun"):
        trainer.probe(trainer.model.sparsifiable())
    at(trainer, "begin_epoch", 1)
    for samples, chunk in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match=f"at least 1, got {samples} and {chunk}"):
            trainer.probe(trainer.model.sparsifiable(), samples, chunk=chunk)
