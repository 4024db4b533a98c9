"""What a Dataset refuses, what it keeps, and how it normalises."""

from __future__ import annotations

import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams import Dataset
from sparcl_ref.streams import dataset as dataset_module
from sparcl_ref.streams.dataset import mean_and_std
from tests import strategies
from tests.helpers import assert_close

any_arrays = strategies.labelled_images(
    classes=st.integers(1, 5), dtype=st.sampled_from([np.uint8, np.float32, np.float64])
)


def arrays(dtype=np.float64, **changed):
    """A valid data set of three classes, two channels and 3x4 pixels, apart from what is changed."""
    rng = np.random.default_rng(0)
    labels = np.array([2, 0, 1, 1, 0, 2])
    base = {
        "train_x": rng.integers(0, 256, (6, 2, 3, 4)).astype(dtype),
        "train_y": labels,
        "test_x": rng.integers(0, 256, (6, 2, 3, 4)).astype(dtype),
        "test_y": labels[::-1].copy(),
    }
    return base | changed


def dataset(**changed):
    fields = {"name": "toy", "classes": 3, "scale": 0.5, "mean": (1.0, 2.0), "std": (3.0, 4.0)}
    return Dataset(**arrays() | fields | changed)


def with_value(value, index, dtype=np.float64):
    images = np.zeros((6, 2, 3, 4), dtype=dtype)
    images[index] = value
    return images


def made_of(**changed):
    return Dataset(name="toy", classes=3, scale=1.0, mean=(0.0, 0.0), std=(1.0, 1.0), **arrays(**changed))


@pytest.mark.parametrize("make", [lambda given: Dataset(name="toy", **given), lambda given: made_of(**given)])
def test_later_changes_of_the_callers_arrays_do_not_reach_it(make):
    given_arrays = arrays()
    # Read-only themselves, but with a view through which they change.
    views = {key: array[:] for key, array in given_arrays.items()}
    for array in given_arrays.values():
        array.flags.writeable = False
    before = {key: array.copy() for key, array in given_arrays.items()}
    made = make(given_arrays)
    assert made.input_shape == (2, 3, 4)
    for view in views.values():
        view[...] = 77
    for key, array in before.items():
        kept = getattr(made, key)
        np.testing.assert_array_equal(kept, array, strict=True)
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 0
    with pytest.raises(AttributeError):
        made.classes = 4


def test_later_changes_of_the_callers_mean_do_not_reach_it():
    mean = np.array([1.0, 2.0])
    toy = dataset(mean=mean, std=[3, 4])
    mean[0] = 77
    assert (toy.mean, toy.std) == ((1.0, 2.0), (3.0, 4.0))
    assert {type(value) for value in (*toy.mean, *toy.std)} == {float}


@st.composite
def views(draw, array):
    """The array by way of slices and transpositions, none of which copies, locked at some places."""
    for _ in range(draw(st.integers(0, 4))):
        how = draw(st.sampled_from(["reverse", "swap", "axis", "lock"]))
        if how == "reverse":
            array = array[::-1]
        elif how == "swap":
            array = array.transpose(0, 1, 3, 2)
        elif how == "axis":
            array = array[None][0]
        else:
            array = array[:]
            array.flags.writeable = False
    return array


@given(st.data(), st.sampled_from(["bytes", "bytearray", "owned", "read-only view of bytearray"]))
def test_memory_is_shared_if_and_only_if_nobody_can_change_it(data, kind):
    images = arrays(np.uint8)["train_x"]
    raw = images.tobytes()
    memory = {"bytes": raw, "bytearray": bytearray(raw)}.get(kind, memoryview(bytearray(raw)).toreadonly())
    owner = images if kind == "owned" else np.frombuffer(memory, np.uint8).reshape(images.shape)
    given_images = data.draw(views(owner))
    kept = made_of(train_x=given_images, test_x=given_images).train_x
    np.testing.assert_array_equal(kept, given_images, strict=True)
    assert np.shares_memory(kept, owner) == (kind == "bytes")
    assert not kept.flags.writeable


def test_what_nobody_can_change_is_not_copied(tmp_path):
    images = arrays()["train_x"]
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    raw = np.frombuffer(images.tobytes()).reshape(images.shape)
    for fixed in (mapped, mapped[::-1], mapped[::-1][::-1], raw, raw.reshape(6, 2, 4, 3).reshape(images.shape)):
        kept = made_of(train_x=fixed).train_x
        assert np.shares_memory(kept, fixed)
        assert type(kept) is np.ndarray
        assert not kept.flags.writeable
    for mode in ("r+", "c"):
        mapped = np.load(tmp_path / "images.npy", mmap_mode=mode)
        mapped.flags.writeable = False
        assert not np.shares_memory(made_of(train_x=mapped[:]).train_x, mapped)


@pytest.mark.parametrize("shape", [(32, 32, 3), (8, 9, 3), (28, 28, 1), (8, 8, 1), (40, 30, 4)])
def test_colours_last_are_refused_with_the_remedy(shape):
    images = np.random.default_rng(0).integers(0, 256, (6, *shape)).astype(np.uint8)
    shown = re.escape(str(images.shape))
    message = rf"^train_x has shape {shown}, which reads as \(N, H, W, C\); \(N, C, H, W\) is expected: (.*)$"
    with pytest.raises(ValueError, match=message) as caught:
        Dataset(name="toy", **arrays(train_x=images, test_x=images))
    remedy = re.match(message, str(caught.value))[1]
    given_again = eval(remedy, {"images": images})
    assert Dataset(name="toy", **arrays(train_x=given_again, test_x=given_again)).input_shape[0] == shape[-1]


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 32, 32), (16, 50, 1), (3, 8, 3), (7, 7, 3), (1, 1, 1), (2, 9, 1), (64, 4, 4)]
)
def test_few_columns_alone_are_no_colours(shape):
    images = np.random.default_rng(0).integers(0, 256, (6, *shape)).astype(np.uint8)
    assert Dataset(name="toy", **arrays(train_x=images, test_x=images)).input_shape == shape


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_x": [1, 2]}, "^train_x must be a NumPy array, got list$"),
        ({"test_y": (1, 2)}, "^test_y must be a NumPy array, got tuple$"),
        ({"train_x": np.ma.zeros((6, 2, 3, 4))}, "^train_x must be a NumPy array, got MaskedArray$"),
        ({"train_x": np.zeros((6, 2, 3, 4), dtype=np.int8)}, "^train_x must be an array of uint8, .* got dtype int8$"),
        ({"test_x": np.zeros((6, 2, 3, 4), dtype=np.float16)}, "^test_x .* got dtype float16$"),
        ({"test_y": np.zeros(6, dtype=np.float32)}, "^test_y must be an array of integers, got dtype float32$"),
        ({"mean": 0.5}, r"^mean must be numbers, one for each channel, such as \(0\.5,\); got 0\.5$"),
        ({"std": ("1", "x")}, r"^std must be numbers, .*; got \('1', 'x'\)$"),
        ({"std": np.ones((2, 2))}, "^std must be numbers, "),
        ({"test_x": np.zeros((6, 2, 3, 4), dtype=np.uint8)}, "one dtype, .* got float64 and uint8$"),
    ],
)
def test_wrong_types_are_refused(changed, message):
    with pytest.raises(TypeError, match=message):
        dataset(**changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"train_x": np.zeros((6, 8))},
            r"^train_x must have shape \(N, C, H, W\) .* got \(6, 8\); .*reshape\(-1, C, H, W\)$",
        ),
        ({"train_x": np.zeros((6, 8, 8))}, r"^train_x must have shape .* got \(6, 8, 8\); add C: images\[:, None\]$"),
        ({"test_x": np.zeros((0, 2, 3, 4))}, r"^test_x must have shape .* got \(0, 2, 3, 4\)$"),
        ({"test_x": np.zeros((6, 2, 3, 5))}, r"one shape \(C, H, W\), got \(2, 3, 4\) and \(2, 3, 5\)$"),
        ({"train_y": np.zeros(5, dtype=np.int64)}, r"^train_y must have shape \(6,\), .* got \(5,\)$"),
        (
            {"test_y": np.zeros((6, 1), dtype=np.int64)},
            r"^test_y must have shape \(6,\), .* got \(6, 1\); take labels\[:, 0\]$",
        ),
        ({"test_y": np.zeros((6, 3), dtype=np.int64)}, r"^test_y must have shape \(6,\), .* got \(6, 3\)$"),
        ({"train_y": np.array([0, 1, 2, 3, 0, 1])}, r"^train_y must be in 0\.\.2, .* got 3 at index 3$"),
        ({"test_y": np.array([0, 1, 2, 2, 0, -1])}, r"^test_y must be in 0\.\.2, .* got -1 at index 5$"),
        ({"train_y": np.array([0, 2, 0, 2, 0, 2])}, r"^train_y must contain .* 0\.\.2; class 1 is absent$"),
        ({"test_y": np.array([1, 0, 1, 0, 1, 0])}, r"^test_y must contain .* class 2 is absent$"),
        ({"train_x": with_value(np.nan, (3, 1, 0, 2))}, r"^train_x has the value nan at index \(3, 1, 0, 2\)"),
        ({"test_x": with_value(np.inf, (0, 0, 2, 3))}, r"^test_x has the value inf at index \(0, 0, 2, 3\)"),
        ({"test_x": with_value(-np.inf, (5, 1, 2, 3))}, r"^test_x has the value -inf at index \(5, 1, 2, 3\)"),
        ({"mean": (1.0,)}, r"^mean and std must have one value for each of 2 channels, got mean \(1.0,\)"),
        ({"std": (1.0, 1.0, 1.0)}, "^mean and std must have one value for each of 2 channels"),
        ({"std": (1.0, 0.0)}, r"must be positive, .* std \(1\.0, 0\.0\)$"),
        ({"scale": 0.0}, "must be positive, .* got scale 0.0"),
        ({"scale": np.inf}, "all finite; got scale inf"),
        ({"mean": (0.0, np.nan)}, "all finite"),
    ],
)
def test_wrong_values_are_refused(changed, message):
    with pytest.raises(ValueError, match=message) as caught:
        dataset(**changed)
    assert "\n" not in str(caught.value)


def test_the_first_of_several_bad_values_is_named():
    images = with_value(np.nan, (4, 0, 0, 0))
    images[2, 1, 1, 1] = np.inf
    with pytest.raises(ValueError, match=r"inf at index \(2, 1, 1, 1\)"):
        dataset(train_x=images)


@given(any_arrays, strategies.dtypes())
def test_normalise_is_the_formula_in_the_dtype_asked_for(images, dtype):
    toy = Dataset(name="toy", **images)
    before = images["test_x"].copy()
    got = toy.normalise(images["test_x"], dtype)
    assert got.dtype == dtype
    expected = np.empty(before.shape)
    for n, c, h, w in np.ndindex(before.shape):
        expected[n, c, h, w] = (float(before[n, c, h, w]) * toy.scale - toy.mean[c]) / toy.std[c]
    # Three roundings, of operands that are at most as large as 1 / std and mean / std.
    size = (abs(before).max() * toy.scale + max(map(abs, toy.mean))) / min(toy.std)
    assert_close(got, expected, call="normalise", rtol=0, atol=4 * np.finfo(dtype).eps * size)
    np.testing.assert_array_equal(images["test_x"], before, strict=True)


@given(any_arrays)
def test_the_normalised_training_set_has_mean_0_and_variance_1(images):
    toy = Dataset(name="toy", **images)
    values = toy.normalise(toy.train_x, np.float64)
    # The inputs are at most some hundred deviations from 0, and float64 has sixteen digits.
    assert_close(values.mean(axis=(0, 2, 3)), np.zeros(toy.input_shape[0]), call="mean", atol=1e-12)
    assert_close(values.var(axis=(0, 2, 3)), np.ones(toy.input_shape[0]), call="variance", rtol=1e-11)


def test_normalise_refuses_other_shapes_and_dtypes():
    toy = dataset()
    for shape in ((2, 3, 4), (1, 2, 4, 3), (1, 1, 3, 4)):
        with pytest.raises(ValueError, match=r"toy: expected images of shape \(N, 2, 3, 4\), got "):
            toy.normalise(np.zeros(shape), np.float64)
    with pytest.raises(TypeError, match="toy: images are normalised to float32 or float64, got float16"):
        toy.normalise(np.zeros((1, 2, 3, 4)), np.float16)
    assert toy.normalise(np.zeros((0, 2, 3, 4))).dtype == np.float32


@given(strategies.labelled_images(classes=2))
def test_mean_and_std_of_bytes_are_exact(images):
    mean, std = mean_and_std(images["train_x"], scale=0.25)
    for c, (got_mean, got_std) in enumerate(zip(mean, std, strict=True)):
        values = [Fraction(int(value)) for value in images["train_x"][:, c].ravel()]
        exact = sum(values) / len(values)
        variance = sum((value - exact) ** 2 for value in values) / len(values)
        assert got_mean == float(exact) * 0.25
        assert got_std == float(variance) ** 0.5 * 0.25


@given(strategies.labelled_images(classes=2, dtype=strategies.dtypes()))
def test_mean_and_std_of_floats(images):
    mean, std = mean_and_std(images["train_x"], scale=2.0)
    values = images["train_x"].astype(np.float64)
    centred = values - values.mean(axis=(0, 2, 3), keepdims=True)
    # Sums of some hundred terms of size 1.
    assert_close(mean, 2 * values.mean(axis=(0, 2, 3)), call="mean", atol=1e-13)
    assert_close(std, 2 * np.sqrt((centred**2).mean(axis=(0, 2, 3))), call="std", rtol=1e-12)


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 7), (np.float64, 0.1), (np.float32, -0.5)])
def test_a_constant_channel_is_refused(dtype, value):
    images = arrays(dtype)["train_x"]
    images[:, 1] = value
    with pytest.raises(ValueError, match=f"^channel 1 of train_x is {value} everywhere; remove it"):
        mean_and_std(images, scale=1.0)


def test_values_too_large_for_a_variance_are_refused_without_a_warning():
    images = with_value(1e300, (0, slice(None), 0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="all finite"):
            Dataset(name="toy", **arrays(train_x=images))


@given(any_arrays)
def test_dataset_fills_in_classes_and_scale(images):
    toy = Dataset(name="toy", **images)
    assert toy.classes == len(set(images["train_y"].tolist()))
    assert toy.scale == (1 / 255 if images["train_x"].dtype == np.uint8 else 1.0)
    assert (toy.mean, toy.std) == mean_and_std(images["train_x"], scale=toy.scale)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
def test_dataset_takes_labels_of_any_integer_dtype(dtype):
    base = arrays()
    for key in ("train_y", "test_y"):
        base[key] = base[key].astype(dtype)
    toy = Dataset(name="toy", **base)
    assert toy.train_y.dtype == toy.test_y.dtype == np.int64
    assert toy.train_y.tolist() == [2, 0, 1, 1, 0, 2]


@pytest.mark.parametrize("key", ["train_y", "test_y"])
@pytest.mark.parametrize("dtype", [np.float64, bool])
def test_dataset_refuses_labels_that_are_no_integers(key, dtype):
    with pytest.raises(TypeError, match=f"^{key} must be an array of integers, got dtype "):
        Dataset(name="toy", **arrays(**{key: np.zeros(6, dtype=dtype)}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"train_y": np.array([0, 2, 10**15, 0, 0, 0])},
            r"^train_y must contain each of the classes 0\.\.1000000000000000; class 1 is absent; "
            r"renumber the 3 classes: numpy\.unique",
        ),
        (
            {"train_y": np.array([0, 1, 2, 2**63, 1, 0], dtype=np.uint64)},
            r"0\.\.9223372036854775808; class 3 is absent; renum",
        ),
        ({"train_y": np.array([1, 2, 3, 1, 2, 3])}, r"0\.\.3; class 0 is absent; renumber the 3"),
        ({"train_y": np.array([0, 1, 2, -1, 0, 0])}, r"^train_y must be in 0\.\.2, .* got -1 at index 3$"),
        ({"train_y": np.array([-1] * 6)}, r"^train_y must be in 0\.\.0, .* got -1 at index 0$"),
        ({"train_y": np.eye(6, 3, dtype=int)}, r"^train_y must have shape \(6,\), .* got \(6, 3\)$"),
        ({"test_y": np.eye(6, 1, dtype=int)}, r"^test_y must have shape \(6,\), .* got \(6, 1\); take labels\[:, 0\]$"),
        ({"test_y": np.array(1)}, r"^test_y must have shape \(6,\), .* got \(\)$"),
        (
            {"test_y": np.array([0, 1, 2, 2**63, 1, 0], dtype=np.uint64)},
            r"^test_y must be in .* got 9223372036854775808 at",
        ),
        ({"train_y": np.zeros(0, dtype=np.int64)}, r"^train_y must have shape \(6,\), .* got \(0,\)"),
        ({"train_y": np.array([0, 1, 0, 1, 0, 1])}, r"^test_y must be in 0\.\.1, the training labels; got 2"),
    ],
)
def test_dataset_says_what_is_wrong_with_labels(changed, message):
    with pytest.raises(ValueError, match=message):
        Dataset(name="toy", **arrays(**changed))


@given(st.integers(257, 400), st.sampled_from([np.uint16, np.int16, np.uint64]))
def test_more_classes_than_a_byte_counts(classes, dtype):
    labels = np.random.default_rng(0).permutation(np.arange(2 * classes) % classes).astype(dtype)
    images = np.arange(2 * classes, dtype=np.float64).reshape(-1, 1, 1, 1)
    toy = Dataset(name="toy", train_x=images, train_y=labels, test_x=images, test_y=labels)
    assert toy.classes == classes
    assert toy.test_y.tolist() == [int(label) for label in labels]


def test_bytes_are_counted_beyond_what_two_bytes_hold():
    images = np.zeros((70_001, 1, 1, 1), dtype=np.uint8)
    images[:3] = 255
    (mean,), (std,) = mean_and_std(images, scale=1.0)
    share = Fraction(3, 70_001)
    assert mean == float(255 * share)
    assert std == float(255**2 * share * (1 - share)) ** 0.5


@given(any_arrays)
def test_four_arrays_are_a_data_set(images):
    toy = Dataset(images["train_x"], images["train_y"], images["test_x"], images["test_y"])
    assert toy.name == "arrays"
    for key, array in images.items():
        np.testing.assert_array_equal(getattr(toy, key), array, strict=True)


def test_the_earlier_way_is_understood():
    old, new = Dataset.from_arrays("toy", **arrays()), Dataset(name="toy", **arrays())
    assert (old.name, old.mean, old.classes) == (new.name, new.mean, new.classes)
    np.testing.assert_array_equal(old.train_x, new.train_x, strict=True)


def test_what_is_given_is_not_computed():
    toy = Dataset(**arrays(np.uint8), scale=0.5)
    assert toy.scale == 0.5
    assert (toy.mean, toy.std) == mean_and_std(toy.train_x, scale=0.5)
    constant = np.full((6, 2, 3, 4), 7, dtype=np.uint8)
    assert Dataset(**arrays(train_x=constant, test_x=constant), mean=(7, 7), std=(1, 1)).mean == (7.0, 7.0)
    for half in ({"mean": (0.0, 0.0)}, {"std": (1.0, 1.0)}):
        with pytest.raises(ValueError, match=r"^mean and std go together; give both or neither$"):
            Dataset(**arrays(), **half)


@given(st.data(), st.sampled_from([np.uint8, np.float32, np.float64]), st.integers(1, 5))
def test_blocks_of_images_make_no_difference(data, dtype, block):
    n = data.draw(st.integers(2, 12))
    images = np.random.default_rng(data.draw(strategies.seeds())).integers(0, 256, (n, 2, 2, 3)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_module, "BLOCK", block)
        mean, std = mean_and_std(images, scale=0.5)
        wide = images.astype(np.float64)
        # Sums of 72 values below 256 in float64: an error of 72 * 2**-53 relative to them.
        assert_close(np.array(mean), 0.5 * wide.mean(axis=(0, 2, 3)), call="mean", rtol=1e-13, atol=0)
        assert_close(np.array(std), 0.5 * wide.std(axis=(0, 2, 3)), call="std", rtol=1e-12, atol=1e-12)
        if dtype != np.uint8:
            place = data.draw(st.integers(0, n - 1))
            images[place, 1, 0, 2] = np.nan
            with pytest.raises(ValueError, match=rf"train_x has the value nan at index \({place}, 1, 0, 2\)"):
                Dataset(images, np.zeros(n, dtype=int), images, np.zeros(n, dtype=int))
