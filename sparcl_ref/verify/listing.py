"""The protocol as text: every function with its full signature, its rule and its cases."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.function import REQUIRED, Function

WIDTH = 100


def format_listing(functions: Iterable[Function], cases: Iterable[Case] = ()) -> str:
    """All functions by area, one after the other, with the names of their cases; without a final line break."""
    names: dict[str, list[str]] = {}
    for case in cases:
        names.setdefault(case.function, []).append(case.id.partition("/")[2])
    blocks = []
    for area, members in groupby(functions, key=lambda function: function.area):
        blocks.append(f"[{area}]")
        blocks += [format_function(function, names) for function in members]
    return "\n\n".join(blocks)


def as_records(functions: Iterable[Function], cases: Iterable[Case] = ()) -> list[dict[str, Any]]:
    """The same as JSON values, one record per function; "required" says of an argument that it has no default."""
    cases = list(cases)
    return [
        {
            "name": function.name,
            "area": function.area,
            "signature": signature(function),
            "sentence": function.sentence,
            "source": function.source,
            "arguments": [
                {"name": a.name, "text": a.text, "required": a.default is REQUIRED}
                | ({} if a.default is REQUIRED else {"default": a.default})
                for a in function.arguments
            ],
            "outputs": [{"name": o.name, "text": o.text, "exact": o.exact} for o in function.outputs],
            "cases": [
                {"id": case.id, "kind": case.kind, "profile": case.profile, "note": case.note, "oracle": case.oracle}
                for case in cases
                if case.function == function.name
            ],
        }
        for function in functions
    ]


def signature(function: Function) -> str:
    """The call as Python would write it: ``name(x, weight, bias=None) -> y``."""
    taken = (a.name if a.default is REQUIRED else f"{a.name}={a.default!r}" for a in function.arguments)
    return f"{function.name}({', '.join(taken)}) -> {', '.join(output.name for output in function.outputs)}"


def format_function(function: Function, cases: Mapping[str, Sequence[str]]) -> str:
    """One function: signature, rule, source, arguments, outputs, cases."""
    lines = _wrapped("", signature(function), indent="    ")
    lines += _wrapped("  ", f"{function.sentence} [{function.source}]")
    lines += [line for a in function.arguments for line in _wrapped(f"    {a.name}: ", a.text)]
    for output in function.outputs:
        lines += _wrapped(f"    -> {output.name}: ", output.text + (" (exact)" if output.exact else ""))
    if function.name in cases:
        lines += _wrapped("    cases: ", ", ".join(cases[function.name]))
    return "\n".join(lines)


def _wrapped(head: str, text: str, indent: str = "") -> list[str]:
    hanging = indent or " " * (6 if head.strip() else len(head))
    return textwrap.wrap(
        head + text, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True,
    )  # fmt: skip
