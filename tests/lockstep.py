"""A run of the package and the PyTorch twin side by side: the twin is fed every random decision of ours as indices, and
all that both hold is compared after each event."""

from __future__ import annotations

from collections import Counter

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.draws import Draws
from sparcl_ref.experiment import build
from sparcl_ref.history import Event
from sparcl_ref.streams import Dataset
from tests.torch_twin import buffer
from tests.trajectory import (
    TOLERANCE,
    Comparison,
    momentum_of,
    our_counts,
    our_state,
    percentile_clearance,
    twin_of,
    within_task,
)


class Lockstep:
    """A trainer and a twin, event by event.

    Parameters
    ----------
    config, dataset
        Of the run.
    weights : dict of ndarray, optional
        Its initial state instead of the one drawn.
    reload : bool
        Whether the twin takes over our complete state before each event, so that only one event is compared; else
        both run freely.

    Attributes
    ----------
    compare : Comparison
    seen : Counter
        What happened, by kind, so that a test can ask whether its schedule covers everything.
    clear, ties : Counter
        Selections by kind: those with a margin beyond the tolerance, and those among exactly equal scores.
    """

    def __init__(
        self, config: Config, dataset: Dataset, *, reload: bool = False, weights: dict[str, np.ndarray] | None = None
    ) -> None:
        self.trainer = build(config, dataset, draws=Draws(weights=weights))
        self.twin = twin_of(self.trainer, weights)
        self.reload = reload
        self.compare = Comparison()
        self.seen: Counter[str] = Counter()
        self.clear: Counter[str] = Counter()
        self.ties: Counter[str] = Counter()
        self._clearance = percentile_clearance(self.twin) if self.twin.config.released else 1.0
        self._compare_state()

    def run(self, *, steps: int | None = None) -> Lockstep:
        """Go on to the end of the run, or until that many steps have been taken in all."""
        while not self.trainer.done and (steps is None or self.trainer.cursor.updates < steps):
            self.advance()
        return self

    def advance(self) -> None:
        """One event on both sides, then the comparison of everything."""
        trainer = self.trainer
        if self.reload and trainer.cursor.due in ("begin_epoch", "step", "end_epoch"):
            self.twin.load(our_state(trainer))
        event = trainer.advance()
        self.compare.where = f"{event.kind} of task {event.task}, epoch {event.epoch}, step {event.step}"
        self.seen[event.kind] += 1
        if event.kind == "begin_task":
            self._begin_task(event)
        elif event.kind == "begin_epoch":
            self._begin_epoch(event)
        elif event.kind == "step":
            self._step(event)
        elif event.kind == "end_epoch":
            before = self.twin.remaining
            self.twin.end_epoch()
            self._compare_removed(event, before)
        self._check_margins()
        self._compare_state()

    def _begin_task(self, event: Event) -> None:
        dataset, task = self.trainer.dataset, self.trainer.stream.training[event.task - 1]
        index = task.train_index
        self.twin.begin_task(event.task, dataset.train_x[index], dataset.train_y[index], task.classes)

    def _begin_epoch(self, event: Event) -> None:
        trainer, changes = self.trainer, {change.kind: change.indices for change in event.mask_changes}
        assert len(changes) == len(event.mask_changes), "at most one action of a kind"
        growth = changes.get("expand", {})
        for kind, indices in changes.items():
            self.seen[kind] += any(len(flat) for flat in indices.values())
        for name, flat in changes.get("shrink", {}).items():
            self.seen["redrawn"] += len(np.intersect1d(flat, growth.get(name, [])))
        before = self.twin.remaining
        self.twin.begin_epoch(event.task, event.epoch, growth)
        self._compare_removed(event, before)
        if changes:
            self._compare_gradient_masks()
        order = within_task(trainer, trainer.cursor.remaining)[trainer.cursor.permutation]
        self._batches = self.twin.batches(order)

    def _step(self, event: Event) -> None:
        twin, config, step = self.twin, self.trainer.config, event.observation
        batch, presented = within_task(self.trainer, event.indices), twin.buffer.seen
        self.compare.exact("batch", batch, self._batches[event.step])
        losses = twin.step(batch, step.draws, event.drawn)
        self._compare_losses(step.losses, losses)
        refresh = config.sparse and config.dgm and event.step % config.dgm_interval == 0
        self._compare_gradients(event, refresh)
        if config.sparse:
            self._compare_gradient_masks()
        self.seen["refresh" if refresh else "reuse"] += 1
        self.seen["partial batch"] += len(batch) < config.batch_size
        self.seen["replay"] += len(step.draws) > 0
        self.seen["unlike draws"] += len(step.draws) == 2 and not np.array_equal(*map(np.sort, step.draws))
        self.seen["short draw"] += any(len(draw) < config.effective_replay_batch_size for draw in step.draws)
        if self.trainer.buffer is not None:
            numbered = list(zip(range(presented, presented + len(batch)), event.drawn, strict=True))
            slots = [buffer.reservoir_slot(i, config.buffer_size, int(j)) for i, j in numbered]
            self.compare.exact("slots", event.slots, [-1 if slot is None else slot for slot in slots])
            late = [slot for slot, (i, _) in zip(slots, numbered, strict=True) if i >= config.buffer_size]
            self.seen["turned away"] += late.count(None)
            self.seen["replaced"] += len(late) - late.count(None)

    def _compare_losses(self, ours: dict[str, float], theirs: dict[str, float]) -> None:
        """Ours are weighted, the twin's are not, except for their sum."""
        own = vars(self.trainer.config.method_settings)
        weights = {"replay_ce": own.get("er_weight", own.get("beta")), "replay_mse": own.get("alpha")}
        assert ours.keys() == theirs.keys() - {"total"}
        for term, loss in ours.items():
            self.compare.close("losses", [loss], [theirs[term] * weights.get(term, 1.0)])
        self.compare.close("losses", [sum(ours.values())], [theirs["total"]])

    def _compare_gradients(self, event: Event, refresh: bool) -> None:
        """What is stepped on; and both parts, which we form at a refresh for all living weights, else for some."""
        step, theirs = event.observation, self.twin.gradients
        for index, parameter in enumerate(self.trainer.model.parameters()):
            name = parameter.name
            formed = parameter.mask if refresh else parameter.effective_grad_mask
            for part, ours in (("current", step.current_grads), ("replay", step.replay_grads)):
                wanted = theirs[part][name].numpy().copy()
                if formed is not None:
                    wanted[~formed] = 0.0
                found = np.zeros_like(wanted) if ours is None else ours[index]
                self.compare.close(f"{part}_gradients {name}", found, wanted)
            self.compare.close(f"gradients {name}", parameter.grad, theirs["total"][name].numpy())

    def _compare_gradient_masks(self) -> None:
        for parameter in filter(lambda parameter: parameter.mask is not None, self.trainer.model.parameters()):
            ours, theirs = parameter.effective_grad_mask, self.twin.gradient_masks[parameter.name].numpy()
            self.compare.exact(f"gradient_masks {parameter.name}", ours, theirs)

    def _compare_removed(self, event: Event, before: np.ndarray) -> None:
        ours = [] if event.removed is None else within_task(self.trainer, event.removed)
        self.compare.exact("removed", ours, np.setdiff1d(before, self.twin.remaining))
        self.seen["removal"] += len(ours) > 0

    def _compare_state(self) -> None:
        """Parameters, masks, momentum, running statistics, buffer, remaining samples and their counts."""
        trainer, twin, compare = self.trainer, self.twin, self.compare
        ours, theirs = trainer.model.state_dict(), twin.model.state_dict()
        assert list(ours) == list(theirs)
        for name, value in ours.items():
            if name.endswith("num_batches_tracked"):
                compare.exact("batches_tracked", value, theirs[name].numpy())
            else:
                kind = "running_statistics" if ".running_" in name else "parameters"
                compare.close(f"{kind} {name}", value, theirs[name].numpy())
        for parameter in trainer.model.parameters():
            living = twin.living(parameter.name)
            if living is None:
                assert parameter.mask is None or parameter.mask.all(), f"{parameter.name} is masked"
            else:
                compare.exact(f"masks {parameter.name}", parameter.mask, living.numpy())
            if trainer.config.momentum:
                momentum = twin.momentum[parameter.name].numpy()
                compare.close(f"momentum {parameter.name}", momentum_of(parameter), momentum)
        if trainer.buffer is not None:
            self._compare_buffer()
        if trainer.regime is not None and trainer.cursor.task:
            compare.exact("remaining", within_task(trainer, trainer.cursor.remaining), twin.remaining)
            for name, counts in our_counts(trainer).items():
                expected = getattr(twin.removal, name)
                compare.exact(name, counts, expected == 1 if name == "previous" else expected)

    def _compare_buffer(self) -> None:
        self.compare.exact("presented", self.trainer.buffer.presented, self.twin.buffer.seen)
        if len(self.trainer.buffer):
            ours, theirs = self.trainer.buffer.content(), self.twin.buffer.content()
            for name in ("images", "labels", "tasks"):
                self.compare.exact(f"buffer {name}", getattr(ours, name), theirs[name])
            self.compare.close("stored_logits", ours.logits, theirs["logits"])

    def _check_margins(self) -> None:
        """Every selection of the twin's last event was clear beyond what rounding can do, or a tie of exact numbers."""
        for record in self.twin.margins:
            kind, margin = record["event"], record["margin"]
            # Counts are integers; zeros here are gradients that no unit passed on. Equal they are exactly equal on
            # both sides, and the rule of ties decides, not rounding.
            exact = kind == "ddr" or margin.kept == margin.dropped == 0
            if exact and margin.kept == margin.dropped:
                self.ties[kind] += 1
                continue
            room = margin.relative * (self._clearance if kind in ("shrink", "gradient_mask") else 1.0)
            assert room > TOLERANCE, f"{self.compare.where}: {kind} of {record['layer']} hangs on {margin}"
            self.clear[kind] += 1
        self.twin.margins.clear()
