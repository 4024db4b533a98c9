"""The results of a run, read back from the folder that it wrote."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparcl_ref.report import load_masks, load_summary
from sparcl_ref.streams.files import user_path
from sparcl_ref.text import one_line, told_apart

if TYPE_CHECKING:
    from sparcl_ref.result import Result


def load_run(directory: str | Path) -> list[Result]:
    """The results of a run's folder, in the order of its table.

    What metrics.csv and masks.npz add is in each result's ``history`` if they are there; ``weights`` is the path of the
    entry's weights, for `sparcl_ref.load`, or None.

    Raises
    ------
    ValueError
        In one line with the file's name: if a file cannot be read or is none of a run, or an entry's method or policy
        is not registered.
    """
    from sparcl_ref.result import Result

    folder = user_path(directory)
    summary = load_summary(folder / "summary.json")
    epochs, masks = epoch_rows(folder / "metrics.csv"), _masks(folder / "masks.npz")
    entries = [(record["name"], record["seed"]) for record in summary["methods"]]
    names, there = Counter(entries), {row["name"] for row in epochs}
    results = []
    for record, label in zip(summary["methods"], told_apart(entries), strict=True):
        name, seed = record["name"], record["seed"]
        # Earlier versions did not tell entries apart that differ in a setting which is no part of the name.
        known = names[name, seed] == 1 or f"{name} (2)" in there
        mine = [{**row, "name": name} for row in epochs if known and (row["name"], row["seed"]) == (label, seed)]
        try:
            result = Result.from_record(record, epochs=mine, mask=masks.get(f"{label}#{seed}") if known else None)
        except ValueError as error:
            raise ValueError(f"{folder / 'summary.json'}: {name}: {one_line(error)}") from error
        weights = None if result.weights is None else folder / result.weights
        kept = weights is not None and weights.is_file()
        results.append(dataclasses.replace(result, weights=str(weights) if kept else None))
    return results


def epoch_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.csv, numbers as numbers and empty fields as None; none if there is no such file."""
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                {key: text if key == "name" else _number(text) for key, text in row.items()}
                for row in csv.DictReader(file, strict=True)
            ]
    except (OSError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as the metrics of a run ({one_line(error)})") from error


def _number(text: str) -> int | float | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def _masks(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        return load_masks(path)
    except Exception as error:  # zipfile, zlib and NumPy each raise kinds of their own
        raise ValueError(f"{path}: cannot be read as the masks of a run ({one_line(error)})") from error
