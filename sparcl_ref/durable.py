"""Files that outlive a kill, a full disk or a power cut: everything a run keeps goes through here.

Every touch of the disk is a `step`: a test that replaces that function sees, fails or dies at each of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Answer = TypeVar("Answer")

#: What the name of a file begins with that is not yet whole.
PARTIAL = ".partial-"


def step(kind: str, path: Path, action: Callable[[], Answer]) -> Answer:
    """One touch of the disk: a "write", "fsync", "rename", "unlink" or "fsync folder" for the file at ``path``."""
    return action()


def put(path: Path, content: bytes | memoryview) -> None:
    """Give a file its content: whoever looks, now or after a power cut, finds what was there before or all of this.

    Raises
    ------
    OSError
        Naming the file; what was there stays.
    """
    # Beside it: another folder may be another file system, between which nothing moves at once. A worker whose parent
    # was killed may still be writing when the run goes on elsewhere, hence the number.
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    with _naming(path):
        try:
            with open(partial, "wb") as file:
                step("write", path, lambda: file.write(content))
                file.flush()
                step("fsync", path, lambda: os.fsync(file.fileno()))
            step("rename", path, lambda: os.replace(partial, path))
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        step("fsync folder", path, lambda: _sync_folder(path.parent))


def append(path: Path, content: bytes) -> None:
    """Add to a file's end, in one write that a kill does not split; a full disk may."""
    with _naming(path), open(path, "ab", buffering=0) as file:
        step("write", path, lambda: _write_all(file, content))


def remove(path: Path) -> None:
    """Take a file away; nothing if there is none."""
    with _naming(path):
        step("unlink", path, lambda: path.unlink(missing_ok=True))


def _write_all(file: Any, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _naming(path: Path) -> Any:
    """What the system says against a file names that file, not the partial one or none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
