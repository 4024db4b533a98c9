"""``python -m sparcl_ref.flops``: what a run costs, before it runs, and how the published figures come about."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparcl_ref.command_line import (
    Parser,
    add_data_option,
    add_plugin_option,
    add_settings,
    load_plugins_named,
    main_guard,
    refusing,
    require_counts,
    settings_from,
    writing,
)
from sparcl_ref.config import Config
from sparcl_ref.memory import require_memory
from sparcl_ref.presets import idle
from sparcl_ref.settings import MOST, flag
from sparcl_ref.text import columns, folded, terminal_width

PROGRAM = "sparcl_ref.flops"
OTHER_OUT = "choose another --out"
#: Numbers in a sample, classes, tasks: more than anyone has, and few enough to be counted.
MOST_NUMBERS, MOST_CLASSES, MOST_TASKS = 10**8, 10**6, 1000

EPILOG = """\
examples:
  python -m sparcl_ref.flops --table1
  python -m sparcl_ref.flops --method derpp --sparsity 0.9 --out figures
  python -m sparcl_ref.flops --model resnet18 --shape 3,32,32 --classes 10 --tasks 5 --task-size 10000 --sparsity 0.9
  python -m sparcl_ref.flops --model resnet20 --conventions --json
"""


def shape(text: str) -> tuple[int, int, int]:
    """Three sizes joined by commas."""
    try:
        channels, height, width = (int(part) for part in text.split(","))
    except ValueError:
        channels = height = width = 0
    if min(channels, height, width) < 1:
        raise argparse.ArgumentTypeError(f"expected three sizes of at least 1 such as 3,32,32, got {text!r}")
    if channels * height * width > MOST_NUMBERS:
        raise argparse.ArgumentTypeError(f"expected sizes of at most {MOST_NUMBERS:,} numbers together, got {text!r}")
    return channels, height, width


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace."""
    load_plugins_named(PROGRAM, arguments)
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Price a run without running it: multiply-adds, FLOPs, bytes and time.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--table1", action="store_true", help="every published cost figure beside ours")
    what.add_argument("--conventions", action="store_true", help="the run under the ways of counting people mix up")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--layer", metavar="NAME", help="of the layers, show this one only")
    parser.add_argument("--out", metavar="DIR", help="write the waterfall figure to DIR/cost_waterfall.png")
    parser.add_argument("--no-time", action="store_true", help="do not measure how fast this machine is")
    group = parser.add_argument_group("data (all four, instead of those of --dataset)")
    group.add_argument("--shape", type=shape, metavar="C,H,W", help="of one sample")
    group.add_argument("--classes", type=int, metavar="N", help="of all tasks together")
    group.add_argument("--tasks", type=int, metavar="N", help="number of tasks")
    group.add_argument("--task-size", type=int, metavar="N", help="training samples of a task")
    add_data_option(parser)
    add_plugin_option(parser)
    add_settings(parser)
    options = parser.parse_args(arguments)
    if options.table1:
        parser.refuse_beside(options, "table1", "json", "plugin")
    for name in ("layer", "out"):
        if options.conventions and getattr(options, name) is not None:
            parser.error(f"--conventions would ignore --{name}; leave it out")
    return options


@dataclasses.dataclass(frozen=True)
class Request:
    """A run to price: its settings, the sample's shape, the head's width and the training samples of each task."""

    config: Config
    input_shape: tuple[int, int, int]
    classes: int
    task_sizes: tuple[int, ...]

    @property
    def model(self) -> dict[str, Any]:
        """What the model is made from."""
        width = self.config.width
        return {"name": self.config.model, "input_shape": self.input_shape, "classes": self.classes, "width": width}


def request(options: argparse.Namespace) -> Request:
    """What is to be priced; ValueError if settings are out of range or do not fit the data."""
    config = Config(**settings_from(options))
    given = {name: getattr(options, name) for name in ("shape", "classes", "tasks", "task_size")}
    missing = [flag(name) for name, value in given.items() if value is None]
    if len(missing) == len(given):
        from sparcl_ref.assembly import build_stream
        from sparcl_ref.randomness import named_streams
        from sparcl_ref.streams import load_dataset

        dataset = load_dataset(config.dataset)
        tasks = build_stream(config, dataset, named_streams(config.seed)["classes"]).training
        return Request(config, dataset.input_shape, dataset.classes, tuple(len(task.train_index) for task in tasks))
    if missing:
        raise ValueError(f"data without a data set needs {', '.join(missing)} too; give all four or none")
    for name in ("dataset", "class_order", "classes_per_task"):
        if name in settings_from(options):
            raise ValueError(f"{flag(name)} does not go with --shape, --classes, --tasks and --task-size; choose one")
    require_counts(options, classes=MOST_CLASSES, tasks=MOST_TASKS, task_size=MOST)
    sizes = (options.task_size,) * options.tasks
    if config.batch_size > options.task_size:
        raise ValueError(f"--batch-size must not exceed a task's {options.task_size} samples, got {config.batch_size}")
    return Request(config, options.shape, options.classes, (sum(sizes),) if config.method_class.joint else sizes)


def price(wanted: Request, *, layer: str | None = None, time: bool = True) -> dict[str, Any]:
    """The statement of a run's cost, and how long it will take here.

    Raises ValueError if the model does not fit the data or has no layer of that name.
    """
    from sparcl_ref.cost import describe_model
    from sparcl_ref.cost.record import cost_record

    config, spec = wanted.config, describe_model(**wanted.model)
    if layer is not None:
        spec.layer(layer)
    record = cost_record(spec, config, wanted.task_sizes, name=config.title)
    record["layers"] = [row for row in record["layers"] if layer in (None, row["name"])]
    record["estimated_seconds"] = None
    if time:
        import numpy as np

        from sparcl_ref.cost.timing import pass_and_update_seconds
        from sparcl_ref.models import build_model

        held = record["memory_bytes"]["exact"]["total"]
        require_memory("measuring the run, which --no-time leaves out,", held or 0)
        print("measuring this machine ...", file=sys.stderr, flush=True)
        model = build_model(**wanted.model, dtype=np.dtype(config.dtype), rng=np.random.default_rng(0))
        passes, updates = pass_and_update_seconds(model, batch=config.batch_size)
        record["estimated_seconds"] = record["pass_samples"] / config.batch_size * passes + record["steps"] * updates
    return record


def show_run(options: argparse.Namespace, wanted: Request) -> tuple[str, bool]:
    """The cost of a run as text or JSON; writes the figure if asked to."""
    from sparcl_ref.cost.record_text import cost_text

    if options.out is not None:
        writing(options.out, lambda: Path(options.out).mkdir(parents=True, exist_ok=True), advice=OTHER_OUT)
    for line in [*wanted.config.warnings(), *idle([wanted.config], settings_from(options))]:
        print(f"{PROGRAM}: warning: {line}", file=sys.stderr)
    record = refusing(lambda: price(wanted, layer=options.layer, time=not options.no_time))
    if options.out is not None:
        record["figure"] = str(writing(options.out, lambda: write_figure(Path(options.out), record), advice=OTHER_OUT))
    if options.json:
        return json.dumps(record, allow_nan=False), True
    text = cost_text(record, width=terminal_width())
    if record["estimated_seconds"] is not None:
        text += f"\n\nestimated time on this machine: {record['estimated_seconds']:,.0f} s, evaluation aside"
    return text + (f"\nfigure: {record['figure']}" if "figure" in record else ""), True


def write_figure(directory: Path, record: dict[str, Any]) -> Path:
    """Draw the waterfall of a statement into a directory."""
    from sparcl_ref.report.figures.canvas import png
    from sparcl_ref.report.figures.waterfall import cost_waterfall

    path = directory / "cost_waterfall.png"
    path.write_bytes(png(cost_waterfall(record["savings"], name=f"{record['name']}, {record['model']['name']}")))
    return path


def show_conventions(options: argparse.Namespace, wanted: Request) -> tuple[str, bool]:
    """The run under every convention as text or JSON, and whether all relations hold."""
    from sparcl_ref.cost import describe_model
    from sparcl_ref.cost.conventions import conventions

    rows = conventions(refusing(lambda: describe_model(**wanted.model)), wanted.config, wanted.task_sizes)
    good = all(row.holds for row in rows)
    if options.json:
        return json.dumps([dataclasses.asdict(row) for row in rows]), good
    first, *others = [(row.name, f"{row.unit} per {row.per}", row.value_text) for row in rows]
    aligned = zip(columns(first, others, left=2).split("\n"), rows, strict=True)
    lines = [f"{line}  {'' if row.holds else 'NOT TRUE: '}{row.relation}" for line, row in aligned]
    return folded("\n".join(lines), terminal_width()), good


def show_table(options: argparse.Namespace) -> tuple[str, bool]:
    """Every published figure as text or JSON, and whether all agree."""
    from sparcl_ref.cost.paper import READINGS
    from sparcl_ref.cost.published import CELLS, compare

    records, width = [compare(cell) for cell in CELLS], terminal_width()
    good = all(record["agrees"] for record in records)
    if options.json:
        return json.dumps(records, allow_nan=False), good
    # Too long for a column, rules are numbered there and listed below.
    rules = {rule: f"({number})" for number, rule in enumerate(dict.fromkeys(each["rule"] for each in records), 1)}
    rows, readings = [], []
    for cell, record in zip(CELLS, records, strict=True):
        sparsity = "-" if record["sparsity"] is None else f"{record['sparsity']:g}"
        unit = f"{record['unit']:.0e}".replace("e+0", "e").replace("e+", "e")
        unit += " B" if record["quantity"] == "memory_bytes" else " FLOPs"
        exact = "-" if record["exact"] is None else f"{record['exact']:.2f}"
        agrees = "yes" if record["agrees"] else "NO"
        head = (record["table"], record["method"], record["dataset"], sparsity, unit)
        ours = (cell.printed, f"{record['ours']:.3f}", f"{record['difference']:+.3f}", agrees, exact)
        rows.append((*head, *ours, rules[record["rule"]]))
        if record["readings"]:
            readings.append((*head[1:5], cell.printed, *(f"{value:.3f}" for value in record["readings"].values())))
    header = ("table", "method", "data", "s", "unit", "printed", "ours", "diff", "agrees", "exact", "rule")
    parts = [
        columns(header, rows, left=4, width=width),
        "\n".join(f"  {number} {rule}" for rule, number in rules.items())
        + "\n  exact: all passes with their backward passes; for memory what this engine, with dense arrays, holds",
        "Readings of how gradient masks are charged, `paper` convention:\n"
        + "\n".join(f"  {name}: {meaning}" for name, meaning in READINGS.items()),
        columns(("method", "data", "s", "unit", "printed", *READINGS), readings, left=3, width=width),
    ]
    return folded("\n\n".join(parts), width), good


def execute(arguments: Sequence[str]) -> int:
    """Parse, price, print."""
    options = parse(arguments)
    if options.table1:
        text, good = show_table(options)
    else:
        show = show_conventions if options.conventions else show_run
        text, good = show(options, refusing(lambda: request(options)))
    print(text)
    return 0 if good else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
