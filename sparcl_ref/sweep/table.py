"""The table of a sweep, for a terminal or a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import Spread
from sparcl_ref.sweep import statistics
from sparcl_ref.sweep.results import Found
from sparcl_ref.sweep.statistics import Entry, named, paired
from sparcl_ref.text import columns

Measure = Callable[[Found], float | None]
#: Header, measure, what one unit of it is, and whether deviations are shown.
COLUMNS: tuple[tuple[str, Measure, float, bool], ...] = (
    ("Class-IL", statistics.class_il, 0.01, True),
    ("Task-IL", statistics.task_il, 0.01, True),
    ("forgetting", statistics.forgetting, 0.01, True),
    ("learning", statistics.learning, 0.01, True),
    ("newest", statistics.newest_task, 0.01, True),
    ("seconds", statistics.seconds, 1.0, False),
    ("exact GFLOPs", statistics.exact_flops, 1e9, False),
    ("paper GFLOPs", statistics.paper_flops, 1e9, False),
    ("exact MB", statistics.exact_bytes, 1e6, False),
)
NOTE = (
    "Accuracies in percent, mean and standard deviation over seeds; learning: on each task right after it; newest: on "
    "the last task, after it."
)


def table(made: Sequence[Entry], *, against: str = "", markdown: bool = False, width: int | None = None) -> str:
    """A row per entry, with what follows under it; ``against`` adds paired differences in Class-IL to that entry.

    Raises
    ------
    ValueError
        If no entry is called ``against``.
    """
    baseline = named(made, against) if against else None
    header = ["entry", "seeds", *(title for title, *_ in COLUMNS)]
    header += [] if baseline is None else ["difference", "95 % interval"]
    rows = [
        [
            entry.label,
            _seeds(entry),
            *(_cell(entry.spread(measure), unit, wide) for _, measure, unit, wide in COLUMNS),
            *([] if baseline is None else _difference(entry, baseline)),
        ]
        for entry in made
    ]
    notes = [NOTE]
    if baseline is not None:
        notes.append(
            f"difference: in Class-IL to {baseline.label}, in points, mean over the seeds both have; interval: "
            "percentile bootstrap over these."
        )
    notes += [
        f"{entry.label}, seed {seed}: {run.failed}" for entry in made for seed, run in entry.runs.items() if run.failed
    ]
    shown = _markdown(header, rows) if markdown else columns(header, rows, width=width)
    return "\n".join([shown, "", *notes])


def _seeds(entry: Entry) -> str:
    fine = sum(run.record is not None for run in entry.runs.values())
    return str(fine) if fine == len(entry.runs) else f"{fine} of {len(entry.runs)}"


def _cell(found: Spread, unit: float, wide: bool) -> str:
    if found.mean is None or not wide:
        return numbers.significant(None if found.mean is None else found.mean / unit)
    deviation = "" if found.std is None else f" ±{numbers.fixed(found.std / unit)}"
    return f"{numbers.fixed(found.mean / unit)}{deviation}"


def _difference(entry: Entry, baseline: Entry) -> list[str]:
    found = paired(entry.values(statistics.class_il), baseline.values(statistics.class_il))
    if entry is baseline or found is None:
        return [numbers.DASH, numbers.DASH]
    interval = numbers.DASH if found.low is None else f"{100 * found.low:+.1f} to {100 * (found.high or 0):+.1f}"
    return [f"{100 * found.mean:+.1f}", interval]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *(["---:"] * (len(header) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
