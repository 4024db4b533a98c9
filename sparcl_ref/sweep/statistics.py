"""What many results say together: entries over their seeds, and pairs of entries seed by seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sparcl_ref.report.numbers import Spread, spread
from sparcl_ref.sweep.grid import digest, labels
from sparcl_ref.sweep.results import Found
from sparcl_ref.text import did_you_mean

RESAMPLES, LEVEL = 9999, 0.95


@dataclass(frozen=True)
class Entry:
    """The runs of one configuration, by seed; those that failed are among them, and in no mean."""

    label: str
    runs: Mapping[int, Found]

    def values(self, measure: Callable[[Found], float | None]) -> dict[int, float]:
        """What a measure says of each run it is known of, by seed."""
        found = {seed: measure(run) for seed, run in self.runs.items() if run.record is not None}
        return {seed: value for seed, value in found.items() if value is not None}

    def spread(self, measure: Callable[[Found], float | None]) -> Spread:
        """Mean and standard deviation over seeds."""
        return spread(self.values(measure).values())


def class_il(run: Found) -> float | None:
    return _record(run)["class_il_accuracy"]


def task_il(run: Found) -> float | None:
    return _record(run)["task_il_accuracy"]


def forgetting(run: Found) -> float | None:
    return _record(run)["forgetting"]


def learning(run: Found) -> float | None:
    return _record(run)["learning_accuracy"]


def newest_task(run: Found) -> float | None:
    """Class-IL accuracy on the last task after it: what forgetting alone does not show."""
    return _record(run)["class_il_matrix"][-1][-1]


def seconds(run: Found) -> float | None:
    return None if run.seconds is None else run.seconds["wall_seconds"]


def exact_flops(run: Found) -> float | None:
    return _record(run)["train_flops"]["exact"]


def paper_flops(run: Found) -> float | None:
    return _record(run)["train_flops"]["paper"]


def exact_bytes(run: Found) -> float | None:
    return _record(run)["memory_bytes"]["exact"]


def seen_so_far(run: Found) -> list[float]:
    """Class-IL accuracy after each task, mean over the tasks learned by then."""
    matrix = _record(run)["class_il_matrix"]
    return [float(np.mean(row[:task])) for task, row in enumerate(matrix[1:], start=1)]


def _record(run: Found) -> dict:
    assert run.record is not None, "a run that failed has no measures"
    return run.record


def entries(found: Sequence[Found]) -> list[Entry]:
    """One per configuration, the most accurate first."""
    named = labels(run.config for run in found)
    runs: dict[str, dict[int, Found]] = defaultdict(dict)
    for run in found:
        runs[digest(run.config)][run.config.seed] = run
    made = [Entry(label, dict(sorted(runs[name].items()))) for name, label in named.items()]
    return sorted(made, key=lambda entry: (-(entry.spread(class_il).mean or 0), entry.label))


def named(made: Sequence[Entry], label: str) -> Entry:
    """The entry of that label; ValueError if there is none."""
    known = [entry.label for entry in made]
    check_label(label, known)
    return made[known.index(label)]


def check_label(label: str, known: Collection[str]) -> None:
    """ValueError, with what there is, if no entry is called so."""
    if label not in known:
        raise ValueError(f"no entry is called {label!r}{did_you_mean(label, known)}; there are {'; '.join(known)}")


class Paired(NamedTuple):
    """Mean of the differences seed by seed, over so many seeds, and an interval for it; none for a single seed."""

    seeds: int
    mean: float
    low: float | None
    high: float | None


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Paired | None:
    """Ours minus theirs over the seeds that both have; None if there are none.

    The same seed means the same class order, initial weights and, until data removal takes some away, order of samples,
    so that what these do to both cancels. The interval is the percentile bootstrap's at `LEVEL` (Efron, 1979), with
    `RESAMPLES` draws from a fixed seed; with three or five seeds it is too narrow rather than too wide.
    """
    common = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[seed] - theirs[seed] for seed in common])
    if len(common) < 2:
        return Paired(1, float(differences[0]), None, None) if common else None
    drawn = np.random.default_rng(0).integers(len(common), size=(RESAMPLES, len(common)))
    low, high = np.quantile(differences[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Paired(len(common), float(differences.mean()), float(low), float(high))


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other beats: none costs at most as much and is at least as good (Pareto)."""
    return [
        index
        for index, (cost, good) in enumerate(points)
        if not any(c <= cost and g >= good and (c, g) != (cost, good) for c, g in points)
    ]
