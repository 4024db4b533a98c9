"""How the engine's loops become machine code: compiled once, and kept on disk where there is a place to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """`numba.njit` whose results are kept for later runs, if they can be.

    Numba keeps them beside the source file, or else in the user's cache folder, or where ``NUMBA_CACHE_DIR`` says. If
    it can write to none of these, as on a locked-down machine, it refuses the function; each run then compiles anew.

    Numba compiles a cached function again when its own file changes. What it inlines from another file
    (`sparcl_ref.fast.microkernel`) does not count: whoever changes that file must empty the cache.

    Parameters
    ----------
    **options
        Those of `numba.njit`, without ``cache``.
    """

    def decorate(function: Callable) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to write to
            return njit(**options)(function)

    return decorate
