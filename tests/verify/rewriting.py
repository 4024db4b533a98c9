"""Copies of traces with something changed."""

from __future__ import annotations

from pathlib import Path

from sparcl_ref.verify.traces.archive import Name, TraceReader, TraceWriter


def rewritten(source: Path, target: Path, change=lambda name, array: (name, array)) -> Path:
    """A copy of a trace in which ``change`` may rename, replace or (None) leave out tensors."""
    with TraceReader(source) as reader, TraceWriter(target) as writer:
        for text in reader.names:
            changed = change(text, reader.read(text))
            if changed is not None:
                writer.write(*Name.parse(changed[0]), changed[1])
    return target
