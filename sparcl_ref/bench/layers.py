"""Every distinct convolution of resnet18, forward and backward, side by side."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from sparcl_ref.bench.csr import CSRConv2d
from sparcl_ref.bench.one_layer import OneLayer
from sparcl_ref.bench.pytorch import BASELINE, FORMATS, convolution_step
from sparcl_ref.bench.request import SPARSITIES, Request
from sparcl_ref.bench.shapes import ConvShape, build_layer, convolutions
from sparcl_ref.bench.timing import Contender, compared, interleaved
from sparcl_ref.fast.blas import single_threaded
from sparcl_ref.text import columns

#: Turns of a layer for each turn of a step: layers take milliseconds.
TURNS = 3
#: Positions, in the list of convolutions, of those that a quick bench measures.
QUICK = (1, 4, 10)


def measure(request: Request, *, peak_flops: float) -> list[dict[str, Any]]:
    """Each convolution with all its contenders.

    Returns
    -------
    list of dict
        The fields of `ConvShape`, ``name``, ``products`` (2 where no one needs dX) and ``contenders``, see `compared`.
    """
    shapes = convolutions(request.width)
    records = []
    for shape in [shapes[place] for place in QUICK] if request.quick else shapes:
        contenders = layer_contenders(shape, request.batch, request.sparsities)
        seconds = interleaved(contenders, rounds=request.rounds * (1 if request.quick else TURNS))
        rows = compared(contenders, seconds, baseline=BASELINE, peak_flops=peak_flops)
        records.append({**asdict(shape), "name": shape.name, "products": shape.products, "contenders": rows})
    return records


def layer_contenders(shape: ConvShape, batch: int, sparsities: tuple[float, ...]) -> list[Contender]:
    """Dense PyTorch and NumPy, and for what SparCL prunes: masked-dense, CSR and compiled kernels at sparsities.

    The compiled layer finds its input and its upstream gradient batch-last, as its neighbours in a network leave them;
    reordering them is not timed.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, shape.fan_in, shape.size, shape.size), dtype=np.float32)
    dy = rng.standard_normal((batch, shape.fan_out, shape.out_size, shape.out_size), dtype=np.float32)

    def contender(name: str, step, sparsity: float, around=None) -> Contender:
        living = build_layer(shape, sparsity=sparsity).weight.active
        useful = shape.products * shape.flops(living, batch)
        return Contender(name, step, useful, **({} if around is None else {"around": around}))

    dense = build_layer(shape)
    found = [
        contender(name, convolution_step(shape, dense.weight, x, dy, layout), 0.0) for name, layout in FORMATS.items()
    ]
    found.append(contender("numpy 0", _reference_step(dense, shape, x, dy), 0.0))
    if 0 in sparsities or not shape.sparsifiable:
        found.append(contender("numba 0", OneLayer(dense, shape, x, dy).step, 0.0, single_threaded))
    for sparsity in (s for s in sparsities if s and shape.sparsifiable):
        if sparsity == SPARSITIES[-1]:
            masked = build_layer(shape, sparsity=sparsity)
            found += [
                contender(
                    f"{name} masked-dense {sparsity:g}", convolution_step(shape, masked.weight, x, dy, layout), sparsity
                )
                for name, layout in FORMATS.items()
            ]
        compressed = build_layer(shape, sparsity=sparsity, kind=CSRConv2d)
        found.append(contender(f"scipy csr {sparsity:g}", _reference_step(compressed, shape, x, dy), sparsity))
        compiled = OneLayer(build_layer(shape, sparsity=sparsity), shape, x, dy)
        found.append(contender(f"numba {sparsity:g}", compiled.step, sparsity, single_threaded))
    return found


def _reference_step(layer, shape: ConvShape, x: np.ndarray, dy: np.ndarray):
    def step() -> None:
        layer.weight.grad.fill(0)
        layer.forward(x, mode="train")
        layer.backward(dy, need_dx=not shape.first)

    return step


def text(records: list[dict[str, Any]]) -> str:
    """One table per convolution."""
    parts = []
    for record in records:
        rows = [
            (
                row["name"],
                *(f"{1e3 * row[key]:.2f}" for key in ("median_seconds", "min_seconds", "max_seconds")),
                f"{row['times_faster']:.2f}",
                f"{row['useful_gflops_per_second']:.1f}",
                f"{100 * row['fraction_of_peak']:.0f} %",
            )
            for row in record["contenders"]
        ]
        note = "" if record["products"] == 3 else " (no dX)"
        header = (record["name"] + note, "median, ms", "min", "max", "times faster", "useful GFLOP/s", "of peak")
        parts.append(columns(header, rows))
    return "\n\n".join(parts)
