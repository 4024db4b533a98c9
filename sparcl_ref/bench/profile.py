"""Where the time of a compiled forward and backward pass goes, by kind of step."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from sparcl_ref import fast
from sparcl_ref.bench.engines import sparse_resnet18
from sparcl_ref.bench.request import SPARSITIES, Request
from sparcl_ref.bench.tables import text_table
from sparcl_ref.bench.workload import CLASSES, step_data
from sparcl_ref.cost import FlopLedger
from sparcl_ref.fast.conv import SparseConv
from sparcl_ref.fast.nodes import Node
from sparcl_ref.fast.norm import Norm, NormAdd

KINDS = ("convolution forward", "convolution backward", "batch-norm forward", "batch-norm backward")
SPARSITY = SPARSITIES[-1]


def measure(request: Request, *, peak_flops: float = 0.0) -> list[dict[str, Any]]:
    """``kind, median_seconds, share`` of one pass over a batch at a sparsity of .95.

    For batch-norm also ``gbytes_per_second`` as if each array were read or written only once, for convolutions
    ``gflops_per_second`` of useful work, else None.
    """
    model = sparse_resnet18(request.width, sparsity=SPARSITY)
    network = fast.compile(model)
    x, dy = step_data(request.batch).new, np.full((request.batch, CLASSES), 1e-3, dtype=np.float32)
    spent: dict[str, float] = defaultdict(float)
    for node in network.nodes:
        # An attribute of the object hides the method of its class: the network itself stays as it is.
        for direction in ("forward", "backward"):
            setattr(node, direction, _timed(node, direction, spent))
    rounds: list[dict[str, float]] = []
    for _ in range(1 + 2 * request.rounds):
        spent.clear()
        start = time.perf_counter()
        network.zero_grads()
        network.forward(x, mode="train")
        network.backward(dy, need_dx=False)
        whole = time.perf_counter() - start
        seconds = {kind: spent[kind] for kind in KINDS}
        rounds.append({**seconds, "all else": whole - sum(seconds.values())})
    medians = {kind: statistics.median(found[kind] for found in rounds[1:]) for kind in rounds[0]}
    work = {**_traffic(network.nodes, request.batch), **_flops(model, request.batch)}
    return [
        {
            "kind": kind,
            "median_seconds": seconds,
            "share": seconds / sum(medians.values()),
            "gbytes_per_second": work[kind] / seconds / 1e9 if kind.startswith("batch-norm") else None,
            "gflops_per_second": work[kind] / seconds / 1e9 if kind.startswith("convolution") else None,
        }
        for kind, seconds in medians.items()
    ]


def _timed(node: Node, direction: str, spent: dict[str, float]) -> Callable:
    """A node's pass in one direction, which adds its seconds to those of its kind."""
    action, kind = getattr(node, direction), "all else"
    if isinstance(node, SparseConv | Norm):
        kind = f"{'convolution' if isinstance(node, SparseConv) else 'batch-norm'} {direction}"

    def timed(*arguments: Any) -> None:
        start = time.perf_counter()
        action(*arguments)
        spent[kind] += time.perf_counter() - start

    return timed


def _traffic(nodes: list[Node], batch: int) -> dict[str, int]:
    """Bytes that batch-norms with what is fused into them read and write, each array once per visit.

    Forward y is read and the output written, and a shortcut read; a shortcut's own batch-norm comes before, and leaves
    its result where the sum will be. Backward dL/d(output), the output and y are read, and what ReLU lets pass and
    dL/dy written; a shortcut's own batch-norm reads two more arrays and writes one.
    """
    arrays = {"batch-norm forward": 0, "batch-norm backward": 0}
    for node in nodes:
        if isinstance(node, Norm):
            numbers = math.prod(node.output.layout.shape) * batch
            added = isinstance(node, NormAdd)
            doubled = isinstance(node, NormAdd) and node.shortcut is not None
            arrays["batch-norm forward"] += numbers * (2 + added + 2 * doubled)
            arrays["batch-norm backward"] += numbers * (5 + 3 * doubled)
    return {kind: 4 * numbers for kind, numbers in arrays.items()}


def _flops(model, batch: int) -> dict[str, int]:
    """Useful work by direction; the classifier, a convolution of one pixel here, is part of it."""
    ledger = FlopLedger()
    ledger.record_pass("current", batch, model)
    macs = ledger.table.phase_macs()
    return {
        "convolution forward": 2 * macs["forward_current"],
        "convolution backward": 2 * (macs["dx_current"] + macs["dw_current"]),
    }


def text(records: list[dict[str, Any]]) -> str:
    """One row per kind."""
    forms = {
        f"one pass, numba {SPARSITY:g}": "{kind}",
        "median, ms": "{median_seconds:.2m}",
        "share": "{share:.1%}",
        "GB/s at least": "{gbytes_per_second:.1f}",
        "useful GFLOP/s": "{gflops_per_second:.1f}",
    }
    return text_table(forms, records)
