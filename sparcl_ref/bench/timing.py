"""Side-by-side timing: contenders take turns, so that a machine's moods hit all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numba
import torch
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Contender:
    """Something to be timed."""

    name: str
    step: Callable[[], object]
    #: Of one call: two per multiply-add with a living weight. 0 if that means nothing here.
    useful_flops: float = 0.0
    #: Returns a context that is entered before the clock starts, such as a limit of threads.
    around: Callable[[], AbstractContextManager] = nullcontext


def interleaved(contenders: Sequence[Contender], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender, by name, in each of at least one round, after one call each that is not counted.

    Raises
    ------
    ValueError
        If two contenders have one name.
    """
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    if len(seconds) < len(contenders):
        raise ValueError(f"contenders need different names, got {', '.join(c.name for c in contenders)}")
    for counted in (False, *[True] * rounds):
        for contender in contenders:
            with contender.around():
                start = time.perf_counter()
                contender.step()
                passed = time.perf_counter() - start
            if counted:
                seconds[contender.name].append(passed)
    return seconds


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Let PyTorch, Numba, BLAS and OpenMP use that many threads meanwhile."""
    before = torch.get_num_threads(), numba.get_num_threads()
    with threadpool_limits(limits=threads):
        try:
            torch.set_num_threads(threads)
            numba.set_num_threads(threads)
            yield
        finally:
            torch.set_num_threads(before[0])
            numba.set_num_threads(before[1])


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, fastest and slowest: ``median_seconds, min_seconds, max_seconds``."""
    return {"median_seconds": statistics.median(seconds), "min_seconds": min(seconds), "max_seconds": max(seconds)}


def compared(
    contenders: Sequence[Contender], seconds: Mapping[str, list[float]], *, baseline: Iterable[str], peak_flops: float
) -> list[dict[str, Any]]:
    """A record for each contender, in order, of the ``seconds`` that `interleaved` returned.

    Each is ``name``, those of `spread`, ``times_faster`` than the fastest of the ``baseline`` by its median,
    ``useful_gflops_per_second`` and their ``fraction_of_peak``, of what the machine can do with these threads.
    """
    best = min(statistics.median(seconds[name]) for name in baseline)
    records = []
    for contender in contenders:
        found = spread(seconds[contender.name])
        speed = contender.useful_flops / found["median_seconds"]
        rates = {"useful_gflops_per_second": speed / 1e9, "fraction_of_peak": speed / peak_flops}
        records.append({"name": contender.name, **found, "times_faster": best / found["median_seconds"], **rates})
    return records


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of the ratios of two contenders' seconds, each of one round.

    The machine's mood is nearly the same for both parts of such a ratio, so small gains show that drown in the spread
    of the seconds themselves.
    """
    ratios = sorted(a / b for a, b in zip(numerator, denominator, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {"median": statistics.median(ratios), "lower_quartile": low, "upper_quartile": high}
