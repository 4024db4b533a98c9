"""The child process in which an adapter runs: it answers calls until its parent hangs up, or dies trying.

It first sends `STARTED`, before it imports the adapter, then `Loaded`, then an `Answer` to each `Request`. A process
that does not answer is the parent's to stop.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sparcl_ref.processes import end_with_parent
from sparcl_ref.verify.adapter import (
    Interface,
    NotProvidedError,
    Returned,
    call,
    inspect_adapter,
    is_outside,
    provided,
)
from sparcl_ref.verify.loading import READY, AdapterError, describe_error, load, shown, written_in

#: What the parent hears as soon as Python runs.
STARTED = "started"
#: Entries beyond the expected number that are still sent back, so that a report can show them.
SPARE_ENTRIES = 1000


@dataclass(frozen=True)
class Loaded:
    """First answer: the adapter's interface, or why it has none."""

    interface: Interface | None
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of one call."""

    outputs: dict[str, Returned] = field(default_factory=dict)
    error: str = ""  #: the exception in a line; empty if there was none
    not_provided: str = ""  #: why the adapter does not provide it; empty if it does
    outside: str = ""  #: why the call is outside the adapter's range; empty if it is not


class Request(NamedTuple):
    """One call: the function's name, its outputs' names in order, how large each should be, and the arguments."""

    function: str
    outputs: tuple[str, ...]
    sizes: dict[str, int]
    arguments: dict[str, Any]


def attempt(adapter: Any, request: Request, path: Path | None = None, *, interruptible: bool = False) -> Answer:
    """Call one function of an adapter and catch whatever it raises; an error names its line in the adapter's file.

    If ``interruptible``, a KeyboardInterrupt is the user's, who does not want to wait, and goes on.
    """
    try:
        with np.errstate(all="ignore"):  # what is not finite shows in the comparison
            outputs = call(adapter, request.function, request.outputs, request.arguments)
    except NotProvidedError as error:
        return Answer(not_provided=shown(str(error)))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of an adapter are its failures, too
        if interruptible and isinstance(error, KeyboardInterrupt):
            raise
        said = describe_error(error, written_in(provided(adapter, request.function)) if path is None else path)
        return Answer(outside=said) if is_outside(error) else Answer(error=said)
    return Answer({name: _worth_sending(value, request.sizes.get(name, 0)) for name, value in outputs.items()})


def _worth_sending(value: Returned, size: int) -> Returned:
    """The output without its entries if they are far too many, else in this machine's byte order and packed."""
    if value.array is None or value.array.size > size + SPARE_ENTRIES:
        return Returned(None, value.shape, value.dtype)
    packed = np.array(value.array, dtype=value.array.dtype.newbyteorder("="), order="C")
    return Returned(packed, value.shape, value.dtype)


def serve(connection: Connection, adapter: str, known: list[str]) -> None:
    """Load an adapter and answer calls of the functions the protocol knows; the target of the child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_with_parent()
    # The report goes to stdout; what an adapter prints must not get into it.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    connection.send(STARTED)
    try:
        module = load(adapter)
    except AdapterError as error:
        connection.send(Loaded(None, str(error)))
        return
    connection.send(Loaded(inspect_adapter(module, known)))
    path, own = None if adapter in READY else Path(adapter).resolve(), os.getpid()
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        answered = attempt(module, request, path)
        if os.getpid() != own:  # the call has forked: two processes must not answer through one pipe
            os._exit(0)
        connection.send(answered)
