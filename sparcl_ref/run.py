"""``python -m sparcl_ref.run``: train and compare continual learners, and report."""

from __future__ import annotations

from sparcl_ref import interrupts

if __name__ == "__main__":
    # In the midst of an import Ctrl-C ends in a traceback, or in NumPy's advice on broken installations.
    interrupts.hold()

import argparse
import contextlib
import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparcl_ref import command_line
from sparcl_ref.command_line import Answer, refusing
from sparcl_ref.compiled_code import prepare_numba
from sparcl_ref.config import Config
from sparcl_ref.echo import echo
from sparcl_ref.interrupts import Interrupts
from sparcl_ref.keeper import CHECKPOINT_SECONDS
from sparcl_ref.outcome import report, summary_of
from sparcl_ref.presets import PRESETS, configurations, idle, over_seeds
from sparcl_ref.progress import Progress
from sparcl_ref.run_folder import check_folder, locked, reserved_folder
from sparcl_ref.run_plan import Plan, begun_with, made_with
from sparcl_ref.stored_runs import MOST_THREADS, load_stored_runs
from sparcl_ref.text import columns, one_line, terminal_width
from sparcl_ref.training import trained, unless_ended

if TYPE_CHECKING:
    from sparcl_ref.forecast import Forecast, InAll
    from sparcl_ref.streams import Dataset

PROGRAM = "sparcl_ref.run"
#: Repetitions and worker processes: more than anyone has, and few enough to be listed.
MOST_SEEDS, MOST_JOBS = 1000, 4096

EPILOG = """\
examples:
  python -m sparcl_ref.run --tiny
  python -m sparcl_ref.run --tiny --seeds 5 --out runs/five
  python -m sparcl_ref.run --method derpp --sparsity 0.9 --epochs 20 --delta-k 4
  python -m sparcl_ref.run --config runs/tiny/summary.json --out runs/again
  python -m sparcl_ref.run --resume runs/tiny
"""


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Add --checkpoint-every; see `require_checkpoint_seconds`."""
    parser.add_argument(
        "--checkpoint-every", type=float, default=CHECKPOINT_SECONDS, metavar="SECONDS",
        help=f"how often a run is saved, beside the end of each task [{CHECKPOINT_SECONDS:g}]",
    )  # fmt: skip


def require_checkpoint_seconds(options: argparse.Namespace) -> None:
    """Refuse, with a ValueError, a --checkpoint-every that is no time."""
    if not options.checkpoint_every >= 0:
        raise ValueError(f"--checkpoint-every must be a number of seconds, 0 or more, got {options.checkpoint_every}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; settings that were not given are absent from it."""
    command_line.load_plugins_named(PROGRAM, arguments)
    parser = command_line.Parser(
        prog=f"python -m {PROGRAM}",
        description="Train and compare continual learners; print a table and write a report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--tiny", dest="preset", action="store_const", const="tiny", help="the one-minute comparison")
    what.add_argument("--preset", choices=tuple(PRESETS), help="a named comparison")
    what.add_argument("--config", metavar="FILE", help="run the configuration in a summary.json again")
    what.add_argument("--resume", metavar="DIR", help="go on with the runs that DIR holds, to the same bits")
    parser.add_argument("--force", action="store_true", help="resume with another version, machine or setting")
    add_checkpoint_option(parser)
    parser.add_argument("--out", metavar="DIR", help="where to write [runs/NAME, or runs/NAME-2, ... if it exists]")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that --out holds already")
    parser.add_argument("--seeds", type=int, metavar="N", help="repeat with N consecutive seeds [1]")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="worker processes [2]")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of each worker, in either engine [1]")
    parser.add_argument("--estimate", action="store_true", help="print what the runs will cost, and stop")
    parser.add_argument("--list", action="store_true", help="print what can be named here, and stop")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON instead of a table")
    command_line.add_data_option(parser)
    parser.add_argument("--download", action="store_true", help="fetch a published data set that is not found")
    command_line.add_plugin_option(parser)
    command_line.add_settings(parser)
    options = parser.parse_args(arguments)
    if options.list and options.json:
        parser.error("--list prints tables; leave out --json")
    if options.overwrite and options.out is None:
        parser.error("--overwrite goes with --out, which names the run to replace")
    return options


def plan(options: argparse.Namespace) -> tuple[str, list[Config], int]:
    """Name, configurations (one per run) and BLAS threads of what is asked for; ValueError if it makes no sense."""
    overrides = command_line.settings_from(options)
    command_line.require_counts(options, seeds=MOST_SEEDS, jobs=MOST_JOBS, threads=MOST_THREADS)
    require_checkpoint_seconds(options)
    if options.force and options.resume is None:
        raise ValueError("--force goes with --resume; to replace a run, use --overwrite")
    if options.resume is not None:
        if options.seeds is not None or options.out is not None or options.overwrite:
            raise ValueError("--resume names every run and its folder; leave out --seeds, --out and --overwrite")
        there = begun_with(options.resume, overrides)
        if there.data_dir is not None and options.data_dir is None:
            from sparcl_ref.streams.files import look_first_in

            look_first_in(there.data_dir)
        return there.name, list(there.configs), options.threads or there.threads
    if options.config is None:
        name = options.preset or "run"
        configs = configurations(PRESETS[name] if options.preset else ({},), overrides)
        return name, over_seeds(configs, options.seeds or 1), options.threads or 1
    if options.seeds is not None:
        raise ValueError("--seeds does not go with --config, which names every run and its seed; leave one out")
    stored = load_stored_runs(options.config)
    entries = list(stored.entries)
    if {"profile", "mix"} & overrides.keys():
        # The stored value is what the stored rules had made of it; other rules have their own.
        entries = [{**entry, "p_intra": None} for entry in entries]
    return stored.name, configurations(entries, overrides), options.threads or stored.threads


def check(configs: Sequence[Config], *, jobs: int = 1) -> tuple[dict[str, Dataset], list[Forecast]]:
    """Data sets by name, and the price of each run; ValueError, before any work, if anything does not fit."""
    from sparcl_ref.extensions import added
    from sparcl_ref.forecast import forecast
    from sparcl_ref.run_memory import require_memory_for_runs, run_parts
    from sparcl_ref.streams import load_dataset

    added()  # refuses what workers could not be told of
    datasets = {name: load_dataset(name) for name in {config.dataset for config in configs}}
    forecasts = once_for_all_seeds(lambda config: forecast(config, datasets[config.dataset]), configs)
    needs = once_for_all_seeds(lambda config: run_parts(config, datasets[config.dataset]), configs)
    require_memory_for_runs(needs, jobs=jobs)
    return datasets, forecasts


def once_for_all_seeds(of: Callable[[Config], Answer], configs: Sequence[Config]) -> list[Answer]:
    """A function of each configuration that costs much: seeds change draws, not cost, so one stands for all of them."""
    # With random class orders tasks may differ in size.
    keys = [config if config.class_order == "random" else dataclasses.replace(config, seed=0) for config in configs]
    known = {key: of(config) for key, config in dict(zip(keys, configs, strict=True)).items()}
    return [known[key] for key in keys]


def with_trials(
    configs: Sequence[Config], forecasts: Sequence[Forecast], *, threads: int, jobs: int
) -> tuple[list[Forecast], InAll]:
    """The forecasts with what a trial of each run says of this machine, and what all take together."""
    from sparcl_ref.forecast import in_all
    from sparcl_ref.trial import trials, with_trial

    priced = dict(zip(configs, forecasts, strict=True))
    compiled = {config.dtype for config in configs if priced[config].engine == "numba"}
    compile_seconds = sum(prepare_numba(dtype, threads) for dtype in sorted(compiled))
    # With other class orders a task may have more images, but a step takes what it takes.
    once = [dataclasses.replace(config, seed=configs[0].seed) for config in configs]
    priced |= dict(zip(once, forecasts, strict=True))
    distinct = list(dict.fromkeys(once))
    start, found = trials(distinct, [priced[config].work for config in distinct], threads=threads)
    by_config = dict(zip(distinct, found, strict=True))
    for config, trial in by_config.items():
        if trial.failure:
            warn(f"no time for {config.title}: {trial.failure}")
    items = [with_trial(item, by_config[key]) for item, key in zip(forecasts, once, strict=True)]
    return items, in_all(items, jobs=jobs, start_seconds=start, compile_seconds=compile_seconds)


def execute(arguments: Sequence[str]) -> int:
    """Parse, price, run, report."""
    from sparcl_ref.extensions import REGISTRIES
    from sparcl_ref.forecast_text import forecast_text
    from sparcl_ref.report import drawing_problem
    from sparcl_ref.streams.catalogue import catalogue_text, download_missing, remark

    interrupts.release()
    options = parse(arguments)
    if options.list:
        kinds = [("preset", PRESETS), *((known.kind, known) for known in REGISTRIES)]
        print(columns(("kind", "names"), [(kind, ", ".join(names)) for kind, names in kinds], left=2))
        print("\n" + catalogue_text())
        return 0
    start = time.perf_counter()
    name, configs, threads = refusing(lambda: plan(options))
    if not options.estimate and options.resume is None:
        refusing(lambda: check_folder(options.out, overwrite=options.overwrite))
    if options.download:
        refusing(lambda: download_missing({config.dataset for config in configs}))
    jobs = min(options.jobs, len(configs))
    datasets, forecasts = refusing(lambda: check(configs, jobs=jobs))
    forecasts, whole = with_trials(configs, forecasts, threads=threads, jobs=jobs)
    width = terminal_width()
    priced = forecast_text(forecasts, whole, jobs=jobs, width=width)
    notes = sys.stderr if options.json else sys.stdout
    if options.estimate:
        record = {"runs": [dataclasses.asdict(item) for item in forecasts], "in_all": dataclasses.asdict(whole)}
        print(json.dumps(record) if options.json else priced)
        return 0
    command, plugins = "python -m sparcl_ref.run " + " ".join(arguments), tuple(options.plugin or ())
    plan_here = Plan(command, name, threads, plugins, options.data_dir, tuple(configs), made_with(datasets))
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(Interrupts())
        if options.resume is None:
            directory = refusing(lambda: stack.enter_context(reserved_folder(options.out, name)))
            # Again, now that nobody else can come between: another run may have ended here meanwhile.
            refusing(lambda: check_folder(options.out, overwrite=options.overwrite))
            progress = Progress.begin(directory, plan_here)
        else:
            directory = Path(options.resume)
            refusing(lambda: stack.enter_context(locked(directory)))
            progress = refusing(lambda: Progress.resume(directory, plan_here, force=options.force))
        with unless_ended(progress, stopping):
            print(echo(configs, name, jobs=jobs, threads=threads, directory=directory, width=width), file=notes)
            print("\n" + priced, file=notes, flush=True)
            remarks = [
                *progress.remarks,
                drawing_problem(),
                *(line for config in configs for line in config.warnings()),
                *(line for item in forecasts for line in item.remarks),
                *idle(configs, command_line.settings_from(options)),
                *(remark(name, dataset) for name, dataset in datasets.items()),
            ]
            for line in dict.fromkeys(filter(None, remarks)):
                warn(line)
            failed = trained(progress, forecasts, stopping, jobs=options.jobs, every=options.checkpoint_every)
            results = [progress.results[number] for number in sorted(progress.results)]
            if not results:
                progress.discard()
            else:
                summary = summary_of(progress.plan, results, failed, datasets[configs[0].dataset])
                summary |= {"threads": {"blas": threads, "workers": jobs}, "wall_seconds": time.perf_counter() - start}
                report(progress, summary, results, warn=warn, as_json=options.json)
    for config, error in failed:
        print(f"{PROGRAM}: failed: {config.title}, seed {config.seed}: {one_line(error)}", file=sys.stderr)
    return command_line.FAILED if failed else 0


def warn(line: str) -> None:
    """Say what is no failure, apart from the output."""
    print(f"{PROGRAM}: warning: {line}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    warnings.simplefilter("default", UserWarning)
    return command_line.main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
