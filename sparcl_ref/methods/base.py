"""What all methods share: one pass forward and backward, and the hooks by which a trainer calls them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.layers.base import Mode
from sparcl_ref.losses import correct, cross_entropy, mean_loss
from sparcl_ref.methods.archive import Archive
from sparcl_ref.methods.forms import Difference
from sparcl_ref.methods.phases import Phased
from sparcl_ref.methods.records import Batch, Entries, Extent, Filling, Observation, Occasion, Passes, TaskData
from sparcl_ref.models import Network, he_normal, initialise
from sparcl_ref.settings import OwnSettings

#: Maps logits to per-sample losses and the gradient of their mean.
LogitsLoss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
#: Told of a pass: its kind, its samples, and whether gradients were formed.
OnPass = Callable[..., None]


@contextmanager
def all_living(model: Network) -> Iterator[None]:
    """Form the gradients of all living weights meanwhile, whatever DGM masks; its masks are put back."""
    masks = [(parameter, parameter.grad_mask) for parameter in model.parameters()]
    for parameter, _ in masks:
        parameter.set_grad_mask(None)
    try:
        yield
    finally:
        for parameter, mask in masks:
            parameter.set_grad_mask(mask)


@contextmanager
def all_formed(parameters: Sequence[Parameter]) -> Iterator[None]:
    """Form the gradients of dead weights, too, meanwhile; afterwards those of all living ones, and no others."""
    for parameter in parameters:
        parameter.form_all()
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.set_grad_mask(None)
            parameter.clear_dead()


class Method(Phased):
    """A way to learn from a stream: its `observe` computes the gradients of one step.

    The trainer calls the hooks in this order, and can be resumed before each of its events: at a task's begin
    `begin_task`; in each step `observe`, `after_backward`, then gradient masks, the update, `after_update` and the
    buffer; at a task's end its own phases (`Phased`) and `end_task`, then `predict` on all tasks. `predict` is asked
    once before the first task, too.

    Parameters
    ----------
    head : {"full", "single"}
        Softmax of the loss on the current batch over all logits, or over those of the current task's classes.
    on_pass : callable
        Told of each pass as ``(kind, samples, backward=True)``, for the ledger; kinds are "current", "replay", and
        whatever else the method's `passes` names.
    own_rng : numpy.random.Generator, optional
        A random stream of the method's own, for draws that are none of the usual ones.
    fresh : callable
        Draws a network's parameters anew, as the run's rules say.
    **own
        The method's own settings, see `Settings`.
    """

    title: ClassVar[str]
    #: What the method is one of, as tables group them.
    family: ClassVar[str] = "other methods"
    #: The method's own settings, shown by ``--help`` under its name and refused by other methods.
    Settings: ClassVar[type[OwnSettings]] = OwnSettings
    rehearses: ClassVar[bool] = False
    #: Who fills the buffer: the trainer after each step, or the method at the end of each task.
    fills: ClassVar[Literal["steps", "tasks"]] = "steps"
    #: Whether new and replayed samples of a step make one pass, whose gradient cannot be told apart.
    joins_passes: ClassVar[bool] = False
    #: Whether the method decides itself over which classes its losses go, so that the run's head has no say.
    own_head: ClassVar[bool] = False
    #: Independent draws from the buffer in each step.
    draws_per_step: ClassVar[int] = 0
    #: Forward passes of a step as the paper counts them: the batch and what is replayed or recalled beside it.
    paper_forwards: ClassVar[int | None] = None
    #: Where its two forms differ; if they do, `entries` has the paper's and mammoth's, in this order.
    differences: ClassVar[Sequence[Difference]] = ()
    #: Whether entries of parameters are frozen on the way, so that what a run will cost is known only nearly.
    freezes: ClassVar[bool] = False
    #: Whether steps train the network; if not they compute nothing, and the network learns at the end of tasks.
    learns: ClassVar[bool] = True
    #: Whether the epochs of a task go through samples of earlier ones, too: those that `merged` names.
    merges: ClassVar[bool] = False
    #: Whether the method says itself which weights live, so that no mask policy may.
    own_masks: ClassVar[bool] = False
    #: Whether all tasks are learned at once, as one.
    joint: ClassVar[bool] = False
    #: Whether `predict` answers differently when it is told the task, so that Task-IL asks anew.
    predicts_by_task: ClassVar[bool] = False
    #: The networks of the tasks learned, where each has its own; saved with the weights.
    archive: Archive | None = None

    def __init__(
        self,
        model: Network,
        *,
        head: str = "full",
        on_pass: OnPass = lambda kind, samples, **how: None,
        own_rng: np.random.Generator | None = None,
        fresh: Callable[[Network, np.random.Generator], None] = lambda model, rng: initialise(model, rng, he_normal),
        **own: Any,
    ):
        if head not in ("full", "single"):
            raise ValueError(f"head must be full or single, got {head!r}")
        self.model = model
        self.head = head
        self.on_pass = on_pass
        self.own_rng = own_rng
        self.fresh = fresh
        self.settings: Any = self.Settings(**own)

    @classmethod
    def passes(cls, settings: Any, occasion: Occasion) -> Iterable[Passes]:
        """What the method computes at an occasion beyond the batch and its draws; told to ``on_pass`` when it happens.

        A forecast asks before the run, so the answer follows from the settings and the occasion alone.
        """
        return ()

    @classmethod
    def living(cls, settings: Any, entries: Entries, occasion: Occasion) -> Mapping[str, tuple[int, int]]:
        """Entries that live and those whose gradient is formed then, of every parameter, for ``own_masks``.

        Of the epochs' steps, and of `passes` around them; a forecast asks, so that it must not depend on values.

        Raises
        ------
        ValueError
            If there will be nothing to learn the task with.
        """
        raise NotImplementedError

    @classmethod
    def remarks(cls, settings: Any) -> list[str]:
        """What tables say beside the title where settings make it another method: a form that is not the paper's."""
        form = getattr(settings, "form", "paper")
        return [] if form == "paper" else [form]

    @classmethod
    def entries(cls) -> Sequence[Mapping[str, Any]]:
        """What stands for the method where all are compared: settings of a run each, by default one of each form."""
        own = {item.name: item.metadata for item in dataclasses.fields(cls.Settings)}
        return [{"form": form} for form in own["form"]["choices"]] if "form" in own else [{}]

    @classmethod
    def why_own_classes(cls, settings: Any) -> str:
        """Why the method needs tasks with classes of their own, for a refusal of streams that have none; "" if not."""
        return ""

    @classmethod
    def held_after(cls, settings: Any, sizes: Sequence[int], filling: Filling) -> int:
        """Samples in the buffer after tasks of these sizes, where the method fills it at the end of each."""
        raise NotImplementedError

    @classmethod
    def by_chance(cls, settings: Any) -> bool:
        """Whether what the buffer holds, or what lives, hangs on draws or values, so that costs are known nearly."""
        return False

    @classmethod
    def updates_again(cls, settings: Any) -> bool:
        """Whether replayed samples make an update of their own, in `after_update`."""
        return False

    @classmethod
    def archive_bytes(cls, settings: Any, extent: Extent) -> Mapping[str, int]:
        """Bytes that the method holds at most beside network and buffer, by what they are; see its `state`."""
        return {}

    @classmethod
    def own_entries(cls, settings: Any, extent: Extent) -> int:
        """Entries of `own_parameters`; a forecast asks before the run."""
        return 0

    def own_parameters(self) -> Sequence[Parameter]:
        """Parameters beside the network's that the optimiser updates with them; `observe` sets their gradients.

        Their values belong to `state`, what the optimiser keeps of them to its own. Their names differ from those of
        the network's parameters, and none of their entries dies.
        """
        return ()

    @property
    def mode(self) -> Mode:
        """Of the passes of steps: "eval" keeps batch-norm to its running statistics."""
        return "train"

    def begin_task(self, data: TaskData) -> None:
        """A task is about to be learned."""

    def end_task(self, data: TaskData) -> None:
        """A task has been learned and will be evaluated next."""

    def after_backward(self, step: Observation) -> None:
        """Change the gradients of a step, as a projection does, before gradient masks silence some of them."""

    def after_update(self, batch: Batch, step: Observation, *, draws: Sequence[np.ndarray] | None = None) -> bool:
        """Set the gradients of a second update, under the gradient masks as they are, and say whether there is one.

        Losses and draws are added to ``step``; ``draws`` are as for `observe`.
        """
        return False

    def merged(self) -> np.ndarray:
        """Indices of training samples of earlier tasks that are learned with those of the task; fixed during a task."""
        return np.zeros(0, dtype=np.int64)

    def predict(self, x: np.ndarray, *, task: int | None = None) -> np.ndarray:
        """Scores of shape (N, classes) for normalised images (N, C, H, W); the highest of a row is the answer.

        By default the logits, whatever the task; ``task`` counts from 1 and is None where it is not told (Class-IL).
        """
        return self.model.forward(x, mode="eval")

    def remembers(self, batch: Batch) -> bool:
        """Whether there is something to replay beside this batch."""
        return False

    def state(self) -> dict[str, Any]:
        """What the method remembers beyond model and buffer, as plain arrays and JSON values."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""

    def observe(self, batch: Batch, *, draws: Sequence[np.ndarray] | None = None) -> Observation:
        """Compute losses and gradients of one step; update nothing.

        Parameters
        ----------
        batch : Batch
        draws : sequence of ndarray of int, optional
            Buffer slots to replay, one array per draw, instead of random ones.

        Raises
        ------
        ValueError
            If the number of draws is not the method's, or a slot is empty.
        """
        raise NotImplementedError  # pragma: no cover

    def _learn(self, batch: Batch, loss: LogitsLoss | None = None) -> Observation:
        """The pass over the current batch, with CE~ unless told otherwise; its gradient is taken."""
        step = Observation()
        self.model.zero_grads()
        if loss is None:
            loss = functools.partial(cross_entropy, labels=batch.labels, classes=self._classes(batch.classes))
        step.logits = self._pass("current", batch.x, loss, step.losses)
        step.correct = correct(step.logits, batch.labels)
        step.current_grads = self.model.take_grads()
        return step

    def _classes(self, task_classes: Sequence[int]) -> Sequence[int] | None:
        """The classes of the softmax in CE~, None for all."""
        return task_classes if self.head == "single" else None

    def _finish(self, step: Observation) -> Observation:
        """Set every gradient to current + replay."""
        if step.draws:
            step.replay_grads = self.model.take_grads()
        self.model.set_grads(step.current_grads, step.replay_grads)
        return step

    def _pass(
        self, term: str, x: np.ndarray, loss: LogitsLoss, losses: dict[str, float], *, weight: float = 1.0
    ) -> np.ndarray:
        """Forward, loss, backward; the weighted mean loss is noted under ``term``. Returns the raw logits."""
        logits = self.model.forward(x, mode=self.mode)
        per_sample, dlogits = loss(logits)
        self.model.backward(dlogits if weight == 1 else weight * dlogits, need_dx=False)
        self.on_pass("current" if term == "current" else "replay", len(x))
        losses[term] = weight * mean_loss(per_sample)
        return logits
