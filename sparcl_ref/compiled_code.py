"""The numba engine made ready before anything is trained, and a place for its code that worker processes find."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sys
import tempfile


@functools.cache
def prepare_numba(dtype: str, threads: int) -> float:
    """Compile the numba engine, or load what an earlier run compiled, saying so: the first time takes up to minutes.

    Returns its seconds.
    """
    import numba

    homeless = give_place()
    from sparcl_ref import fast

    numba.set_num_threads(min(threads, numba.get_num_threads()))
    kept = "kept for this run alone" if homeless else "kept for later runs"
    print(
        f"preparing the numba engine for {dtype}: up to minutes the first time; --engine numpy needs none ...",
        end=" ", file=sys.stderr, flush=True,
    )  # fmt: skip
    seconds = fast.prepare(dtype)
    print(f"{seconds:.0f} s (compiled code is {kept})", file=sys.stderr, flush=True)
    return seconds


@functools.cache
def give_place() -> bool:
    """Whether Numba finds no folder to keep compiled code in; it is given a temporary one then, and stderr says so.

    To be called before the engine is first imported. Worker processes inherit the place, and load what was compiled
    here instead of compiling it each for itself; it goes when this process ends.
    """
    import numba

    try:
        numba.njit(cache=True)(_kept_beside)
        return False
    except RuntimeError as error:
        if "cache" not in str(error):
            raise
    folder = tempfile.mkdtemp(prefix="sparcl_ref-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder
    numba.config.reload_config()
    print(
        "warning: compiled code has no folder that can be written to, so that each run will compile anew; set "
        "NUMBA_CACHE_DIR to one",
        file=sys.stderr,
    )
    return True


def _kept_beside() -> int:
    """Lies where the engine lies, so that Numba looks in the same places for a folder."""
    return 0
