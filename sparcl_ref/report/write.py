"""The files of a run: written aside first, then moved into place, so that nobody ever finds half of one."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.report.summary import FIGURE_NAMES, to_json
from sparcl_ref.report.table import aggregate

COLUMNS = (
    "name", "seed", "task", "epoch", "loss_current", "loss_replay", "train_accuracy", "samples", "active_fraction",
    "learning_rate", "train_flops_exact",
)  # fmt: skip
FIGURES = tuple(f"figures/{name}.png" for name in FIGURE_NAMES)
OUTPUTS = (*FIGURES, "metrics.csv", "masks.npz", "report.html", "summary.json")
PARTIAL = ".partial-"


def check_writable(directory: str | Path) -> None:
    """Find out before a run whether its results can be written; what this creates it also removes.

    Parameters
    ----------
    directory : str or Path
        Need not exist, nor its parents.

    Raises
    ------
    ValueError
        In one line: if it is a file, lies under one, may not be written to, or a result's place is taken by a folder.
    """
    directory = Path(directory)
    created: list[Path] = []
    try:
        for path in (*reversed(directory.parents), directory):
            if not path.is_dir():
                path.mkdir()
                created.append(path)
        for name in OUTPUTS:
            if (directory / name).is_dir():
                raise ValueError(f"cannot write to {directory}: {name} in it is a folder; choose another --out")
        if (directory / "figures").exists() and not (directory / "figures").is_dir():
            raise ValueError(f"cannot write to {directory}: figures in it is no folder; choose another --out")
        with tempfile.TemporaryFile(dir=directory):
            pass
    except FileExistsError as error:
        raise ValueError(
            f"cannot write to {directory}: {error.filename} is not a folder; choose another --out"
        ) from error
    except OSError as error:
        raise ValueError(f"cannot write to {directory}: {error.strerror or error}; choose another --out") from error
    finally:
        for path in reversed(created):
            with suppress(OSError):
                path.rmdir()


def write_run(
    directory: str | Path,
    summary: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    masks: Mapping[str, Mapping[str, Any]],
) -> list[Path]:
    """Write all that is to be kept of a run, or nothing.

    Everything is written into a temporary folder on the same file system and then moved. Results of an earlier run in
    the directory are replaced, or removed where this run has no counterpart (the mask, if it is dense); other files
    stay.

    Parameters
    ----------
    directory : str or Path
        Created if it does not exist.
    summary : mapping
        See `sparcl_ref.report.summary`; becomes summary.json.
    epochs : sequence of mapping
        One per record and epoch; becomes metrics.csv. None becomes an empty field.
    masks : mapping
        "name#seed" to {"layer", "shape", "labels", "alive"}; becomes masks.npz, see `load_masks`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError, TypeError
        If the summary holds what JSON cannot.
    OSError
        If writing fails. The directory is then as it was before.
    """
    from sparcl_ref.report.html import render
    from sparcl_ref.report.illustrations import illustrate

    if not summary["methods"]:
        raise ValueError("there is nothing to write: the summary holds no records under 'methods'")
    directory, text = Path(directory), to_json(summary)
    rows, illustrations = aggregate(summary["methods"]), illustrate(summary["methods"], masks)
    page = render(summary, rows, illustrations)
    with _staging(directory) as staged:
        (staged / "figures").mkdir()
        for each in illustrations:
            (staged / "figures" / f"{each.name}.png").write_bytes(each.light)
        _write_csv(staged / "metrics.csv", epochs)
        if masks:
            _write_masks(staged / "masks.npz", masks)
        (staged / "report.html").write_text(page, encoding="utf-8", newline="\n")
        (staged / "summary.json").write_text(text, encoding="utf-8", newline="\n")
        _move(staged, directory)
    return [directory / name for name in OUTPUTS if (directory / name).exists()]


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """A folder to prepare results in; gone afterwards, with whatever is left in it and every folder that is empty."""
    created = []
    temporary = None
    try:
        for path in (*reversed(directory.parents), directory):
            if not path.exists():
                path.mkdir()
                created.append(path)
        # Inside the directory: its parent may be another file system, between which nothing moves at once.
        temporary = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=directory))
        yield temporary
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for path in reversed(created):
            # Fails for a folder that now holds results, which is as it should be.
            with suppress(OSError):
                path.rmdir()


def _move(staged: Path, directory: Path) -> None:
    """Put prepared files in their places and take away what they replace; if that is interrupted, put all back."""
    aside = staged / "replaced"
    (aside / "figures").mkdir(parents=True)
    before = {name for name in OUTPUTS if (directory / name).exists()}
    had_figures = (directory / "figures").is_dir()
    try:
        (directory / "figures").mkdir(exist_ok=True)
        for name in OUTPUTS:
            if name in before:
                os.replace(directory / name, aside / name)
            if (staged / name).exists():
                os.replace(staged / name, directory / name)
    except BaseException:
        for name in OUTPUTS:
            if (aside / name).exists():
                os.replace(aside / name, directory / name)
            elif name not in before:
                (directory / name).unlink(missing_ok=True)
        if not had_figures:
            (directory / "figures").rmdir()
        raise


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    extra = dict.fromkeys(key for row in rows for key in row if key not in COLUMNS)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *extra], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_masks(path: Path, masks: Mapping[str, Mapping[str, Any]]) -> None:
    arrays: dict[str, np.ndarray] = {}
    for key, mask in masks.items():
        arrays[f"{key}/layer"] = np.array(mask["layer"])
        arrays[f"{key}/shape"] = np.array(mask["shape"], dtype=np.int64)
        arrays[f"{key}/labels"] = np.array(mask["labels"], dtype=np.int64).reshape(-1, 2)
        # Eight weights to a byte: a large network's snapshots would otherwise take gigabytes to write.
        arrays[f"{key}/alive_bits"] = np.packbits(np.asarray(mask["alive"], dtype=bool), axis=1)
    np.savez_compressed(path, **arrays)


def load_masks(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read masks.npz back.

    Returns
    -------
    dict
        "name#seed" to "layer" (str), "shape" (list), "labels" (list of (task, epoch)) and "alive" (bool array, shape
        (snapshots, weights)).
    """
    with np.load(path, allow_pickle=False) as file:
        keys = [name.removesuffix("/layer") for name in file.files if name.endswith("/layer")]
        masks = {}
        for key in keys:
            shape = file[f"{key}/shape"].tolist()
            bits = np.unpackbits(file[f"{key}/alive_bits"], axis=1, count=int(np.prod(shape)))
            masks[key] = {
                "layer": str(file[f"{key}/layer"]),
                "shape": shape,
                "labels": [(int(task), int(epoch)) for task, epoch in file[f"{key}/labels"]],
                "alive": bits.astype(bool),
            }
    return masks
