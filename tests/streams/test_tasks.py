"""Every sample is in the one task of its class; every epoch has every index once; the data set strategy itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from sparcl_ref.streams import Dataset, Stream, class_order, cut_batches, joint, load_dataset, split
from tests import strategies


def stream_of(case: strategies.TaskSplit) -> Stream:
    dataset = Dataset(name="toy", **case.arrays)
    return split(dataset, classes_per_task=case.classes_per_task, class_order=case.class_order)


@given(st.integers(1, 5).flatmap(lambda k: st.tuples(st.just(k), strategies.labelled_images(classes=k))))
def test_labelled_images_are_a_data_set(case):
    classes, arrays = case
    for part in ("train", "test"):
        assert arrays[f"{part}_x"].ndim == 4
        assert arrays[f"{part}_y"].shape == (len(arrays[f"{part}_x"]),)
        assert set(arrays[f"{part}_y"].tolist()) == set(range(classes))
    assert (arrays["train_x"].min(axis=(0, 2, 3)) < arrays["train_x"].max(axis=(0, 2, 3))).all()


@pytest.mark.parametrize(
    "condition",
    [
        lambda arrays: len(arrays["train_y"]) == 3,
        lambda arrays: len(arrays["train_y"]) > 3 and len(arrays["test_y"]) > 3,
        lambda arrays: arrays["train_y"].tolist() != sorted(arrays["train_y"].tolist()),
        lambda arrays: arrays["train_x"].shape[1:] == (1, 1, 1),
        lambda arrays: len(set(arrays["train_x"].shape[1:])) == 3,
    ],
)
def test_labelled_images_reach_corners(condition):
    find(strategies.labelled_images(classes=3), condition, settings=settings(max_examples=2000, database=None))


@given(strategies.image_batches(), strategies.task_splits(max_classes=4))
def test_image_batches_and_task_splits_keep_what_they_promise(batch, case):
    assert batch.ndim == 4
    assert (batch != 0).all()
    assert sorted(case.class_order) == sorted(set(case.arrays["train_y"].tolist()))
    assert len(case.class_order) <= 4
    assert len(case.class_order) % case.classes_per_task == 0


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (strategies.image_batches(), lambda batch: len(batch) == 0),
        (strategies.image_batches(), lambda batch: len(batch) > 1 and batch.dtype == np.uint8),
        (strategies.task_splits(), lambda case: len(case.class_order) == 1),
        (strategies.task_splits(), lambda case: case.classes_per_task == 3 and len(case.class_order) == 6),
        (strategies.task_splits(), lambda case: list(case.class_order) != sorted(case.class_order)),
    ],
)
def test_image_batches_and_task_splits_reach_corners(strategy, condition):
    find(strategy, condition, settings=settings(max_examples=2000, database=None))


# --- class order ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), strategies.seeds())
def test_random_order_is_the_generators_permutation(classes, seed):
    order = class_order("random", classes, np.random.default_rng(seed))
    assert order == tuple(np.random.default_rng(seed).permutation(classes))
    assert all(type(label) is int for label in order)


@given(strategies.class_orders(7), strategies.generators())
def test_natural_and_explicit_orders_draw_nothing(order, rng):
    before = rng.bit_generator.state
    assert class_order("natural", 7, rng) == (0, 1, 2, 3, 4, 5, 6)
    for spec in (order, list(order), np.array(order)):
        taken = class_order(spec, 7, rng)
        assert taken == order
        assert all(type(label) is int for label in taken)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    "spec", [(0, 1), (0, 1, 2, 3), (0, 1, 2, 1), (0, 1, 1), (1, 2, 3), (0, 1, -1), (0, 1, 2.0), 3, None, "abc"]
)
def test_what_is_no_permutation_is_refused(spec):
    with pytest.raises(ValueError, match=r"0\.\.2.*, got ") as caught:
        class_order(spec, 3, np.random.default_rng(0))
    assert str(caught.value).endswith(f"got {spec!r}")


# --- split and joint --------------------------------------------------------------------------------------------------


@given(strategies.task_splits())
def test_split_gives_each_sample_to_the_task_of_its_class(case):
    stream = stream_of(case)
    dataset = stream.dataset
    assert stream.class_order == case.class_order
    assert stream.training is stream.tasks
    assert tuple(label for task in stream.tasks for label in task.classes) == stream.class_order
    assert {len(task.classes) for task in stream.tasks} == {case.classes_per_task}
    assert [task.number for task in stream.tasks] == list(range(1, len(stream.tasks) + 1))
    for task in stream.tasks:
        for index, labels in ((task.train_index, dataset.train_y), (task.test_index, dataset.test_y)):
            assert index.tolist() == [i for i, label in enumerate(labels.tolist()) if label in task.classes]
            assert index.dtype == np.int64
            assert not index.flags.writeable


@given(strategies.task_splits())
def test_joint_learns_everything_at_once_and_measures_the_same_tasks(case):
    stream = stream_of(case)
    together = joint(stream)
    assert together.dataset is stream.dataset
    assert together.tasks is stream.tasks
    assert together.class_order == stream.class_order
    (task,) = together.training
    assert (task.number, task.classes) == (1, stream.class_order)
    assert task.train_index.tolist() == list(range(len(stream.dataset.train_y)))
    assert task.test_index.tolist() == list(range(len(stream.dataset.test_y)))


def test_split_digits_in_an_order_that_is_not_sorted():
    order = (9, 0, 8, 1, 7, 2, 6, 3, 5, 4)
    stream = split(load_dataset("digits"), classes_per_task=2, class_order=order)
    assert [task.classes for task in stream.tasks] == [(9, 0), (8, 1), (7, 2), (6, 3), (5, 4)]
    assert [len(task.train_index) for task in stream.tasks] == [144 + 142, 139 + 146, 143 + 141, 145 + 147, 146 + 144]
    assert [len(task.test_index) for task in stream.tasks] == [72, 71, 72, 72, 73]
    assert set(stream.dataset.train_y[stream.tasks[0].train_index].tolist()) == {0, 9}, "labels keep their ids"


@pytest.mark.parametrize("classes_per_task", [-2, 0, 3, 4, 20])
def test_split_refuses_tasks_that_do_not_come_out_even(classes_per_task):
    with pytest.raises(ValueError, match=f"^digits: 10 classes do not divide into tasks of {classes_per_task}; choose"):
        split(load_dataset("digits"), classes_per_task=classes_per_task, class_order=range(10))


def test_split_refuses_an_order_of_other_classes():
    with pytest.raises(ValueError, match=r"class order must contain each of 0\.\.9 once, got range\(0, 9\)"):
        split(load_dataset("digits"), classes_per_task=2, class_order=range(9))


# --- batches ----------------------------------------------------------------------------------------------------------


@given(st.data(), strategies.seeds(), st.booleans())
def test_an_epoch_has_every_index_once(data, seed, drop_last):
    n = data.draw(st.integers(1, 40))
    size = data.draw(st.integers(1, n))
    indices = np.cumsum(np.random.default_rng(seed).integers(1, 4, n))
    indices.flags.writeable = False
    permutation = np.random.default_rng(seed).permutation(n)
    batches = cut_batches(indices, permutation, size, drop_last=drop_last)
    flat = np.concatenate(batches).tolist()
    kept = n - n % size if drop_last else n
    assert flat == [indices[place] for place in permutation.tolist()][:kept]
    assert len(set(flat)) == len(flat) == kept
    sizes = [len(batch) for batch in batches]
    assert sizes == [size] * (n // size) + [n % size] * (n % size > 0 and not drop_last)
    again = cut_batches(indices, permutation, size, drop_last=drop_last)
    assert [batch.tolist() for batch in again] == [batch.tolist() for batch in batches]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_without_samples_is_refused(size):
    with pytest.raises(ValueError, match=f"^batch size must be at least 1, got {size}$"):
        cut_batches(np.arange(5), np.arange(5), size)


def test_a_permutation_of_another_task_is_refused():
    with pytest.raises(ValueError, match=r"^expected a permutation of 4 samples, got one of 3$"):
        cut_batches(np.arange(4), np.arange(3), 2)
