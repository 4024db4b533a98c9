"""The reference engine as an adapter: every function of the protocol, as its area has it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from sparcl_ref.verify.areas import functions

    found = functions()
    if name == "__all__":  # what ``import *`` takes
        return list(found)
    if name in found:
        return found[name].reference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
