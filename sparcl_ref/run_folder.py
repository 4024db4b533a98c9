"""The folder of a run: whether it can be written to, and that no other run takes it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from sparcl_ref.report import check_writable


def check_folder(out: str | None, *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written to, is none, or holds a run that nobody asked to replace.

    Raises
    ------
    ValueError
        In one line.
    """
    if out is not None and not out.strip():
        raise ValueError(f"--out must name a folder, got {out!r}")
    check_writable("runs" if out is None else out)
    if out is not None and (Path(out) / "summary.json").exists() and not overwrite:
        raise ValueError(f"{out} holds a run already; choose another --out, or --overwrite to replace it")


@contextlib.contextmanager
def reserved_folder(out: str | None, name: str) -> Iterator[Path]:
    """The run's folder, made at once so that no other run takes it; one in which nothing was written goes again.

    Without ``out`` the first of runs/NAME, runs/NAME-2, ... that does not exist.
    """
    made: list[Path] = []

    def make(path: Path, *, new: bool) -> None:
        for folder in (*reversed(path.parents), path):
            if not folder.is_dir() or (new and folder == path):
                folder.mkdir()
                made.append(folder)

    directory = Path("runs") / name if out is None else Path(out)
    for number in itertools.count(2):
        try:
            make(directory, new=out is None)
            break
        except FileExistsError:
            directory = Path("runs") / f"{name}-{number}"
    try:
        yield directory
    finally:
        for folder in reversed(made):
            if not any(folder.iterdir()):
                folder.rmdir()
