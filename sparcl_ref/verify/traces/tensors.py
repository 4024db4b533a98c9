"""A run as named tensors: what each event decided and what it made, in the order in which it came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from sparcl_ref.cost.flops import FLOPS_PER_MAC
from sparcl_ref.history import Event
from sparcl_ref.methods import Observation
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.sparcl.importance import cgi
from sparcl_ref.trainer import Trainer
from sparcl_ref.verify.traces.archive import NO_LAYER, Name
from sparcl_ref.verify.traces.listening import Listener, Notes


class Tensor(NamedTuple):
    """One tensor of a trace: its name, the name of the rule that produces it, and its numbers."""

    name: Name
    rule: str
    array: np.ndarray


class _EventTensors:
    """Collects the tensors of one event."""

    def __init__(self, step: str):
        self.step = step
        self.tensors: list[Tensor] = []

    def add(self, pass_name: str, layer: str, tensor: str, rule: str, array: object) -> None:
        # A copy: the run goes on and changes its arrays in place.
        self.tensors.append(Tensor(Name(self.step, pass_name, layer, tensor), rule, np.array(array)))


def event_tensors(trainer: Trainer, initial: Mapping[str, np.ndarray]) -> Iterator[list[Tensor]]:
    """Run a trainer that has not begun to its end; yields the tensors of each event.

    It is one of the NumPy engine, with the regime on and the profile "paper"; ``initial`` is the model's state before
    the initial masks cut it.
    """
    yield _start(trainer, initial)
    with Listener(trainer).listening() as listener:
        while not trainer.done:
            living = ((parameter.name, parameter.mask) for parameter in trainer.model.sparsifiable())
            masks = {name: mask for name, mask in living if mask is not None}
            event = trainer.advance()
            notes = listener.take()
            if event.kind == "begin_task":
                yield _begin_task(trainer, event)
            elif event.kind == "begin_epoch":
                yield _begin_epoch(trainer, event, notes, masks)
            elif event.kind == "step" and event.observation is not None:
                yield _step(trainer, event, event.observation, notes)
            elif event.kind == "end_epoch":
                yield _end_epoch(trainer, event)
            elif event.kind == "end_task":
                yield _end_task(trainer, event)


def _start(trainer: Trainer, initial: Mapping[str, np.ndarray]) -> list[Tensor]:
    """Data, dense initial values, initial masks, and the values under them."""
    out, dataset = _EventTensors("start"), trainer.dataset
    for tensor in ("train_x", "train_y", "test_x", "test_y", "scale", "mean", "std"):
        out.add("data", NO_LAYER, tensor, "data", getattr(dataset, tensor))
    out.add("choices", NO_LAYER, "class_order", "choice", trainer.stream.class_order)
    for name, array in initial.items():
        out.add("initial", name, "value", "initial", array)
    for parameter in trainer.model.sparsifiable():
        out.add("choices", parameter.name, "mask", "choice", parameter.mask)
    for parameter in trainer.model.sparsifiable():
        out.add("masked", parameter.name, "value", "masked", parameter.value)
    return out.tensors


def _begin_task(trainer: Trainer, event: Event) -> list[Tensor]:
    out, task = _EventTensors(f"task{event.task}.begin"), trainer.stream.training[event.task - 1]
    out.add("choices", NO_LAYER, "classes", "choice", task.classes)
    out.add("choices", NO_LAYER, "samples", "choice", task.train_index)
    return out.tensors


def _begin_epoch(trainer: Trainer, event: Event, notes: Notes, masks: dict[str, np.ndarray]) -> list[Tensor]:
    """Probe, importance and mask of each action, then the values and velocities under the new masks."""
    out, parameters = _EventTensors(f"task{event.task}.epoch{event.epoch}.begin"), trainer.model.sparsifiable()
    for change in event.mask_changes:
        if change.kind == "expand":
            for name, flat in change.indices.items():
                out.add("choices", name, "joins", "choice", flat)
    out.add("choices", NO_LAYER, "permutation", "choice", trainer.cursor.permutation)
    for change in event.mask_changes:
        if change.kind == "shrink" and notes.probe_gradients and notes.importance:
            scored = zip(parameters, *notes.probe_gradients, notes.importance, strict=True)
            for parameter, current, memory, score in scored:
                out.add("shrink", parameter.name, "current_gradient", "probe/current", current)
                out.add("shrink", parameter.name, "buffer_gradient", "probe/buffer", memory)
                out.add("shrink", parameter.name, "importance", "cwi", score)
        for name, flat in change.indices.items():
            changed = masks[name].copy()
            changed.reshape(-1)[flat] ^= True
            masks[name] = changed
            out.add(change.kind, name, "mask", change.kind, changed)
    if event.mask_changes:
        for parameter in parameters:
            out.add("masked", parameter.name, "value", "masked", parameter.value)
            if (velocity := parameter.slots.get("momentum")) is not None:
                out.add("masked", parameter.name, "velocity", "masked", velocity)
    return out.tensors


def _step(trainer: Trainer, event: Event, step: Observation, notes: Notes) -> list[Tensor]:
    out, parameters = _EventTensors(f"task{event.task}.epoch{event.epoch}.step{event.step}"), trainer.model.parameters()
    replayed = [term for term in step.losses if term != "current"]
    out.add("choices", NO_LAYER, "batch", "choice", event.indices)
    for term, slots in zip(replayed, step.draws, strict=True):
        out.add("choices", NO_LAYER, f"{term}_slots", "choice", slots)
    if event.drawn is not None:
        out.add("choices", NO_LAYER, "reservoir_draws", "choice", event.drawn)
    for (term, loss), heard in zip(step.losses.items(), notes.passes, strict=True):
        out.add(term, NO_LAYER, "input", "input", heard.x)
        for note in heard.outputs:
            out.add(term, note.layer, "output", f"output/{note.kind}", note.array)
        out.add(term, NO_LAYER, "loss", f"loss/{term}", loss)
        out.add(term, NO_LAYER, "logits_gradient", "dlogits", heard.dlogits)
        for note in heard.input_gradients:
            out.add(term, note.layer, "input_gradient", f"dx/{note.kind}", note.array)
        if term == "current":
            for parameter, grad in zip(parameters, step.current_grads, strict=True):
                out.add("current", parameter.name, "gradient", "gradient/current", grad)
    if step.replay_grads is not None:
        for parameter, grad in zip(parameters, step.replay_grads, strict=True):
            out.add("replay", parameter.name, "gradient", "gradient/replay", grad)
    _gradient_masks(out, trainer, event, step)
    _update(out, trainer)
    if trainer.buffer is not None:
        _buffer(out, trainer.buffer, event)
    out.add("ddr", NO_LAYER, "correct", "correct", step.correct)
    if trainer.regime is not None:
        out.add("ddr", NO_LAYER, "misclassified", "misclassified", trainer.regime.statistics.wrong)
    macs = trainer.ledger.table.phase_macs()
    out.add("cost", NO_LAYER, "flops", "flops", [FLOPS_PER_MAC * count for count in macs.values()])
    return out.tensors


def _gradient_masks(out: _EventTensors, trainer: Trainer, event: Event, step: Observation) -> None:
    config = trainer.config
    refresh = config.dgm and event.step % config.dgm_interval == 0
    for index, parameter in enumerate(trainer.model.parameters()):
        if not (parameter.sparsifiable and config.dgm):
            continue
        if refresh:
            current = step.current_grads[index]
            replay = np.zeros_like(current) if step.replay_grads is None else step.replay_grads[index]
            scores = cgi(current, replay, alpha=config.importance_alpha, beta=config.importance_beta)
            out.add("dgm", parameter.name, "importance", "cgi", scores)
        out.add("dgm", parameter.name, "gradient_mask", "gradient_mask", parameter.effective_grad_mask)


def _update(out: _EventTensors, trainer: Trainer) -> None:
    for parameter in trainer.model.parameters():
        out.add("update", parameter.name, "gradient", "gradient", parameter.grad)
        if (velocity := parameter.slots.get("momentum")) is not None:
            out.add("update", parameter.name, "velocity", "velocity", velocity)
        out.add("update", parameter.name, "value", "value", parameter.value)
    for name, array in trainer.model.named_buffers():
        out.add("update", name, "value", name.rsplit(".", 1)[-1], array)


def _buffer(out: _EventTensors, buffer: ReservoirBuffer, event: Event) -> None:
    memory = buffer.content()
    out.add("buffer", NO_LAYER, "slots", "slots", event.slots)
    out.add("buffer", NO_LAYER, "presented", "presented", buffer.presented)
    for tensor in ("images", "labels", "tasks"):
        out.add("buffer", NO_LAYER, tensor, "stored", getattr(memory, tensor))
    out.add("buffer", NO_LAYER, "logits", "stored_logits", memory.logits)


def _end_epoch(trainer: Trainer, event: Event) -> list[Tensor]:
    out = _EventTensors(f"task{event.task}.epoch{event.epoch}.end")
    out.add("ddr", NO_LAYER, "remaining", "remaining", trainer.cursor.remaining)
    return out.tensors


def _end_task(trainer: Trainer, event: Event) -> list[Tensor]:
    out, history = _EventTensors(f"task{event.task}.end"), trainer.history
    out.add("evaluation", NO_LAYER, "class_il_accuracy", "accuracy", history.class_il_matrix[-1])
    if trainer.stream.class_incremental:
        out.add("evaluation", NO_LAYER, "task_il_accuracy", "accuracy", history.task_il_matrix[-1])
    return out.tensors
