"""Loaded by pytest before any test module: which package tests see, and how much of the machine a process takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_WORKERS = 8

# Processes that tests start (commands, adapters, kernels, compiled examples) look here first. An installed copy of the
# package would pass whatever the checkout says.
_others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", str(ROOT))]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *_others])

# Workers stand side by side: a thread per core in each would wait for the other's. Read when NumPy, Numba and PyTorch
# are first imported, hence before all else; a test that needs threads starts a process and says how many.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

from tests import hypothesis_profile  # noqa: E402 - the environment comes first

hypothesis_profile.register()

pytest_plugins = ["tests.browser"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """A worker per core for the suite or a folder; none for single files, which start faster and can be debugged."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    if all(".py" in argument for argument in config.args):
        return 0
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Where SPARCL_REF_DATA is set, a test that wants real data and skips has failed."""
    report = yield
    if report.skipped and "real_data" in getattr(item, "fixturenames", ()) and os.environ.get("SPARCL_REF_DATA"):
        report.outcome = "failed"
    return report
