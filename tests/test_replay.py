from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.replay import EMPTY, ReservoirBuffer, Samples, reservoir_slot
from tests import strategies as own
from tests.chance import uniform_inclusion

IMAGE = (1, 2, 2)
CLASSES = 3


def new_buffer(capacity: int, *, image_dtype=np.uint8, logits_dtype=np.float64) -> ReservoirBuffer:
    return ReservoirBuffer(
        capacity, image_shape=IMAGE, image_dtype=image_dtype, classes=CLASSES, logits_dtype=logits_dtype
    )


def batch(first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples that carry their number: the first logit tells which one it is, label and first pixel what is left of
    it by the classes and by 256."""
    numbers = np.arange(first, first + count)
    images = np.zeros((count, *IMAGE), dtype=np.uint8)
    images[:, 0, 0, 0] = numbers % 256
    logits = np.stack([numbers, numbers + 0.5, -numbers], axis=1).astype(np.float64)
    return images, numbers % CLASSES, logits


# --- the buffer as a model of itself: a list of slots -----------------------------------------------------------------


@given(st.integers(1, 7), st.lists(st.integers(0, 6), max_size=6), own.generators())
def test_the_buffer_holds_what_the_slots_say(capacity, sizes, rng) -> None:
    buffer = new_buffer(capacity)
    expected: dict[int, tuple[int, int]] = {}
    presented = 0
    for task, size in enumerate(sizes, start=1):
        draws = np.array([rng.integers(0, presented + k + 1) for k in range(size)], dtype=np.int64)
        images, labels, logits = batch(presented, size)
        slots = buffer.add(images, labels, logits, task=task, rng=draws)
        wanted = [reservoir_slot(presented + k, capacity, int(draw)) for k, draw in enumerate(draws)]
        assert slots.tolist() == wanted
        expected |= {slot: (presented + k, task) for k, slot in enumerate(wanted) if slot != EMPTY}
        presented += size
        # Every presentation counts, stored or not.
        assert buffer.presented == presented
        assert len(buffer) == len(expected) == min(capacity, presented)
    content = buffer.content()
    numbers = [expected[slot][0] for slot in range(len(buffer))]
    assert content.labels.tolist() == [number % CLASSES for number in numbers]
    assert content.tasks.tolist() == [expected[slot][1] for slot in range(len(buffer))]
    assert content.images[:, 0, 0, 0].tolist() == [number % 256 for number in numbers]
    assert not content.images.reshape(len(buffer), 4)[:, 1:].any()
    assert content.logits.tolist() == [[n, n + 0.5, -n] for n in numbers]


def test_repeated_presentations_of_one_sample_count_too() -> None:
    buffer = new_buffer(2)
    images, labels, logits = batch(0, 3)
    for epoch in range(4):
        buffer.add(images, labels, logits + epoch, task=1, rng=np.random.default_rng(epoch))
    assert buffer.presented == 12
    # A draw of 11 must now be possible, and one of 12 for the next sample but no more.
    assert buffer.add(*batch(0, 1), task=1, rng=np.array([12])).tolist() == [EMPTY]
    with pytest.raises(ValueError, match=r"0\.\.13, got 14"):
        buffer.add(*batch(0, 1), task=1, rng=np.array([14]))


def test_generators_in_one_state_give_one_buffer() -> None:
    one, other = new_buffer(3), new_buffer(3)
    for buffer in (one, other):
        buffer.add(*batch(0, 40), task=1, rng=np.random.default_rng(4))
    np.testing.assert_equal(one.state(), other.state())


def test_the_order_of_a_batch_is_the_order_of_presentation() -> None:
    buffer = new_buffer(1)
    slots = buffer.add(*batch(0, 3), task=1, rng=np.array([0, 0, 0]))
    assert slots.tolist() == [0, 0, 0]
    assert buffer.content().labels.tolist() == [2]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_buffer_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 1 sample, got a size of 0"):
        new_buffer(0)


@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        (
            "images",
            np.zeros((3, 1, 2, 1), dtype=np.uint8),
            r"images must have shape \(3, 1, 2, 2\), got \(3, 1, 2, 1\)",
        ),
        ("images", np.zeros((2, 1, 2, 2), dtype=np.uint8), r"labels must have shape \(2,\), got \(3,\)"),
        ("labels", np.arange(4), r"labels must have shape \(3,\), got \(4,\)"),
        ("labels", np.array([0, 2, 3]), r"labels must lie in 0\.\.2, the classes of the head, got 3$"),
        ("labels", np.array([0, -1, 2]), r"labels must lie in 0\.\.2, the classes of the head, got -1$"),
        ("labels", np.array([0, 2**63, 2], dtype=np.uint64), r"labels must lie in .* got 9223372036854775808$"),
        ("logits", np.zeros((3, 1)), r"logits must have shape \(3, 3\), got \(3, 1\)"),
        ("draws", np.array([0, 1]), r"draws must have shape \(3,\), got \(2,\)"),
        ("draws", np.array([0, 1, 2, 3]), r"draws must have shape \(3,\), got \(4,\)"),
        ("draws", np.array([0, 1, 4]), r"the draw must lie in 0\.\.3, got 4"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(part, wrong, message) -> None:
    buffer = new_buffer(2)
    buffer.add(*batch(0, 1), task=1, rng=np.array([0]))
    before = buffer.state()
    images, labels, logits = batch(1, 3)
    arguments = {"images": images, "labels": labels, "logits": logits, "draws": np.array([0, 1, 2])} | {part: wrong}
    with pytest.raises(ValueError, match=message):
        buffer.add(arguments["images"], arguments["labels"], arguments["logits"], task=1, rng=arguments["draws"])
    np.testing.assert_equal(buffer.state(), before)


@pytest.mark.parametrize(
    ("part", "dtype"), [("images", np.float32), ("labels", np.float64), ("logits", np.float32), ("draws", np.float64)]
)
def test_other_dtypes_are_refused_not_converted(part, dtype) -> None:
    # A normalised image stored as bytes is a black image; nobody would notice.
    buffer = new_buffer(2)
    images, labels, logits = batch(0, 2)
    arguments = {"images": images, "labels": labels, "logits": logits, "draws": np.array([0, 1])}
    arguments[part] = arguments[part].astype(dtype)
    with pytest.raises(TypeError, match=rf"{part} must .* got dtype {np.dtype(dtype)}"):
        buffer.add(arguments["images"], arguments["labels"], arguments["logits"], task=1, rng=arguments["draws"])
    assert buffer.presented == 0


# --- drawing and reading ----------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(0, 12), st.integers(1, 12), own.generators())
def test_draw_gives_distinct_filled_slots_as_many_as_there_are(capacity, presented, count, rng) -> None:
    buffer = new_buffer(capacity)
    buffer.add(*batch(0, presented), task=1, rng=rng)
    before = buffer.state()
    slots = buffer.draw(count, rng)
    assert len(slots) == len(set(slots.tolist())) == min(count, len(buffer))
    assert all(0 <= slot < len(buffer) for slot in slots.tolist())
    np.testing.assert_equal(buffer.state(), before)


def test_draws_are_uniform_over_the_filled_slots() -> None:
    buffer, rng, trials = new_buffer(20), np.random.default_rng(8), 3000
    buffer.add(*batch(0, 9), task=1, rng=rng)
    counts = np.zeros(9)
    for _ in range(trials):
        counts[buffer.draw(4, rng)] += 1
    assert 0.001 < uniform_inclusion(counts, trials, drawn=4) < 0.999


def test_an_empty_buffer_has_no_content_and_gives_no_draw() -> None:
    buffer = new_buffer(3)
    assert len(buffer) == 0
    assert buffer.draw(4, np.random.default_rng(0)).tolist() == []
    content = buffer.content()
    assert content.images.shape == (0, *IMAGE)
    assert content.logits.shape == (0, CLASSES)
    assert len(content.labels) == len(content.tasks) == 0


def test_get_gives_copies_in_the_order_asked_for() -> None:
    buffer = new_buffer(5)
    buffer.add(*batch(0, 4), task=7, rng=np.random.default_rng(0))
    before = buffer.state()
    samples = buffer.get(np.array([3, 0, 3]))
    assert samples.logits[:, 0].tolist() == [3, 0, 3]
    assert samples.tasks.tolist() == [7, 7, 7]
    for array in (samples.images, samples.labels, samples.logits, samples.tasks):
        array[...] = 99
    np.testing.assert_equal(buffer.state(), before)


@pytest.mark.parametrize(("slots", "span"), [([0, 4], r"0\.\.4"), ([-1, 2], r"-1\.\.2"), ([7], r"7\.\.7")])
def test_empty_slots_and_slots_that_do_not_exist_are_refused(slots, span) -> None:
    buffer = new_buffer(5)
    buffer.add(*batch(0, 4), task=1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=rf"buffer slots must lie in 0\.\.3, got {span}"):
        buffer.get(np.array(slots))


def test_reading_an_empty_buffer_by_slot_says_that_it_is_empty() -> None:
    with pytest.raises(ValueError, match=r"the buffer is empty; there is no slot 0"):
        new_buffer(5).get(np.array([0]))


@pytest.mark.parametrize("slots", [np.array([True, False]), np.array([0.0, 1.5])])
def test_slots_that_are_no_integers_are_refused(slots) -> None:
    buffer = new_buffer(5)
    buffer.add(*batch(0, 4), task=1, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match=rf"slots must be integers, got dtype {slots.dtype}"):
        buffer.get(slots)


@given(own.dtypes())
def test_dtypes_are_those_asked_for(dtype) -> None:
    buffer = new_buffer(2, image_dtype=dtype, logits_dtype=dtype)
    images, labels, logits = batch(0, 2)
    buffer.add(images.astype(dtype), labels, logits.astype(dtype), task=1, rng=np.random.default_rng(0))
    content = buffer.content()
    assert (content.images.dtype, content.logits.dtype) == (dtype, dtype)
    assert content.labels.dtype == content.tasks.dtype == np.int64


def test_bytes_are_counted_for_all_slots() -> None:
    # Per slot: 4 bytes of image, 3 logits of 8 bytes, label and task of 8 bytes each.
    assert new_buffer(10).nbytes == 10 * (4 + 24 + 16)


@given(
    st.integers(1, 300), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 300), own.dtypes(),
    st.sampled_from([np.uint8, np.float32, np.float64]),
)  # fmt: skip
def test_the_bytes_it_says_are_those_of_its_arrays(capacity, image_shape, classes, logits_dtype, image_dtype) -> None:
    makings = {
        "image_shape": tuple(image_shape),
        "image_dtype": image_dtype,
        "classes": classes,
        "logits_dtype": logits_dtype,
    }
    buffer = ReservoirBuffer(capacity, **makings)
    arrays = [value for value in buffer.state().values() if isinstance(value, np.ndarray)]
    assert buffer.nbytes == sum(array.nbytes for array in arrays)
    assert arrays[0].shape == (capacity, *image_shape)


def test_a_buffer_that_no_memory_can_hold_is_refused_with_its_size() -> None:
    with pytest.raises(ValueError, match=r"^a buffer of 1000000000000000 samples takes 44,000,000,000,000,000 bytes"):
        new_buffer(10**15)


# --- state ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.integers(0, 9), st.integers(0, 9), own.seeds())
def test_state_restores_the_buffer_and_its_future(capacity, before, after, seed) -> None:
    source, target = new_buffer(capacity), new_buffer(capacity)
    source.add(*batch(0, before), task=1, rng=np.random.default_rng(seed))
    target.add(*batch(50, 3), task=9, rng=np.random.default_rng(1))
    state = source.state()
    target.load_state(state)
    np.testing.assert_equal(target.state(), state)
    for buffer in (source, target):
        buffer.add(*batch(before, after), task=2, rng=np.random.default_rng(seed + 1))
    np.testing.assert_equal(target.state(), source.state())


def test_state_shares_nothing_with_the_buffer() -> None:
    buffer = new_buffer(2)
    buffer.add(*batch(1, 2), task=1, rng=np.random.default_rng(0))
    state = buffer.state()
    other = new_buffer(2)
    other.load_state(state)
    kept = other.state()
    for name in ("images", "labels", "logits", "tasks"):
        state[name][...] = 77
    np.testing.assert_equal(buffer.state(), kept)
    np.testing.assert_equal(other.state(), kept)


def test_a_state_of_another_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the state holds 3 slots, this buffer has 2"):
        new_buffer(2).load_state(new_buffer(3).state())


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"images": np.zeros((2, 1, 1, 1), dtype=np.uint8)}, ValueError, r"images must have shape \(2, 1, 2, 2\), got"),
        ({"logits": np.zeros((2, 1))}, ValueError, r"logits must have shape \(2, 3\), got \(2, 1\)"),
        ({"logits": np.zeros((2, 3), dtype=np.float32)}, TypeError, "logits must have the buffer's dtype float64, got"),
        ({"labels": np.array([0, 3])}, ValueError, r"labels must lie in 0\.\.2"),
        ({"tasks": np.zeros(1, dtype=np.int64)}, ValueError, r"tasks must have shape \(2,\), got \(1,\)"),
        ({"presented": -1}, ValueError, "says that -1 samples were presented"),
        ({"tasks": None, "logits": None}, ValueError, "the state lacks logits, tasks$"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(changed, error, message) -> None:
    """NumPy would spread one image over all, and round logits."""
    buffer = new_buffer(2)
    buffer.add(*batch(1, 2), task=1, rng=np.random.default_rng(0))
    before, state = buffer.state(), {**new_buffer(2).state(), **changed}
    with pytest.raises(error, match=message):
        buffer.load_state({name: value for name, value in state.items() if value is not None})
    np.testing.assert_equal(buffer.state(), before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_more_is_counted_than_small_integers_hold(dtype) -> None:
    """Classes, presentations and tasks beyond 255 and 65,535, from labels and draws of few bits."""
    classes = int(np.iinfo(dtype).max) + 1
    shape = {"image_shape": (1,), "image_dtype": np.uint8, "classes": classes, "logits_dtype": np.float32}
    buffer = ReservoirBuffer(3, **shape)
    one = np.zeros((1, 1), np.uint8), np.array([classes - 1], dtype), np.zeros((1, classes), np.float32)
    buffer.presented = classes - 1
    assert buffer.add(*one, task=classes + 44, rng=np.array([classes - 1], dtype)).tolist() == [EMPTY]
    assert buffer.add(*one, task=classes + 44, rng=np.array([2], dtype)).tolist() == [2]
    assert buffer.presented == classes + 1
    content = buffer.content()
    assert (content.labels[2], content.tasks[2]) == (classes - 1, classes + 44)
    assert buffer.get(np.array([2], dtype)).tasks.tolist() == [classes + 44]


def test_samples_cannot_be_exchanged_piecewise() -> None:
    samples = new_buffer(2).content()
    assert isinstance(samples, Samples)
    with pytest.raises(AttributeError):
        samples.labels = np.zeros(1)
