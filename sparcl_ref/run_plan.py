"""run.json: what a run in progress is, written before it starts, so that it can be resumed and by what."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from sparcl_ref import __version__, durable
from sparcl_ref.config import Config, flag
from sparcl_ref.states import fingerprint
from sparcl_ref.streams import DATASETS, Dataset

PLAN = "run.json"
SCHEMA_VERSION = 1
#: Settings that a run may go on with other values of: no state depends on them.
CHANGEABLE = (
    "lr",
    "lr_schedule",
    "weight_decay",
    "engine",
    "importance_alpha",
    "importance_beta",
    "alpha",
    "beta",
    "er_weight",
)


@dataclass(frozen=True)
class Plan:
    """What a command runs.

    Attributes
    ----------
    command, name, threads, plugins
        How it was asked for, and by what name; BLAS threads of each run; what --plugin named.
    data_dir : str or None
        What --data-dir named.
    cwd : str
        The folder that it was begun in, from which relative paths of data sets count.
    configs : tuple of Config
        One for each run, in the order of the table.
    made_with : dict of str to str
        What else the bits depend on: versions, kind of machine, data.
    """

    command: str
    name: str
    threads: int
    plugins: tuple[str, ...]
    data_dir: str | None
    configs: tuple[Config, ...]
    made_with: Mapping[str, str]
    cwd: str = field(default_factory=os.getcwd)

    def write(self, directory: Path) -> None:
        """Keep it in a folder."""
        plugins = [str(Path(name).resolve()) if name.endswith(".py") else name for name in self.plugins]
        data_dir = self.data_dir and str(Path(self.data_dir).expanduser().absolute())
        values = {"schema_version": SCHEMA_VERSION, **vars(self), "plugins": plugins, "data_dir": data_dir}
        values["configs"] = [item.to_json() for item in self.configs]
        durable.put(directory / PLAN, (json.dumps(values, indent=1) + "\n").encode())


def read_plan(directory: str | Path) -> Plan:
    """The plan of the run that a folder holds; its plugins are imported first.

    Raises
    ------
    ValueError
        In one line, if the folder holds no run in progress, or its plan cannot be read.
    """
    path = Path(directory) / PLAN
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        done = (Path(directory) / "summary.json").exists()
        why = "the run in it has ended, with a summary.json" if done else f"it holds no {PLAN}"
        raise ValueError(f"--resume {directory}: nothing to resume, {why}") from None
    except OSError as error:
        raise ValueError(f"--resume {directory}: {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"--resume {directory}: {path} is not a plan of this command ({error})") from error
    from sparcl_ref.extensions import load_plugins

    try:
        version, plugins = values["schema_version"], tuple(values["plugins"])
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {version}, and this version reads {SCHEMA_VERSION}")
        load_plugins(plugins)
        configs = tuple(Config.from_json(entry) for entry in values["configs"])
        kinds = {"command": str, "name": str, "threads": int, "made_with": dict, "data_dir": str | None, "cwd": str}
        given: dict[str, Any] = {key: values[key] for key in kinds}
        if not configs or any(not isinstance(given[key], kind) for key, kind in kinds.items()):
            raise TypeError("something is missing or of another kind")
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"--resume {directory}: {path} is not a plan of this command ({reason})") from error
    except ValueError as error:
        raise ValueError(f"--resume {directory}: {path}: {error}") from error
    return Plan(plugins=plugins, configs=configs, **given)


def begun_with(directory: str | Path, overrides: Mapping[str, Any]) -> Plan:
    """What a folder's runs were begun with, each with those settings instead that it has among ``overrides``.

    ValueError as `read_plan`, or if the settings do not go together.
    """
    plan = read_plan(directory)
    for name in {config.dataset for config in plan.configs}:
        if name not in DATASETS and not Path(name).expanduser().is_absolute() and not os.path.samefile(plan.cwd, "."):
            raise ValueError(f"--resume {directory}: its data set {name!r} is named from {plan.cwd}; go there first")
    entries = (config.to_json() for config in plan.configs)
    if changed := sorted(name for name in overrides if name not in CHANGEABLE):
        raise ValueError(
            f"--resume {directory}: {', '.join(map(flag, changed))} cannot change on the way, only "
            f"{', '.join(map(flag, CHANGEABLE))}, with --force; start a run of its own with --config"
        )
    configs = (Config.from_json({**entry, **{k: overrides[k] for k in overrides if k in entry}}) for entry in entries)
    return replace(plan, configs=tuple(configs))


def versions() -> dict[str, str]:
    """Versions of what the bits of a run depend on."""
    names = ("numpy", "scipy", "numba", "matplotlib")
    found = {"sparcl_ref": __version__, "python": platform.python_version(), "machine": platform.machine()}
    return found | {name: metadata.version(name) for name in names}


def made_with(datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """What a run's bits depend on beside its settings: versions, data, and the processor that BLAS has code for."""
    # Figures and the language's own patches move no bit.
    found = {name: version for name, version in versions().items() if name not in ("python", "matplotlib")}
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    numpys = [library for library in blas if "numpy" in library["filepath"]] or blas
    found["processor"] = ", ".join(sorted({str(library.get("architecture", "unknown")) for library in numpys}))
    for name, dataset in sorted(datasets.items()):
        found[f"data {name}"] = " ".join(map(str, fingerprint(dataset)))
    return found


def differences(there: Plan, here: Plan, unfinished: Sequence[int]) -> list[str]:
    """What would make a resumed run another one, in words: "numpy 2.3.1 there, 2.4.6 here"."""
    pairs: dict[str, tuple[Any, Any]] = {"threads": (there.threads, here.threads)}
    for name in dict.fromkeys([*there.made_with, *here.made_with]):
        pairs[name] = (there.made_with.get(name, "unknown"), here.made_with.get(name, "unknown"))
    for index in unfinished:
        old, new = there.configs[index].to_json(), here.configs[index].to_json()
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                pairs.setdefault(name, (old.get(name), new.get(name)))
    return [f"{name} {old} there, {new} here" for name, (old, new) in pairs.items() if old != new]


def resume_command(directory: Path) -> str:
    """What to type to go on with a folder's runs."""
    return f"python -m sparcl_ref.run --resume {shlex.quote(str(directory))}"
