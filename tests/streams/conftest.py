"""Where the tests of this folder find real MNIST and CIFAR-10 images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Path:
    """The folder named by SPARCL_REF_DATA; where it is set, tests that use it must run."""
    root = os.environ.get("SPARCL_REF_DATA")
    if not root:
        pytest.skip("SPARCL_REF_DATA is not set: no real MNIST and CIFAR-10 images to read")
    return Path(root)
