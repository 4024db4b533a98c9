"""The figures of a run; each function takes plain data and returns a `matplotlib.figure.Figure` of its own.

No pyplot and no window: `png` turns a figure into the bytes of a file.
"""

from __future__ import annotations

from sparcl_ref.report.against_flops import accuracy_against_flops
from sparcl_ref.report.canvas import png
from sparcl_ref.report.mask_figure import mask_over_time
from sparcl_ref.report.matrices import accuracy_matrices, accuracy_matrix
from sparcl_ref.report.over_tasks import accuracy_over_tasks
from sparcl_ref.report.waterfall import cost_waterfall

__all__ = [
    "accuracy_against_flops",
    "accuracy_matrices",
    "accuracy_matrix",
    "accuracy_over_tasks",
    "cost_waterfall",
    "mask_over_time",
    "png",
]
