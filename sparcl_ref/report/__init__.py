"""What a person sees after a run: table, figures, one self-contained page, and the files they are kept in.

Data come in as plain dicts (see `write_run`). Matplotlib is imported when a figure is drawn, not before.
"""

from __future__ import annotations

from sparcl_ref.report.summary import load_summary
from sparcl_ref.report.table import Row, aggregate, format_table
from sparcl_ref.report.write import (
    RESULTS,
    check_writable,
    drawing_problem,
    files_of_run,
    load_masks,
    metrics_csv,
    write_run,
)

__all__ = [
    "RESULTS",
    "Row",
    "aggregate",
    "check_writable",
    "drawing_problem",
    "files_of_run",
    "format_table",
    "load_masks",
    "load_summary",
    "metrics_csv",
    "write_run",
]
