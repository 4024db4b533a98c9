"""``python -m sparcl_ref.sweep``: train what a grid asks for and is not there yet, and show what came of it."""

from __future__ import annotations

from sparcl_ref import interrupts

if __name__ == "__main__":
    # In the midst of an import Ctrl-C ends in a traceback, or in NumPy's advice on broken installations.
    interrupts.hold()

import argparse
import contextlib
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparcl_ref import command_line
from sparcl_ref.command_line import Ended, refusing, writing
from sparcl_ref.comparison import labels
from sparcl_ref.interrupts import Interrupts
from sparcl_ref.keeper import Stopped
from sparcl_ref.run import MOST_JOBS, add_checkpoint_option, check, require_checkpoint_seconds, with_trials
from sparcl_ref.run_folder import check_folder, locked
from sparcl_ref.run_plan import made_with
from sparcl_ref.sweep.grid import Grid, load_grid
from sparcl_ref.sweep.results import WORK, done, keeper, load_results
from sparcl_ref.sweep.statistics import Entry, check_label, entries
from sparcl_ref.sweep.table import table
from sparcl_ref.text import terminal_width

if TYPE_CHECKING:
    from tqdm import tqdm

    from sparcl_ref.sweep.places import Job

PROGRAM = "sparcl_ref.sweep"
#: Endings of figures' file names.
DRAWN = (".png", ".svg", ".pdf")
EPILOG = """\
a grid is a TOML file:

  seeds = 3                        # 0, 1, 2; or a list
  [settings]                       # of every entry
  dataset = "digits"
  epochs = 10
  [[entries]]
  method = "er"
  [[entries]]
  method = "derpp"
  sparsity = [0.90, 0.95]          # a list: an entry for each

examples:
  python -m sparcl_ref.sweep field.toml --out sweeps/field
  python -m sparcl_ref.sweep sweeps/field --table --against DER++
  python -m sparcl_ref.sweep sweeps/field --figure costs.png --curves minutes.png
  python -m sparcl_ref.sweep field.toml --out sweeps/field --dask tcp://host:8786
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = command_line.Parser(
        prog=f"python -m {PROGRAM}",
        description="Train what a grid asks for and is not there yet; show what the results in a folder say.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="GRID|DIR", help="a TOML file to train, or a folder of results to show")
    parser.add_argument("--out", metavar="DIR", help="where to write, and go on [sweeps/NAME]")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="worker processes [2]")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="train on the cluster of this scheduler, such as tcp://h:8786"
    )
    add_checkpoint_option(parser)
    command_line.add_data_option(parser)
    parser.add_argument("--estimate", action="store_true", help="print what is left to train and its cost, and stop")
    parser.add_argument("--table", action="store_true", help="print the table of a folder; a grid's is printed anyway")
    parser.add_argument("--against", default="", metavar="ENTRY", help="with paired differences to this entry")
    parser.add_argument("--markdown", action="store_true", help="the table for a page")
    parser.add_argument("--figure", metavar="FILE", help="draw accuracy against seconds, FLOPs and memory")
    parser.add_argument("--curves", metavar="FILE", help="draw accuracy against minutes and FLOPs at each task's end")
    options = parser.parse_args(arguments)
    for path in filter(None, (options.figure, options.curves)):
        if Path(path).suffix not in DRAWN:
            parser.error(f"{path}: a figure's name ends in one of {', '.join(DRAWN)}")
    options.shows = Path(options.what).is_dir()
    if options.shows:
        shown = ("table", "against", "markdown", "figure", "curves", "shows")
        parser.refuse_beside(options, "what", *shown)
        if not (options.table or options.figure or options.curves):
            parser.error(f"{options.what} is a folder; say what to show of it: --table, --figure FILE or --curves FILE")
    return options


def execute(arguments: Sequence[str]) -> int:
    """Parse, train what is missing, show."""
    interrupts.release()
    options = parse(arguments)
    if options.shows:
        show(options, refusing(lambda: entries(load_results(Path(options.what)))))
        return 0
    refusing(lambda: command_line.require_counts(options, jobs=MOST_JOBS))
    refusing(lambda: require_checkpoint_seconds(options))
    grid = refusing(lambda: load_grid(options.what))
    directory = Path("sweeps", grid.name) if options.out is None else Path(options.out)
    refusing(lambda: check_folder(str(directory), overwrite=True))
    if options.against:
        there = refusing(lambda: load_results(directory)) if any(done(directory, grid.configs)) else []
        configs = [*grid.configs, *(run.config for run in there)]
        known = labels((config.title, config) for config in configs)
        refusing(lambda: check_label(options.against, list(known.values())))
    train_missing(grid, directory, options)
    if options.estimate:
        return 0
    made = refusing(lambda: entries(load_results(directory)))
    show(options, made)
    failed = [run for entry in made for run in entry.runs.values() if run.failed and run.config in grid.configs]
    print(f"\n{directory} holds {len(grid.configs)} runs of this grid.")
    return command_line.FAILED if failed else 0


def train_missing(grid: Grid, directory: Path, options: argparse.Namespace) -> None:
    """Train each run of the grid that has no result in the folder."""
    from tqdm import tqdm

    from sparcl_ref.bench.record import describe_machine
    from sparcl_ref.forecast_text import forecast_text
    from sparcl_ref.sweep.places import Job, connected, over_dask, over_processes

    left = [config for config, there in zip(grid.configs, done(directory, grid.configs), strict=True) if not there]
    print(f"{grid.name}: {len(grid.configs)} runs, {len(grid.configs) - len(left)} of them done")
    if not left:
        return
    processes = min(options.jobs, len(left))
    datasets, forecasts = refusing(lambda: check(left, jobs=processes))
    if options.estimate:
        forecasts, whole = with_trials(left, forecasts, threads=grid.threads, jobs=processes)
        print(forecast_text(forecasts, whole, jobs=processes, width=terminal_width()))
        return
    described = describe_machine()
    machine = {name: described[name] for name in ("cpu", "cores", "load", "system")} | {"jobs": processes}
    context = {"made_with": made_with(datasets), "machine": machine | {"threads": grid.threads}}
    client = None if options.dask is None else refusing(lambda: connected(options.dask))
    writing(str(directory), lambda: directory.mkdir(parents=True, exist_ok=True))
    directory = directory.resolve()  # workers of a cluster have folders of their own
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(Interrupts())
        refusing(lambda: stack.enter_context(locked(directory)))
        jobs = [
            Job(config, expected, keeper(directory, config, every=options.checkpoint_every, **context))
            for config, expected in zip(left, forecasts, strict=True)
        ]
        bar = stack.enter_context(
            tqdm(
                total=sum(map(cost, jobs)), desc="training", file=sys.stderr,
                mininterval=0.1 if sys.stderr.isatty() else 10,
                bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}, about {remaining} left{postfix}",
            )
        )  # fmt: skip
        try:
            if client is not None:
                with client:
                    over_dask(
                        jobs, client, threads=grid.threads, data_dir=options.data_dir,
                        on_end=lambda job: moved(bar, cost(job)),
                    )  # fmt: skip
            else:
                over_processes(
                    jobs, processes=processes, threads=grid.threads, warn=warn, asked_to_stop=lambda: bool(stopping),
                    on_epoch=lambda job: moved(bar, cost(job) / job.expected.epochs),
                )  # fmt: skip
        except (KeyboardInterrupt, Stopped) as error:
            raise Ended("interrupted; the same command goes on from here", stopping.exit_code) from error
    for job in jobs:
        if job.keeper.done:
            shutil.rmtree(job.keeper.directory, ignore_errors=True)
    if not any((directory / WORK).iterdir()):
        (directory / WORK).rmdir()


def cost(job: Job) -> float:
    """By what the bar moves: exact FLOPs where they are known, else samples."""
    return float(job.expected.train_flops["exact"] or job.expected.pass_samples)


def moved(bar: tqdm, by: float) -> None:
    """Move the bar, and say when it arrives if it goes on like this."""
    rate = bar.format_dict["rate"]
    bar.update(by)
    if rate and bar.total:
        arrival = time.localtime(time.time() + (bar.total - bar.n) / rate)
        bar.set_postfix_str(f"at {time.strftime('%H:%M', arrival)}", refresh=False)


def show(options: argparse.Namespace, made: Sequence[Entry]) -> None:
    """Print the table, and draw what is asked for."""
    if options.table or not options.shows:
        width = None if options.markdown else terminal_width()
        print(refusing(lambda: table(made, against=options.against, markdown=options.markdown, width=width)))
    if options.figure or options.curves:
        from sparcl_ref.sweep.figure import against_costs, on_the_way

        for path, draw in ((options.figure, against_costs), (options.curves, on_the_way)):
            if path:
                figure = refusing(lambda draw=draw: draw(made))  # type: ignore[misc]
                writing(path, lambda path=path, figure=figure: figure.savefig(path, dpi=160))  # type: ignore[misc]


def warn(line: str) -> None:
    """Say what is no failure, apart from the output."""
    print(f"{PROGRAM}: warning: {line}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    warnings.simplefilter("default", UserWarning)
    return command_line.main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
