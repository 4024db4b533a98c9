"""The folder of a run: whether it can be written to, and that one run at a time does so."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from sparcl_ref.progress import leftovers
from sparcl_ref.report import check_writable
from sparcl_ref.run_plan import PLAN

LOCK = "run.lock"
#: Seconds that workers have to notice that their run was killed, before another takes their folder.
GRACE_SECONDS = 10


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
    if out is None or overwrite:
        return
    if (Path(out) / PLAN).exists():
        raise ValueError(
            f"{out} holds a run that has not ended; go on with --resume {out}, choose another --out, or --overwrite "
            "to replace it"
        )
    if leftovers(Path(out)):
        raise ValueError(f"{out} holds a run already; choose another --out, or --overwrite to replace it")


@contextlib.contextmanager
def reserved_folder(out: str | None, name: str) -> Iterator[Path]:
    """The run's folder, made and locked at once so that no other run takes it; one that stays empty goes again.

    Without ``out`` the first of runs/NAME, runs/NAME-2, ... that does not exist.

    Raises
    ------
    ValueError
        If another run is at work in it.
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
        with locked(directory):
            yield directory
    finally:
        for folder in reversed(made):
            if not any(folder.iterdir()):
                folder.rmdir()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other run out of a folder, until this ends or the process and its workers do, however they end.

    The system holds the lock, not the file, and gives it back when the last process that shares it is gone: see
    `share_lock`. Where a file system knows no locks, nothing is kept out.

    Raises
    ------
    ValueError
        If another run is at work in the folder.
    """
    path = directory / LOCK
    deadline = time.monotonic() + GRACE_SECONDS
    while (handle := _taken(path)) is None:
        owner = _owner(path)
        if owner is None and not path.exists():
            continue  # whoever had it has just taken it away
        # Whoever is dead may have workers that are about to notice.
        if owner is None or _alive(owner) or time.monotonic() > deadline:
            who = "" if owner is None else f" (process {owner})"
            raise ValueError(f"another run is at work in {directory}{who}; wait for its end, or choose another folder")
        time.sleep(0.05)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _taken(path: Path) -> int | None:
    """A handle on the lock file that is locked for this process, or None if another has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _flock(handle, exclusive=True):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
            # From here on shared, with the workers; and still the file that others will find, for its last owner takes
            # it away.
            with contextlib.suppress(OSError):
                if _flock(handle, exclusive=False) and os.stat(path).st_ino == os.fstat(handle).st_ino:
                    handle, held = -1, handle
                    return held
        return None
    finally:
        if handle >= 0:
            os.close(handle)


@functools.cache
def share_lock(directory: Path) -> None:
    """Let this process, a worker, hold its run's lock too, as long as it lives."""
    _flock(os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o666), exclusive=False)


def _flock(handle: int, *, exclusive: bool) -> bool:
    """Whether the lock could be had; True where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _owner(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
