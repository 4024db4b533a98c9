"""The page's last sections: configuration, how to run it again, and what the bits of the run depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sparcl_ref.report import numbers
from sparcl_ref.report.page.markup import Markup, element, joined, table
from sparcl_ref.report.table import Record, group_by_entry


def configuration(records: Sequence[Record]) -> Markup:
    """Settings that all runs share, and those in which entries differ."""
    groups = [group[0] for group in group_by_entry(records)]
    configs = [record.get("config", {}) for record in groups]
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if key != "seed"]
    if not keys:
        return Markup()
    varied = [key for key in keys if any(config.get(key) != configs[0].get(key) for config in configs)]
    lines = [
        [record["name"], *(_setting(config.get(key)) for key in varied)]
        for record, config in zip(groups, configs, strict=True)
    ]
    shared = [[element("code", key), _setting(configs[0].get(key))] for key in keys if key not in varied]
    whose = "all entries share" if len(groups) > 1 else "were used"
    own = table(["Entry", *varied], lines, caption="Settings in which entries differ") if varied else ""
    return joined([own, _folded(f"{len(shared)} settings that {whose}", ["Setting", "Value"], shared)])


def _setting(value: Any) -> str:
    return numbers.DASH if value is None else value if isinstance(value, str) else json.dumps(value)


def again(summary: Mapping[str, Any]) -> Markup:
    """The command that made the page, and the one that repeats the run from its summary."""
    same = (
        "gives the same numbers to the last bit, times apart, on the same machine with the same versions and threads."
    )
    parts = [
        element("p", "This page is the work of"),
        element("pre", summary["command"]),
        element("p", "The summary beside it holds the effective configuration of every run. From that folder,"),
        element("pre", "python -m sparcl_ref.run --config summary.json --out again"),
        element("p", same, class_="note"),
    ]
    return joined([*parts, _versions(summary)])


def _versions(summary: Mapping[str, Any]) -> Markup:
    """What the bits of the run depend on: versions, threads, class order, data."""
    rows = [[name, str(value)] for name, value in summary.get("versions", {}).items()]
    rows += [[f"threads, {name}", str(value)] for name, value in summary.get("threads", {}).items()]
    rows += [[f"data, {name}", _setting(value)] for name, value in summary.get("dataset", {}).items()]
    if summary.get("class_order"):
        rows.append(["class order", " ".join(map(str, summary["class_order"]))])
    return _folded("Versions, threads and data", ["What", "Value"], rows)


def _folded(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    """A table in a box to unfold; nothing without rows."""
    if not rows:
        return Markup()
    return element("details", element("summary", title), table(head, rows, class_="text"), class_="lone")
