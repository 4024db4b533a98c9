"""Importing an adapter: a ready one by name, or a Python file, with one line for whatever goes wrong."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

#: Adapters that come with the package, by the name the command knows them under.
READY = {"numpy": "sparcl_ref.verify.adapters.numpy_engine", "numba": "sparcl_ref.verify.adapters.numba_engine"}
MODULE_NAME = "adapter_under_test"
#: Characters of an adapter's message that a report repeats.
LONGEST = 300


class AdapterError(ValueError):
    """The file is missing or no adapter."""


def load(adapter: str) -> ModuleType:
    """Import an adapter: a ready one by a key of `READY`, or a Python file by its path.

    Raises
    ------
    AdapterError
        If there is no such file, or importing it fails; with the line where it does.
    """
    if adapter in READY:
        return importlib.import_module(READY[adapter])
    path = Path(adapter).resolve()
    if not path.exists():
        known = ", ".join(READY)
        raise AdapterError(f"{adapter}: no such file; give a Python file, or one of the ready adapters {known}")
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    if not path.is_file() or path.suffix != ".py" or spec is None or spec.loader is None:
        raise AdapterError(f"{adapter}: not a Python file; an adapter is a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    # Its neighbours can be imported, as when the file is run as a script.
    sys.path.insert(0, str(path.parent))
    sys.modules[MODULE_NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # SystemExit included: an adapter is not to end its process
        raise AdapterError(f"{adapter}: cannot be imported: {describe_error(error, path)}") from error
    return module


def shown(text: str) -> str:
    """A text of the adapter's in one line of bearable length that any terminal and file can take."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def describe_error(error: BaseException, path: Path | None = None) -> str:
    """An exception in one line, with the deepest line of the adapter's own file, or cell, that it passed through."""
    try:
        said = str(error)
    except Exception:  # an error that cannot even be shown
        said = ""
    text = shown(f"{type(error).__name__}: {said}").removesuffix(":")
    if isinstance(error, SystemExit):
        text = f"called sys.exit({error.code!r})"
    line = None
    trace = error.__traceback__
    while trace is not None:
        if path is not None and trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    if path is None or line is None:
        return text
    source = "" if path.is_file() else linecache.getline(str(path), line).strip()
    return f"{text}, in `{source}`" if source else f"{text} (line {line} of {path.name})"


def written_in(function: Any) -> Path | None:
    """The file of a function, or the cell of a notebook, whose lines Python keeps under a name that is no file.

    Of a wrapped function (`functools.wraps`), where what it wraps was written.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    return None if code is None else Path(code.co_filename)
