"""CIFAR-100 as its files are laid out: no image of it is here, so they are written byte by byte."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sparcl_ref import Config, build
from sparcl_ref.streams import load_dataset
from sparcl_ref.streams.cifar100 import CIFAR100, CIFAR100_COARSE

TRAIN, TEST = 200, 100


def records(count, seed):
    """Images of about the real ones' mean and deviation, fine labels, and a coarse label for each group of five."""
    rng = np.random.default_rng(seed)
    rows = np.clip(rng.normal(122, 68, (count, 3072)), 0, 255).astype(np.uint8)
    fine = rng.permutation(np.arange(count) % 100)
    return rows, fine, fine // 5


def as_binary(rows, fine, coarse):
    return b"".join(bytes([c, f]) + row.tobytes() for row, f, c in zip(rows, fine, coarse, strict=True))


def as_python(rows, fine, coarse):
    return pickle.dumps(
        {
            b"filenames": [b"a.png"] * len(rows),
            b"batch_label": b"training batch 1 of 1",
            b"fine_labels": fine.tolist(),
            b"coarse_labels": coarse.tolist(),
            b"data": rows,
        },
        protocol=2,
    )


#: Layout by who leaves it: folder, writer, ending.
LAYOUTS = {
    "binary version": ("cifar-100-binary", as_binary, ".bin"),
    "Python version, torchvision": ("cifar-100-python", as_python, ""),
    "Keras 3": ("cifar-100-python-target/cifar-100-python", as_python, ""),
}


@pytest.fixture
def parts():
    return {"train": records(TRAIN, 0), "test": records(TEST, 1)}


def write(folder, parts, writer, ending):
    folder.mkdir(parents=True)
    for name, arrays in parts.items():
        (folder / f"{name}{ending}").write_bytes(writer(*arrays))


@pytest.mark.parametrize(("place", "writer", "ending"), LAYOUTS.values(), ids=LAYOUTS)
def test_both_kinds_of_labels_are_read_from_every_layout(tmp_path, monkeypatch, parts, place, writer, ending):
    write(tmp_path / place, parts, writer, ending)
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    for name, classes, column in (("cifar100", 100, 1), ("cifar100-coarse", 20, 2)):
        cifar = load_dataset(name)
        assert (cifar.name, cifar.classes, cifar.input_shape) == (name, classes, (3, 32, 32))
        for part in ("train", "test"):
            images, labels = getattr(cifar, f"{part}_x"), getattr(cifar, f"{part}_y")
            np.testing.assert_array_equal(images.reshape(-1, 3072), parts[part][0], strict=True)
            assert labels.tolist() == parts[part][column].tolist()


def test_twenty_tasks_of_five_classes(tmp_path, parts):
    write(tmp_path / "c", parts, as_binary, ".bin")
    config = Config(
        dataset="cifar100",
        classes_per_task=5,
        model="mlp",
        width=4,
        method="er",
        epochs=1,
        batch_size=5,
        engine="numpy",
    )
    stream = build(config, CIFAR100(tmp_path / "c")).stream
    assert [task.classes for task in stream.tasks] == [tuple(range(n, n + 5)) for n in range(0, 100, 5)]
    assert {len(task.train_index) for task in stream.tasks} == {TRAIN // 20}


@pytest.mark.parametrize(("known", "labels"), [(CIFAR100, r"0\.\.99"), (CIFAR100_COARSE, r"0\.\.19")])
def test_labels_that_there_are_not_are_refused(tmp_path, parts, known, labels):
    rows, fine, coarse = parts["test"]
    for folder, writer, ending in (("b", as_binary, ".bin"), ("p", as_python, "")):
        write(tmp_path / folder, parts, writer, ending)
        (tmp_path / folder / f"test{ending}").write_bytes(writer(rows, fine + 1, coarse + 1))
        with pytest.raises(ValueError, match=rf"test{ending}: .*{labels}"):
            known(tmp_path / folder)


def test_cifar10_files_are_no_cifar100(tmp_path, parts):
    rows, fine, _ = parts["train"]
    (tmp_path / "train.bin").write_bytes(
        b"".join(bytes([f % 10]) + row.tobytes() for row, f in zip(rows, fine, strict=True))
    )
    with pytest.raises(ValueError, match=r"train\.bin: \d+ bytes are not a whole number of records of 3074; fetch it"):
        CIFAR100(tmp_path)
