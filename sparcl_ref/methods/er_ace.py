"""ER-ACE, asymmetric cross-entropy (Caccia et al., ICLR 2022): new samples do not push old classes away.

A new sample's softmax goes over the classes of its own batch only, so that its gradient leaves the logits of all other
classes alone; replayed samples compare all classes seen so far.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.records import Batch, Observation
from sparcl_ref.methods.rehearsal import RehearsalMethod
from sparcl_ref.settings import OwnSettings, setting


def present(labels: np.ndarray, seen: np.ndarray, head: int) -> np.ndarray:
    """The classes of the batch: the form of the paper, as remembered."""
    return np.unique(labels)


def seen_so_far(labels: np.ndarray, seen: np.ndarray, head: int) -> np.ndarray:
    """Every class that has occurred, in this batch or before; ``seen`` are those before."""
    return np.union1d(seen, labels)


def all_classes(labels: np.ndarray, seen: np.ndarray, head: int) -> np.ndarray:
    """The whole head: plain ER."""
    return np.arange(head)


def present_or_unseen(labels: np.ndarray, seen: np.ndarray, head: int) -> np.ndarray:
    """The classes of the batch, and every class from the largest label seen on, as mammoth's code has it."""
    first_unseen = seen_so_far(labels, seen, head).max()
    return np.union1d(labels, np.arange(first_unseen, head))


#: Which classes the softmax on new samples compares: of its labels, those seen before, the head's width.
CE_SETS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "present": present,
    "seen": seen_so_far,
    "all": all_classes,
    "mammoth": present_or_unseen,
}


def of_new_samples(kind: str, labels: np.ndarray, seen: np.ndarray, head: int, *, task: int) -> np.ndarray:
    """Which classes the softmax on new samples compares under a name of `CE_SETS`; ``task`` counts from 1."""
    chosen = all_classes if kind == "mammoth" and task == 1 else CE_SETS[kind]
    return chosen(labels, seen, head)


def of_replayed_samples(kind: str, labels: np.ndarray, seen: np.ndarray) -> list[int] | None:
    """Which classes the softmax on replayed samples compares, None for the whole head.

    ``labels`` are those of the replayed samples: a buffer may have been filled elsewhere.
    """
    if kind in ("all", "mammoth"):
        return None
    compared: list[int] = np.union1d(seen, labels).tolist()
    return compared


class ERACE(RehearsalMethod):
    """L = CE(B; classes of B) + w CE(B'; classes seen).

    Paper [M]: ``ce_set = present``; the code behind published figures: ``mammoth``, see `differences`. With "all" it is
    ER to the bit. A batch of one class teaches nothing: its softmax is 1.
    """

    title = "ER-ACE"
    draws_per_step = 1
    own_head = True
    differences = (
        Difference(
            "classes that new samples are compared with (`--ce-set`)",
            "those of their batch (as remembered)",
            "those of their batch, and every class from the largest label seen on; in task 1 the whole head",
            "classes to come are pushed down before they arrive",
        ),
        Difference("classes that replayed samples are compared with", "all seen", "the whole head", "the same"),
        Difference("classifier", "linear", "cosine (left out here)", "classes shown often get no longer rows"),
        Difference(
            "replay",
            "as soon as something is stored",
            "from task 2 on (left out here: `--mix replay_from_task=released`)",
            "task 1 is plain SGD",
        ),
    )

    @dataclass(frozen=True)
    class Settings(OwnSettings):
        er_weight: float = setting(1.0, "coefficient of the replay loss", at_least=0)
        ce_set: str = setting("present", "classes that new samples are compared with", choices=CE_SETS)

    @classmethod
    def entries(cls) -> Sequence[Mapping[str, Any]]:
        return [{"ce_set": kind} for kind in ("present", "mammoth")]

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        return [] if settings.ce_set == "present" else [f"classes {settings.ce_set}"]

    def __init__(self, *args: Any, **rest: Any):
        super().__init__(*args, **rest)
        self.seen = np.zeros(0, dtype=np.int64)

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        kind, head = self.settings.ce_set, self.model.classes
        classes = of_new_samples(kind, batch.labels, self.seen, head, task=batch.task)
        self.seen = seen_so_far(batch.labels, self.seen, head)
        step = self._learn(batch, functools.partial(cross_entropy, labels=batch.labels, classes=classes.tolist()))
        if self.remembers(batch):
            old = self._recall(step, draws)
            compared = of_replayed_samples(kind, old.labels, self.seen)
            loss = functools.partial(cross_entropy, labels=old.labels, classes=compared)
            self._rehearse(step, "replay_ce", old, loss, weight=self.settings.er_weight)
        return self._finish(step)

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen.copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.seen = np.array(state["seen"], dtype=np.int64)
