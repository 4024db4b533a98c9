"""``python -m sparcl_ref.bench``: our engines beside PyTorch and SciPy, measured side by side in one run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparcl_ref.bench.request import LEAST_WIDTH, PARTS, Request
from sparcl_ref.command_line import Parser, Refused, main_guard, refusing, require_counts, writing

PROGRAM = "sparcl_ref.bench"
QUICK_ROUNDS = 2
#: More turns, channels or samples than that take days, or all of a machine's memory.
MOST = 10_000

EPILOG = """\
parts:
  roofs    what the machine can do: multiply-adds in registers, with an operand from each cache, copies
  step     a DER++ step of resnet18 in PyTorch, NumPy, SciPy and the compiled engine, with and without gradient masks
  profile  where the time of a compiled pass goes
  layers   the step's contenders, convolution by convolution
  kernels  sums over living weights against matrix products, by density
  scaling  the step by density, width, batch size and threads; a figure with --out
  memory   peak memory of a step, each contender in its own process
  run      a whole run with and without data removal

examples:
  python -m sparcl_ref.bench --quick
  python -m sparcl_ref.bench --only step --rounds 9 --threads 1
  python -m sparcl_ref.bench --out results
  python -m sparcl_ref.bench --table results/bench.json
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Measure speed and memory beside PyTorch and SciPy, side by side in one run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", metavar="PART", help="some of the parts; see below")
    parser.add_argument("--quick", action="store_true", help="two minutes: fewer turns, shapes and sparsities")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of every contender [all cores]")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contender [5; 2 with --quick]")
    parser.add_argument("--width", type=int, default=64, metavar="N", help="channels of the first stage [64]")
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="batch size, of each replayed batch too [32]"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write bench.json there, and figures")
    parser.add_argument("--table", type=Path, metavar="FILE", help="measure nothing; print a bench.json as Markdown")
    options = parser.parse_args(arguments)
    if options.table is not None:
        parser.refuse_beside(options, "table")
    return options


def request_from(options: argparse.Namespace) -> Request:
    """The settings of a bench; Refused if one is out of range."""
    cores = os.cpu_count() or 1
    threads = cores if options.threads is None else options.threads
    rounds = options.rounds if options.rounds is not None else QUICK_ROUNDS if options.quick else Request.rounds
    refusing(lambda: require_counts(options, threads=MOST, rounds=MOST, batch=MOST, width=MOST))
    if threads > cores:
        raise Refused(f"--threads must be at most the machine's {cores} cores, got {threads}")
    if options.width < LEAST_WIDTH:
        raise Refused(
            f"--width must be at least {LEAST_WIDTH}, got {options.width}: PyTorch 2.13 crashes on narrower networks"
        )
    parts = tuple(part for part in PARTS if options.only is None or part in options.only)
    return Request(parts, threads, rounds, options.width, options.batch, options.quick)


def as_table(path: Path) -> str:
    """A committed record as Markdown; Refused if the file cannot be read as one."""
    from sparcl_ref.bench.page import markdown

    try:
        return markdown(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise Refused(f"--table: {path} cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise Refused(f"--table: {path} is not a bench.json written by --out ({error!r})") from error


def execute(arguments: Sequence[str]) -> int:
    """Parse, measure, print."""
    options = parse(arguments)
    if options.table is not None:
        print(as_table(options.table))
        return 0
    request = request_from(options)
    # Read when Numba is first imported, by which time it is too late to ask for more.
    os.environ["NUMBA_NUM_THREADS"] = str(request.threads)
    if options.out is not None:
        writing(str(options.out), lambda: options.out.mkdir(parents=True, exist_ok=True), advice="choose another --out")
    try:
        from sparcl_ref.bench.record import measure, text, write
    except ModuleNotFoundError as error:
        raise Refused(f"{error.name} is not installed; pip install 'sparcl_ref[bench]'") from error
    record: dict[str, Any] = measure(request, note=lambda line: print(line, file=sys.stderr, flush=True))
    if options.out is not None:
        write(record, options.out)
    print(json.dumps(record, allow_nan=False) if options.json else text(record))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
