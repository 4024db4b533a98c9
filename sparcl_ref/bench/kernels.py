"""Sums over living weights against matrix products over all, kernel by kernel: where the two cross."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from sparcl_ref.bench.layers import OneLayer, measured_shapes, random_input
from sparcl_ref.bench.request import Request
from sparcl_ref.bench.tables import text_table
from sparcl_ref.bench.timing import Contender, interleaved, spread
from sparcl_ref.bench.workload import ConvShape, build_layer
from sparcl_ref.fast.threads import single_threaded

DENSITIES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
QUICK_DENSITIES = (0.05, 0.25, 1.0)
KINDS = ("forward", "dx", "dw")


def measure(request: Request, *, peak_flops: float) -> list[dict[str, Any]]:
    """Each convolution: both ways of each kernel at each density, in turns.

    Each is ``name`` of the convolution, ``kernel``, ``sums`` (a record per density), ``products`` (seconds, GFLOP/s and
    share of the peak; the same at all densities) and ``crossing``: the density from which on products are faster, None
    if sums are at every density.
    """
    return [record for shape in measured_shapes(request) for record in _of_shape(shape, request, peak_flops)]


def _of_shape(shape: ConvShape, request: Request, peak_flops: float) -> Iterator[dict[str, Any]]:
    x, dy = random_input(shape, request.batch)
    densities = QUICK_DENSITIES if request.quick else DENSITIES
    layers = {str(density): build_layer(shape, sparsity=1 - density) for density in densities}
    ways = {name: OneLayer(layer, shape, x, dy).ways(products=False) for name, layer in layers.items()}
    ways["products"] = OneLayer(build_layer(shape), shape, x, dy).ways(products=True)
    for kind in ("forward", "dw") if shape.first else KINDS:
        contenders = [Contender(name, way[kind], around=single_threaded) for name, way in ways.items()]
        seconds = interleaved(contenders, rounds=request.rounds)
        whole = shape.flops(shape.weights, request.batch)
        sums = [_speed(seconds[str(d)], whole * d, peak_flops) | {"density": d} for d in densities]
        products = _speed(seconds["products"], whole, peak_flops)
        crosses = crossing(densities, [row["median_seconds"] for row in sums], products["median_seconds"])
        yield {"name": shape.name, "kernel": kind, "sums": sums, "products": products, "crossing": crosses}


def _speed(seconds: list[float], flops: float, peak: float) -> dict[str, float]:
    found = spread(seconds)
    speed = flops / found["median_seconds"]
    return {**found, "gflops_per_second": speed / 1e9, "fraction_of_peak": speed / peak}


def crossing(densities: Sequence[float], sums: Sequence[float], products: float) -> float | None:
    """The density at which sums take as long as products do.

    Between two densities, which ascend, the time of sums is taken as linear in the density. Below the lowest nothing is
    known; the lowest is returned if sums are slower there already, and None if they are faster at every density.
    """
    slower = [seconds > products for seconds in sums]
    if not slower[-1]:
        return None
    # The last stretch on which sums are still faster; noise may have them slower somewhere below.
    first = len(slower) - slower[::-1].index(False) if False in slower else 0
    if first == 0:
        return densities[0]
    low, high = densities[first - 1], densities[first]
    share = (products - sums[first - 1]) / (sums[first] - sums[first - 1])
    return low + share * (high - low)


def suggestion(records: list[dict[str, Any]]) -> dict[str, float]:
    """Median crossing of 3x3 layers by kernel, 1 where sums always win; what the engine's constants should be."""
    return {
        kind: statistics.median(1.0 if r["crossing"] is None else r["crossing"] for r in chosen)
        for kind in KINDS
        if (chosen := [r for r in records if r["kernel"] == kind and r["name"].startswith("3x3")])
    }


def text(records: list[dict[str, Any]]) -> str:
    """A row per convolution and kernel."""
    way = "{{{0}[median_seconds]:.2m}} ({{{0}[gflops_per_second]:.0f}})"
    densities = [row["density"] for row in records[0]["sums"]]
    forms = {
        "ms (GFLOP/s) of sums at density": "{name}",
        "": "{kernel}",
        **{f"{density:g}": way.format(f"sums[{place}]") for place, density in enumerate(densities)},
        "products": way.format("products"),
        "crossing": "{crossing:.2f}",
    }
    found = ", ".join(f"{kind} {density:.2f}" for kind, density in suggestion(records).items())
    return text_table(forms, records, left=2) + f"\n\nmedian crossing of the 3x3 layers: {found}"
