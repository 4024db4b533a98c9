"""The parent's end of the process an adapter runs in: start it, ask it, stop it."""

from __future__ import annotations

import multiprocessing
import signal
from typing import Any

from sparcl_ref.verify.adapter import Interface
from sparcl_ref.verify.loading import AdapterError
from sparcl_ref.verify.worker import Answer, Loaded, Request, serve

#: Seconds to wait for a process that has closed its pipe to end by itself.
GRACE_SECONDS = 2.0
#: Seconds for Python to start, which no adapter can help.
START_SECONDS = 120.0


class StoppedError(RuntimeError):
    """The process was stopped, or ended by itself, during a call."""


class LateError(StoppedError):
    """It was stopped because it took too long."""


class Child:
    """A process that has loaded an adapter, given by name or path.

    Parameters
    ----------
    known : list of str
        Names of the protocol's functions.
    timeout, load_timeout : float
        Seconds for one call, and for importing.
    """

    def __init__(self, adapter: str, known: list[str], *, timeout: float, load_timeout: float):
        self._adapter, self._known = adapter, known
        self._timeout, self._load_timeout = timeout, load_timeout
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> Interface:
        """Start the process and load the adapter in it.

        Raises
        ------
        AdapterError
            If the adapter cannot be loaded, or ends or holds up the process.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        process = context.Process(target=serve, args=(far_end, self._adapter, self._known))
        process.start()  # before it is ours to stop: it may not start, as in a script without a main guard
        self._process = process
        far_end.close()  # or the end of the process would go unnoticed
        try:
            self._receive(START_SECONDS)
            loaded: Loaded = self._receive(self._load_timeout)
        except StoppedError as error:
            advice = "; --timeout gives it longer" if isinstance(error, LateError) else ""
            raise AdapterError(f"{self._adapter}: cannot be imported: {error}{advice}") from error
        if loaded.interface is None:
            self.stop()
            raise AdapterError(loaded.error)
        return loaded.interface

    def call(self, request: Request) -> Answer:
        """Ask for one call.

        Raises
        ------
        StoppedError
            If there was no answer in time or the process ended. It is not running then.
        """
        try:
            self._pipe.send(request)
        except OSError:
            raise self._ended() from None
        return self._receive(self._timeout)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._pipe.close()
            self._process = None

    def _receive(self, seconds: float) -> Any:
        try:
            if self._pipe.poll(seconds):
                return self._pipe.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        except Exception as error:  # whatever unpickling makes of bytes that the kit did not write
            self.stop()
            raise StoppedError("sent what the kit cannot read, and was stopped") from error
        self.stop()
        raise LateError(f"did not end within {seconds:g} s and was stopped")

    def _ended(self) -> StoppedError:
        """How the process ended by itself."""
        self._process.join(GRACE_SECONDS)
        code = self._process.exitcode
        self.stop()
        if code is None:
            return StoppedError("closed the connection to the kit")
        if code < 0:
            return StoppedError(f"crashed: its process was ended by {_signal_name(-code)}")
        return StoppedError(f"ended its process with exit code {code}")


def _signal_name(number: int) -> str:
    """SIGSEGV and the like; most real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
