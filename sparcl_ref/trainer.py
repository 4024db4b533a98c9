"""The loop over tasks, epochs and batches: the only place that knows the order of events."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparcl_ref import own_training
from sparcl_ref.alignment import align
from sparcl_ref.config import Config
from sparcl_ref.divergence import check_losses
from sparcl_ref.draws import Decisions, Draws, Place
from sparcl_ref.evaluation import accuracy_rows
from sparcl_ref.history import Cursor, EpochTotals, Event, History, copied
from sparcl_ref.inspection import Gradients, Inspectable
from sparcl_ref.layers import Parameter
from sparcl_ref.methods import Batch, Method, Observation, RehearsalMethod, TaskData
from sparcl_ref.methods.base import all_formed
from sparcl_ref.methods.classifier import classifier_of
from sparcl_ref.models import Network
from sparcl_ref.optimizers import SGD, learning_rate
from sparcl_ref.regime import MaskChange, SparCL
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.states import identity, take_over
from sparcl_ref.streams import Stream

if TYPE_CHECKING:
    from sparcl_ref.cost import FlopLedger


class Trainer(Inspectable):
    """Runs one configuration event by event; between any two events its `state` can be taken and restored.

    The order of a task: the method's `begin_task`; before each epoch the policy's mask actions; in each step the mask
    actions of a policy that moves by steps, then `observe`, the method's `after_backward`, DGM, the update, the
    method's `after_update` and a second update if it asks for one (or after `after_backward` mask actions and no
    update, where the policy spends the step), the buffer, the misclassification counts; after an
    epoch data removal; at the end the steps of the method's own phases, its `end_task`, the classifier's alignment, and
    the evaluation of all tasks by its `predict`. Every pass over data is told to `on_pass`, which enters it in the
    ledger.

    `sparcl_ref.experiment.build` makes one. ``stream`` has the tasks to learn and to be evaluated on, ``generators``
    the named streams and the method's own as "method", ``draws`` the decisions to take instead of drawing them.
    """

    def __init__(
        self,
        config: Config,
        stream: Stream,
        model: Network,
        method: Method,
        optimizer: SGD,
        *,
        ledger: FlopLedger,
        generators: dict[str, np.random.Generator],
        buffer: ReservoirBuffer | None = None,
        regime: SparCL | None = None,
        draws: Draws | None = None,
    ):
        self.config = config
        self.stream, self.dataset = stream, stream.dataset
        self.model, self.method, self.optimizer = model, method, optimizer
        self.ledger = ledger
        self.generators = generators
        self.buffer, self.regime = buffer, regime
        self.decisions = Decisions(config, stream.dataset, generators, Draws() if draws is None else draws)
        self.rules = config.rules
        if config.align != "none":
            classifier_of(model)  # refused before the run, not after its first task
        method.on_pass = self.on_pass
        if isinstance(method, RehearsalMethod):
            method.prepare = self.prepare_replayed
        self.cursor = Cursor()
        self.history = History()
        self._epoch_totals = EpochTotals()
        self._spent_on = ""
        #: What has a state of its own; None where the run lacks it.
        self._parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "ledger": ledger, "method": method}
        self._parts |= {"buffer": buffer, "regime": regime}

    @property
    def done(self) -> bool:
        """Whether the last task has been evaluated."""
        return self.cursor.due == "done"

    def events(self) -> Iterator[Event]:
        """Carry on from where the cursor stands, to the end."""
        while not self.done:
            yield self.advance()

    def advance(self) -> Event:
        """Do what is due and say what it was.

        Raises
        ------
        RuntimeError
            If the run is over.
        FloatingPointError
            If a loss or gradient is NaN or infinite; nothing has been updated by that step then.
        """
        handlers: dict[str, Callable[[], Event]] = {
            "untrained": self._untrained,
            "begin_task": self._begin_task,
            "begin_epoch": self._begin_epoch,
            "step": self._step,
            "end_epoch": self._end_epoch,
            "own_step": self._own_step,
            "end_task": self._end_task,
        }
        if self.done:
            raise RuntimeError("the run is over; build a new trainer to run again")
        try:
            # Numbers that round to 0 are no divergence, whatever the caller wants to hear of.
            with np.errstate(under="ignore"):
                return handlers[self.cursor.due]()
        except FloatingPointError as error:
            where, rate = own_training.place(self.cursor, self.method, self.task_data)
            raise FloatingPointError(f"{where}: {error}{rate}") from error

    def on_pass(self, kind: str, samples: int, *, backward: bool = True, head: bool = False) -> None:
        """Enter a pass in the ledger, of the classifier alone if told so, with the masks as they are now.

        In a step that is spent on masks, batch and replay are of one kind of its own.
        """
        if kind in ("current", "replay") and self._spent_on:
            kind = self._spent_on
        self.ledger.record_pass(kind, samples, self.model, backward=backward, head=head)

    def prepare_replayed(self, images: np.ndarray) -> np.ndarray:
        """What a method's network sees of images from the buffer, at this place of the run."""
        return self.decisions.replayed(self.place, images)

    def _event(self, **details: Any) -> Event:
        return Event(self.cursor.due, self.cursor.task, self.cursor.epoch, self.cursor.step, **details)

    @property
    def task_data(self) -> TaskData:
        """The task as the method's hooks see it."""
        sizes = {"batch_size": self.config.batch_size, "epochs": self.config.epochs}
        return TaskData(self.task, self.dataset, self.decisions.dtype, tasks=len(self.stream.training), **sizes)

    def _untrained(self) -> Event:
        event = self._event()
        self._evaluate()
        self.history.keep_mask(self.cursor, self._sparse)
        self.cursor.due = "begin_task"
        return event

    def _begin_task(self) -> Event:
        self.cursor.task += 1
        self.cursor.epoch = 0
        self.cursor.remaining = self.task.train_index
        if self.regime is not None:
            self.regime.begin_task(len(self.task.train_index))
        self.method.begin_task(self.task_data)
        event = self._event()
        self.cursor.due = "begin_epoch"
        return event

    def _begin_epoch(self) -> Event:
        cursor = self.cursor
        cursor.epoch += 1
        cursor.step = 0
        event = self._event()
        if self.regime is not None:
            event.mask_changes = self.regime.before_epoch(cursor.task, cursor.epoch, self.charged_probe)
            if self.rules.remove_after_mask_update and cursor.epoch > 1:
                event.removed = self._end_stage(self.regime, cursor.epoch - 1)
        self.history.keep_mask(cursor, self._sparse)
        cursor.permutation = self.decisions.order(self.place, len(cursor.remaining))
        self._epoch_totals = EpochTotals()
        cursor.due = "step"
        return event

    def _step(self) -> Event:
        cursor, batches = self.cursor, self.batches
        indices = batches[cursor.step]
        event = self._event(indices=indices)
        batch = self.decisions.batch(self.place, self.task, indices)
        if self.regime is not None:
            event.mask_changes = self.regime.before_step(cursor.task, cursor.epoch, cursor.step, self.charged_probe)
        remembers = self.method.remembers(batch)
        draws = self.decisions.slots(self.place, self.method.draws_per_step) if remembers else None
        if self.regime is not None and self.regime.spends(self.place):
            step, event.mask_changes = self.spend(batch, self.place, draws)
        else:
            step = self.method.observe(batch, draws=draws)
            self._check_finite(step, batch)
            if self.method.learns:
                self._descend(batch, step, draws)
        event.observation = step
        if self.buffer is not None and self.method.fills == "steps":
            event.drawn = drawn = self.decisions.reservoir(self.place, self.buffer.ranks(len(indices)))
            event.slots = self.buffer.add(batch.images, batch.labels, step.logits, task=cursor.task, rng=drawn)
        if self.regime is not None:
            self.regime.count(cursor.remaining, indices, step.correct)
        self._epoch_totals.add(step)
        cursor.step += 1
        cursor.updates += 1
        if cursor.step == len(batches):
            cursor.due = "end_epoch"
        return event

    def spend(
        self, batch: Batch, place: Place, draws: Sequence[np.ndarray] | None = None
    ) -> tuple[Observation, list[MaskChange]]:
        """A step that changes masks by the gradient of its loss, of dead weights too, and updates nothing."""
        assert self.regime is not None
        self._spent_on = self.regime.policy.spends
        try:
            with all_formed(self.regime.parameters):
                step = self.method.observe(batch, draws=draws)
                self._check_finite(step, batch)
                self.method.after_backward(step)
                self.optimizer.check_gradients(self._lr())
                return step, self.regime.by_gradient(place, self.charged_probe)
        finally:
            self._spent_on = ""

    def _descend(self, batch: Batch, step: Observation, draws: Sequence[np.ndarray] | None) -> None:
        """From the gradients of a step to new weights."""
        self.method.after_backward(step)
        if self.regime is not None and self.regime.after_backward(self.cursor.step, step):
            self.ledger.record_scores(self.model)
        self._update()
        if self.method.after_update(batch, step, draws=draws):
            self._check_finite(step, batch)
            self._update()

    def _update(self) -> None:
        self.optimizer.step(self._lr())
        self.ledger.record_update(self.optimizer.parameters)

    def _end_epoch(self) -> Event:
        cursor = self.cursor
        event = self._event()
        measured: dict[str, Any] = {"learning_rate": self._lr(), "train_flops": self.ledger.train_flops}
        event.row = self.history.add_epoch(cursor, self._epoch_totals, self.model.sparsifiable(), **measured)
        if self.regime is not None and not self.rules.remove_after_mask_update:
            event.removed = self._end_stage(self.regime, cursor.epoch)
        over = cursor.epoch == self.config.epochs
        cursor.due = own_training.due_after_epochs(self.method, self.task_data) if over else "begin_epoch"
        return event

    def _own_step(self) -> Event:
        event = Event("own_step", self.cursor.task, max(1, self.cursor.own_epoch), self.cursor.own_step)
        event.ends_own_epoch = own_training.take_step(self.cursor, self.method, self.task_data)
        return event

    def _end_stage(self, regime: SparCL, epoch: int) -> np.ndarray:
        """Data removal after an epoch; returns the training indices that left."""
        before = self.cursor.remaining
        chance = functools.partial(self.decisions.chance, Place(self.cursor.task, epoch, 0))
        self.cursor.remaining = regime.end_stage(epoch, before, len(self.task.train_index), chance=chance)
        removed = np.setdiff1d(before, self.cursor.remaining)
        if len(removed):
            row = {"task": self.cursor.task, "stage": epoch // self.config.delta_k}
            self.history.data_removed.append(row | {"removed": len(removed), "left": len(self.cursor.remaining)})
        return removed

    def _end_task(self) -> Event:
        event = self._event()
        self.method.end_task(self.task_data)
        past = [label for task in self.stream.training[: self.cursor.task - 1] for label in task.classes]
        align(self.model, self.config.align, old=past, new=self.task.classes)
        self._evaluate()
        self.cursor.due = "done" if self.cursor.task == len(self.stream.training) else "begin_task"
        return event

    def charged_probe(self, parameters: Sequence[Parameter], samples: int) -> Gradients:
        """The probe of a mask's change, which the ledger is charged for."""
        self.ledger.record_scores(self.model)
        return self.gradients_on(parameters, samples, chunk=self.config.batch_size, on_pass=self.on_pass)

    def _lr(self) -> float:
        config = self.config
        return learning_rate(config.lr_schedule, config.lr, epoch=self.cursor.epoch, epochs=config.epochs)

    def _check_finite(self, step: Observation, batch: Batch) -> None:
        check_losses(step, self.model, batch, self.buffer, self.decisions.prepare)

    def _evaluate(self) -> None:
        class_il, task_il = accuracy_rows(self.method, self.stream, self.decisions.dtype)
        self.history.class_il_matrix.append(class_il)
        if task_il is not None:
            self.history.task_il_matrix.append(task_il)

    @property
    def _sparse(self) -> Sequence[Parameter]:
        """The weights that the regime prunes."""
        return [] if self.regime is None else self.model.sparsifiable()

    def state(self) -> dict[str, Any]:
        """Everything the run consists of, as plain arrays and JSON values; nothing in it is shared with the run."""
        return {
            "belongs_to": identity(self.config, self.dataset),
            "cursor": copied(self.cursor),
            "history": copied(self.history),
            "epoch_totals": copied(self._epoch_totals),
            "generators": {name: rng.bit_generator.state for name, rng in self.generators.items()},
            **{name: None if part is None else part.state() for name, part in self._parts.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, from a run of the same configuration; the continued run is bit-identical.

        Raises
        ------
        ValueError
            If the state belongs to another run, or is not whole; nothing has been taken over then.
        """
        take_over(state, before=self.state(), take=self._take_over)

    def _take_over(self, state: dict[str, Any]) -> None:
        self.cursor = Cursor(**copy.deepcopy(state["cursor"]))
        self.history = History(**copy.deepcopy(state["history"]))
        self._epoch_totals = EpochTotals(**state["epoch_totals"])
        for name, rng in self.generators.items():
            rng.bit_generator.state = state["generators"][name]
        for name, part in self._parts.items():
            if part is not None:
                part.load_state(state[name])
