"""Who may use the threads that compiled loops and BLAS run on, of which a process has one set each."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any

from numba.np.ufunc.parallel import threading_layer
from threadpoolctl import ThreadpoolController


class Turn:
    """A context that one Python thread at a time can be in.

    Compiled loops hold Python's lock, so threads lose nothing by waiting. Without, Numba's ``workqueue`` threads abort
    the process when two enter a loop at once, and BLAS would be given back another thread's number of threads.

    On entering, RuntimeError if this process was forked from one whose loops run on GNU OpenMP's threads: those are
    not here, and Numba would end the process.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._forked = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_again)

    def __enter__(self) -> None:
        if self._forked:
            raise RuntimeError(
                "the compiled engine has run in the process that this one was forked from, and GNU OpenMP's threads do "
                "not survive a fork; start workers with multiprocessing.get_context('spawn'), or set "
                "NUMBA_THREADING_LAYER=workqueue"
            )
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def _begin_again(self) -> None:
        self._lock = threading.RLock()  # whoever held it is not here
        try:
            self._forked = threading_layer() == "omp"
        except ValueError:  # no compiled loop has run
            self._forked = False
        if self._forked:
            from numba.np.ufunc.omppool import openmp_vendor

            self._forked = openmp_vendor == "GNU"


#: What everything that runs compiled loops has to wait for.
TURN = Turn()


@cache
def _controller() -> ThreadpoolController:
    from scipy.linalg import cython_blas  # noqa: F401 - loads SciPy's BLAS, which the controller would not see otherwise

    return ThreadpoolController()


def single_threaded() -> Any:
    """A context in which BLAS uses one thread, the caller's."""
    return _controller().limit(limits=1, user_api="blas")
