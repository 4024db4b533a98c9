"""All parts of a bench, one after the other, and what is made of their records."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sparcl_ref import fast
from sparcl_ref.bench import kernels, layers, memory, profile, roofline, scaling, step, whole_run
from sparcl_ref.bench.request import Request
from sparcl_ref.bench.timing import limited_threads

SCHEMA_VERSION = 1
MODULES = {
    "roofs": roofline,
    "step": step,
    "profile": profile,
    "layers": layers,
    "kernels": kernels,
    "scaling": scaling,
    "memory": memory,
    "run": whole_run,
}
PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "torch")
#: Turns of the peak, which everything else is held against.
PEAK_ROUNDS = 20


def measure(request: Request, *, note: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure what is asked for; ``note`` is told what comes next.

    The record holds ``schema_version, machine, request, compile_seconds, peak_gflops_per_second``, the ``seconds`` that
    each part took, and the record of each part.
    """
    machine = describe_machine()
    note("compiling, or loading what was compiled before ...")
    with limited_threads(request.threads):
        compile_seconds = fast.prepare("float32")
        peak = roofline.register_peak(request.threads, rounds=PEAK_ROUNDS)
        record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "machine": machine,
            "request": {**asdict(request), "parts": list(request.parts)},
            "compile_seconds": compile_seconds,
            "peak_gflops_per_second": peak / 1e9,
            "seconds": {},
        }
        for part in request.parts:
            note(f"{part} ...")
            start = time.perf_counter()
            record[part] = MODULES[part].measure(request, peak_flops=peak)
            record["seconds"][part] = time.perf_counter() - start
    return record


def describe_machine() -> dict[str, Any]:
    """Processor, caches and versions, as JSON values.

    ``cache_bytes`` are those of the first core by level, ``load`` is the number of processes that wait for a core, mean
    over a minute, or None where the system does not say.
    """
    found, info = roofline.cache_bytes(), Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return {
        "cpu": named[1] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "cache_bytes": {**roofline.ASSUMED_CACHES, **found},
        "caches_assumed": sorted(roofline.ASSUMED_CACHES.keys() - found.keys()),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in PACKAGES},
    }


def text(record: dict[str, Any]) -> str:
    """Where and how it was measured, what the columns mean, and the record as tables."""
    machine, request = record["machine"], record["request"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    caches = ", ".join(f"{level} {size // 1024:,} KiB" for level, size in machine["cache_bytes"].items())
    load = "" if machine["load"] is None else f"; load before: {machine['load']:.1f}"
    heading = (
        f"{machine['cpu']}, {machine['cores']} cores ({caches}){load}\n"
        f"{versions}\n"
        f"{request['threads']} thread(s), {request['rounds']} turns of each contender, width {request['width']}, "
        f"batch {request['batch']}; float32\n"
        "times faster: than the better of PyTorch's two memory formats. useful: with living weights only.\n"
        f"peak: multiply-adds from registers, {record['peak_gflops_per_second']:.0f} GFLOP/s"
    )
    tables = [f"-- {part}\n\n{module.text(record[part])}" for part, module in MODULES.items() if part in record]
    return "\n\n".join([heading, *tables])


def write(record: dict[str, Any], folder: Path) -> None:
    """Write ``bench.json``, and ``scaling.png`` if that part was measured."""
    (folder / "bench.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    if "scaling" in record:
        from sparcl_ref.bench.figure import scaling_figure
        from sparcl_ref.report.figures.canvas import png

        request = record["request"]
        under = (
            f"resnet18, {request['threads']} thread(s); {'half the width of' if request['quick'] else 'width'} "
            f"{request['width']}, batch {request['batch']} + 2 x {request['batch']} and sparsity .95 where not varied"
        )
        (folder / "scaling.png").write_bytes(png(scaling_figure(record["scaling"], under=under)))
