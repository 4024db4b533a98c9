"""What came of a training with one's own functions, and whose functions they were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.text import columns
from sparcl_ref.workbook.parts import Parts


@dataclass(frozen=True, eq=False)
class Job:
    """A finished training; `print` shows the accuracies, the cost and who computed what."""

    config: Config  #: the settings, for `sparcl_ref.train`
    matrix: np.ndarray  #: (T + 1, T): Class-IL accuracy on each task, untrained and after each task
    forgetting: float
    flops: int  #: of the convolutions' and the linear layer's forward and backward passes
    steps: int
    seconds: float
    parts: Parts

    @property
    def class_il(self) -> float:
        """Mean accuracy over the tasks at the end."""
        return float(self.matrix[-1].mean())

    @property
    def own(self) -> dict[str, int]:
        """Functions of one's own that were called, and how often."""
        return {name: part.own_calls for name, part in self.parts.used().items() if part.own_calls}

    @property
    def stood_in(self) -> list[str]:
        """Functions for which the reference answered, at least once."""
        return [name for name, part in self.parts.used().items() if part.other_calls]

    def __str__(self) -> str:
        used = self.parts.used()
        rows = [
            (name, "yours" if not part.other_calls else "yours and reference" if part.own_calls else "reference",
             f"{part.own_calls + part.other_calls:,}", f"{part.seconds:.1f}")
            for name, part in used.items()
        ]  # fmt: skip
        return "\n".join(
            [
                f"Class-IL accuracy {self.class_il:.1%}, forgetting {self.forgetting:.1%}, "
                f"{self.flops / 1e9:,.1f} GFLOPs in {self.steps:,} steps, {self.seconds:.0f} s",
                f"{len(self.own)} of {len(used)} functions were yours",
                "",
                columns(("function", "whose", "calls", "seconds"), rows, left=2),
            ]
        )

    __repr__ = __str__
