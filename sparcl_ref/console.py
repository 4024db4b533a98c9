"""Standard streams that a command can print to, whichever are closed and whatever encoding they have."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator

#: Numbers of the three standard streams.
STANDARD = (0, 1, 2)


@contextlib.contextmanager
def usable_streams(program: str) -> Iterator[None]:
    """Give a command streams that take every character: for its duration, by what fits them least badly.

    A stream that was closed, as by ``>&-``, becomes the null device, and a warning says that nothing will be seen. A
    character that an encoding lacks is written as its number, such as ``\\xb1``.
    """
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    with contextlib.ExitStack() as after:
        if None in (sys.stdin, *before.values()):
            _occupy_standard_numbers()
        for name, stream in before.items():
            after.callback(setattr, sys, name, stream)
            if stream is None:
                setattr(sys, name, after.enter_context(open(os.devnull, "w", encoding="utf-8")))
            elif isinstance(stream, io.TextIOWrapper) and _may_fail(stream):
                after.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        if before["stdout"] is None:
            print(f"{program}: warning: standard output is closed; nothing printed will be seen", file=sys.stderr)
        yield


def _occupy_standard_numbers() -> None:
    """Open the null device in place of closed standard streams; files opened later would be taken for these."""
    while (number := os.open(os.devnull, os.O_RDWR)) in STANDARD:
        os.set_inheritable(number, True)
    os.close(number)


def _may_fail(stream: io.TextIOWrapper) -> bool:
    """Whether there are characters that a stream refuses."""
    utf8 = stream.encoding.lower().replace("-", "").replace("_", "") == "utf8"
    return stream.errors == "strict" or (stream.errors == "surrogateescape" and not utf8)
