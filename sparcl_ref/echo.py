"""What a command says of the runs that it is about to start."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparcl_ref.config import Config
from sparcl_ref.text import folded


def echo(configs: Sequence[Config], name: str, *, jobs: int, threads: int, directory: Path, width: int = 80) -> str:
    """What will run, how, and where to: of the settings those that are not the defaults, or differ between the runs."""
    runs = [config.to_json() for config in configs]
    usual = [_defaults(config.method, config.policy) for config in configs]
    odd = [key for key in dict.fromkeys(key for run in runs for key in run) if _odd(key, runs, usual)]
    shared = {key: runs[0][key] for key in odd if all((key, runs[0].get(key)) in run.items() for run in runs)}
    varied = [key for key in odd if key not in shared]
    many = f"{len(configs)} runs, {jobs} at a time" if len(configs) > 1 else "one run"
    lines = [f"{name}: {many} with {threads} thread(s){' each' if len(configs) > 1 else ''}, into {directory}"]
    if shared:
        lines.append("  " + ", ".join(f"{key}={value}" for key, value in shared.items()))
    if varied:
        lines.append(f"  differing between runs: {', '.join(varied)}")
    lines.append("  all else by default: --help shows it, and summary.json will hold every setting")
    return folded("\n".join(lines), width)


def _odd(key: str, runs: Sequence[dict[str, Any]], usual: Sequence[dict[str, Any]]) -> bool:
    """Whether any of the runs that have a setting has another value than the default."""
    return any(run[key] != defaults[key] for run, defaults in zip(runs, usual, strict=True) if key in run)


@functools.cache
def _defaults(method: str, policy: str) -> dict[str, Any]:
    """The settings of a run of which only the method and the policy were said; but these as if they were not."""
    usual = Config()
    return Config(method=method, policy=policy).to_json() | {"method": usual.method, "policy": usual.policy}
