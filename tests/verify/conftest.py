"""Fixtures: a small adapter; one recording of the canonical run and the twin's trace of it, for all tests of traces."""

from __future__ import annotations

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
def reference(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("reference") / "reference.npz")


@pytest.fixture(scope="session")
def twin(reference, tmp_path_factory) -> Path:
    return twin_trace(reference, tmp_path_factory.mktemp("twin") / "twin.npz")


@pytest.fixture
def adapter(tmp_path):
    path = tmp_path / "my_adapter.py"
    path.write_text(ADAPTER)
    return path
