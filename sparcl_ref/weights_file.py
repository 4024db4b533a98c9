"""Trained weights as a file: an .npz archive without pickle.

``about`` is JSON in UTF-8, ``weights/NAME`` the network's `state_dict` under PyTorch's names, ``masks/NAME`` the living
entries of a masked parameter as packed bits, ``tasks/...`` what `Archive.arrays` gives.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.methods.archive import Archive
from sparcl_ref.models import MODELS, Network
from sparcl_ref.streams.npz import read_npz
from sparcl_ref.text import one_line

FORMAT, VERSION = "weights of sparcl_ref", 1
#: What ``about`` must have to be loaded, and of which kind.
REQUIRED: dict[str, type] = {
    "name": str, "model": str, "dtype": str, "image_dtype": str, "classes": int, "input_shape": list, "tasks": list,
    "class_order": list, "scale": float, "mean": list, "std": list, "own_predict": bool,
}  # fmt: skip


def encoded(about: Mapping[str, Any], network: Network, archive: Archive | None = None) -> bytes:
    """The file of a network, of what is said about it in JSON values, and of tasks' networks within it."""
    said = {"format": FORMAT, "version": VERSION, **about}
    arrays = {"about": np.frombuffer(json.dumps(said).encode(), np.uint8)}
    arrays |= {f"weights/{name}": array for name, array in network.state_dict().items()}
    masks = {parameter.name: parameter.mask for parameter in network.parameters()}
    arrays |= {f"masks/{name}": np.packbits(mask) for name, mask in masks.items() if mask is not None}
    if archive is not None:
        arrays |= {f"tasks/{name}": array for name, array in archive.arrays().items()}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def decoded(path: Path) -> tuple[dict[str, Any], Network, Archive | None]:
    """What `encoded` was given, from a file that anybody may have written.

    Raises
    ------
    ValueError
        In one line with the file's name: if it cannot be read, is damaged, is no file of this kind or version, or needs
        a model that nobody has registered.
    """
    arrays = read_npz(path)
    try:
        about = json.loads(bytes(arrays.pop("about")))
        if about.pop("format") != FORMAT:
            raise ValueError("another format")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not weights that a run has written; take one of DIR/weights/*.npz") from error
    if (version := about.pop("version", None)) != VERSION:
        raise ValueError(f"{path}: weights of version {version}, and this package reads {VERSION}")
    if wrong := [key for key, kind in REQUIRED.items() if type(about.get(key)) is not kind]:
        raise ValueError(f"{path}: damaged: {', '.join(wrong)} missing or of another kind")
    try:
        return about, *_networks(about, arrays)
    except Exception as error:  # a file may be wrong in any way
        raise ValueError(f"{path}: cannot be loaded ({one_line(error)})") from error


def _networks(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> tuple[Network, Archive | None]:
    """The network that a file describes, and those of tasks.

    Arrays are set before any is touched, so that a wrong size costs no memory.
    """
    every = list(range(about["classes"]))
    each_once = sorted(itertools.chain(*about["tasks"])) == every
    shared = all(sorted(classes) == every for classes in about["tasks"])  # as where tasks differ in their images
    if sorted(about["class_order"]) != every or not (each_once or shared):
        raise ValueError("class order and tasks do not hold each class once")
    if np.dtype(about["dtype"]) not in (np.float32, np.float64):
        raise ValueError(f"dtype {about['dtype']}")
    if not np.isfinite([about["scale"], *about["mean"], *about["std"]]).all() or min(about["std"]) <= 0:
        raise ValueError("its normalisation is not finite or divides by 0")
    extra = {} if about.get("width") is None else {"width": about["width"]}
    shape, dtype = tuple(about["input_shape"]), np.dtype(about["dtype"])
    network = MODELS.find(about["model"])(input_shape=shape, classes=about["classes"], dtype=dtype, **extra)
    parts: dict[str, dict[str, np.ndarray]] = {"weights": {}, "masks": {}, "tasks": {}}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        if part not in parts:
            raise ValueError(f"it has an array {key}, which no run writes")
        parts[part][name] = array
    network.load_state_dict(parts["weights"])
    parameters = {parameter.name: parameter for parameter in network.parameters()}
    for name, bits in parts["masks"].items():
        if name not in parameters:
            raise ValueError(f"it has a mask of {name}, and {network.name} has no such parameter")
        parameter = parameters[name]
        size = parameter.value.size
        if bits.dtype != np.uint8 or bits.shape != (-(-size // 8),):
            raise ValueError(f"the mask of {name} must be {-(-size // 8)} bytes, got {bits.shape} of {bits.dtype}")
        parameter.set_mask(np.unpackbits(bits, count=size).astype(bool).reshape(parameter.value.shape))
    if not parts["tasks"]:
        return network, None
    if not all(np.isfinite(array).all() for array in parts["tasks"].values()):
        raise ValueError("a task's network has a NaN or an infinity")
    archive = Archive()
    archive.load_arrays(parts["tasks"])
    known = dict(enumerate(about["tasks"], start=1))
    for task, kept in archive.tasks.items():
        if kept.classes.tolist() != known.get(task):
            raise ValueError(f"the network of task {task} is of classes {kept.classes.tolist()}")
    return network, archive
