"""``python -m sparcl_ref.bench``: our engines beside dense PyTorch, in one run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from sparcl_ref.command_line import Parser, Refused, main_guard

PROGRAM = "sparcl_ref.bench"
BASELINE = ("torch", "torch channels-last")

EPILOG = """\
examples:
  python -m sparcl_ref.bench
  python -m sparcl_ref.bench --quick --threads 1
  python -m sparcl_ref.bench --only step --rounds 7 --json
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Time our engines beside dense PyTorch: each convolution of resnet18, and a DER++ training step.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("layers", "step"), help="one of the two parts")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of every contender [2]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contender [5]")
    parser.add_argument("--width", type=int, default=64, metavar="N", help="channels of the first stage [64]")
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="batch size, of each replayed batch too [32]"
    )
    parser.add_argument("--quick", action="store_true", help="two turns, and .95 sparsity only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time everything asked for."""
    import torch
    from threadpoolctl import threadpool_limits

    from sparcl_ref.bench import contenders
    from sparcl_ref.bench.timing import compared, interleaved

    torch.set_num_threads(options.threads)
    rounds = 2 if options.quick else options.rounds
    record: dict[str, Any] = {"threads": options.threads, "rounds": rounds, "layers": [], "step": []}
    with threadpool_limits(limits=options.threads):
        if options.only != "step":
            for shape in contenders.convolutions(options.width):
                print(f"convolution {shape} ...", file=sys.stderr, flush=True)
                seconds = interleaved(contenders.convolution_steps(shape, options.batch), rounds=4 * rounds)
                fan_in, fan_out, size, kernel, stride = shape
                layer = {"in": fan_in, "out": fan_out, "size": size, "kernel": kernel, "stride": stride}
                record["layers"].append({**layer, "contenders": compared(seconds, baseline=BASELINE)})
        if options.only != "layers":
            print("training step (the numba engine compiles first) ...", file=sys.stderr, flush=True)
            sparsities = (0.95,) if options.quick else (0.0, 0.75, 0.9, 0.95)
            steps = contenders.training_steps(sparsities, width=options.width, batch=options.batch)
            record["step"] = compared(interleaved(steps, rounds=rounds), baseline=BASELINE)
    return record


def text(record: dict[str, Any]) -> str:
    """The measurements as tables."""
    from sparcl_ref.cost.statement import columns

    parts = [f"{record['threads']} thread(s); times faster: than the better of PyTorch's two memory formats"]
    if record["layers"]:
        rows = []
        for layer in record["layers"]:
            ours, *others = layer["contenders"]
            name = f"{layer['kernel']}x{layer['kernel']} {layer['in']}->{layer['out']}, {layer['size']}x{layer['size']}"
            best = min(other["median_seconds"] for other in others)
            faster = ours["times_faster"]
            figures = (f"{1e3 * ours['median_seconds']:.1f}", f"{1e3 * best:.1f}", f"{faster:.2f}", f"{1 / faster:.2f}")
            rows.append((name + f", stride {layer['stride']}", *figures))
        header = ("convolution, forward + backward", "numpy, ms", "torch, ms", "times faster", "times slower")
        parts.append(columns(header, rows))
    if record["step"]:
        rows = [
            (row["name"], *(f"{row[key]:.3f}" for key in ("median_seconds", "min_seconds", "max_seconds")),
             f"{row['times_faster']:.2f}")
            for row in record["step"]
        ]  # fmt: skip
        parts.append(columns(("DER++ step of resnet18", "median, s", "min", "max", "times faster"), rows))
    return "\n\n".join(parts)


def execute(arguments: Sequence[str]) -> int:
    """Parse, measure, print."""
    options = parse(arguments)
    for name in ("threads", "rounds", "width", "batch"):
        if getattr(options, name) < 1:
            raise Refused(f"--{name} must be at least 1, got {getattr(options, name)}")
    # Read by the numba engine when it is first imported.
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    try:
        record = measure(options)
    except ModuleNotFoundError as error:
        raise Refused(f"{error.name} is not installed; pip install 'sparcl_ref[bench]'") from error
    print(json.dumps(record, allow_nan=False) if options.json else text(record))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
