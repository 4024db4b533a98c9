"""Roofs: what this machine can do at best, measured with the engine's own kinds of loops.

A kernel that is far below the peak of multiply-adds from registers may still be at its limit: with one operand
streaming from a cache or from memory, that level's bandwidth is the roof.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.bench import registers
from sparcl_ref.bench.registers import TILE
from sparcl_ref.bench.request import Request
from sparcl_ref.bench.tables import text_table
from sparcl_ref.bench.timing import Contender, interleaved, limited_threads, spread
from sparcl_ref.fast.layout import aligned_zeros
from sparcl_ref.fast.loops import dot_rows

#: Assumed where the system does not say, in bytes.
ASSUMED_CACHES = {"L1": 32 * 2**10, "L2": 2**20, "L3": 16 * 2**20}
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
#: A measurement shorter than this is repeated within the clock until it is longer.
LEAST_SECONDS = 0.01
#: No working set is larger than this, in bytes per thread.
MOST_BYTES = 256 * 2**20
ITEM = 4
#: Weights per output, on average, of the short sums that sparse layers consist of, and number of outputs.
BLOCKS = (4, 14)
OUTPUTS = 64

#: Something that repeats its work as often as it is told, and the FLOPs or bytes of one repetition.
Action = tuple[Callable[[int], object], float]


def register_peak(threads: int, *, rounds: int = 5) -> float:
    """Multiply-adds from registers in float32, in FLOP/s: the fastest of some rounds."""
    action, flops = _peak(threads)
    with limited_threads(threads):
        passes = _calibrate(action)
        seconds = interleaved([Contender("peak", lambda: action(passes))], rounds=rounds)["peak"]
    return flops * passes / min(seconds)


def measure(request: Request, *, peak_flops: float = 0.0) -> list[dict[str, Any]]:
    """Every roof at every number of threads.

    Each is ``name, threads, bytes_per_thread`` (None for registers), ``unit`` ("GFLOP/s" or "GB/s") and
    ``median, min, max``.
    """
    caches = ASSUMED_CACHES | cache_bytes()
    records: list[dict[str, Any]] = []
    for threads in range(1, request.threads + 1):
        actions: dict[tuple[str, int | None, str], Action] = {
            ("multiply-adds in registers", None, "GFLOP/s"): _peak(threads)
        }
        for level, size in working_sets(caches, quick=request.quick).items():
            for order, shuffled in (("", False), (", random rows", True)):
                what = f"multiply-adds, operand from {level}{order}"
                actions[what, size, "GFLOP/s"] = _stream(size, threads, shuffled=shuffled)
            actions[f"copy within {level}", size, "GB/s"] = _copy(size, threads)
        size = caches["L1"] // 2
        actions["dot products, operand from L1", size, "GFLOP/s"] = _dot(size, threads)
        for weights in BLOCKS:
            what = f"sums of {weights} weights, operand from L1"
            actions[what, size, "GFLOP/s"] = _short_sums(weights, size, threads)
        records += _timed(actions, threads, request.rounds)
    return records


def cache_bytes(folder: Path = CACHES) -> dict[str, int]:
    """Sizes of the data caches of the first core by level, ``{"L1": ..., "L2": ..., "L3": ...}``, as far as known."""
    sizes = {}
    for place in sorted(folder.glob("index*")):
        kind, level, size = ((place / name).read_text().strip() for name in ("type", "level", "size"))
        found = re.fullmatch(r"(\d+)([KMG]?)", size)
        if kind != "Instruction" and found:
            sizes[f"L{level}"] = int(found[1]) * UNITS[found[2]]
    return sizes


def working_sets(caches: dict[str, int], *, quick: bool = False) -> dict[str, int]:
    """Bytes per thread that fit in one level of the caches, but not in the one below; memory's set is limited.

    The third level counts with what eight times the second holds: on shared machines its stated size is a rumour.
    """
    third = min(caches["L3"] // 2, 8 * caches["L2"])
    sets = {"L1": caches["L1"] // 2, "L2": caches["L2"] // 2, "L3": max(third, caches["L2"])}
    return sets if quick else {**sets, "memory": min(max(4 * caches["L3"], 16 * caches["L2"]), MOST_BYTES)}


def text(records: list[dict[str, Any]]) -> str:
    """The roofs as a table."""
    forms = {"roof": "{name}", "KiB per thread": "{bytes_per_thread:,.0K}", "threads": "{threads}"}
    forms |= {key: f"{{{key}:.1f}}" for key in ("median", "min", "max")}
    return text_table({**forms, "unit": "{unit}"}, records)


def _timed(actions: dict, threads: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Records of actions that take turns, each repeated until it is long enough for the clock."""
    with limited_threads(threads):
        passes = {key: _calibrate(action) for key, (action, _) in actions.items()}
        contenders = [Contender(str(key), partial(action, passes[key])) for key, (action, _) in actions.items()]
        seconds = interleaved(contenders, rounds=rounds)
    for (name, size, unit), (_, work) in actions.items():
        key = name, size, unit
        found = spread(seconds[str(key)])
        median, most, least = (work * passes[key] / value / 1e9 for value in found.values())
        yield {
            "name": name, "threads": threads, "bytes_per_thread": size, "unit": unit,
            "median": median, "min": least, "max": most,  # the slowest round is the lowest rate
        }  # fmt: skip


def _calibrate(action: Callable[[int], object]) -> int:
    """How often an action is to be repeated."""
    action(1)
    passes = 1
    while True:
        start = time.perf_counter()
        action(passes)
        passed = time.perf_counter() - start
        if passed >= LEAST_SECONDS:
            return passes
        passes = max(2 * passes, min(8 * passes, int(passes * 1.2 * LEAST_SECONDS / max(passed, 1e-9))))


def _ones(count: int) -> np.ndarray:
    ones = aligned_zeros(count, np.float32)
    ones[:] = 1
    return ones


def _peak(threads: int) -> Action:
    out = aligned_zeros(threads * TILE, np.float32)
    # A factor below 1 keeps the sums small, and far from denormal numbers.
    factor, term = np.float32(0.5), np.float32(0.25)
    flops = 2.0 * registers.CHAINS * registers.LANES * threads
    return lambda passes: registers.multiply_add(passes, factor, term, out, threads), flops


def _stream(size: int, threads: int, *, shuffled: bool) -> Action:
    tiles = max(1, size // (ITEM * TILE))
    each = tiles * TILE
    x, y = _ones(threads * each), aligned_zeros(threads * TILE, np.float32)
    offs = np.arange(tiles, dtype=np.int32) * np.int32(TILE)
    if shuffled:
        np.random.default_rng(0).shuffle(offs)
    vals = np.full(tiles, 1e-6, dtype=np.float32)
    return lambda passes: registers.stream(x, each, offs, vals, y, passes, threads), 2.0 * threads * each


def _short_sums(weights: int, size: int, threads: int) -> Action:
    """As a sparse layer has them: random numbers of random rows, for outputs of which each has a tile of its own."""
    rng = np.random.default_rng(0)
    tiles = max(1, size // (ITEM * TILE))
    indptr = np.concatenate([[0], np.cumsum(rng.poisson(weights, OUTPUTS))])
    total = int(indptr[-1])
    offs = (rng.integers(0, tiles, total) * TILE).astype(np.int32)
    x, y = _ones(tiles * TILE), aligned_zeros(threads * OUTPUTS * TILE, np.float32)
    vals = np.ones(total, dtype=np.float32)
    work = 2.0 * threads * total * TILE
    return lambda passes: registers.short_sums(x, offs, vals, indptr, y, passes, threads), work


def _dot(size: int, threads: int) -> Action:
    """The engine's own loop over rows, which here lie on top of each other; each thread has an output channel."""
    tiles = max(1, size // (ITEM * TILE))
    x, dy = _ones(threads * tiles * TILE), _ones(threads * TILE)
    dy *= 1e-6
    offs = np.arange(threads * tiles, dtype=np.int32) * np.int32(TILE)
    indptr, bounds = np.arange(threads + 1) * tiles, np.arange(threads + 1)
    out = np.empty(threads * tiles, dtype=np.float32)

    def action(passes: int) -> None:
        dot_rows(x, 0, 0, offs, indptr, bounds, threads, dy, 0, 0, TILE, passes, TILE, out)

    return action, 2.0 * threads * tiles * TILE


def _copy(size: int, threads: int) -> Action:
    each = size // (2 * ITEM)  # source and target share the working set
    source, target = _ones(threads * each), aligned_zeros(threads * each, np.float32)
    return lambda passes: registers.copy(source, target, each, passes, threads), 2.0 * ITEM * threads * each
