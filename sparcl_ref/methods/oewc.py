"""Online EWC (Schwarz et al., ICML 2018): one anchor for all tasks, and a Fisher information that fades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.methods.ewc import EWC
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.phases import PhaseStep
from sparcl_ref.methods.records import Extent, TaskData
from sparcl_ref.settings import OwnSettings, setting


def faded(old: Sequence[np.ndarray], new: Sequence[np.ndarray], gamma: float) -> list[np.ndarray]:
    """gamma F + F_t; with gamma 0 the last task alone counts."""
    return [gamma * f + g for f, g in zip(old, new, strict=True)]


class OnlineEWC(EWC):
    """L = CE~(B) + lambda / 2 sum_i F_i (w_i - w*_i)^2, with F <- gamma F + F_t and w* the weights after the last task.

    ``form = paper`` [V]: F_t as `EWC` computes it. ``form = mammoth`` [V], the code behind the published figures, is
    another penalty: see `differences`.
    """

    title = "oEWC"
    differences = (
        Difference("penalty", "lambda/2 F (w - w*)^2", "lambda F (w - w*)^2", "one `--strength` holds twice as hard"),
        Difference(
            "squared gradients",
            "of y drawn from the model, or of the label (`--fisher`), each with weight 1",
            "of the label, weighted by p(y given x)",
            "confident samples weigh most",
        ),
        Difference(
            "divided by",
            "samples",
            "batches times batch size",
            "a little where the last batch is short",
        ),
        Difference(
            "batch-norm meanwhile",
            "eval mode",
            "train mode, one image at a time",
            "each image is normalised by itself, and the running statistics are overwritten by N single images just "
            "before the evaluation",
        ),
        Difference(
            "softmax of the Fisher passes",
            "that of the loss on new samples",
            "over the whole head, classes to come included",
            "nothing but under `--head single`",
        ),
        Difference("images of the Fisher passes", "as stored", "augmented (left out here)", "a noisier F"),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        strength: float = setting(10.0, "lambda, how strongly weights are held", at_least=0)
        gamma: float = setting(1.0, "share of the Fisher information kept at each task", at_least=0, at_most=1)
        fisher: str = setting("sampled", "labels of the Fisher information", choices=("sampled", "empirical"))
        form: str = setting("paper", "of the paper, or of the code base mammoth", choices=("paper", "mammoth"))

        def idle(self) -> Iterator[tuple[str, str]]:
            if self.strength == 0:
                yield from ((name, "--strength 0") for name in ("gamma", "fisher"))
            elif self.form == "mammoth":
                yield "fisher", "--form mammoth"

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        if self.settings.form == "mammoth":
            self._check_single_images()

    def _check_single_images(self) -> None:
        """Refuse before the run what would fail at the end of the first task."""
        image = np.zeros((1, *self.model.input_shape), dtype=self.model.parameters()[0].value.dtype)
        try:
            self.model.forward(image, mode="probe")
        except ValueError as error:
            raise ValueError(
                f"--form mammoth of oewc passes single images in train mode, which this network cannot take ({error}); "
                "choose --form paper, or larger images"
            ) from error

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        return {"fisher": 2 * extent.parameters * extent.item_bytes}

    @property
    def _strength(self) -> float:
        strength: float = self.settings.strength
        return 2 * strength if self.settings.form == "mammoth" else strength

    @classmethod
    def phase_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        arrays = 3 if len(extent.sizes) > 1 else 1  # the anchor of earlier tasks, and the sum
        return {"fisher": arrays * extent.parameters * extent.item_bytes}

    def phase_step(self, data: TaskData, at: PhaseStep, part: np.ndarray) -> None:
        if self.settings.form == "mammoth":
            self._add_squares(data, part, classes=None, mode="train", by_confidence=True)
        else:
            super().phase_step(data, at, part)

    def end_task(self, data: TaskData) -> None:
        samples = len(data)
        if self.settings.form == "mammoth":
            samples = -(-len(data) // data.batch_size) * data.batch_size
        fisher = [total / samples for total in self.totals]
        if self.anchors:
            fisher = faded(self.anchors.pop().fisher, fisher, self.settings.gamma)
        self._anchor(fisher)
