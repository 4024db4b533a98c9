"""Fixtures: a small adapter; one recording of the canonical run and the twin's trace of it, for all tests of traces."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from sparcl_ref.verify.record import record
from tests.verify.commanding import ADAPTER
from tests.verify.freeze import Frozen, freeze
from tests.verify.twin_trace import twin_trace

# The twin's tensors are small: a second thread gains nothing, and waits where the cores have other work to do.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made() -> Frozen:
    """The cases as inputs and oracles give them now."""
    return freeze()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Callable[[str], Path]:
    """The recording of a canonical run, made once."""
    return cache(lambda run: record(tmp_path_factory.mktemp("reference") / f"{run}.npz", run=run))


@pytest.fixture(scope="session")
def replayed(recorded, tmp_path_factory) -> Callable[[str], Path]:
    """The twin's trace of a canonical run, made once."""
    return cache(lambda run: twin_trace(recorded(run), tmp_path_factory.mktemp("twin") / f"{run}.npz"))


@pytest.fixture(scope="session")
def reference(recorded) -> Path:
    return recorded("derpp")


@pytest.fixture(scope="session")
def twin(replayed) -> Path:
    return replayed("derpp")


@pytest.fixture
def adapter(tmp_path):
    path = tmp_path / "my_adapter.py"
    path.write_text(ADAPTER)
    return path
