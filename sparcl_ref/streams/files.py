"""Reading data files that may be missing, cut short or something else altogether: always one clear ValueError."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sparcl_ref.memory import require_memory
from sparcl_ref.text import one_line

DATA_VARIABLE = "SPARCL_REF_DATA"
#: Where Debian's packages put data sets, such as ``dataset-fashion-mnist``.
SYSTEM_FOLDER = Path("/usr/share/datasets")
GZIP_MAGIC = b"\x1f\x8b"
#: A deflated byte stands for at most so many.
MOST_INFLATED = 1032


def user_path(path: str | os.PathLike[str]) -> Path:
    """The path that a person wrote, a leading ``~`` replaced by the home folder; ValueError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {one_line(error)}") from error


def data_folders() -> list[Path]:
    """Where published data sets are looked for, in this order: what ``SPARCL_REF_DATA`` names, the system's folder.

    The variable names a folder, or several with ``os.pathsep`` between them.

    Raises
    ------
    ValueError
        If the variable names something that is no folder.
    """
    named = os.environ.get(DATA_VARIABLE, "")
    folders = [user_path(part) for part in _parts(named)]
    for folder in folders:
        if not os.path.isdir(folder):  # pathlib's fails where a name is too long
            raise ValueError(
                f"the environment variable {DATA_VARIABLE} names {str(folder)!r}, and there is no such folder"
            )
    return [*folders, SYSTEM_FOLDER]


def look_first_in(folder: str) -> None:
    """Look for published data sets in a folder first: here and, as the environment says so, in processes started here.

    Raises
    ------
    ValueError
        If there is no such folder, or its name cannot stand in a list of folders.
    """
    path = user_path(folder).absolute()
    if not folder or not os.path.isdir(path):
        raise ValueError(f"there is no folder {folder!r}")
    if os.pathsep in str(path):
        raise ValueError(f"{str(path)!r} has a {os.pathsep!r} in its name, which stands between folders; rename it")
    named = _parts(os.environ.get(DATA_VARIABLE, ""))
    os.environ[DATA_VARIABLE] = os.pathsep.join([str(path), *(part for part in named if part != str(path))])


def _parts(named: str) -> list[str]:
    """The folders that the variable names; one whose own name has the separator is taken as it is."""
    if named and os.path.isdir(user_path(named)):
        return [named]
    return [part for part in named.split(os.pathsep) if part]


def why_unreadable(path: Path) -> str | None:
    """Why a path has no contents to read, or None if it has: an ordinary file that may be opened and is not empty."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return "it is a folder"
        if not stat.S_ISREG(found.st_mode):
            return "it is a device, pipe or socket"
        path.open("rb").close()
    except OSError as error:
        return "there is no such file" if isinstance(error, FileNotFoundError) else one_line(str(error.strerror))
    except ValueError as error:  # A zero byte in the name.
        return one_line(error)
    return None if found.st_size else "it is empty, as an interrupted download leaves it"


def require_file(path: Path) -> None:
    """Raise the ValueError that names the file and says why it has no contents to read, if that is so."""
    reason = why_unreadable(path)
    if reason:
        raise ValueError(f"{path}: cannot be read ({reason})")


def read_bytes(path: Path) -> bytes:
    """Read a file; ValueError if it is missing, empty, no ordinary file, not permitted or larger than memory."""
    require_file(path)
    require_memory(f"{path}: reading it", path.stat().st_size)
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise ValueError(f"{path}: cannot be read ({one_line(error)})") from error


@contextmanager
def inflated(path: Path) -> Iterator[tuple[BinaryIO | gzip.GzipFile, int]]:
    """Open a file that may be compressed with gzip, whatever its name says: browsers unpack what they fetch.

    Yields the file, which gives its contents piece by piece, so that no more is inflated than was asked for, and how
    many bytes can be in it at most. ValueError if there is nothing to read; also from within, if the compressed
    contents are cut short or damaged.
    """
    require_file(path)
    size = path.stat().st_size
    with path.open("rb") as plain:
        packed = plain.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        plain.seek(0)
        try:
            yield (gzip.GzipFile(fileobj=plain), size * MOST_INFLATED) if packed else (plain, size)
        except (OSError, EOFError, zlib.error) as error:
            what = "not a whole gzip file" if packed else "cannot be read"
            raise ValueError(f"{path}: {what} ({one_line(error)}); fetch it again") from error
        except MemoryError as error:
            raise ValueError(f"{path}: its contents are more than fits into memory") from error
