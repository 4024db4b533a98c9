"""Sums over living weights against matrix products over all, kernel by kernel: where the two cross."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sparcl_ref.bench.layers import QUICK
from sparcl_ref.bench.one_layer import OneLayer
from sparcl_ref.bench.request import Request
from sparcl_ref.bench.shapes import ConvShape, build_layer, convolutions
from sparcl_ref.bench.timing import Contender, interleaved, spread
from sparcl_ref.fast.blas import single_threaded
from sparcl_ref.text import columns

DENSITIES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
QUICK_DENSITIES = (0.05, 0.25, 1.0)
KINDS = ("forward", "dx", "dw")


def measure(request: Request, *, peak_flops: float) -> list[dict[str, Any]]:
    """Each convolution: both ways of each kernel at each density, in turns.

    Returns
    -------
    list of dict
        ``name`` of the convolution, ``kernel``, ``sums`` (a record per density), ``products`` (seconds, GFLOP/s and
        share of the peak; the same at all densities) and ``crossing``: the density from which on products are faster,
        None if sums are at every density.
    """
    shapes = convolutions(request.width)
    densities = QUICK_DENSITIES if request.quick else DENSITIES
    return [
        record
        for shape in ([shapes[place] for place in QUICK] if request.quick else shapes)
        for record in _one_shape(shape, request.batch, densities, request.rounds, peak_flops)
    ]


def _one_shape(
    shape: ConvShape, batch: int, densities: Sequence[float], rounds: int, peak: float
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, shape.fan_in, shape.size, shape.size), dtype=np.float32)
    dy = rng.standard_normal((batch, shape.fan_out, shape.out_size, shape.out_size), dtype=np.float32)
    ways = {
        str(density): OneLayer(build_layer(shape, sparsity=1 - density), shape, x, dy).ways(products=False)
        for density in densities
    }
    ways["products"] = OneLayer(build_layer(shape), shape, x, dy).ways(products=True)
    for kind in KINDS[:1] + KINDS[2:] if shape.first else KINDS:
        contenders = [Contender(name, way[kind], around=single_threaded) for name, way in ways.items()]
        seconds = interleaved(contenders, rounds=rounds)
        whole = shape.flops(shape.weights, batch)
        sums = [_speed(seconds[str(d)], whole * d, peak) | {"density": d} for d in densities]
        products = _speed(seconds["products"], whole, peak)
        medians = [row["median_seconds"] for row in sums]
        yield {
            "name": shape.name,
            "kernel": kind,
            "sums": sums,
            "products": products,
            "crossing": crossing(densities, medians, products["median_seconds"]),
        }


def _speed(seconds: list[float], flops: float, peak: float) -> dict[str, float]:
    found = spread(seconds)
    speed = flops / found["median_seconds"]
    return {**found, "gflops_per_second": speed / 1e9, "fraction_of_peak": speed / peak}


def crossing(densities: Sequence[float], sums: Sequence[float], products: float) -> float | None:
    """The density at which sums take as long as products do.

    Between two densities the time of sums is taken as linear in the density. Below the lowest density measured nothing
    is known; the lowest is returned if sums are slower there already.

    Parameters
    ----------
    densities : sequence of float
        Ascending.
    sums : sequence of float
        Seconds at each.
    products : float
        Seconds.

    Returns
    -------
    float or None
        None if sums are faster at every density.
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
    densities = [row["density"] for row in records[0]["sums"]]
    rows = [
        (
            record["name"],
            record["kernel"],
            *(f"{1e3 * row['median_seconds']:.2f} ({row['gflops_per_second']:.0f})" for row in record["sums"]),
            f"{1e3 * record['products']['median_seconds']:.2f} ({record['products']['gflops_per_second']:.0f})",
            "-" if record["crossing"] is None else f"{record['crossing']:.2f}",
        )
        for record in records
    ]
    header = ("ms (GFLOP/s) of sums at density", "", *(f"{d:g}" for d in densities), "products", "crossing")
    found = ", ".join(f"{kind} {density:.2f}" for kind, density in suggestion(records).items())
    return columns(header, rows, left=2) + f"\n\nmedian crossing of the 3x3 layers: {found}"
