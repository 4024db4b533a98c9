"""Taking over a saved state, and whether it is one that a run can take over."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.streams import Dataset
from sparcl_ref.text import one_line


def identity(config: Config, dataset: Dataset) -> dict[str, Any]:
    """The run that a state belongs to: its settings, and its data as far as they can be told apart quickly.

    The engine is left out: a run may go on with another, within the rounding in which engines agree.
    """
    settings = {name: value for name, value in config.to_json().items() if name != "engine"}
    return {**settings, "data": fingerprint(dataset)}


#: Bytes of images of each part that a fingerprint looks at, evenly spread: it is taken with every checkpoint.
LOOKED_AT = 2**21


def fingerprint(dataset: Dataset) -> list[Any]:
    """A data set's name, shapes and dtype, and a checksum of its labels, normalisation and some images."""
    found = zlib.crc32(repr((dataset.classes, dataset.scale, dataset.mean, dataset.std)).encode())
    for images, labels in ((dataset.train_x, dataset.train_y), (dataset.test_x, dataset.test_y)):
        found = zlib.crc32(labels.tobytes(), found)
        nbytes = math.prod(images.shape) * images.dtype.itemsize
        found = zlib.crc32(images[:: -(-nbytes // LOOKED_AT)].tobytes(), found)
    return [dataset.name, *dataset.train_x.shape, *dataset.test_x.shape, str(dataset.train_x.dtype), f"{found:08x}"]


#: Parts of a state whose arrays change their size, or come and go, as a run goes on.
GROWING = ("cursor", "history", "epoch_totals", "regime", "method", "slots", "mask", "grad_mask", "frozen", "macs")


def unlike(expected: Any, given: Any, where: str = "state") -> str:
    """Where a state lacks something that a run has, or has it in another shape, in words; nothing if it fits."""
    if isinstance(expected, dict):
        if not isinstance(given, dict) or expected.keys() - given.keys():
            lacking = expected.keys() - given.keys() if isinstance(given, dict) else expected.keys()
            return f"{where} lacks {', '.join(sorted(map(str, lacking)))}"
        parts = (unlike(value, given[key], f"{where}/{key}") for key, value in expected.items() if key not in GROWING)
        return next(filter(None, parts), "")
    if isinstance(expected, np.ndarray):
        kinds = [(np.shape(array), getattr(array, "dtype", None)) for array in (expected, given)]
        return "" if kinds[0] == kinds[1] else f"{where} has shape and dtype {kinds[1]}, expected {kinds[0]}"
    return "" if isinstance(given, type(expected)) else f"{where} is {type(given).__name__}"


def check_state(expected: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a state of another run, or one that is not whole, before any of it is taken over.

    Parameters
    ----------
    expected, given : mapping
        A state of the run as it is, and the one to take over; ``belongs_to`` names the run's settings and data.

    Raises
    ------
    ValueError
        Naming each setting that differs, or the first part that is lacking or of another shape.
    """
    mine, theirs = (state.get("belongs_to") or {} for state in (expected, given))
    if theirs:  # what a state of an earlier version does not know of was at its default
        theirs = {item.name: item.default for item in fields(Config) if item.name in mine} | theirs
    names = dict.fromkeys([*mine, *theirs])
    other = [
        f"{name} {theirs.get(name)} there, {mine.get(name)} here"
        for name in names
        if theirs.get(name) != mine.get(name)
    ]
    if other:
        raise ValueError(f"the state belongs to another run ({'; '.join(other)}); build the trainer as that one was")
    if problem := unlike({name: part for name, part in expected.items() if name != "belongs_to"}, given):
        raise ValueError(f"the state cannot be taken over: {problem}")


def take_over(state: dict[str, Any], *, before: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> None:
    """Let ``take`` take over a state that `check_state` allows, or else the one before, whole or not at all.

    Raises
    ------
    ValueError
        As `check_state`, or naming what ``take`` raised.
    """
    check_state(before, state)
    try:
        take(state)
    except Exception as error:  # each part knows its own reasons
        take(before)
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"the state cannot be taken over ({reason}); take one that `state` returned") from error
