"""What tests read back from a figure's axes: the data it was drawn from, not its pixels."""

from __future__ import annotations

from tests.report import example

NAMES = [entry[0] for entry in example.ENTRIES]


def records(seeds: int = 1, joint: bool = False):
    return example.run(seeds=seeds, joint=joint)[0]["methods"]


def data_lines(axes):
    """Lines that stand for data, by label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]
