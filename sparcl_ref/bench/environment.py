"""The machine a bench ran on."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Assumed where the system does not say, in bytes.
ASSUMED_CACHES = {"L1": 32 * 2**10, "L2": 2**20, "L3": 16 * 2**20}
PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "torch")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def describe_machine() -> dict[str, Any]:
    """Processor, caches and versions, as JSON values.

    Returns
    -------
    dict
        ``cpu, cores, cache_bytes`` (by level, of the first core), ``caches_assumed``, ``load`` (processes waiting for a
        core, mean over a minute; None where unknown), ``system, python, versions``.
    """
    found = cache_bytes()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "cache_bytes": {**ASSUMED_CACHES, **found},
        "caches_assumed": sorted(ASSUMED_CACHES.keys() - found.keys()),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES},
    }


def cache_bytes(folder: Path = CACHES) -> dict[str, int]:
    """Sizes of the data caches of the first core by level, ``{"L1": ..., "L2": ..., "L3": ...}``, as far as known."""
    sizes = {}
    for place in sorted(folder.glob("index*")):
        kind, level, size = ((place / name).read_text().strip() for name in ("type", "level", "size"))
        found = re.fullmatch(r"(\d+)([KMG]?)", size)
        if kind != "Instruction" and found:
            sizes[f"L{level}"] = int(found[1]) * UNITS[found[2]]
    return sizes


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
