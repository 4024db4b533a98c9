"""sparcl_ref: the reference implementation of SparCL, sparse continual learning.

>>> from sparcl_ref import Config, train
>>> result = train(Config(method="derpp", sparsity=0.9))  # doctest: +SKIP
>>> print(result)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Public name to the module that defines it; loaded at first use, so that importing the package stays cheap.
_PUBLIC = {
    "Config": "sparcl_ref.config",
    "Draws": "sparcl_ref.draws",
    "Result": "sparcl_ref.result",
    "Learner": "sparcl_ref.saved",
    "build": "sparcl_ref.experiment",
    "compare": "sparcl_ref.comparison",
    "load": "sparcl_ref.saved",
    "load_run": "sparcl_ref.run_results",
    "preset": "sparcl_ref.presets",
    "table": "sparcl_ref.comparison",
    "train": "sparcl_ref.experiment",
    "Dataset": "sparcl_ref.streams",
    "load_dataset": "sparcl_ref.streams",
    "build_model": "sparcl_ref.models",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sparcl_ref' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
