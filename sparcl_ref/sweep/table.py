"""The table of a sweep, for a terminal or a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparcl_ref.comparison import Compared, compare
from sparcl_ref.report import numbers
from sparcl_ref.report.numbers import Spread
from sparcl_ref.result import Result
from sparcl_ref.sweep.statistics import Entry, check_label, interval
from sparcl_ref.text import columns

Measure = Callable[[Result], float | None]
#: Header, measure, what one unit of it is, and whether deviations are shown.
COLUMNS: tuple[tuple[str, Measure, float, bool], ...] = (
    ("Class-IL", lambda run: run.class_il_accuracy, 0.01, True),
    ("Task-IL", lambda run: run.task_il_accuracy, 0.01, True),
    ("forgetting", lambda run: run.forgetting, 0.01, True),
    ("learning", lambda run: run.learning_accuracy, 0.01, True),
    ("newest", lambda run: run.newest_task_accuracy, 0.01, True),
    ("seconds", lambda run: run.wall_seconds, 1.0, False),
    ("exact GFLOPs", lambda run: run.train_flops["exact"], 1e9, False),
    ("paper GFLOPs", lambda run: run.train_flops["paper"], 1e9, False),
    ("exact MB", lambda run: run.memory_bytes["exact"], 1e6, False),
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
    compared: dict[str, Compared] = {}
    header = ["entry", "seeds", *(title for title, *_ in COLUMNS)]
    if against:
        check_label(against, [entry.label for entry in made])
        found = compare({entry.label: entry.results for entry in made if entry.results}, against=against)
        compared = {entry.name: entry for entry in found.entries}
        header += ["difference", "95 % interval"]
    rows = [
        [
            entry.label,
            _seeds(entry),
            *(_cell(entry.spread(measure), unit, wide) for _, measure, unit, wide in COLUMNS),
            *(_difference(compared.get(entry.label)) if against else []),
        ]
        for entry in made
    ]
    notes = [NOTE]
    if against:
        notes.append(
            f"difference: in Class-IL to {against}, in points, mean over the seeds both have; interval: "
            "percentile bootstrap over these."
        )
    notes += [
        f"{entry.label}, seed {seed}: {run.failed}" for entry in made for seed, run in entry.runs.items() if run.failed
    ]
    shown = _markdown(header, rows) if markdown else columns(header, rows, width=width)
    return "\n".join([shown, "", *notes])


def _seeds(entry: Entry) -> str:
    fine = len(entry.results)
    return str(fine) if fine == len(entry.runs) else f"{fine} of {len(entry.runs)}"


def _cell(found: Spread, unit: float, wide: bool) -> str:
    if found.mean is None or not wide:
        return numbers.significant(None if found.mean is None else found.mean / unit)
    deviation = "" if found.std is None else f" ±{numbers.fixed(found.std / unit)}"
    return f"{numbers.fixed(found.mean / unit)}{deviation}"


def _difference(entry: Compared | None) -> list[str]:
    if entry is None or not entry.differences:
        return [numbers.DASH, numbers.DASH]
    ends = interval(entry.differences.values())
    shown = numbers.DASH if ends is None else f"{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}"
    return [f"{100 * (entry.difference.mean or 0):+.1f}", shown]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *(["---:"] * (len(header) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
