"""summary.json: strict JSON that a person can read, and reading it back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.report.table import MEASURES

SCHEMA_VERSION = 1
#: File names (without ending) of the figures that a run may write, whichever of them it has.
FIGURE_NAMES = (
    "accuracy_over_tasks",
    "accuracy_against_flops",
    "accuracy_matrices",
    "mask_over_time",
    "cost_waterfall",
)
#: What JSON calls the values of a type.
KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "a boolean",
}
#: What a summary must have, and of which kind.
REQUIRED: dict[str, type] = {"schema_version": int, "command": str, "config": dict, "methods": list}
#: What each of its records must have for a table to be made of it.
RECORD_KEYS = (
    "name", "method", "sparsity", "head", "seed", "class_il_matrix", "task_il_matrix", "train_flops", "memory_bytes",
    *MEASURES,
)  # fmt: skip


def finite(value: float, place: str) -> float:
    """A number as it is, if JSON can hold it."""
    if not math.isfinite(value):
        raise ValueError(f"{place} is {value}, which JSON cannot hold; use None for what is undefined")
    return value


def plain(value: Any, *, place: str = "summary", number: Callable[[float, str], float | None] = finite) -> Any:
    """A value made of dict, list, str, int, float, bool and None alone; NumPy's scalars and arrays become these.

    ``place`` is what an error calls the value; ``number`` takes a float and its place and gives what is kept of it.

    Raises
    ------
    ValueError
        If a number is NaN or infinite.
    TypeError
        If a key is no string, or a value has no place in JSON.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return number(value, place)
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{place} has the key {odd[0]!r}; keys must be strings")
        return {key: plain(item, place=f"{place}.{key}", number=number) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, place=f"{place}[{index}]", number=number) for index, item in enumerate(value)]
    raise TypeError(f"{place} is a {type(value).__name__}, which JSON cannot hold")


def to_json(summary: Mapping[str, Any]) -> str:
    """A summary as strict JSON in a readable layout; keys keep their order, a newline ends it. Raises as `plain`."""
    return _lines(plain(summary), "") + "\n"


def _lines(value: Any, indent: str) -> str:
    """Objects, and lists of objects or lists, over several lines; lists of scalars on one."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        inside = [f"{deeper}{json.dumps(key)}: {_lines(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(inside) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        inside = [deeper + _lines(item, deeper) for item in value]
        return "[\n" + ",\n".join(inside) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def load_summary(path: str | Path) -> dict[str, Any]:
    """Read a summary.json back.

    Raises
    ------
    ValueError
        In one line with the file's name: if it cannot be read, is no strict JSON, or is no summary of this version.
    """
    try:
        summary = json.loads(Path(path).read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON, line {error.lineno} column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if problem := _problem(summary):
        raise ValueError(f"{path}: not a summary of a run: {problem}")
    return summary


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _problem(summary: Any) -> str | None:
    """What is wrong with a parsed summary; None if nothing is."""
    if not isinstance(summary, dict):
        return f"expected an object, got {_kind(summary)}"
    for key, kind in REQUIRED.items():
        if key not in summary:
            return f"{key!r} is missing"
        if type(summary[key]) is not kind:
            return f"{key!r} must be {KINDS[kind]}, got {_kind(summary[key])}"
    if summary["schema_version"] != SCHEMA_VERSION:
        return f"schema_version is {summary['schema_version']}, and this version reads {SCHEMA_VERSION}"
    for index, record in enumerate(summary["methods"]):
        if not isinstance(record, dict):
            return f"methods[{index}] must be an object, got {_kind(record)}"
        if missing := [key for key in RECORD_KEYS if key not in record]:
            return f"methods[{index}] lacks {', '.join(map(repr, missing))}"
    return None


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "null")
