"""Listening to a run: what goes through its layers and its probes, without changing a number of it.

A public method of an object is replaced by one that passes everything on and takes notes; leaving the context puts it
back. Classes and modules are never touched, so two runs can be listened to at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from sparcl_ref.layers import Layer, Sequential
from sparcl_ref.models import Network
from sparcl_ref.trainer import Trainer


@dataclass
class LayerNote:
    """One array at one layer: the layer's dotted name and its kind, such as "Conv2d"."""

    layer: str
    kind: str
    array: np.ndarray


@dataclass
class PassNotes:
    """A forward and backward pass: input, every layer's output in order, dlogits, every layer's dx from the last on."""

    x: np.ndarray
    outputs: list[LayerNote] = field(default_factory=list)
    dlogits: np.ndarray | None = None
    input_gradients: list[LayerNote] = field(default_factory=list)


@dataclass
class Notes:
    """What was heard since the last event: passes in train mode, both parts of equation 1, and the importance.

    Of the latter there is one array per sparsifiable parameter, or None where no mask shrank.
    """

    passes: list[PassNotes] = field(default_factory=list)
    probe_gradients: tuple[list[np.ndarray], list[np.ndarray]] | None = None
    importance: list[np.ndarray] | None = None


class Listener:
    """Takes notes on a trainer while in its `listening` context."""

    def __init__(self, trainer: Trainer):
        self._trainer = trainer
        self._notes = Notes()
        self._training = False

    def take(self) -> Notes:
        """Hand over the notes and start new ones."""
        taken, self._notes = self._notes, Notes()
        return taken

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Listen to its objects, and let go of them again."""
        trainer = self._trainer
        with ExitStack() as stack:
            put = stack.enter_context
            put(_replaced(trainer.model, "forward", self._network_forward))
            put(_replaced(trainer.model, "backward", self._network_backward))
            for name, layer in trainer.model.named_layers():
                # A sequence computes nothing of its own: its output is its last layer's.
                if not isinstance(layer, Sequential | Network):
                    put(_replaced(layer, "forward", partial(self._noted, "outputs", name, layer)))
                    put(_replaced(layer, "backward", partial(self._noted, "input_gradients", name, layer)))
            put(_replaced(trainer, "charged_probe", partial(self._kept, "probe_gradients")))
            if trainer.regime is not None:
                put(_replaced(trainer.regime.policy, "scores", partial(self._kept, "importance")))
            yield self

    def _network_forward(self, call: Callable) -> Callable:
        def forward(x: np.ndarray, *, mode: str) -> np.ndarray:
            self._training = mode == "train"
            if self._training:
                self._notes.passes.append(PassNotes(x))
            return call(x, mode=mode)

        return forward

    def _network_backward(self, call: Callable) -> Callable:
        def backward(dy: np.ndarray, *, need_dx: bool = True) -> np.ndarray | None:
            if self._training:
                self._notes.passes[-1].dlogits = dy
            return call(dy, need_dx=need_dx)

        return backward

    def _noted(self, into: str, name: str, layer: Layer, call: Callable) -> Callable:
        """A layer's forward or backward method whose result, if there is one, is noted among those of the pass."""

        def noted(array: np.ndarray, **how: Any) -> np.ndarray | None:
            result = call(array, **how)
            if self._training and result is not None:
                getattr(self._notes.passes[-1], into).append(LayerNote(name, type(layer).__name__, result))
            return result

        return noted

    def _kept(self, name: str, call: Callable) -> Callable:
        """A method whose last result is kept under a name of the notes."""

        def kept(*args: Any, **how: Any) -> Any:
            result = call(*args, **how)
            setattr(self._notes, name, result)
            return result

        return kept


@contextmanager
def _replaced(owner: Any, name: str, wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """Let one object's method be another for a while."""
    own = vars(owner)
    before = own.get(name)
    setattr(owner, name, wrap(getattr(owner, name)))
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
