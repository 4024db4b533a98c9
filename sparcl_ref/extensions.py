"""What others add to the package, and how worker processes learn of it."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sparcl_ref.methods import METHODS
from sparcl_ref.models import MODELS
from sparcl_ref.policies import POLICIES
from sparcl_ref.registry import Registry
from sparcl_ref.sparcl.removal import REMOVALS
from sparcl_ref.sparcl.rules import PROFILES
from sparcl_ref.streams import AUGMENTATIONS, DATASETS, SCENARIOS
from sparcl_ref.text import one_line

REGISTRIES: tuple[Registry[Any], ...] = (
    METHODS, POLICIES, PROFILES, REMOVALS, MODELS, DATASETS, SCENARIOS, AUGMENTATIONS,
)  # fmt: skip

#: Position of a registry, name, thing.
Added = list[tuple[int, str, Any]]


def added() -> Added:
    """All that was registered in this process, for others.

    Raises
    ------
    ValueError
        If something cannot be pickled, as classes and functions of modules can.
    """
    things = [(number, name, thing) for number, known in enumerate(REGISTRIES) for name, thing in known.added.items()]
    for number, name, thing in things:
        try:
            pickle.dumps(thing)
        except Exception as error:
            what = f"the {REGISTRIES[number].kind} {name!r} cannot be sent to worker processes ({one_line(error)})"
            raise ValueError(f"{what}; define it at the top of a module") from error
    return things


def take_over(things: Added) -> None:
    """Register what another process had registered."""
    for number, name, thing in things:
        REGISTRIES[number].register(name, thing)


def load_plugins(plugins: Iterable[str]) -> None:
    """Import modules that register something: names of modules, or paths of Python files.

    Raises
    ------
    ValueError
        If one cannot be imported, naming it and the reason.
    """
    for plugin in plugins:
        path = Path(plugin).expanduser()
        name = plugin
        if path.suffix == ".py":
            if not path.is_file():
                raise ValueError(f"--plugin {plugin}: there is no such file")
            name = path.stem
            # Worker processes inherit the search path and import the file by the same name; nothing of its folder may
            # stand before the standard library.
            sys.path.append(str(path.resolve().parent))
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a script that ends the process is no plugin
            raise ValueError(f"--plugin {plugin}: {type(error).__name__}: {one_line(error)}") from error
        if path.suffix == ".py" and Path(module.__file__ or "").resolve() != path.resolve():
            raise ValueError(f"--plugin {plugin}: {name} is the name of another module; rename the file")
