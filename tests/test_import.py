"""Importing the package is cheap and pulls in nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sparcl_ref

HEAVY = ("torch", "matplotlib", "numba", "scipy.stats")


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import sparcl_ref", "from sparcl_ref import *", "import sparcl_ref.experiment, sparcl_ref.run"],
)
def test_import_loads_nothing_heavy(statement):
    loaded = modules_after(statement)
    assert "sparcl_ref" in loaded
    assert not loaded & set(HEAVY)


def test_every_public_name_resolves():
    for name in sparcl_ref.__all__:
        assert getattr(sparcl_ref, name) is not None
    assert set(sparcl_ref.__all__) <= set(dir(sparcl_ref))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sparcl_ref.nothing
