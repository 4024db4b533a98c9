"""Weight aligning: the rule, and what it changes in a run of any method."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.alignment import ALIGNMENTS, align, unchanged, weight_aligning
from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.methods.classifier import classifier_of
from tests.helpers import assert_close
from tests.methods.twin import BASE, Twin, assert_equal_for_30_steps, run_of, small_dataset

CLASSES = st.permutations(range(6)).flatmap(
    lambda order: st.integers(1, 4).map(lambda cut: (order[:cut], order[cut:5]))
)


def weight_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((6, 4)) * rng.uniform(0.1, 5, (6, 1))


def norms(weight: np.ndarray, rows) -> float:
    return float(np.sqrt((weight[list(rows)] ** 2).sum(axis=1)).mean())


@given(st.integers(0, 10_000), CLASSES)
def test_new_rows_become_as_long_as_old_ones_and_keep_their_direction(seed, classes) -> None:
    old, new = classes
    weight = weight_of(seed)
    aligned = weight_aligning(weight, old, new)
    assert norms(aligned, new) == pytest.approx(norms(weight, old), rel=1e-12)
    others = [row for row in range(6) if row not in new]
    assert aligned[others].tobytes() == weight[others].tobytes()
    ratio = aligned[list(new)] / weight[list(new)]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-12)
    assert ratio[0, 0] > 0
    np.testing.assert_allclose(weight_aligning(aligned, old, new), aligned, rtol=1e-12)


@given(st.integers(0, 10_000), CLASSES)
def test_answers_within_a_task_stay(seed, classes) -> None:
    old, new = classes
    weight, x = weight_of(seed), np.random.default_rng(seed + 1).standard_normal((20, 4))
    for rows in (list(old), list(new)):
        before, after = (x @ w[rows].T for w in (weight, weight_aligning(weight, old, new)))
        np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))


def test_nothing_changes_without_old_classes_or_new_weights() -> None:
    weight = weight_of(0)
    assert weight_aligning(weight, [], [1, 2]) is weight
    weight[[1, 2]] = 0
    assert weight_aligning(weight, [0], [1, 2]) is weight
    assert unchanged(weight, [0], [1]) is weight


class Aligned(Twin):
    """Fine-tuning whose new rows are scaled after each task."""

    past: tuple[int, ...] = ()

    def end_task(self):
        weight, new = self.values["linear.weight"].data, list(self.classes)
        if self.past:
            length = weight.norm(dim=1)
            weight[new] *= length[list(self.past)].mean() / length[new].mean()
        self.past = (*self.past, *new)


@pytest.mark.parametrize("regime", [{}, {"sparsity": 0.5}])
def test_a_run_with_it_is_its_twin(regime) -> None:
    assert_equal_for_30_steps(Aligned, method="sgd", align="wa", class_order="3,1,0,5,2,4", **regime)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_it_follows_any_method_and_is_resumed(engine) -> None:
    config = dataclasses.replace(BASE, method="er", align="wa", engine=engine)
    assert config.title == "ER (WA)"
    trainer, dataset = build(config, small_dataset()), small_dataset()
    while trainer.cursor.task < 2 or trainer.cursor.due != "end_task":
        trainer.advance()
    resumed = build(config, dataset)
    resumed.load_state(trainer.state())
    assert trainer.advance().kind == resumed.advance().kind == "end_task"
    ours, theirs = (classifier_of(each.model).weight.value for each in (trainer, resumed))
    assert ours.tobytes() == theirs.tobytes()
    old, new = (trainer.stream.training[number].classes for number in (0, 1))
    assert norms(ours, new) == pytest.approx(norms(ours, old), rel=1e-12)


def test_a_backward_pass_across_it_is_refused() -> None:
    model = run_of(method="sgd", epochs=1).model
    logits = model.forward(np.ones((2, 1, 8, 8)), mode="train")
    align(model, "wa", old=[0, 1], new=[2, 3])
    with pytest.raises(RuntimeError, match="weight has changed since the forward pass"):
        model.backward(logits, need_dx=False)


def test_frozen_entries_stay() -> None:
    model = run_of(method="sgd", epochs=1).model
    weight = classifier_of(model).weight
    frozen = np.zeros(weight.value.shape, bool)
    frozen[2] = True
    weight.freeze(frozen)
    before = weight.value.copy()
    align(model, "wa", old=[0, 1], new=[2, 3])
    assert weight.value[2].tobytes() == before[2].tobytes()
    assert_close(weight.value, np.where(frozen, before, weight_aligning(before, [0, 1], [2, 3])), call="rest")
    assert not np.array_equal(weight.value[3], before[3])


def test_a_state_that_knows_of_no_alignment_is_one_without(tmp_path) -> None:
    plain = dataclasses.replace(BASE, method="sgd")
    trainer = build(plain, small_dataset())
    trainer.advance()
    state = trainer.state()
    del state["belongs_to"]["align"]
    build(plain, small_dataset()).load_state(state)
    with pytest.raises(ValueError, match="align none there, wa here"):
        build(dataclasses.replace(plain, align="wa"), small_dataset()).load_state(state)


def test_names() -> None:
    assert tuple(ALIGNMENTS) == ("none", "wa")
    assert Config().align == "none"
