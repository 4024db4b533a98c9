"""Forecasts as tables: before a run, and beside what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparcl_ref.forecast import Forecast, InAll
from sparcl_ref.report.numbers import significant
from sparcl_ref.report.table import group_by_entry
from sparcl_ref.text import columns, folded


def forecast_text(items: Sequence[Forecast], whole: InAll, *, jobs: int, width: int | None = None) -> str:
    """What the runs will take: a row for the runs of a name, of which the longest is given, and their sum."""
    by_name: dict[str, list[Forecast]] = {}
    for item in items:
        by_name.setdefault(item.name, []).append(item)
    rows = []
    for name, alike in by_name.items():
        most = max(alike, key=lambda item: item.seconds or 0)
        flops = _flops(most.train_flops["exact"], most.nominal)
        disk = None if most.seconds is None else sum(most.disk_bytes.values())
        rows.append((name, f"{len(alike)}", flops, *_machine(most.seconds, most.peak_memory_bytes, disk)))
    sums = _machine(whole.seconds, whole.peak_memory_bytes, whole.disk_bytes)
    nominal = any(item.nominal for item in items)
    rows.append(("in all", f"{len(items)}", _flops(whole.train_flops, nominal), *sums))
    table = columns(("a run of", "runs", "train GFLOPs", "seconds", "memory, MB", "disk, MB"), rows, width=width)
    exact = "exact but for those marked about, which hang on values or chance" if nominal else "exact"
    said = f"in all: {jobs} at a time. GFLOPs are {exact}; seconds and memory from a short trial."
    return f"{table}\n{folded(said, width or 80)}\n"


def outcome_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Forecast and measured, one row per entry of ``methods`` in summary.json: means over its seeds."""
    rows = []
    for group in group_by_entry([dict(record) for record in records]):
        here = [record["on_this_machine"] for record in group]
        pairs = [
            ([one[key][when] for one in here], unit)
            for key, unit in (("seconds", 1), ("peak_memory_bytes", 1e6))
            for when in ("forecast", "measured")
        ]
        pairs += [
            ([record["predicted"]["train_flops"] for record in group], 1e9),
            ([record["train_flops"]["exact"] for record in group], 1e9),
        ]
        means = (None if None in values else sum(values) / len(values) / unit for values, unit in pairs)
        rows.append((group[0]["name"], *("unknown" if mean is None else significant(mean, 4) for mean in means)))
    above = ("", "seconds", "", "MB", "", "GFLOPs", "")
    header = ("", "forecast", "taken", "forecast", "held", "forecast", "done")
    lines = columns(above, [header, *rows]).split("\n")
    return "\n".join(line.rstrip() for line in lines)


def in_units(number: float | None, unit: float, digits: int) -> str:
    """A cost in a unit; "unknown" where some layer has not said what it costs."""
    return "unknown" if number is None else f"{number / unit:,.{digits}f}"


def _flops(number: int | None, nominal: bool) -> str:
    return ("about " if nominal and number is not None else "") + in_units(number, 1e9, 2)


def _machine(seconds: float | None, memory: float | None, disk: float | None) -> tuple[str, str, str]:
    return in_units(seconds, 1, 1), in_units(memory, 1e6, 0), in_units(disk, 1e6, 1)
