"""The explorer: one page on which a recorded run is gone through epoch by epoch, forwards and backwards.

>>> from sparcl_ref import Config, build
>>> from sparcl_ref.report import explorer
>>> recording = explorer.record(build(Config(method="derpp", sparsity=0.9)))  # doctest: +SKIP
>>> explorer.write([recording], "run.html")  # doctest: +SKIP
"""

from __future__ import annotations

from sparcl_ref.report.explorer.layer import LayerRecord
from sparcl_ref.report.explorer.page import render, write
from sparcl_ref.report.explorer.recording import Recorder, Recording, record

__all__ = ["LayerRecord", "Recorder", "Recording", "record", "render", "write"]
