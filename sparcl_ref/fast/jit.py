"""How the engine's loops become machine code: compiled once, and kept on disk where there is a place to write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit


def expect_compiler() -> None:
    """RuntimeError if Numba has been told not to compile: its own interpretation knows no vectors."""
    if vars(config)["DISABLE_JIT"]:
        raise RuntimeError(
            "the compiled engine needs Numba's compiler, which NUMBA_DISABLE_JIT=1 switches off; unset it, or use "
            "the numpy engine"
        )


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """`numba.njit` whose results are kept for later runs, if they can be.

    Numba keeps them beside the source file, or else in the user's cache folder, or where ``NUMBA_CACHE_DIR`` says. If
    it can write to none of these, as on a locked-down machine, it refuses the function; each run then compiles anew.

    By itself Numba compiles a kept function again when its own file changes, not when one changes from which it calls
    or inlines. Functions compiled here bear a digest of all the engine's sources in their name, and with it their
    files do: what other sources made is never found. It stays on disk until someone empties the folder.
    """

    def decorate(function: Callable) -> Any:
        function.__qualname__ += f"-{sources_digest()}"
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to write to
            return njit(**options)(function)

    return decorate


@cache
def sources_digest() -> str:
    """Of the names and contents of the engine's files."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]
