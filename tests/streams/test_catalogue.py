"""Data sets by name, from inside and outside the package, and by the path of a file."""

from __future__ import annotations

import os

import numpy as np
import pytest

from sparcl_ref import Config, build, flops, run
from sparcl_ref.streams import DATASETS, Dataset, load_dataset, register
from sparcl_ref.streams.catalogue import catalogue_text
from tests.streams.conftest import EXCERPT
from tests.streams.test_dataset import arrays, with_value


def toy():
    """A data set from outside the package."""
    return Dataset(name="toy", **arrays())


@pytest.fixture
def registered():
    """`toy`, known by name for the length of a test."""
    assert register("toy", toy) is toy
    yield
    del DATASETS.added["toy"]


def test_a_data_set_from_outside_is_known_by_name(registered):
    assert load_dataset("toy").input_shape == (2, 3, 4)
    assert list(DATASETS) == ["digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "cifar100-coarse", "toy"]
    with pytest.raises(
        ValueError, match=r"^data set 'toi': give one of digits, .*, toy, or the path of an \.npz file; "
    ):
        load_dataset("toi")


def test_the_catalogue_has_a_row_for_each(registered, monkeypatch):
    monkeypatch.setenv("SPARCL_REF_DATA", str(EXCERPT))
    header, *rows = catalogue_text().splitlines()
    assert header.split("  ")[0] == "data set"
    assert [row.split()[0] for row in rows] == list(DATASETS)
    by_name = {row.split()[0]: row for row in rows}
    assert by_name["fashion-mnist"].endswith(str(EXCERPT / "fashion-mnist"))
    assert "60,000 + 10,000" in by_name["fashion-mnist"]
    assert "MIT" in by_name["fashion-mnist"]
    assert "not found; https://" in by_name["cifar10"]
    assert by_name["toy"].endswith("registered")
    monkeypatch.setenv("SPARCL_REF_DATA", str(EXCERPT / "gone"))
    assert "apt-get install dataset-fashion-mnist" in catalogue_text(), "a wrong variable does not hide the list"


def test_commands_look_in_the_data_dir_first(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    assert run.main(["--list", "--data-dir", str(EXCERPT)]) == 0
    assert str(EXCERPT / "fashion-mnist") in capsys.readouterr().out
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    assert flops.main(["--no-time", "--dataset", "fashion-mnist", "--data-dir", str(EXCERPT)]) == 0
    assert "5 task(s) of 480, 495, 500, 505, 520 samples" in capsys.readouterr().out
    for main in (run.main, flops.main):
        with pytest.raises(SystemExit) as caught:
            main(["--data-dir", str(tmp_path / "gone")])
        assert caught.value.code == 2
        err = capsys.readouterr().err
        assert "argument --data-dir: there is no folder" in err
        assert err.count("\n") == 1


def test_a_run_finds_a_data_set_from_outside(registered):
    trainer = build(
        Config(dataset="toy", classes_per_task=1, model="mlp", width=4, method="er", epochs=1, batch_size=2)
    )
    assert trainer.stream.dataset.name == "toy"
    assert [task.classes for task in trainer.stream.tasks] == [(0,), (1,), (2,)]


def test_a_registration_that_cannot_work_is_refused(registered):
    with pytest.raises(TypeError, match=r"^data set 'mine': register a function that returns a Dataset, got Dataset$"):
        register("mine", toy())
    with pytest.raises(ValueError, match=r"^there is a data set named 'digits' already; choose another name$"):
        register("digits", toy)
    register("toy", toy)  # twice the same is no conflict
    register("none of ours", lambda: 3)
    try:
        with pytest.raises(ValueError, match=r"^data set 'none of ours': its loader returned int, not a Dataset$"):
            load_dataset("none of ours")
    finally:
        del DATASETS.added["none of ours"]


def test_a_name_comes_before_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "digits", **arrays())
    (tmp_path / "digits.npz").rename(tmp_path / "digits")
    assert load_dataset("digits").input_shape == (1, 8, 8)
    assert load_dataset("./digits").input_shape == load_dataset(tmp_path / "digits").input_shape == (2, 3, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_load_dataset_reads_a_users_file(tmp_path, dtype, as_path):
    expected = arrays(dtype)
    np.savez(tmp_path / "mine.npz", **expected)
    loaded = load_dataset(as_path(tmp_path / "mine.npz"))
    assert (loaded.name, loaded.classes) == ("mine", 3)
    for key, array in expected.items():
        np.testing.assert_array_equal(getattr(loaded, key), array, strict=True)


def test_load_dataset_names_the_file_in_every_error(tmp_path):
    path = tmp_path / "mine.npz"
    cases = [
        (arrays(train_x=with_value(np.nan, (1, 0, 2, 0))), r"train_x has the value nan at index \(1, 0, 2, 0\)"),
        (arrays(train_x=np.zeros((6, 24))), r"train_x must have shape \(N, C, H, W\)"),
        (arrays(train_x=np.zeros((6, 2, 3, 4), dtype=int)), "train_x must be an array of uint8"),
        (arrays(test_y=np.zeros(6)), "test_y must be an array of integers"),
        ({"train_x": np.zeros(1)}, "expected arrays named .*; missing: train_y, test_x, test_y"),
        (arrays(train_y=np.array([None] * 6)), "cannot be read as arrays of numbers"),
    ]
    for contents, message in cases:
        np.savez(path, **contents)
        with pytest.raises(ValueError, match=message) as caught:
            load_dataset(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_load_dataset_reads_keras_names(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8), (np.arange(20) % 10).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    loaded = load_dataset(tmp_path / "mnist.npz")
    # A name of its own, and the normalisation of its own images: they may be anybody's.
    assert (loaded.name, loaded.input_shape, loaded.classes) == ("mnist.npz", (1, 28, 28), 10)
    assert loaded.mean == pytest.approx((images.mean() / 255,), rel=1e-12)


def test_load_dataset_finds_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "mine.npz", **arrays())
    assert load_dataset("~/mine.npz").name == "mine"


def test_load_dataset_says_why_there_is_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name, reason in {
        "digit": "there is no such file; did you mean 'digits'?",
        str(tmp_path / "mine.npz"): "there is no such file",
        "": "this name is empty",
        ".": "it is a folder",
        str(tmp_path): "it is a folder",
        "/dev/null": "it is a device, pipe or socket",
        "pipe": "it is a device, pipe or socket",
        "x" * 300: "File name too long",
        "a\0b": "embedded null byte",
    }.items():
        with pytest.raises(ValueError, match="give one of") as caught:
            load_dataset(name)
        names = "digits, mnist, fashion-mnist, cifar10, cifar100, cifar100-coarse"
        assert str(caught.value) == f"data set {name!r}: give one of {names}, or the path of an .npz file; {reason}"


@pytest.mark.parametrize("thing", [None, 3, b"digits", ["digits"], toy])
def test_load_dataset_takes_names_and_paths_only(thing):
    with pytest.raises(TypeError, match=f"^a data set is loaded by its name or path, got {type(thing).__name__}$"):
        load_dataset(thing)


def test_load_dataset_knows_the_digits():
    assert load_dataset("digits").name == "digits"
