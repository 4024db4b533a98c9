"""A few steps of each phase that a method goes through at the end of a task, timed in a trial."""

from __future__ import annotations

from sparcl_ref import checkpoint
from sparcl_ref.cost.timing import Clock, median_seconds
from sparcl_ref.own_training import due_after_epochs
from sparcl_ref.trainer import Trainer


def phase_seconds(trainer: Trainer, clock: Clock) -> dict[str, tuple[float, int]]:
    """By kind of phase, seconds of a sample in its steps, and bytes of a checkpoint then; of several tasks the most.

    The ends of the first two tasks are gone through, as what is left of one may take part in the next, and that of the
    last, at which some methods act alone.
    """
    found: dict[str, tuple[float, int]] = {}
    cursor, tasks = trainer.cursor, len(trainer.stream.training)
    for task in sorted({1, min(2, tasks), tasks}):
        cursor.task, cursor.due = task - 1, "begin_task"
        trainer.advance()
        data = trainer.task_data
        cursor.due, cursor.phase, cursor.own_epoch = due_after_epochs(trainer.method, data), 0, 0
        while cursor.due == "own_step":
            number, phase = cursor.phase, trainer.method.phases(data)[cursor.phase]
            trainer.advance()  # begins it
            if not phase.epochs:
                continue

            last = (len(cursor.permutation) - 1) // phase.batch_size
            step = min(1, last)  # what the first step of an epoch does beside, others do not

            def stand_at(epoch: int, step: int, number: int = number) -> None:
                cursor.phase, cursor.own_epoch, cursor.own_step, cursor.due = number, epoch, step, "own_step"

            def again(step: int = step) -> None:
                stand_at(1, step)
                trainer.advance()

            samples = len(cursor.permutation[step * phase.batch_size :][: phase.batch_size])
            seconds = median_seconds(again, 3, clock, warm=False) / samples
            stand_at(phase.epochs, last)
            size = len(checkpoint.encode(trainer.state()))
            most = found.get(phase.kind, (0.0, 0))
            found[phase.kind] = max(most[0], seconds), max(most[1], size)
            trainer.advance()
        trainer.method.end_task(data)
    return found
