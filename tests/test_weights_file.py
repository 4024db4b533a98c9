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
        ({}, {"strange/fc1.bias": np.zeros(1)}, "cannot be loaded"),
        ({}, {"masks/fc2.weight": np.zeros(3, np.uint8)}, "mask of fc2.weight must be 8 bytes"),
        ({}, {"masks/nobody": np.zeros(3, np.uint8)}, "cannot be loaded"),
    ],
    ids=str,
)
def test_contents_that_do_not_fit_together_are_refused(saved, tmp_path, about, arrays, message) -> None:
    assert message in refusal(changed(saved, tmp_path / "w.npz", about=about, arrays=arrays))


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
