"""Where the tests of this folder find real images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: A data folder: it has the notice-bearing excerpt of Fashion-MNIST, which comes with the tests.
EXCERPT = Path(__file__).with_name("data")


@pytest.fixture
def real_data() -> Path:
    """The folder named by SPARCL_REF_DATA; where it is set, tests that use it must run."""
    root = os.environ.get("SPARCL_REF_DATA")
    if not root:
        pytest.skip("SPARCL_REF_DATA is not set: no real MNIST and CIFAR-10 images to read")
    return Path(root)


@pytest.fixture
def excerpt(monkeypatch) -> Path:
    """The folder of the excerpt, as the one place where data sets are looked for."""
    monkeypatch.setenv("SPARCL_REF_DATA", str(EXCERPT))
    return EXCERPT
