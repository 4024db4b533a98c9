"""A record as Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Record = dict[str, Any]


def markdown(record: Record) -> str:
    """Tables of everything that was measured, each under a line that says what it shows.

    Parameters
    ----------
    record : dict
        What ``--out`` wrote.
    """
    parts: dict[str, Callable[[Any], str]] = {
        "step": _step,
        "profile": _profile,
        "layers": _layers,
        "kernels": _kernels,
        "roofs": _roofs,
        "memory": _memory,
        "run": _run,
    }
    return "\n\n".join([_where(record), *(write(record[name]) for name, write in parts.items() if name in record)])


def _where(record: Record) -> str:
    machine, request = record["machine"], record["request"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    load = "" if machine["load"] is None else f", load {machine['load']:.1f} before"
    quick = "`--quick`, " if request["quick"] else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores{load}; {versions}. {quick}{request['threads']} thread(s), "
        f"{request['rounds']} turns, resnet18 of width {request['width']}, batch {request['batch']} + 2 x "
        f"{request['batch']}, float32. Multiply-adds from registers: {record['peak_gflops_per_second']:.0f} GFLOP/s."
    )


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join([f"**{caption}**", "", *(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))])


def _step(record: Record) -> str:
    rows = [
        (
            row["name"],
            f"{row['median_seconds']:.3f}",
            f"{row['min_seconds']:.3f} to {row['max_seconds']:.3f}",
            f"{row['times_faster']:.2f}",
            f"{row['useful_gflops_per_second']:.0f}",
            f"{100 * row['fraction_of_peak']:.0f} %",
        )
        for row in record["contenders"]
    ]
    header = ("contender", "median, s", "spread", "times faster", "useful GFLOP/s", "of peak")
    tables = [_table("A DER++ step", header, rows)]
    if record["gradient_masks"]:
        gains = [
            (name, f"{ratio['median']:.3f}", f"{ratio['lower_quartile']:.3f} to {ratio['upper_quartile']:.3f}")
            for name, ratio in record["gradient_masks"].items()
        ]
        caption = "Seconds without gradient masks over seconds with, same round"
        tables.append(_table(caption, ("contender", "median", "quartiles"), gains))
    return "\n\n".join(tables)


def _profile(records: list[Record]) -> str:
    rows = [
        (
            row["kind"],
            f"{1e3 * row['median_seconds']:.1f}",
            f"{100 * row['share']:.0f} %",
            "" if row["gbytes_per_second"] is None else f"{row['gbytes_per_second']:.0f}",
            "" if row["gflops_per_second"] is None else f"{row['gflops_per_second']:.0f}",
        )
        for row in records
    ]
    caption = "Where a forward and backward pass goes, numba 0.95"
    return _table(caption, ("kind", "median, ms", "share", "GB/s at least", "useful GFLOP/s"), rows)


def _layers(records: list[Record]) -> str:
    """A row per convolution, a column for each contender that is not PyTorch's dense one."""
    names = list(
        dict.fromkeys(
            row["name"]
            for record in sorted(records, key=lambda record: -len(record["contenders"]))
            for row in record["contenders"]
        )
    )
    names = [name for name in names if name not in ("torch", "torch channels-last")]
    rows = []
    for record in records:
        found = {row["name"]: row for row in record["contenders"]}
        best = min(found[name]["median_seconds"] for name in ("torch", "torch channels-last"))
        cells = [f"{found[name]['times_faster']:.2f}" if name in found else "" for name in names]
        rows.append((record["name"] + ("" if record["products"] == 3 else ", no dX"), f"{1e3 * best:.1f}", *cells))
    caption = "Convolutions, forward and backward: times faster than the better of PyTorch's formats"
    return _table(caption, ("convolution", "PyTorch, ms", *names), rows)


def _kernels(records: list[Record]) -> str:
    rows = [
        (
            record["name"],
            record["kernel"],
            *(f"{row['gflops_per_second']:.0f}" for row in record["sums"]),
            f"{record['products']['gflops_per_second']:.0f}",
            "-" if record["crossing"] is None else f"{record['crossing']:.2f}",
        )
        for record in records
    ]
    densities = [f"{row['density']:g}" for row in records[0]["sums"]]
    caption = "Useful GFLOP/s of sums by density, GFLOP/s of matrix products, and the density where the two cross"
    return _table(caption, ("convolution", "kernel", *densities, "products", "crossing"), rows)


def _roofs(records: list[Record]) -> str:
    rows = [
        (
            record["name"],
            "" if record["bytes_per_thread"] is None else f"{record['bytes_per_thread'] // 1024:,}",
            str(record["threads"]),
            f"{record['median']:.0f}",
            f"{record['min']:.0f} to {record['max']:.0f}",
            record["unit"],
        )
        for record in records
    ]
    return _table("Roofs", ("roof", "KiB per thread", "threads", "median", "spread", "unit"), rows)


def _memory(records: list[Record]) -> str:
    keys = ("above_warm_bytes", "above_import_bytes", "peak_bytes")
    rows = [(record["name"], *(f"{record[key] / 1e6:,.0f}" for key in keys)) for record in records]
    header = ("contender", "above the warm-up", "above importing", "in all")
    return _table("Peak resident memory of two steps, MB", header, rows)


def _run(record: Record) -> str:
    rows = [
        (
            title,
            f"{record[key]['median_seconds']:.1f}",
            str(record[key]["steps"]),
            f"{record[key]['train_flops'] / 1e9:,.0f}",
        )
        for key, title in (("with_ddr", "with DDR"), ("without_ddr", "without DDR"))
    ]
    ratio = ("ratio", f"{record['seconds_ratio']['median']:.3f}", "", f"{record['flops_ratio']:.3f}")
    caption = f"A run with a mean of {record['data_fraction']:.3f} of the data, width {record['width']}"
    return _table(caption, ("run", "seconds", "steps", "train GFLOPs"), [*rows, ratio])
