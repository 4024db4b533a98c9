"""``python -m sparcl_ref.explore``: record runs and write a page on which they are gone through by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sparcl_ref import command_line
from sparcl_ref.command_line import Refused, refusing, writing
from sparcl_ref.config import Config
from sparcl_ref.presets import PRESETS, configurations, idle
from sparcl_ref.report.explorer.small import SMALL, write_small

PROGRAM = "sparcl_ref.explore"
#: What is recorded unless settings or a preset say otherwise.
USUAL = "explorer"

EPILOG = f"""\
examples:
  python -m sparcl_ref.explore --out explorer.html
  python -m sparcl_ref.explore --out mine.html --method er --sparsity 0.75 --epochs 10 --delta-k 2
  python -m sparcl_ref.explore --out importance.html --preset importance
  python -m sparcl_ref.explore --out reservoir.html --small reservoir

Without settings the page has the runs of --preset {USUAL}: SparCL-DER++ at sparsity .90, with the full head, without
data removal, and with a mask that never moves. With settings it has one run, as sparcl_ref.run would train it.
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; settings that were not given are absent from it."""
    command_line.load_plugins_named(PROGRAM, arguments)
    parser = command_line.Parser(
        prog=f"python -m {PROGRAM}",
        description="Record runs and write one page on which masks, buffer, removed samples and accuracies are gone "
        "through epoch by epoch.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the page to write, such as explorer.html")
    parser.add_argument("--overwrite", action="store_true", help="replace the file that is there already")
    parser.add_argument("--small", choices=tuple(SMALL), help="instead of runs, a small page on one idea")
    parser.add_argument("--preset", choices=tuple(PRESETS), help=f"a named comparison [{USUAL}]")
    command_line.add_data_option(parser)
    command_line.add_plugin_option(parser)
    command_line.add_settings(parser)
    options = parser.parse_args(arguments)
    if options.small and (options.preset or command_line.settings_from(options)):
        parser.error(f"--small {options.small} shows no run; leave --preset and settings out")
    return options


def chosen(options: argparse.Namespace) -> list[Config]:
    """What to record, one run of each; ValueError if settings make no sense."""
    settings = command_line.settings_from(options)
    preset = options.preset or (None if settings else USUAL)
    return configurations(({},) if preset is None else PRESETS[preset], settings)


def execute(arguments: Sequence[str]) -> int:
    """Parse, record, write."""
    options = parse(arguments)
    path = Path(options.out)
    if path.exists() and not options.overwrite:
        raise Refused(f"{options.out} exists; choose another --out, or replace it with --overwrite")
    if not path.parent.is_dir():
        raise Refused(f"cannot write to {options.out}: there is no folder {path.parent}; choose another --out")
    if options.small:
        size = writing(options.out, lambda: write_small(options.small, path), advice="choose another --out")
    else:
        size = _record(options, path)
    print(f"{options.out}, {size:,} bytes")
    return 0


def _record(options: argparse.Namespace, path: Path) -> int:
    from sparcl_ref.experiment import build
    from sparcl_ref.report import explorer

    configs = refusing(lambda: chosen(options))
    trainers = refusing(lambda: [build(config) for config in configs])
    lines = [*(line for config in configs for line in config.warnings())]
    for line in dict.fromkeys([*lines, *idle(configs, command_line.settings_from(options))]):
        print(f"{PROGRAM}: warning: {line}", file=sys.stderr)
    recordings = []
    for number, trainer in enumerate(trainers, start=1):
        print(f"{number} of {len(trainers)}: {trainer.config.title}", file=sys.stderr, flush=True)
        recordings.append(explorer.record(trainer))
    return writing(options.out, lambda: explorer.write(recordings, path), advice="choose another --out")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return command_line.main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
