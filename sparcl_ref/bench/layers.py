"""Every distinct convolution of resnet18, forward and backward, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from sparcl_ref.bench.csr import CSRConv2d
from sparcl_ref.bench.pytorch import FORMATS, convolution_step
from sparcl_ref.bench.request import BASELINE, SPARSITIES, Request
from sparcl_ref.bench.tables import comparison, text_table
from sparcl_ref.bench.timing import Contender, compared, interleaved
from sparcl_ref.bench.workload import ConvShape, build_layer, convolutions
from sparcl_ref.fast import OneConvolution
from sparcl_ref.fast.threads import single_threaded
from sparcl_ref.layers import Conv2d

#: Turns of a layer for each turn of a step: layers take milliseconds.
TURNS = 3
#: Positions, in the list of convolutions, of those that a quick bench measures.
QUICK = (1, 4, 10)


def measured_shapes(request: Request) -> list[ConvShape]:
    """The convolutions that a bench measures."""
    shapes = convolutions(request.width)
    return [shapes[place] for place in QUICK] if request.quick else shapes


def measure(request: Request, *, peak_flops: float) -> list[dict[str, Any]]:
    """Each convolution: `ConvShape`, ``name``, ``products`` (2 where no one needs dX) and ``contenders`` `compared`."""
    records = []
    for shape in measured_shapes(request):
        contenders = layer_contenders(shape, request.batch, request.sparsities)
        spent = interleaved(contenders, rounds=request.rounds * (1 if request.quick else TURNS))
        rows = compared(contenders, spent, baseline=BASELINE, peak_flops=peak_flops)
        records.append({**asdict(shape), "name": shape.name, "products": shape.products, "contenders": rows})
    return records


def layer_contenders(shape: ConvShape, batch: int, sparsities: tuple[float, ...]) -> list[Contender]:
    """Dense PyTorch and NumPy, and for what SparCL prunes: masked-dense, CSR and compiled kernels at sparsities.

    The compiled layer finds its input and its upstream gradient batch-last, as its neighbours in a network leave them;
    reordering them is not timed.
    """
    x, dy = random_input(shape, batch)
    found: list[Contender] = []

    def add(name: str, layer: Conv2d, step: Callable[[], object], **around: Any) -> None:
        useful = shape.products * shape.flops(layer.weight.active, batch)
        found.append(Contender(name, step, useful, **around))

    def add_torch(layer: Conv2d, kind: str = "") -> None:
        for name, memory_format in FORMATS.items():
            add(name + kind, layer, convolution_step(shape, layer.weight, x, dy, memory_format))

    def add_numba(layer: Conv2d, sparsity: float) -> None:
        add(f"numba {sparsity:g}", layer, OneLayer(layer, shape, x, dy).step, around=single_threaded)

    dense = build_layer(shape)
    add_torch(dense)
    add("numpy 0", dense, _reference_step(dense, shape, x, dy))
    if 0 in sparsities or not shape.sparsifiable:
        add_numba(dense, 0)
    for sparsity in (s for s in sparsities if s and shape.sparsifiable):
        if sparsity == SPARSITIES[-1]:
            add_torch(build_layer(shape, sparsity=sparsity), f" masked-dense {sparsity:g}")
        compressed = build_layer(shape, sparsity=sparsity, kind=CSRConv2d)
        add(f"scipy csr {sparsity:g}", compressed, _reference_step(compressed, shape, x, dy))
        add_numba(build_layer(shape, sparsity=sparsity), sparsity)
    return found


def random_input(shape: ConvShape, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of float32 that a convolution reads, and a gradient of what it writes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, shape.fan_in, shape.size, shape.size), dtype=np.float32)
    return x, rng.standard_normal((batch, shape.fan_out, shape.out_size, shape.out_size), dtype=np.float32)


def _reference_step(layer: Conv2d, shape: ConvShape, x: np.ndarray, dy: np.ndarray) -> Callable[[], None]:
    def step() -> None:
        layer.weight.grad.fill(0)
        layer.forward(x, mode="train")
        layer.backward(dy, need_dx=not shape.first)

    return step


class OneLayer(OneConvolution):
    """A compiled convolution whose input x and upstream gradient dy (N, C, H, W) lie as in a network beforehand."""

    def __init__(self, layer: Conv2d, shape: ConvShape, x: np.ndarray, dy: np.ndarray):
        super().__init__(layer, x.shape)
        self._need_dx = not shape.first
        self.read(x)
        self.read_upstream(dy)

    def step(self) -> None:
        """Forward and backward."""
        self.forward()
        self.backward(need_dx=self._need_dx)

    def ways(self, *, products: bool) -> dict[str, Callable[[], object]]:
        """Forward, dX and dW as three calls without arguments, by matrix products or by sums over living weights."""
        self.step()  # for its buffers
        node, weight, run = self.node, self.layer.weight, self._run
        # The node chooses between the two by density; here both are wanted at every density.
        forward, backward = (node.matrix_products if products else node.shifted_sums)(weight.mask, run.batch)
        x, y, dy = run.arrays[self._input], run.arrays[self._output], run.grads[self._output]
        upstream = self._output.gradient.run_place(run.batch)

        def dx() -> None:
            for phase in backward:
                phase.gather(dy, weight.value, run.grads[self._input], add=False)

        return {
            "forward": lambda: forward.gather(x, weight.value, y, add=False),
            "dx": dx,
            "dw": lambda: forward.dots(x, dy, **upstream),
        }


def text(records: list[dict[str, Any]]) -> str:
    """One table per convolution."""
    notes = {2: " (no dX)", 3: ""}
    return "\n\n".join(
        text_table(comparison(r["name"] + notes[r["products"]], ".2m", "ms", ".0%"), r["contenders"]) for r in records
    )
