"""The files of a run: data first, then what is drawn from them; each alone, and none of them ever half."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparcl_ref import durable
from sparcl_ref.report.summary import FIGURE_NAMES, to_json
from sparcl_ref.streams.npz import read_npz
from sparcl_ref.text import one_line

if TYPE_CHECKING:
    from sparcl_ref.report.figures.illustrations import Illustration

COLUMNS = (
    "name", "seed", "task", "epoch", "loss_current", "loss_replay", "train_accuracy", "samples", "active_fraction",
    "learning_rate", "train_flops_exact",
)  # fmt: skip
#: The summary last of them: where it is, the others are.
DATA = ("metrics.csv", "masks.npz", "summary.json")
DRAWN = (*(f"figures/{name}.png" for name in FIGURE_NAMES), "report.html")
#: Every file that a run that has ended may have.
RESULTS = (*DATA, *DRAWN)


def check_writable(directory: str | Path) -> None:
    """Find out before a run whether its results can be written; what this creates it also removes.

    Raises
    ------
    ValueError
        In one line: if it is a file, lies under one, may not be written to, or a result's place is taken by a folder.
    """
    directory = Path(directory)
    created: list[Path] = []
    problem = None
    try:
        for path in (*reversed(directory.parents), directory):
            if not path.is_dir():
                path.mkdir()
                created.append(path)
        taken = [f"{name} in it is a folder" for name in RESULTS if (directory / name).is_dir()]
        folders = [directory / name for name in ("figures", "weights")]
        taken += [f"{folder.name} in it is no folder" for folder in folders if folder.exists() and not folder.is_dir()]
        problem = next(iter(taken), None)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except FileExistsError as error:
        problem = f"{error.filename} is not a folder"
    except OSError as error:
        problem = error.strerror or str(error)
    finally:
        for path in reversed(created):
            with suppress(OSError):
                path.rmdir()
    if problem is not None:
        raise ValueError(f"cannot write to {directory}: {problem}; choose another --out")


def drawing_problem() -> str | None:
    """What keeps all figures from being drawn, in a line that a run can warn of before it starts; None if nothing."""
    try:
        # Matplotlib fails at its import where its settings are not to its liking.
        import sparcl_ref.report.figures.illustrations  # noqa: F401
    except Exception as error:
        backend = os.environ.get("MPLBACKEND")
        return f"no figures: {f'MPLBACKEND is {backend!r}: ' if backend else ''}{one_line(error)}"
    return None


def write_run(
    directory: str | Path,
    summary: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    masks: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Write all that is to be kept of a run: the data, then the figures and the page.

    Each file appears whole or not at all, and one that fails takes no other with it. Results of an earlier run in the
    directory, weights too, are replaced, or removed where this run has no counterpart; other files stay.

    Parameters
    ----------
    directory : str or Path
        Created if it does not exist.
    summary : mapping
        Becomes summary.json, see `sparcl_ref.report.summary`.
    epochs : sequence of mapping
        One per record and epoch, becomes metrics.csv; None is an empty field.
    masks : mapping
        Becomes masks.npz; "name#seed" to what `load_masks` gives back.

    Returns
    -------
    list of str
        A line for each figure or page that could not be drawn or written.

    Raises
    ------
    ValueError, TypeError
        If there are no records, or the summary holds what JSON cannot. Nothing is written then.
    OSError
        If data could not be written, named in one line; all else has been tried by then.
    """
    if not summary.get("methods"):
        raise ValueError("there is nothing to write: the summary holds no records under 'methods'")
    directory, text = Path(directory), to_json(summary)
    directory.mkdir(parents=True, exist_ok=True)
    lost: list[str] = []
    warnings: list[str] = []
    contents: list[Callable[[], bytes | None]]
    contents = [lambda: metrics_csv(epochs), lambda: _npz(masks) if masks else None, text.encode]
    for name, content in zip(DATA, contents, strict=True):
        try:
            put(directory / name, content())
        except Exception as error:
            lost.append(f"{name} ({getattr(error, 'strerror', None) or one_line(error)})")
    # Whatever an earlier run has drawn or trained would stand beside data that it does not belong to.
    kept = {record.get("weights") for record in summary["methods"]}
    trained = [path for path in directory.glob("weights/*.npz") if f"weights/{path.name}" not in kept]
    for path in (*(directory / name for name in DRAWN), *trained):
        with suppress(OSError):
            durable.remove(path)
    figures = _draw(directory, summary["methods"], masks, warnings)
    with _noting(warnings, "report.html was not written"):
        from sparcl_ref.report.page import render

        files = [name for name in DATA if (directory / name).exists()]
        put(directory / "report.html", render(summary, figures, files).encode(errors="backslashreplace"))
    if lost:
        raise OSError(f"cannot write {' and '.join(lost)} to {directory}; everything else is there")
    return warnings


def files_of_run(directory: str | Path) -> list[str]:
    """Which of the files of a run a directory has, the page first; figures and weights by their folders."""
    directory = Path(directory)
    found = [name for name in (DRAWN[-1], *reversed(DATA)) if (directory / name).is_file()]
    drawn = ["figures"] if any((directory / name).is_file() for name in DRAWN[:-1]) else []
    return found + drawn + (["weights"] if any((directory / "weights").glob("*.npz")) else [])


@contextmanager
def _noting(notes: list[str], what: str) -> Iterator[None]:
    """Whatever fails inside becomes a line of notes, and stops nothing else."""
    try:
        yield
    except Exception as error:
        notes.append(f"{what}: {one_line(error)}")


def _draw(
    directory: Path, records: Sequence[dict[str, Any]], masks: Mapping[str, Mapping[str, Any]], warnings: list[str]
) -> list[Illustration]:
    """Draw the figures one by one and write a file of each; returns those that could be drawn."""
    if (problem := drawing_problem()) is not None:
        warnings.append(problem)
        return []
    from sparcl_ref.report.figures.illustrations import draw, sketches

    drawn: list[Illustration] = []
    with _noting(warnings, "no figures"):
        for sketch in sketches(records, masks):
            with _noting(warnings, f"figures/{sketch.name}.png was not written"):
                drawn.append(draw(sketch))
                (directory / "figures").mkdir(exist_ok=True)
                put(directory / "figures" / f"{sketch.name}.png", drawn[-1].file)
    return drawn


def put(path: Path, content: bytes | None) -> None:
    """Give a file its content at once, or take it away for None; what was there stays if that fails."""
    if content is None:
        durable.remove(path)
    else:
        durable.put(path, content)


def metrics_csv(rows: Sequence[Mapping[str, Any]], *, header: bool = True) -> bytes:
    """Rows of metrics.csv; without the header only those columns that every run has, to be added to a file."""
    extra = dict.fromkeys(key for row in rows for key in row if key not in COLUMNS) if header else {}
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, [*COLUMNS, *extra], lineterminator="\n", extrasaction="ignore")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def _npz(masks: Mapping[str, Mapping[str, Any]]) -> bytes:
    arrays: dict[str, Any] = {}
    for key, mask in masks.items():
        arrays[f"{key}/layer"] = np.array(mask["layer"])
        arrays[f"{key}/shape"] = np.array(mask["shape"], dtype=np.int64)
        arrays[f"{key}/labels"] = np.array(mask["labels"], dtype=np.int64).reshape(-1, 2)
        # Eight weights to a byte: a large network's snapshots would otherwise take gigabytes to write.
        arrays[f"{key}/alive_bits"] = np.packbits(np.asarray(mask["alive"], dtype=bool), axis=1)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def load_masks(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read masks.npz back: "name#seed" to a mask's record.

    That has "layer" (str), "shape" (list), "labels" (list of (task, epoch)) and "alive" (bool, (snapshots, weights)).

    Raises
    ------
    ValueError
        If the file cannot be read or is not what `write_run` wrote, in one line that names it.
    """
    arrays = read_npz(Path(path))
    try:
        return {
            key: _mask(*(arrays[f"{key}/{part}"] for part in ("layer", "shape", "labels", "alive_bits")))
            for key in [name.removesuffix("/layer") for name in arrays if name.endswith("/layer")]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the masks of a run ({one_line(error)})") from error


def _mask(layer: np.ndarray, shape: np.ndarray, labels: np.ndarray, alive_bits: np.ndarray) -> dict[str, Any]:
    """A mask's record from the arrays that `_npz` made of it."""
    bits = np.unpackbits(alive_bits, axis=1, count=int(np.prod(shape)))
    return {
        "layer": str(layer),
        "shape": shape.tolist(),
        "labels": [(int(task), int(epoch)) for task, epoch in labels],
        "alive": bits.astype(bool),
    }
