"""Peak resident memory of training steps, each contender in a process of its own.

``python -m sparcl_ref.bench.memory CONTENDER`` measures one and prints JSON; it is what the bench starts.

Two things are subtracted from the peak. What is resident after importing is code. Then every contender warms up on
something tiny: the compiled engine loads its machine code (`sparcl_ref.fast.prepare`), the others take one small step,
so that libraries which load or compile kernels at first use have done so. What a real step needs beyond that is data.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sparcl_ref.bench.request import BASELINE, Request
from sparcl_ref.bench.tables import text_table
from sparcl_ref.command_line import Parser, Refused, main_guard

PROGRAM = "sparcl_ref.bench.memory"
STEPS = 2
#: Width and batch size of the warm-up.
TINY = 16, 2
STATUS = Path("/proc/self/status")


def measure(request: Request, *, peak_flops: float = 0.0) -> list[dict[str, Any]]:
    """Each contender's memory, see `of_contender`.

    Raises
    ------
    RuntimeError
        If a process fails.
    """
    names = [*BASELINE, *([] if request.quick else ["numpy 0"])]
    names += [f"numba {sparsity:g}" for sparsity in request.sparsities]
    return [_in_own_process(name, request) for name in names]


def _in_own_process(name: str, request: Request) -> dict[str, Any]:
    variables = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    limited = {**os.environ, **dict.fromkeys(variables, str(request.threads))}
    command = [sys.executable, "-m", PROGRAM, name]
    for option in ("width", "batch", "threads"):
        command += [f"--{option}", str(getattr(request, option))]
    done = subprocess.run(command, env=limited, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {name} failed: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def of_contender(name: str, *, width: int, batch: int, threads: int) -> dict[str, Any]:
    """Measure this very process.

    ``imported_bytes`` and ``warm_bytes`` are resident after importing and after the warm-up, ``peak_bytes`` the peak of
    two steps in all; ``peak_exact`` says whether the peak is that of the steps alone and not possibly an earlier one.
    """
    build, warm_up = _contender(name, threads)
    imported = _resident()
    warm_up()
    gc.collect()
    warm = _resident()
    step = build(width, batch)
    gc.collect()
    exact = _forget_peak()
    for _ in range(STEPS):
        step()
    peak = _peak()
    return {
        "name": name,
        "imported_bytes": imported,
        "warm_bytes": warm,
        "peak_bytes": peak,
        "above_import_bytes": peak - imported,
        "above_warm_bytes": peak - warm,
        "peak_exact": exact,
    }


def _contender(name: str, threads: int) -> tuple[Callable[[int, int], Callable[[], Any]], Callable[[], Any]]:
    """How to build the step of a contender, and its warm-up; what it needs is imported here."""
    from sparcl_ref.bench.workload import step_data

    kind, _, last = name.rpartition(" ")
    if name.startswith("torch"):
        import torch

        from sparcl_ref.bench import pytorch

        torch.set_num_threads(threads)

        def build(width: int, batch: int):
            return pytorch.training_step(pytorch.resnet18(width), step_data(batch), pytorch.FORMATS[name])
    else:
        from sparcl_ref.bench import engines

        def build(width: int, batch: int):
            network = engines.sparse_resnet18(width, sparsity=float(last))
            return engines.training_step(network, step_data(batch), engine=kind)

        if kind == "numba":
            from sparcl_ref import fast

            return build, lambda: fast.prepare("float32")
    return build, lambda: build(*TINY)()


def _status(field: str) -> int | None:
    """A field of the process's status in bytes, where there is one."""
    if not STATUS.exists():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident() -> int:
    """Resident now; where the system does not say, the peak so far."""
    return _status("VmRSS") or _peak()


def _forget_peak() -> bool:
    """Ask the system to start a new peak; whether it did."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def text(records: list[dict[str, Any]]) -> str:
    """One row per contender, in MB."""
    forms = {
        "peak memory of two steps, MB": "{name}",
        "above warm-up": "{above_warm_bytes:,.0M}",
        "above import": "{above_import_bytes:,.0M}",
        "in all": "{peak_bytes:,.0M}",
        "import": "{imported_bytes:,.0M}",
        "and warm-up": "{warm_bytes:,.0M}",
    }
    return text_table(forms, records)


def execute(arguments: Sequence[str]) -> int:
    """Parse, measure, print."""
    parser = Parser(prog=f"python -m {PROGRAM}", description="Peak memory of one contender's training steps.")
    parser.add_argument("contender", help='"torch", "torch channels-last", "numpy S" or "numba S" with a sparsity S')
    for name in ("width", "batch", "threads"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Request, name), metavar="N")
    options: argparse.Namespace = parser.parse_args(arguments)
    kind, _, last = options.contender.rpartition(" ")
    numeric = kind in ("numpy", "numba") and last.replace(".", "", 1).isdigit() and float(last) < 1
    if options.contender not in BASELINE and not numeric:
        raise Refused(f"unknown contender {options.contender!r}; choose torch, torch channels-last, numpy S or numba S")
    record = of_contender(options.contender, width=options.width, batch=options.batch, threads=options.threads)
    print(json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main_guard(PROGRAM, execute, None))
