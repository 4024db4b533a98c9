"""Records as tables, for a terminal and as Markdown: each column is a header and a format string over a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from sparcl_ref.text import columns, terminal_width

Record = Mapping[str, Any]
#: Header of each column to the format of its cells, see `Scaled`; ``{a[b]:.1f}`` is field b of field a.
Forms = Mapping[str, str]
#: What a number is multiplied by, by the last letter of its format.
SCALES = {"m": 1e3, "K": 2**-10, "M": 1e-6, "G": 1e-9}


class Scaled(Formatter):
    """``{x:.2m}`` shows thousandths, ``{x:,.0G}`` billions, ``{x:.0%}`` percent, and None becomes ``missing``."""

    def __init__(self, missing: str):
        self.missing = missing

    def format_field(self, value: Any, spec: str) -> str:
        if value is None:
            return self.missing
        if spec.endswith("%"):
            return f"{100 * value:{spec[:-1]}f} %"
        if spec[-1:] in SCALES:
            return f"{value * SCALES[spec[-1]]:{spec[:-1]}f}"
        return format(value, spec)


def seconds(form: str, unit: str = "s") -> dict[str, str]:
    """Columns of what `sparcl_ref.bench.timing.spread` found."""
    keys = {f"median, {unit}": "median_seconds", "min": "min_seconds", "max": "max_seconds"}
    return {header: f"{{{key}:{form}}}" for header, key in keys.items()}


def comparison(name: str, form: str, unit: str, peak: str) -> dict[str, str]:
    """Columns of what `sparcl_ref.bench.timing.compared` found, seconds and fraction of the peak in formats given."""
    faster = {"times faster": "{times_faster:.2f}", "useful GFLOP/s": "{useful_gflops_per_second:.1f}"}
    return {name: "{name}", **seconds(form, unit), **faster, "of peak": f"{{fraction_of_peak:{peak}}}"}


def text_table(forms: Forms, records: Iterable[Record], *, left: int = 1) -> str:
    """A row per record in aligned columns, the first ``left`` to the left."""
    return columns(list(forms), _cells(forms, records, "-"), left=left, width=terminal_width())


def markdown_table(caption: str, forms: Forms, records: Iterable[Record], *, missing: str = "") -> str:
    """A row per record, under a caption."""
    lines = [list(forms), ["---"] + ["---:"] * (len(forms) - 1), *_cells(forms, records, missing)]
    return "\n".join([f"**{caption}**", "", *(f"| {' | '.join(cells)} |" for cells in lines)])


def _cells(forms: Forms, records: Iterable[Record], missing: str) -> list[list[str]]:
    scaled = Scaled(missing)
    return [[scaled.vformat(form, (), record) for form in forms.values()] for record in records]
