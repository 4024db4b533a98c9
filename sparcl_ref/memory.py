"""How much memory there is, asked before something large is read or made rather than after."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
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
