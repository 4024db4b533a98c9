"""The committed page of four runs, read without its script."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparcl_ref.report.explorer import packing
from tests.report.explorer.__main__ import PAGE, kept


class Run:
    """What the page's script knows of one run, read without it."""

    def __init__(self, header: dict[str, Any], sections: dict[str, bytes], number: int):
        self.about, self.sections, self.number = header["runs"][number], sections, number
        self.count = header["images"]["count"]
        self.labels = packing.to_numbers(sections["labels"], 1, self.count)[0]
        self.moments = [tuple(moment) for moment in self.about["moments"]]
        self.accuracy = 100 * np.array(self.about["accuracy"])
        self.slots = packing.to_numbers(sections[f"{number}/slots"], len(self.moments), self.about["capacity"])
        self.wrong, self.gone = (self.flags(name, self.count) for name in ("wrong", "gone"))
        self.task = np.frombuffer(sections[f"{number}/tasks"], np.uint8)
        self.conv3 = self.about["layers"][-1]
        size = int(np.prod(self.conv3["grid"]))
        self.alive, self.joined = self.flags("1/alive", size), self.flags("1/joined", size)
        self.silenced, self.importance, self.gradient = (
            packing.to_living(sections[f"{number}/1/{name}"], self.alive, bits=bits)
            for name, bits in (("silenced", 1), ("importance", 2), ("gradient", 2))
        )

    def flags(self, name: str, count: int) -> np.ndarray:
        return packing.to_flags(self.sections[f"{self.number}/{name}"], len(self.moments), count)

    def at(self, task: int, epoch: int) -> int:
        return self.moments.index((task, epoch))

    def leaves(self, t: int) -> np.ndarray:
        """Which of the weights shown leave before moment t, those included that join again at once."""
        return self.alive[t - 1] & (~self.alive[t] | self.joined[t])


def committed() -> dict[str, Run]:
    header, sections = packing.unpack(kept(PAGE))
    return {run["key"]: Run(header, sections, number) for number, run in enumerate(header["runs"])}
