"""How much memory there is, asked before something large is read or made, and how much a process has held."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def available_bytes() -> int | None:
    """Bytes that a process could still take without driving others out; None where the system does not say.

    On Linux what the kernel holds to be available, or a container's limit if that is lower; elsewhere all the
    memory that is built in.
    """
    limits = []
    try:
        limits += [1024 * int(line.split()[1]) for line in MEMINFO.read_text().splitlines() if "MemAvailable:" in line]
        limits += [int(CGROUP_LIMIT.read_text())]
    except (OSError, ValueError):  # No such file on this system; a group without a limit says "max".
        pass
    if not limits and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return min(limits, default=None)


def require_memory(what: str, nbytes: int) -> None:
    """Refuse with a ValueError, which begins with ``what``, if fewer than ``nbytes`` are available."""
    available = available_bytes()
    if available is not None and nbytes > available:
        raise ValueError(f"{what} takes {nbytes:,} bytes of memory, and only {available:,} are there")


def peak_bytes() -> int | None:
    """The most memory that this process has held, its code and libraries included; None where the system does not say.

    On Linux since `forget_peak`, elsewhere since the process began.
    """
    with contextlib.suppress(OSError, ValueError):
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def forget_peak() -> None:
    """Let `peak_bytes` begin anew with what is held now, where the system can."""
    with contextlib.suppress(OSError):
        CLEAR_REFS.write_text("5")
