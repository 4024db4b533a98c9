"""The TOML file of a sweep: which configurations, over which seeds."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES
from sparcl_ref.presets import PRESETS, configurations
from sparcl_ref.settings import kinds
from sparcl_ref.stored_runs import MOST_THREADS
from sparcl_ref.text import did_you_mean, one_line, shortened

#: What a grid may say, and of which type.
KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "seeds": (int, list),
    "threads": (int,),
    "plugins": (list,),
    "settings": (dict,),
    "entries": (list,),
}
#: More runs than anybody waits for, and few enough to be listed.
MOST_RUNS = 100_000


@dataclass(frozen=True)
class Grid:
    """What a sweep is to train.

    Attributes
    ----------
    configs : tuple of Config
        One per run: all entries with the first seed, then with the next, so that a sweep which is stopped has whole
        tables.
    threads : int
        Of each run. They are part of what its bits depend on.
    """

    name: str
    configs: tuple[Config, ...]
    threads: int


def load_grid(path: str | Path) -> Grid:
    """Read a grid; what ``plugins`` names is imported first.

    Raises
    ------
    ValueError
        In one line with the file's name: if it cannot be read, or something in it is unknown, of another type, or does
        not go together.
    """
    try:
        return grid_from(tomllib.loads(Path(path).read_text(encoding="utf-8-sig")), Path(path).stem)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not valid TOML: {one_line(error)}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {one_line(error)}") from error


def grid_from(values: Mapping[str, Any], name: str) -> Grid:
    """The grid of a TOML document, called ``name`` unless it says otherwise; ValueError as `load_grid`."""
    for key, value in values.items():
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}, expected {', '.join(KEYS)}{did_you_mean(key, KEYS)}")
        if type(value) not in KEYS[key]:
            expected = " or ".join(kind.__name__ for kind in KEYS[key])
            raise ValueError(f"{key} must be {expected}, got {shortened(repr(value), 60)}")
    load_plugins_of(values.get("plugins", []))
    threads = values.get("threads", 1)
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(f"threads must be in 1..{MOST_THREADS}, got {threads}")
    entries = values.get("entries", [{}])
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("entries must be tables: write [[entries]] above each")
    configs = [config for entry in entries for config in _expanded({**values.get("settings", {}), **entry})]
    seeds = _seeds(values.get("seeds", 1))
    once = list(dict.fromkeys(dataclasses.replace(config, seed=0) for config in configs))
    if len(once) * len(seeds) > MOST_RUNS:
        raise ValueError(f"{len(once)} entries with {len(seeds)} seeds are more than {MOST_RUNS:,} runs; ask for less")
    runs = tuple(dataclasses.replace(config, seed=seed) for seed in seeds for config in once)
    return Grid(values.get("name", name), runs, threads)


def load_plugins_of(plugins: Sequence[Any]) -> None:
    """Import what a grid names; ValueError if one cannot be imported."""
    from sparcl_ref.extensions import load_plugins

    if not all(isinstance(plugin, str) for plugin in plugins):
        raise ValueError(f"plugins must be names of modules or files, got {shortened(repr(plugins), 60)}")
    load_plugins(plugins)


def _seeds(given: Any) -> list[int]:
    seeds = list(range(given)) if isinstance(given, int) and given <= MOST_RUNS else given
    if not isinstance(seeds, list) or not seeds or any(type(s) is not int or s < 0 for s in seeds):
        raise ValueError(f"seeds must be how many, or a list of whole numbers, 0 or more; got {shortened(repr(given))}")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must differ, got {shortened(repr(seeds), 60)}")
    return seeds


def _expanded(entry: dict[str, Any]) -> Iterator[Config]:
    """The configurations of an entry: of each of its preset's, if it names one, with each combination of its lists."""
    settings = {name: value for name, value in entry.items() if name != "preset"}
    if "seed" in settings:
        raise ValueError("seed is no setting of an entry: seeds, above the entries, are for all of them")
    preset = entry.get("preset")
    if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        raise ValueError(f"unknown preset {preset!r}, expected one of {', '.join(PRESETS)}")
    if empty := [name for name, value in settings.items() if value == []]:
        raise ValueError(f"{empty[0]} is an empty list, which no run has a value of; leave it out")
    optional = may_be_none()
    # TOML has no word for nothing: "none" stands for it, as on the command line.
    choices = {
        name: [None if each == "none" and name in optional else each for each in listed(value)]
        for name, value in settings.items()
    }
    for values in itertools.product(*choices.values()):
        yield from configurations(({},) if preset is None else PRESETS[preset], dict(zip(choices, values, strict=True)))


def listed(value: Any) -> list[Any]:
    """A list as it is, anything else as the only element of one."""
    return value if isinstance(value, list) else [value]


def may_be_none() -> set[str]:
    """Names of the settings that may have no value."""
    owners = [Config, *(thing.Settings for known in (METHODS, POLICIES) for thing in known.values())]
    return {name for owner in owners for name, accepted in kinds(owner).items() if NoneType in accepted}


def digest(config: Config) -> str:
    """Eight hexadecimal digits that stand for all settings but the seed."""
    settings = {name: value for name, value in config.to_json().items() if name != "seed"}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def key(config: Config) -> str:
    """What a run's files are called: the entry's title for people, its digest, and the seed."""
    slug = re.sub(r"[^a-z0-9.]+", "-", config.title.lower().replace("++", "pp")).strip("-.")
    return f"{slug}-{digest(config)}-s{config.seed}"
