"""Ctrl-C, SIGTERM and SIGHUP: noted while runs are in progress, so that they save; held back while a process begins."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

#: Ctrl-C, what batch systems send, and a terminal that is closed, which Windows does not know.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *(getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)))


class Interrupts:
    """A context in which the first of these signals is only noted; one after it raises KeyboardInterrupt.

    Signals that are ignored, as of a command that a script has put in the background, stay ignored. Outside the main
    thread, where Python delivers no signals, nothing is noted.
    """

    def __init__(self) -> None:
        #: The first signal that came, or None.
        self.came: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        """Whether a signal came."""
        return self.came is not None

    @property
    def exit_code(self) -> int:
        """What a shell calls the end by that signal: 130, 143 or 129."""
        return 128 + (signal.SIGINT if self.came is None else self.came)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came is not None:
            raise KeyboardInterrupt
        self.came = number


def hold() -> None:
    """Let these signals wait, for all of this process, until `release`."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def release() -> None:
    """End what `hold` began; what came in between arrives now."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """These signals wait for this thread; a process started inside never gets them, from its first instruction."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
