"""Where a published data set is looked for, and which of several places is taken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams import DATASETS, files
from sparcl_ref.streams.dataset import mean_and_std
from sparcl_ref.streams.known import SAMPLE, TELLING, KnownDataset
from sparcl_ref.streams.npz import ARRAYS

SHAPE = (1, 2, 2)


def of(train_x, **changed):
    """A data set of two classes whose one file need not be read."""
    labels = np.arange(len(train_x)) % 2
    arrays = dict(zip(ARRAYS, (train_x, labels, train_x, labels), strict=True))
    facts = {
        "name": "toy",
        "title": "Toy",
        "origin": "here",
        "licence": "MIT",
        "train": 9999,
        "test": 9999,
        "input_shape": SHAPE,
        "classes": 2,
        "scale": 1 / 255,
        "mean": (0.5,),
        "std": (0.3,),
        "places": ("toy", "to*", "TOY/raw"),
        "files": lambda place: [place / "a", place / "b", place / "c"],
        "read": lambda found: arrays,
        "source": "buy-toy",
    }
    return KnownDataset(**(facts | changed))


TOY = of(np.arange(8, dtype=np.uint8).reshape(2, *SHAPE))


def fill(folder, *names, contents=b"1"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(contents)
    return folder


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """A user's data folder, and the system's."""
    own, system = fill(tmp_path / "own"), fill(tmp_path / "system")
    monkeypatch.setenv("SPARCL_REF_DATA", str(own))
    monkeypatch.setattr(files, "SYSTEM_FOLDER", system)
    return own, system


def test_find_takes_the_first_pattern_then_the_alphabet(roots):
    own, _ = roots
    for name in ("TOY/raw", "to-b", "to-a", "toy"):
        assert TOY(fill(own / name, "a", "b")).name == "toy"
        assert TOY.find() == own / name


def test_find_takes_the_place_with_most_of_the_files(roots):
    own, system = roots
    fill(own / "toy", "d")
    fill(own / "toy", "a", contents=b"")
    assert TOY.find() == own / "toy", "so that the error says which file is missing"
    fill(system / "toy", "a")
    assert TOY.find() == system / "toy"
    fill(own / "TOY" / "raw", "b")
    assert TOY.find() == own / "TOY" / "raw", "the user's own folder comes first"
    fill(own / "to-z", "a", "b")
    assert TOY.find() == own / "to-z"


@given(st.dictionaries(st.tuples(st.integers(0, 1), st.integers(0, 2)), st.sets(st.sampled_from("abc")), min_size=1))
def test_find_by_counting(tmp_path_factory, there):
    """``there``: which files lie in which place of which root; places in the order of the patterns."""
    roots = [tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("system")]
    places = {(root, place): roots[root] / ("toy", "to-b", "TOY/raw")[place] for root in (0, 1) for place in (0, 1, 2)}
    for key, names in there.items():
        fill(places[key], *names)
    # The first root with a file at all, else the first with a place; there the most files, else the first place.
    root = min([root for (root, _), names in there.items() if names] or [root for root, _ in there])
    best = max((key for key in there if key[0] == root), key=lambda key: (len(there[key]), -key[1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARCL_REF_DATA", str(roots[0]))
        patch.setattr(files, "SYSTEM_FOLDER", roots[1])
        assert TOY.find() == places[best]


def test_find_says_what_it_looked_for(roots, monkeypatch):
    with pytest.raises(
        ValueError,
        match=r"^toy: no toy or to\* or TOY/raw in .*own or .*system; let --data-dir or the environment variable "
        r"SPARCL_REF_DATA name the folder that contains it, or get it: buy-toy$",
    ):
        TOY.find()
    monkeypatch.delenv("SPARCL_REF_DATA")
    with pytest.raises(ValueError, match=r"^toy: no toy or to\* or TOY/raw in [^ ]*system; let --data-dir"):
        TOY.find()


def test_a_data_folder_that_is_the_data_sets_own_is_a_place(roots, monkeypatch):
    own, _ = roots
    monkeypatch.setenv("SPARCL_REF_DATA", str(fill(own / "toy", "a")))
    assert TOY.find() == own / "toy"
    monkeypatch.setenv("SPARCL_REF_DATA", str(fill(own / "TOY" / "raw", "a")))
    assert TOY.find() == own / "TOY" / "raw"
    monkeypatch.setenv("SPARCL_REF_DATA", str(fill(own / "other", "a")))
    with pytest.raises(ValueError, match=r"^toy: no toy"):
        TOY.find()


def test_an_excerpt_is_called_so():
    assert "is an excerpt here, 2 of 9,999 training and 2 of 9,999 test images" in TOY.remark(TOY("."))
    assert dataclasses.replace(TOY, train=2, test=2).remark(TOY(".")) == ""
    assert "2 of 2 training and 2 of 3 test" in dataclasses.replace(TOY, train=2, test=3).remark(TOY("."))


def test_a_row_says_what_and_where(roots, tmp_path):
    own, _ = roots
    what = ("toy", "9,999 + 9,999", "2", "MIT")
    assert TOY.row == (*what, "not found; buy-toy")
    fill(own / "toy", "a", "b")
    assert TOY.row == (*what, f"{own / 'toy'} (files are missing)")
    fill(own / "toy", "c")
    assert TOY.row == (*what, str(own / "toy"))
    assert dataclasses.replace(TOY, home=tmp_path).row == (*what, "in the package")


def test_what_comes_with_the_package_is_found_without_looking(roots, tmp_path):
    assert dataclasses.replace(TOY, home=tmp_path / "x").find() == tmp_path / "x"


def test_errors_name_the_place(tmp_path):
    with pytest.raises(ValueError, match=rf"^{tmp_path}: train_y must contain each of the classes 0\.\.2; class 2"):
        dataclasses.replace(TOY, classes=3)(tmp_path)
    with pytest.raises(ValueError, match=rf"^{tmp_path}: Toy has images of shape \(1, 2, 3\), these have \(1, 2, 2\)$"):
        dataclasses.replace(TOY, input_shape=(1, 2, 3))(tmp_path)
    for part in ("train", "test"):
        with pytest.raises(ValueError, match=rf"^{tmp_path}: Toy has 1 {part}(ing)? images, these are 2$"):
            dataclasses.replace(TOY, **{part: 1})(tmp_path)
    with pytest.raises(ValueError, match=rf"^{tmp_path}: train_x must be an array of uint8, float32 or float64, got"):
        of(np.zeros((2, *SHAPE), dtype=np.int16))(tmp_path)


@given(st.integers(-300, 300), st.sampled_from([2, TELLING - 1, TELLING, 4 * TELLING, SAMPLE, 3 * SAMPLE + 1]))
def test_images_are_told_by_their_mean_once_there_are_enough(tmp_path_factory, shift, count):
    images = np.random.default_rng(0).integers(90, 130, (count, *SHAPE)).astype(np.uint8)
    mean, std = mean_and_std(images, scale=1 / 255)
    known = of(images, mean=(mean[0] + shift / 1000,), std=std)
    # Every third image has the mean of all to a thousandth: 40 even values deviate by 0.05, the mean of 4,000 by 0.001.
    # For fewer images than the sample the tolerance grows as the deviation of a mean does: 100 have 0.03 * sqrt(10).
    tolerance = {TELLING: 95, 4 * TELLING: 47}.get(count, 30)
    if count >= TELLING and abs(shift) > tolerance + 2:
        with pytest.raises(
            ValueError, match=r": these are not the images of Toy: their mean and standard deviation are "
        ):
            known(tmp_path_factory.getbasetemp())
    elif count < TELLING or abs(shift) < tolerance - 2:
        assert known(tmp_path_factory.getbasetemp()).mean == known.mean


def test_every_data_set_of_the_package_says_what_it_is():
    for name, known in DATASETS.items():
        assert isinstance(known, KnownDataset)
        assert known.name == name
        assert known.title
        assert known.origin
        assert known.licence
        assert known.source
        assert len(known.mean) == len(known.std) == known.input_shape[0]
        assert known.places or known.home
