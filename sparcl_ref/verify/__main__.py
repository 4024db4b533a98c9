"""``python -m sparcl_ref.verify``: hold an adapter, a program's files or a trace against the reference."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparcl_ref.command_line import FAILED, Parser, Refused, main_guard, refusing, writing
from sparcl_ref.text import folded, terminal_width
from sparcl_ref.verify.report import Finding
from sparcl_ref.verify.runner import LOAD_TIMEOUT, TIMEOUT

PROGRAM = "sparcl_ref.verify"
_MODES = ("adapter", "list", "export", "outputs", "trace", "record")
_EXAMPLES = """\
examples:
  python -m sparcl_ref.verify my_adapter.py                     every function the file has, case by case
  python -m sparcl_ref.verify my_adapter.py --only layers --dtype float32
  python -m sparcl_ref.verify numpy --junit report.xml          a ready adapter: numpy or numba
  python -m sparcl_ref.verify --export cases                    inputs as .npy, for other languages
  python -m sparcl_ref.verify --outputs cases/outputs           what a program wrote back
  python -m sparcl_ref.verify --record reference.npz            a canonical run, step by step
  python -m sparcl_ref.verify --trace mine.npz --against reference.npz
exit codes: 0 everything provided passed and something was compared; 1 not so; 2 the request was wrong"""


def build_parser() -> argparse.ArgumentParser:
    """All options; which go together is checked in `parse`."""
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Hold another implementation of SparCL against the reference.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = parser.add_argument_group("what to check (one of them)")
    modes.add_argument("adapter", nargs="?", help="a Python file with functions of the protocol, or numpy, or numba")
    modes.add_argument("--outputs", metavar="DIR", help="files that a program wrote for exported cases")
    modes.add_argument("--trace", metavar="MINE.npz", help="a trace of your own run")
    modes.add_argument("--list", action="store_true", help="print all functions with signatures, and their cases")
    modes.add_argument("--export", metavar="DIR", help="write the inputs of the cases as .npy, with a manifest")
    modes.add_argument("--record", metavar="FILE", help="write the reference's trace of a canonical run")
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[],
        help='an area, a function, or a pattern of cases such as "conv2d_*/*"; may be repeated',
    )  # fmt: skip
    parser.add_argument("--dtype", choices=("float64", "float32"), help="type under test [float64]")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds,
        help=f"limit of one call, and of the import [{TIMEOUT:g}, {LOAD_TIMEOUT:g}]",
    )  # fmt: skip
    parser.add_argument("--xfail", metavar="FILE", help='cases expected to fail, one a line: "case: reason"')
    parser.add_argument("--against", metavar="REF.npz", help="with --trace: the reference's trace, if recorded already")
    parser.add_argument("--run", metavar="NAME", help="the canonical run to record or compare with: derpp, er or der")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--junit", metavar="FILE", help="also write the outcomes as JUnit XML")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return seconds


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse, and refuse options that do not go together.

    Raises
    ------
    Refused
    """
    options = build_parser().parse_args(arguments)
    modes = [mode for mode in _MODES if getattr(options, mode)]
    if len(modes) != 1:
        given = " and ".join(modes) if modes else "nothing"
        raise Refused(f"give one thing to check, a file or numpy or numba (or see --help); got {given}")
    options.mode = modes[0]
    for name, fitting in (
        ("only", ("adapter", "outputs", "list", "export")),
        ("dtype", ("adapter", "outputs", "export")),
        ("timeout", ("adapter",)),
        ("xfail", ("adapter", "outputs")),
        ("junit", ("adapter", "outputs")),
        ("against", ("trace",)),
        ("run", ("record", "trace")),
    ):
        if getattr(options, name) not in (None, []) and options.mode not in fitting:
            raise Refused(f"--{name} does not go with {options.mode}; it goes with {' or '.join(fitting)}")
    if options.run and options.against:
        raise Refused("--run names the canonical run to compare with; leave it out where --against gives a file")
    options.run = options.run or "derpp"
    options.load_timeout = options.timeout or LOAD_TIMEOUT
    options.dtype, options.timeout = options.dtype or "float64", options.timeout or TIMEOUT
    return options


def run_check(options: argparse.Namespace) -> int:
    """Check an adapter or a folder of outputs; print and write the report."""
    from tqdm import tqdm

    from sparcl_ref.verify.check import check
    from sparcl_ref.verify.diagnosis import diagnosed
    from sparcl_ref.verify.exchange import outcomes_of, strays
    from sparcl_ref.verify.junit import as_junit
    from sparcl_ref.verify.report import Report
    from sparcl_ref.verify.runner import expecting

    cases, functions, pairs = _selected(options)
    reasons = _expected_failures(options, [case.id for case in cases])
    if options.junit is not None:
        writing(options.junit, lambda: _try_to_write(Path(options.junit)))
    if options.mode == "adapter":
        with tqdm(total=len(pairs), unit="case", leave=False, disable=None) as bar:
            report = refusing(
                lambda: check(
                    options.adapter,
                    cases=[case for case, _ in pairs],
                    functions=functions,
                    dtype=options.dtype,
                    timeout=options.timeout,
                    load_timeout=options.load_timeout,
                    expected_failures=reasons,
                    on_outcome=lambda _: bar.update(),
                )
            )
    else:
        folder = Path(options.outputs)
        if not folder.is_dir():
            raise Refused(f"{folder}: no such folder; --export makes one with a place for outputs")
        outcomes = outcomes_of(folder, pairs, dtype=options.dtype)
        found = diagnosed([expecting(outcome, reasons) for outcome in outcomes], options.dtype)
        report = Report(str(folder), options.dtype, found, strays(folder, cases))
    code = show(report, options)
    if options.junit:  # last: a report that has been paid for is not lost to a disk that is full now
        writing(options.junit, lambda: Path(options.junit).write_bytes(as_junit(report)))
    return code


def _try_to_write(path: Path) -> None:
    """Raise OSError where a file could not be written; one that is there keeps what it has."""
    if path.exists():
        with path.open("ab"):
            return
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def show(found: Finding, options: argparse.Namespace) -> int:
    """Print what a check found; returns the exit code."""
    print(json.dumps(found.json(), allow_nan=False) if options.json else found.text())
    return 0 if found.conforms else FAILED


def run_list(options: argparse.Namespace) -> int:
    """Print the protocol."""
    from sparcl_ref.verify.listing import as_records, format_listing

    pairs = _selected(options)[2]
    functions = {function.name: function for _, function in pairs}.values()
    cases = [case for case, _ in pairs]
    print(
        json.dumps(as_records(functions, cases))
        if options.json
        else folded(format_listing(functions, cases), terminal_width())
    )
    return 0


def run_export(options: argparse.Namespace) -> int:
    """Write the inputs of the cases."""
    from sparcl_ref.verify.exchange import export

    pairs = _selected(options)[2]
    count = writing(options.export, lambda: export(Path(options.export), pairs, dtype=options.dtype))
    if options.json:
        print(json.dumps({"directory": options.export, "cases": count, "dtype": options.dtype}))
    else:
        print(f"{count} cases in {options.export}; write outputs to {Path(options.export) / 'outputs'} and check them")
    return 0


def run_trace(options: argparse.Namespace) -> int:
    """Compare two traces, or record one."""
    if options.mode == "record":
        from sparcl_ref.verify.record import record

        refusing(lambda: writing(options.record, lambda: record(Path(options.record), run=options.run)))
        print(json.dumps({"trace": options.record}) if options.json else f"trace written to {options.record}")
        return 0
    from sparcl_ref.verify.trace import check as check_trace

    for path in filter(None, (options.trace, options.against)):
        if not Path(path).is_file():
            raise Refused(f"{path}: no such file; --record FILE writes the reference's trace")
    against = Path(options.against) if options.against else None
    found = refusing(lambda: check_trace(Path(options.trace), against, run=options.run))
    return show(found, options)


def _selected(options: argparse.Namespace) -> Any:
    """All cases, all functions, and the pairs of them that were asked for."""
    from sparcl_ref.verify import areas
    from sparcl_ref.verify.cases import load_cases
    from sparcl_ref.verify.check import select

    cases, functions = load_cases(), areas.functions()
    dtype = "" if options.mode == "list" else options.dtype
    return cases, functions, refusing(lambda: select(cases, functions, options.only, dtype))


def _expected_failures(options: argparse.Namespace, known: list[str]) -> dict[str, str]:
    from sparcl_ref.verify.expected_failures import parse as parse_list

    if not options.xfail:
        return {}
    try:
        text = Path(options.xfail).read_text(encoding="utf-8-sig")  # some editors mark their files so
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{options.xfail}: cannot be read as text; give a file of lines 'case: reason'") from error
    return refusing(lambda: parse_list(text, known, name=options.xfail))


def execute(arguments: Sequence[str]) -> int:
    """Parse and do what was asked."""
    options = parse(arguments)
    if options.mode in ("adapter", "outputs"):
        return run_check(options)
    return {"list": run_list, "export": run_export, "trace": run_trace, "record": run_trace}[options.mode](options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
