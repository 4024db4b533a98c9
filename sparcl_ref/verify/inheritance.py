"""Which failures may only be those of a part: a wrong cross-entropy fails every loss that is made of it."""

from __future__ import annotations

from collections.abc import Sequence

from sparcl_ref.verify.function import Function
from sparcl_ref.verify.outcome import Outcome


def inherited(failures: Sequence[Outcome]) -> dict[str, str]:
    """Functions whose failures may only be inherited, each with the failed function that is part of it.

    That is so where a part has failed, and the numbers are not those of a known mistake that the part does not make.
    """
    causes: dict[str, set[str]] = {}
    functions: dict[str, Function] = {}
    for outcome in failures:
        functions[outcome.function.name] = outcome.function
        causes.setdefault(outcome.function.name, set()).update(outcome.causes)
    found = {}
    for name in functions:
        parts = _failed_parts(name, functions)
        if parts and causes[name] <= set().union(*(causes[part] for part in parts)):
            found[name] = parts[-1]
    return found


def _failed_parts(name: str, functions: dict[str, Function]) -> list[str]:
    """The functions that are part of one and have failed, also through others, the innermost last."""
    parts = [part for part in functions[name].uses if part in functions]
    return list(dict.fromkeys([*parts, *(inner for part in parts for inner in _failed_parts(part, functions))]))
