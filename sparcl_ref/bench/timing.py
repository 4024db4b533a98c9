"""Side-by-side timing: contenders take turns, so that a machine's moods hit all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(contenders: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after one call each that is not counted.

    Parameters
    ----------
    contenders : mapping of str to callable
    rounds : int
        At least 1.

    Returns
    -------
    dict of str to list of float
    """
    for action in contenders.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, action in contenders.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def compared(seconds: Mapping[str, list[float]], *, baseline: tuple[str, ...]) -> list[dict[str, object]]:
    """Median, fastest and slowest of each contender, and how many times faster it is than the best baseline.

    Parameters
    ----------
    seconds : mapping of str to list of float
    baseline : tuple of str
        Contenders of which the one with the lowest median counts.

    Returns
    -------
    list of dict
        ``name, median_seconds, min_seconds, max_seconds, times_faster``.
    """
    best = min(statistics.median(seconds[name]) for name in baseline)
    return [
        {
            "name": name,
            "median_seconds": statistics.median(values),
            "min_seconds": min(values),
            "max_seconds": max(values),
            "times_faster": best / statistics.median(values),
        }
        for name, values in seconds.items()
    ]
