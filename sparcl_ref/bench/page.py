"""A record as Markdown, for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparcl_ref.bench.request import BASELINE
from sparcl_ref.bench.tables import Record, markdown_table


def markdown(record: Record) -> str:
    """Tables of everything that was measured, each under a line that says what it shows; of what ``--out`` wrote."""
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
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = "" if machine["load"] is None else f", load {machine['load']:.1f} before"
    quick = "`--quick`, " if request["quick"] else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores{load}; {versions}. {quick}{request['threads']} thread(s), "
        f"{request['rounds']} turns, resnet18 of width {request['width']}, batch {request['batch']} + 2 x "
        f"{request['batch']}, float32. Multiply-adds from registers: {record['peak_gflops_per_second']:.0f} GFLOP/s."
    )


def _step(record: Record) -> str:
    forms = {
        "contender": "{name}",
        "median, s": "{median_seconds:.3f}",
        "spread": "{min_seconds:.3f} to {max_seconds:.3f}",
        "times faster": "{times_faster:.2f}",
        "useful GFLOP/s": "{useful_gflops_per_second:.0f}",
        "of peak": "{fraction_of_peak:.0%}",
    }
    table = markdown_table("A DER++ step", forms, record["contenders"])
    gains = [{"name": name, **ratio} for name, ratio in record["gradient_masks"].items()]
    if not gains:
        return table
    caption = "Seconds without gradient masks over seconds with, same round"
    quartiles = "{lower_quartile:.3f} to {upper_quartile:.3f}"
    return f"{table}\n\n" + markdown_table(
        caption, {"contender": "{name}", "median": "{median:.3f}", "quartiles": quartiles}, gains
    )


def _profile(records: Sequence[Record]) -> str:
    forms = {
        "kind": "{kind}",
        "median, ms": "{median_seconds:.1m}",
        "share": "{share:.0%}",
        "GB/s at least": "{gbytes_per_second:.0f}",
        "useful GFLOP/s": "{gflops_per_second:.0f}",
    }
    return markdown_table("Where a forward and backward pass goes, numba 0.95", forms, records)


def _layers(records: Sequence[Record]) -> str:
    """A row per convolution, a column for each contender that is not PyTorch's dense one."""
    names: dict[str, None] = {}
    rows = []
    for record in sorted(records, key=lambda record: -len(record["contenders"])):
        names |= dict.fromkeys(row["name"] for row in record["contenders"] if row["name"] not in BASELINE)
    for record in records:
        found = {row["name"]: row for row in record["contenders"]}
        faster = {name: found[name]["times_faster"] if name in found else None for name in names}
        best = min(found[name]["median_seconds"] for name in BASELINE)
        note = "" if record["products"] == 3 else ", no dX"
        rows.append({"name": record["name"] + note, "best": best, "faster": faster})
    forms = {"convolution": "{name}", "PyTorch, ms": "{best:.1m}"}
    forms |= {name: f"{{faster[{name}]:.2f}}" for name in names}
    caption = "Convolutions, forward and backward: times faster than the better of PyTorch's formats"
    return markdown_table(caption, forms, rows)


def _kernels(records: Sequence[Record]) -> str:
    densities = [row["density"] for row in records[0]["sums"]]
    forms = {
        "convolution": "{name}",
        "kernel": "{kernel}",
        **{f"{density:g}": f"{{sums[{place}][gflops_per_second]:.0f}}" for place, density in enumerate(densities)},
        "products": "{products[gflops_per_second]:.0f}",
        "crossing": "{crossing:.2f}",
    }
    caption = "Useful GFLOP/s of sums by density, GFLOP/s of matrix products, and the density where the two cross"
    return markdown_table(caption, forms, records, missing="-")


def _roofs(records: Sequence[Record]) -> str:
    forms = {
        "roof": "{name}",
        "KiB per thread": "{bytes_per_thread:,.0K}",
        "threads": "{threads}",
        "median": "{median:.0f}",
        "spread": "{min:.0f} to {max:.0f}",
        "unit": "{unit}",
    }
    return markdown_table("Roofs", forms, records)


def _memory(records: Sequence[Record]) -> str:
    forms = {
        "contender": "{name}",
        "above the warm-up": "{above_warm_bytes:,.0M}",
        "above importing": "{above_import_bytes:,.0M}",
        "in all": "{peak_bytes:,.0M}",
    }
    return markdown_table("Peak resident memory of two steps, MB", forms, records)


def _run(record: Record) -> str:
    forms = {"run": "{name}", "seconds": "{seconds}", "steps": "{steps}", "train GFLOPs": "{flops}"}
    rows = [
        {
            "name": f"{name} DDR",
            "seconds": f"{run['median_seconds']:.1f}",
            "steps": run["steps"],
            "flops": f"{run['train_flops'] / 1e9:,.0f}",
        }
        for name in ("with", "without")
        for run in [record[f"{name}_ddr"]]
    ]
    ratio, flops = f"{record['seconds_ratio']['median']:.3f}", f"{record['flops_ratio']:.3f}"
    caption = f"A run with a mean of {record['data_fraction']:.3f} of the data, width {record['width']}"
    return markdown_table(caption, forms, [*rows, {"name": "ratio", "seconds": ratio, "steps": "", "flops": flops}])
