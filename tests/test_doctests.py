"""The examples in docstrings say what comes."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import sparcl_ref

PACKAGE = Path(sparcl_ref.__file__).parent
#: Only modules that hold examples are imported.
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def test_there_are_examples():
    assert len(MODULES) >= 6


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0, f"{found.failed} of {found.attempted} examples are wrong; see the captured output"
