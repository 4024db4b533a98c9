"""Files of weights as anybody may have written, cut or changed them: refused in one line, or read to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcl_ref import Config, Learner, load
from sparcl_ref.experiment import build
from sparcl_ref.saved import save_weights
from sparcl_ref.streams import load_dataset

SMALL = Config(model="mlp", width=8, epochs=2, delta_k=2, batch_size=16, buffer_size=20, sparsity=0.5, ddr=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "one.npz"
    save_weights(path, build(SMALL, load_dataset("digits")))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ValueError, match=path.name) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_files_of_other_kinds_are_refused_with_their_reason(tmp_path, saved) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "foreign.npz", about=np.frombuffer(b'{"format": "mine"}', np.uint8))
    np.savez(tmp_path / "pickled.npz", about=np.array([{}], dtype=object))
    assert "no such file" in refusal(tmp_path / "none.npz").lower()
    assert "not an .npz file" in refusal(tmp_path / "text.npz")
    assert "pickled" in refusal(tmp_path / "pickled.npz")
    for name in ("other", "foreign"):
        assert "not weights that a run has written" in refusal(tmp_path / f"{name}.npz")
    with pytest.raises(ValueError, match="engine must be numpy or numba, got 'torch'"):
        load(saved, engine="torch")


def changed(saved: Path, path: Path, *, about: dict | None = None, arrays: dict | None = None) -> Path:
    with np.load(saved) as file:
        held = {name: file[name] for name in file.files}
    said = json.loads(bytes(held.pop("about"))) | (about or {})
    held = {name: array for name, array in (held | (arrays or {})).items() if array is not None}
    np.savez(path, about=np.frombuffer(json.dumps(said).encode(), np.uint8), **held)
    return path


@pytest.mark.parametrize(
    ("about", "arrays", "message"),
    [
        ({"version": 2}, {}, "weights of version 2, and this package reads 1"),
        ({"classes": "ten", "std": None}, {}, "damaged: classes, std missing or of another kind"),
        ({"model": "transformer"}, {}, "unknown model 'transformer'"),
        ({"width": 9}, {}, "must have shape"),
        ({"width": 10**9}, {}, "cannot be loaded"),
        ({"dtype": "int8"}, {}, "dtype int8"),
        ({"dtype": "float16"}, {}, "dtype float16"),
        ({"std": [0.0]}, {}, "divides by 0"),
        ({"mean": [0.0, 1.0]}, {}, "cannot be loaded"),
        ({"tasks": [[0, 1]]}, {}, "do not hold each class once"),
        ({"class_order": [0] * 10}, {}, "do not hold each class once"),
        ({"input_shape": [1, 8]}, {}, "cannot be loaded"),
        ({"image_dtype": "object"}, {}, "cannot be loaded"),
        ({}, {"weights/fc1.bias": None}, "lacks fc1.bias"),
        ({}, {"weights/fc1.bias": np.full(8, np.nan)}, "finite"),
        ({}, {"weights/extra": np.zeros(1)}, "unknown names extra"),
        ({}, {"strange/fc1.bias": np.zeros(1)}, "it has an array strange/fc1.bias, which no run writes"),
        ({}, {"masks/fc2.weight": np.zeros(3, np.uint8)}, "mask of fc2.weight must be 8 bytes"),
        ({}, {"masks/nobody": np.zeros(3, np.uint8)}, "it has a mask of nobody, and mlp has no such parameter"),
    ],
    ids=str,
)
def test_contents_that_do_not_fit_together_are_refused(saved, tmp_path, about, arrays, message) -> None:
    assert message in refusal(changed(saved, tmp_path / "w.npz", about=about, arrays=arrays))


@pytest.fixture(scope="module")
def of_tasks(tmp_path_factory) -> Path:
    """Weights with the networks of the first two tasks."""
    path = tmp_path_factory.mktemp("weights") / "tasks.npz"
    trainer = build(Config(method="packnet", model="mlp", width=8, epochs=1), load_dataset("digits"))
    while (trainer.cursor.due, trainer.cursor.task) != ("begin_task", 2):
        trainer.advance()
    save_weights(path, trainer)
    return path


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"tasks/1/classes": np.array([5, 6])}, "the network of task 1 is of classes [5, 6]"),
        ({"tasks/9/classes": np.array([0, 1])}, "the network of task 9 is of classes [0, 1]"),
        ({"tasks/first/classes": np.array([0, 1])}, "cannot be loaded"),
        ({"tasks/2/classes": None}, "the network of task 2 lacks its classes"),
        ({"tasks/2/strange/fc1.bias": np.zeros(8)}, "a task's network has no array 2/strange/fc1.bias"),
        ({"tasks/2/values": np.zeros(8)}, "a task's network has no array 2/values"),
        ({"tasks/2": np.zeros(8)}, "a task's network has no array 2"),
        ({"tasks/2/values/strange": np.zeros(8)}, "task 2: expected values of fc1.bias, fc2.bias, got "),
        ({"tasks/2/values/fc1.bias": np.zeros(1)}, "fc1.bias: what a task has of it must have shape (8,), got (1,)"),
        ({"tasks/2/values/fc1.bias": np.full(8, np.nan)}, "a task's network has a NaN or an infinity"),
        ({"tasks/2/values/fc1.bias": np.full(8, "a")}, "cannot be loaded"),
        ({"tasks/1/masks/fc2.weight": np.zeros(7, np.uint8)}, "the mask of fc2.weight must be 8 bytes, got (7,)"),
        ({"tasks/1/rows/linear.bias": None}, "the rows must be those of linear.bias, linear.weight"),
        ({"tasks/1/rows/linear.bias": np.zeros(1)}, "must have shape (2,), got (1,)"),
        ({"tasks/1/factors/fc2.weight": np.ones(3)}, "fc2.weight: what a task has of it must have shape"),
    ],
    ids=str,
)
def test_networks_of_tasks_that_do_not_fit_are_refused(of_tasks, tmp_path, arrays, message) -> None:
    assert message in refusal(changed(of_tasks, tmp_path / "w.npz", arrays=arrays))
    assert [*load(changed(of_tasks, tmp_path / "w.npz")).archive.tasks] == [1, 2]


def test_the_unchanged_file_passes_the_same_way(saved, tmp_path) -> None:
    assert isinstance(load(changed(saved, tmp_path / "w.npz")), Learner)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_refused_or_gives_the_same_weights(saved, tmp_path_factory, data) -> None:
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "w.npz"
    path.write_bytes(content)
    try:
        learner = load(path)
    except ValueError:
        refusal(path)
        return
    original = load(saved)
    assert learner.about == original.about
    for name, array in original.network.state_dict().items():
        assert learner.network.state_dict()[name].tobytes() == array.tobytes()


def test_the_head_of_a_method_that_decides_itself_is_its_own(of_tasks, saved) -> None:
    assert load(of_tasks).about["head"] == "own"
    assert load(saved).about["head"] == "single"
