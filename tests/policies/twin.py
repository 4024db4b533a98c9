"""A sparse trainer beside PyTorch: a twin with masks and a calendar of its own, which must stay those of the run."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sparcl_ref.draws import Draws, Place
from sparcl_ref.experiment import build
from sparcl_ref.history import Event
from sparcl_ref.replay import Samples
from sparcl_ref.trainer import Trainer
from tests.helpers import assert_close
from tests.methods.twin import BASE, Twin, small_dataset

#: Three tasks of 30 samples, batches of 8; with removal of data the third epoch has 21 of them.
ALONE: dict[str, Any] = {"ddr": False, "dgm": False}
REGIMES = {"alone": ALONE, "with DDR and DGM": {}}
TASK_STEPS = {False: (4, 4, 4), True: (4, 4, 3)}
TASKS = 3


def largest(scores: torch.Tensor, among: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` largest scores among some entries, in flat order; of equals the first."""
    order = torch.sort(scores.masked_fill(~among, float("-inf")), descending=True, stable=True).indices
    chosen = torch.zeros_like(among)
    chosen[order[:count]] = True
    return chosen


class SparseTwin(Twin):
    """DER++ or ER in PyTorch, whose weights live by masks that it chooses itself.

    A policy's twin overrides `first` (initial masks), `due` (what is to be done at a step) and `change`.
    """

    #: Whether a step with a change of masks updates nothing.
    spends = False

    def __init__(self, trainer: Trainer):
        super().__init__(trainer)
        self.s = Fraction(str(self.config.sparsity))
        self.ours = self.config.policy_settings
        self.names = [parameter.name for parameter in trainer.model.sparsifiable()]
        self.masks = {name: self.first(name) for name in self.names}
        self.rng = np.random.default_rng(7)
        self.changes = 0

    # --- what policies override

    def first(self, name: str) -> torch.Tensor:
        """The initial mask; by default the run's random one."""
        return torch.tensor(self.parameters[name].mask).reshape(-1)

    def due(self, task: int, epoch: int, step: int) -> Any:
        """What `change` needs if masks are to be changed at that step, else None."""

    def change(self, what: Any, grads: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The new masks, flat; ``grads`` are dense where the step is spent."""
        raise NotImplementedError

    def joining(self, place: Place, name: str) -> np.ndarray:
        """What the twin lets join, for a run that takes its random choices."""
        raise NotImplementedError

    # --- the calendar

    @property
    def steps(self) -> tuple[int, ...]:
        return TASK_STEPS[self.config.ddr]

    def progress(self, task: int, epoch: int, step: int, *, once: bool) -> tuple[int, int]:
        now = sum(self.steps[: epoch - 1]) + step
        return (now + (task - 1) * sum(self.steps), TASKS * sum(self.steps)) if once else (now, sum(self.steps))

    # --- the run

    def flat(self, name: str) -> torch.Tensor:
        return self.values[name].detach().reshape(-1)

    def living(self, share: Fraction, name: str) -> int:
        """(1 - share) n, halves up."""
        return int((1 - share) * self.flat(name).numel() + Fraction(1, 2))

    def follow(self, event: Event, held: Samples | None) -> None:
        place = event.task, event.epoch, event.step
        self.dense = False
        if event.kind == "begin_epoch" and not self.spends:
            self.act((event.task, event.epoch, 0), {})
        elif event.kind == "step" and self.spends and (what := self.due(*place)) is not None:
            self.held, self.refresh = held, False
            self.spend(what, event, held)
            return
        elif event.kind == "step" and event.step and not self.spends:
            self.act(place, {})
        super().follow(dataclasses.replace(event, mask_changes=[]), held)

    def act(self, place: tuple[int, int, int], grads: dict[str, torch.Tensor]) -> None:
        if (what := self.due(*place)) is not None:
            self.masks |= self.change(what, grads)
            self.changes += 1
            self.kill()

    def kill(self) -> None:
        """Zeros in value and momentum of what is dead now, and nowhere else."""
        for name, mask in self.masks.items():
            value = self.values[name]
            for tensor in (value.data, self.descent.state[value].get("momentum_buffer")):
                if tensor is not None:
                    tensor.view(-1)[~mask] = 0.0

    def spend(self, what: Any, event: Event, held: Samples | None) -> None:
        """The gradient of the whole loss, of dead weights too; new masks; no update."""
        assert event.indices is not None
        assert event.observation is not None
        dataset = self.trainer.dataset
        self.classes = self.trainer.stream.training[event.task - 1].classes
        old = [] if held is None else [Samples(*(a[s] for a in held)) for s in event.observation.draws]
        x, y = self.images(dataset.train_x[event.indices]), torch.tensor(dataset.train_y[event.indices])
        self.net.train()
        self.dense = True
        grads = self.gradients(self.loss(x, y, old))
        self.dense = False
        self.masks |= self.change(what, {name: grads[name].reshape(-1) for name in self.names})
        self.changes += 1
        self.kill()

    def formed(self, name: str) -> torch.Tensor:
        return torch.ones(()) if self.dense else super().formed(name)

    def loss(self, x, y, old):
        loss = self.current(x, y)
        if old and self.config.method == "er":
            (samples,) = old
            loss = loss + self.own.er_weight * self.cross_entropy(
                self.net(self.images(samples.images)), torch.tensor(samples.labels)
            )
        elif old:
            dark, named = old
            logits = self.net(self.images(dark.images))
            loss = loss + self.own.alpha * functional.mse_loss(logits, torch.tensor(dark.logits))
            logits = self.net(self.images(named.images))
            loss = loss + self.own.beta * self.cross_entropy(logits, torch.tensor(named.labels))
        return loss


def assert_equal_for_30_steps(twin: type[SparseTwin], *, given: bool = False, **settings: Any) -> SparseTwin:
    """Masks to the bit, parameters and running statistics to 1e-9, after every event; ``given``: the twin draws."""
    found: list[SparseTwin] = []
    draws = Draws(growth=lambda place, name: found[0].joining(place, name)) if given else None
    config = dataclasses.replace(BASE, **{"method": "derpp", "sparsity": 0.5} | settings)
    trainer = build(config, small_dataset(), draws=draws)
    other, steps = twin(trainer), 0
    found.append(other)
    while not trainer.done:
        held = trainer.buffer.content() if trainer.buffer is not None and len(trainer.buffer) else None
        event = trainer.advance()
        other.follow(event, held)
        steps += event.kind == "step"
        place = f"{event.kind} {event.task}.{event.epoch}.{event.step}"
        for parameter in trainer.model.sparsifiable():
            mask = other.masks[parameter.name].reshape(parameter.value.shape).numpy()
            np.testing.assert_array_equal(parameter.mask, mask, err_msg=f"{place}: mask of {parameter.name}")
        theirs = other.net.state_dict()
        for name, ours in trainer.model.state_dict().items():
            assert_close(ours, theirs[name].numpy(), call=f"{place}: {name}", rtol=1e-9, atol=1e-9)
        for name, value in other.values.items():
            buffer = other.descent.state[value].get("momentum_buffer")
            if buffer is not None and "momentum" in other.parameters[name].slots:
                ours = other.parameters[name].slots["momentum"]
                assert_close(ours, buffer.numpy(), call=f"{place}: momentum of {name}", rtol=1e-9, atol=1e-9)
    assert steps >= 30
    return other
