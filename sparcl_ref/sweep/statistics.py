"""What many results say together: entries over their seeds, intervals for paired differences, and what is best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparcl_ref.comparison import labels
from sparcl_ref.report.numbers import Spread, spread
from sparcl_ref.result import Result
from sparcl_ref.sweep.results import Found
from sparcl_ref.text import did_you_mean

RESAMPLES, LEVEL = 9999, 0.95


@dataclass(frozen=True)
class Entry:
    """The runs of one configuration, by seed; those that failed are among them, and in no mean."""

    label: str
    runs: Mapping[int, Found]

    @property
    def results(self) -> list[Result]:
        """Of the runs that have one."""
        return [run.result for run in self.runs.values() if run.result is not None]

    def spread(self, measure: Callable[[Result], float | None]) -> Spread:
        """Mean and standard deviation over seeds."""
        return spread(map(measure, self.results))


def entries(found: Sequence[Found]) -> list[Entry]:
    """One per configuration, the most accurate first."""
    named = labels((run.config.title, run.config) for run in found)
    runs: dict[str, dict[int, Found]] = {label: {} for label in named.values()}
    for run in sorted(found, key=lambda run: run.config.seed):
        runs[named[dataclasses.replace(run.config, seed=0)]][run.config.seed] = run
    made = [Entry(label, mine) for label, mine in runs.items()]
    return sorted(made, key=lambda entry: (-(entry.spread(lambda run: run.class_il_accuracy).mean or 0), entry.label))


def check_label(label: str, known: Collection[str]) -> None:
    """ValueError, with what there is, if no entry is called so."""
    if label not in known:
        raise ValueError(f"no entry is called {label!r}{did_you_mean(label, known)}; there are {'; '.join(known)}")


def interval(differences: Iterable[float]) -> tuple[float, float] | None:
    """An interval for the mean of differences seed by seed; None for fewer than two.

    It is the percentile bootstrap's at `LEVEL` (Efron, 1979), with `RESAMPLES` draws from a fixed seed. With three or
    five seeds it is too narrow rather than too wide.
    """
    found = np.fromiter(differences, dtype=float)
    if len(found) < 2:
        return None
    drawn = np.random.default_rng(0).integers(len(found), size=(RESAMPLES, len(found)))
    low, high = np.quantile(found[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def seen_so_far(result: Result) -> list[float]:
    """Class-IL accuracy after each task, mean over the tasks learned by then."""
    return [float(np.mean(row[:task])) for task, row in enumerate(result.class_il_matrix[1:], start=1)]


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other beats: none costs at most as much and is at least as good (Pareto)."""
    return [
        index
        for index, (cost, good) in enumerate(points)
        if not any(c <= cost and g >= good and (c, g) != (cost, good) for c, g in points)
    ]
