"""How a step scales with density, width, batch size and threads, beside dense PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparcl_ref.bench.engines import sparse_resnet18
from sparcl_ref.bench.request import BASELINE, LEAST_WIDTH, SPARSITIES, Request
from sparcl_ref.bench.step import our_contender, torch_contenders
from sparcl_ref.bench.tables import text_table
from sparcl_ref.bench.timing import compared, interleaved, limited_threads
from sparcl_ref.bench.workload import step_data

DENSITIES = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
QUICK_DENSITIES = (0.05, 1.0)
SPARSITY = SPARSITIES[-1]

Points = list[dict[str, Any]]


def measure(request: Request, *, peak_flops: float) -> dict[str, Points]:
    """A step along the axes "density", "width", "batch" and "threads"; along all but the first at a sparsity of .95.

    Each of their points is ``value, contenders``; see `compared`, the compiled engine last. A quick bench has "density"
    and "threads", at half the width.
    """
    if request.quick:
        request = replace(request, width=max(LEAST_WIDTH, request.width // 2))
    axes = {"density": _densities(request, peak_flops)}
    if not request.quick:
        widths = [width for width in (request.width // 4, request.width // 2, request.width) if width >= LEAST_WIDTH]
        axes["width"] = [_point(width, replace(request, width=width), peak_flops) for width in widths]
        batches = sorted({max(1, request.batch // 4), max(1, request.batch // 2), request.batch, 2 * request.batch})
        axes["batch"] = [_point(batch, replace(request, batch=batch), peak_flops) for batch in batches]
    counts = range(1, request.threads + 1)
    axes["threads"] = [_point(count, replace(request, threads=count), peak_flops) for count in counts]
    return axes


def _densities(request: Request, peak_flops: float) -> Points:
    """All densities in one competition: PyTorch's dense step is the same for each."""
    densities = QUICK_DENSITIES if request.quick else DENSITIES
    rows = _compete(request, {f"numba {density:g}": 1 - density for density in densities}, peak_flops)
    return [
        {"value": density, "contenders": [*rows[: len(BASELINE)], row]}
        for density, row in zip(densities, rows[len(BASELINE) :], strict=True)
    ]


def _point(value: int, request: Request, peak_flops: float) -> dict[str, Any]:
    return {"value": value, "contenders": _compete(request, {f"numba {SPARSITY:g}": SPARSITY}, peak_flops)}


def _compete(request: Request, sparsities: Mapping[str, float], peak_flops: float) -> Points:
    """Dense PyTorch, then the compiled engine at sparsities, each under the name given."""
    data = step_data(request.batch)
    contenders = torch_contenders(request.width, data)
    for name, sparsity in sparsities.items():
        contenders.append(our_contender(name, data, sparse_resnet18(request.width, sparsity=sparsity)))
    limited = [replace(contender, around=lambda: limited_threads(request.threads)) for contender in contenders]
    seconds = interleaved(limited, rounds=request.rounds)
    return compared(limited, seconds, baseline=BASELINE, peak_flops=peak_flops)


def text(record: dict[str, Points]) -> str:
    """One table; each row is a point of one axis."""
    rows = [
        {"point": f"{axis} {point['value']:g}", "best": min(row["median_seconds"] for row in others), **ours}
        for axis, points in record.items()
        for point in points
        for *others, ours in [point["contenders"]]
    ]
    forms = {
        "one step, numba": "{point}",
        "torch, s": "{best:.3f}",
        "numba, s": "{median_seconds:.3f}",
        "min": "{min_seconds:.3f}",
        "max": "{max_seconds:.3f}",
        "times faster": "{times_faster:.2f}",
        "useful GFLOP/s": "{useful_gflops_per_second:.1f}",
    }
    return text_table(forms, rows)
