"""What the workbook says of calls that cannot be meant, in one line, and a watch over what functions write into."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np


class _OneLine(Exception):  # noqa: N818 - a manner of being shown
    """A notebook shows the line alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__mro__[2].__name__}: {self}"]


class CallError(_OneLine, TypeError):
    """A call with something that is not asked for."""


class RequestError(_OneLine, ValueError):
    """A value or name that cannot be."""


def by_name(text: str) -> str:
    """A message about flags, such as --batch-size, as one about arguments: batch_size."""
    return re.sub(r"--([a-z][a-z-]*[a-z])", lambda found: found[1].replace("-", "_"), text)


def watched(function: Callable[..., Any], written: set[str]) -> Callable[..., Any]:
    """The function, with a note of the names of arguments whose arrays are other than before when it returns."""

    @functools.wraps(function)
    def call(**arguments: Any) -> Any:
        before = {name: value.tobytes() for name, value in arguments.items() if isinstance(value, np.ndarray)}
        try:
            return function(**arguments)
        finally:
            written.update(name for name, found in before.items() if arguments[name].tobytes() != found)

    return call
