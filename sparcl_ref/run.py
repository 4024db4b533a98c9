"""``python -m sparcl_ref.run``: train and compare continual learners, and report."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparcl_ref.command_line import Parser, Refused, add_settings, main_guard, settings_from
from sparcl_ref.config import Config
from sparcl_ref.presets import PRESETS, configurations, over_seeds, preset

if TYPE_CHECKING:
    from sparcl_ref.streams import Dataset

PROGRAM = "sparcl_ref.run"

EPILOG = """\
examples:
  python -m sparcl_ref.run --tiny
  python -m sparcl_ref.run --tiny --seeds 5 --out runs/five
  python -m sparcl_ref.run --method derpp --sparsity 0.9 --epochs 20 --delta-k 4
  python -m sparcl_ref.run --config runs/tiny/summary.json --out runs/again
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; settings that were not given are absent from it."""
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Train and compare continual learners; print a table and write a report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--tiny", dest="preset", action="store_const", const="tiny", help="the one-minute comparison")
    what.add_argument("--preset", choices=tuple(PRESETS), help="a named comparison")
    what.add_argument("--config", metavar="FILE", help="run the configuration in a summary.json again")
    parser.add_argument("--out", metavar="DIR", help="where to write [runs/NAME, or runs/NAME-2, ... if it exists]")
    parser.add_argument("--seeds", type=int, metavar="N", help="repeat with N consecutive seeds [1]")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="worker processes [2]")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of each worker, in either engine [1]")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON instead of a table")
    add_settings(parser)
    return parser.parse_args(arguments)


def plan(options: argparse.Namespace) -> tuple[str, list[Config], int]:
    """Name, configurations (one per run) and BLAS threads of what is asked for.

    Raises
    ------
    ValueError
        If the request makes no sense.
    """
    overrides = settings_from(options)
    for name in ("seeds", "jobs", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}")
    if options.config is None:
        name = options.preset or "run"
        configs = configurations(preset(name) if options.preset else ({},), overrides)
        return name, over_seeds(configs, options.seeds or 1), options.threads or 1
    if options.seeds is not None:
        raise ValueError("--seeds does not go with --config, which names every run and its seed; leave one out")
    from sparcl_ref.report import load_summary

    stored = load_summary(options.config)["config"]
    try:
        name, threads, runs = stored["name"], stored["threads"], stored["runs"]
    except KeyError as error:
        raise ValueError(f"{options.config}: its config lacks {error}; was the file written by this command?") from None
    entries = [Config.from_json(entry).to_json() for entry in runs]
    if {"profile", "mix"} & overrides.keys():
        # The stored value is what the stored rules had made of it; other rules have their own.
        entries = [{**entry, "p_intra": None} for entry in entries]
    return name, configurations(entries, overrides), options.threads or threads


def default_directory(name: str) -> Path:
    """The first of runs/NAME, runs/NAME-2, ... that does not exist."""
    number, path = 1, Path("runs") / name
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def echo(configs: Sequence[Config], name: str, jobs: int, threads: int, directory: Path) -> str:
    """The effective configuration: what all runs share, and how many differ from it."""
    shared, varied = {}, []
    for key, value in configs[0].to_json().items():
        if all(getattr(config, key) == value for config in configs):
            shared[key] = value
        else:
            varied.append(key)
    lines = [f"{name}: {len(configs)} runs, {jobs} at a time with {threads} thread(s) each, into {directory}"]
    lines.append("  " + ", ".join(f"{key}={value}" for key, value in shared.items() if value is not None))
    if varied:
        lines.append(f"  differing between runs: {', '.join(varied)}")
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What is known of a run before it starts.

    Attributes
    ----------
    name : str
    epochs : int
        Of all its tasks together.
    train_flops : int
        Exact convention; a guess where ``nominal``, because the masks depend on values.
    nominal : bool
    memory_bytes : int
        What the reference engine holds at the fullest moment.
    seconds : float
        From a few passes measured on this machine; evaluation and mask actions are not in it.
    """

    name: str
    epochs: int
    train_flops: int
    nominal: bool
    memory_bytes: int
    seconds: float


def check(configs: Sequence[Config], *, threads: int) -> tuple[dict[str, Any], list[Forecast]]:
    """Build what will run, so that whatever does not fit is said before any work, and price it.

    Returns
    -------
    dataset : dict
        Name and sizes, for the summary.
    forecasts : list of Forecast
        One per configuration.

    Raises
    ------
    ValueError
        If a data set cannot be loaded, or a configuration does not fit its data.
    """
    from threadpoolctl import threadpool_limits

    from sparcl_ref.streams import load_dataset

    datasets = {name: load_dataset(name) for name in {config.dataset for config in configs}}
    # Seeds change draws, not cost: one build stands for all seeds of a configuration.
    known: dict[Config, Forecast] = {}
    with threadpool_limits(limits=threads):
        for config in configs:
            if dataclasses.replace(config, seed=0) not in known:
                known[dataclasses.replace(config, seed=0)] = forecast(config, datasets[config.dataset], threads=threads)
    dataset = datasets[configs[0].dataset]
    description = {
        "name": dataset.name,
        "train": len(dataset.train_x),
        "test": len(dataset.test_x),
        "shape": list(dataset.train_x.shape[1:]),
        "classes": dataset.classes,
    }
    return description, [known[dataclasses.replace(config, seed=0)] for config in configs]


def forecast(config: Config, dataset: Dataset, *, threads: int) -> Forecast:
    """Price a run from its configuration alone; its seconds hold for that many threads."""
    from sparcl_ref.cost import memory_bytes, predicted_cost
    from sparcl_ref.cost.timing import estimated_seconds
    from sparcl_ref.experiment import build, chosen_engine
    from sparcl_ref.result import name_of

    trainer = build(config, dataset)
    if chosen_engine(config.engine, trainer.model) == "numba":
        prepare_numba(config.dtype, threads)
    prediction = predicted_cost(config, trainer.stream, trainer.model)
    return Forecast(
        name=name_of(config),
        epochs=trainer.total_epochs,
        train_flops=prediction.train_flops,
        nominal=prediction.nominal,
        memory_bytes=memory_bytes(config, trainer.model, trainer.buffer)["exact"],
        seconds=estimated_seconds(prediction, config, trainer.model),
    )


@functools.cache
def prepare_numba(dtype: str, threads: int) -> None:
    """Compile the numba engine, or load what an earlier run compiled, saying so: the first time takes a while."""
    import numba

    from sparcl_ref import fast

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

    print(f"preparing the numba engine for {dtype} ...", end=" ", file=sys.stderr, flush=True)
    print(f"{fast.prepare(dtype):.0f} s (compiled code is kept for later runs)", file=sys.stderr, flush=True)


def forecast_text(forecasts: Sequence[Forecast], *, jobs: int) -> str:
    """What the runs will cost, as lines; one per name."""
    from sparcl_ref.text import columns

    rows = [
        (
            item.name,
            ("about " if item.nominal else "") + f"{item.train_flops / 1e9:,.2f}",
            f"{item.memory_bytes / 1e6:,.2f}",
            f"{item.seconds:,.1f}",
        )
        for item in {item.name: item for item in forecasts}.values()
    ]
    table = columns(("predicted", "train GFLOPs (exact)", "memory, MB", "seconds"), rows)
    total = sum(item.seconds for item in forecasts) / jobs
    return f"{table}\nabout {total:,.0f} s in all, evaluation and mask actions aside\n"


def execute(arguments: Sequence[str]) -> int:
    """Parse, run, report."""
    from tqdm import tqdm

    from sparcl_ref.report import aggregate, check_writable, format_table, write_run
    from sparcl_ref.workers import train_all, versions

    options = parse(arguments)
    start = time.perf_counter()
    try:
        name, configs, threads = plan(options)
        directory = default_directory(name) if options.out is None else Path(options.out)
        check_writable(directory)
        dataset, forecasts = check(configs, threads=threads)
    except ValueError as error:
        raise Refused(str(error)) from error
    notes = sys.stderr if options.json else sys.stdout
    jobs = min(options.jobs, len(configs))
    print(echo(configs, name, jobs, threads, directory), file=notes)
    print("\n" + forecast_text(forecasts, jobs=jobs), file=notes, flush=True)
    for line in dict.fromkeys(line for config in configs for line in config.warnings()):
        print(f"{PROGRAM}: warning: {line}", file=sys.stderr)

    # A log file gets a line every ten seconds, a terminal a moving bar.
    pause = 0.1 if sys.stderr.isatty() else 10
    epochs = sum(item.epochs for item in forecasts)
    with tqdm(total=epochs, unit="epoch", desc="training", file=sys.stderr, mininterval=pause) as bar:
        results = train_all(configs, jobs=jobs, threads=threads, on_epoch=bar.update)
    summary = {
        "schema_version": 1,
        "command": "python -m sparcl_ref.run " + " ".join(arguments),
        "config": {"name": name, "threads": threads, "runs": [config.to_json() for config in configs]},
        "versions": versions(),
        "threads": {"blas": threads, "workers": jobs},
        "class_order": list(results[0].class_order),
        "dataset": dataset,
        "methods": [
            {**result.record(), "predicted": {"train_flops": item.train_flops, "nominal": item.nominal}}
            for result, item in zip(results, forecasts, strict=True)
        ],
        "wall_seconds": time.perf_counter() - start,
    }
    rows = [row for result in results for row in result.epoch_rows()]
    masks = {f"{result.name}#{result.config.seed}": result.mask_snapshots() for result in results if result.mask_layer}
    # Printed before anything is written: a full disk must not take the table with it.
    if options.json:
        print(json.dumps(summary, allow_nan=False), flush=True)
    else:
        print(f"class order: {' '.join(map(str, summary['class_order']))}\n")
        print(format_table(aggregate(summary["methods"])), flush=True)
    write_run(directory, summary, rows, masks)
    if options.json:
        return 0
    print(f"\n{summary['wall_seconds']:.0f} s in all. Open {directory / 'report.html'} in a browser; beside it:")
    print("summary.json, metrics.csv, masks.npz and the figures.")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    warnings.simplefilter("default", UserWarning)
    return main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
