"""Whether the machine has the memory that runs will need, asked before they start rather than when it is used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparcl_ref.assembly import spec_of
from sparcl_ref.config import Config
from sparcl_ref.cost.memory import held_memory
from sparcl_ref.memory import available_bytes
from sparcl_ref.streams import Dataset
from sparcl_ref.streams.dataset import is_mapped

#: What makes a part of a run's memory smaller; of all other parts it is a narrower network.
_LOWERED_BY = {
    "buffer": "--buffer-size",
    "batch": "--batch-size",
    "activations": "--batch-size",
    "data": "the size of --dataset",
}


def run_parts(config: Config, dataset: Dataset) -> dict[str, int]:
    """Bytes that a run will hold, by part: its forecast, where every layer says what it needs, and its own data.

    Arrays that are mapped from a file are not held.
    """
    held = held_memory(spec_of(config, dataset), config, image_item_bytes=dataset.train_x.dtype.itemsize)
    arrays = (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y)
    return {**(held.parts if held else {}), "data": sum(array.nbytes for array in arrays if not is_mapped(array))}


def require_memory_for_runs(needs: Sequence[Mapping[str, int]], *, jobs: int) -> None:
    """Refuse runs, each of which needs `run_parts`, if the largest do not fit into memory, so many at a time.

    Raises
    ------
    ValueError
        In one line: what they need, what there is, and which setting to lower.
    """
    available = available_bytes()
    largest = sorted(needs, key=lambda parts: sum(parts.values()))[-jobs:]
    totals = [sum(parts.values()) for parts in largest]
    if available is None or sum(totals) <= available:
        return
    lower = "--jobs"
    if totals[-1] > available:
        lower = _LOWERED_BY.get(max(largest[-1], key=largest[-1].__getitem__), "--width")
    subject = "the run needs" if len(totals) == 1 else f"{len(totals)} runs at a time need"
    raise ValueError(f"{subject} {_size(sum(totals))} of memory, and {_size(available)} are there; lower {lower}")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes < 10**15 else f"{size_bytes / 10**9:.1e} GB"
