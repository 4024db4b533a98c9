"""The steps that a method takes by itself at the end of a task, one at a time, and where a run stands in them."""

from __future__ import annotations

from sparcl_ref.history import Cursor
from sparcl_ref.methods import Method, TaskData
from sparcl_ref.methods.phases import PhaseStep


def due_after_epochs(method: Method, data: TaskData) -> str:
    """The event that follows the last epoch of a task."""
    return "own_step" if method.phases(data) else "end_task"


def take_step(cursor: Cursor, method: Method, data: TaskData) -> bool:
    """Take the step that is due, the first one with the begin of its phase; whether an epoch has ended.

    A phase without epochs is begun and has no steps. After the last step of all, "end_task" is due, and the cursor has
    the epoch of before. What the step raises leaves the cursor at it.
    """
    phases = method.phases(data)
    phase = phases[cursor.phase]
    if cursor.own_epoch == 0:
        method.begin_phase(data, phase.kind)
        cursor.own_epoch, cursor.own_step = 1, 0
    ended = False
    if phase.epochs:
        if cursor.own_step == 0:
            cursor.permutation = method.phase_order(data, phase.kind)
        start, at = cursor.own_step * phase.batch_size, PhaseStep(phase.kind, cursor.own_epoch, cursor.own_step)
        method.phase_step(data, at, cursor.permutation[start : start + phase.batch_size])
        cursor.own_step += 1
        if ended := start + phase.batch_size >= len(cursor.permutation):
            cursor.own_epoch, cursor.own_step, cursor.own_epochs = cursor.own_epoch + 1, 0, cursor.own_epochs + 1
    if cursor.own_epoch > phase.epochs:
        cursor.phase, cursor.own_epoch = cursor.phase + 1, 0
        if cursor.phase == len(phases):
            cursor.phase, cursor.due = 0, "end_task"
    return ended


def place(cursor: Cursor, method: Method, data: TaskData) -> tuple[str, str]:
    """Where the cursor stands, in words, and a word on the learning rate there, for a message that names both."""
    if cursor.due != "own_step":
        return f"task {cursor.task}, epoch {cursor.epoch}, step {cursor.step}", ""
    phase = method.phases(data)[cursor.phase]
    rate = f"; the learning rate of this phase is {phase.rate}" if phase.rate else ""
    return f"task {cursor.task}, {phase.kind} epoch {cursor.own_epoch}, step {cursor.own_step}", rate


def finish(method: Method, data: TaskData) -> None:
    """All that a method does at the end of a task, at once."""
    cursor = Cursor(due=due_after_epochs(method, data))
    while cursor.due == "own_step":
        take_step(cursor, method, data)
    method.end_task(data)
