"""A run beside PyTorch: a twin takes its random decisions, steps by autograd, and must stay equal."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.history import Event
from sparcl_ref.replay import Samples
from sparcl_ref.streams import Dataset
from sparcl_ref.trainer import Trainer
from tests.helpers import assert_close
from tests.torch_twin import models

#: Three tasks of two classes; four steps an epoch, the last one short.
BASE = Config(
    model="convnet", width=4, epochs=3, batch_size=8, replay_batch_size=5, buffer_size=13, lr=0.05, momentum=0.5,
    weight_decay=1e-3, dtype="float64", engine="numpy", delta_k=2, dgm_interval=2, ddr_cutoff=1, importance_samples=12,
)  # fmt: skip
#: Dense, and SparCL with all its parts.
REGIMES: dict[str, dict[str, Any]] = {"dense": {}, "sparse": {"sparsity": 0.5}}


def small_dataset(*, classes: int = 6, each: int = 15) -> Dataset:
    """Noise with a bright column for each class."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(classes), each)
    images = rng.integers(0, 120, size=(len(labels), 1, 8, 8), dtype=np.uint8)
    images[np.arange(len(labels)), 0, :, labels] += 80
    shuffled = rng.permutation(len(labels))
    images, labels = images[shuffled], labels[shuffled]
    parts = {"train_x": images, "train_y": labels, "test_x": images[::-1].copy(), "test_y": labels[::-1].copy()}
    return Dataset.from_arrays("columns", **parts)


class Twin:
    """Fine-tuning with CE~; a method's twin overrides what is its own.

    Attributes
    ----------
    net : torch.nn.Module
    values : dict of str to Parameter
    own : settings of the method
    data : the images of a task, normalised, set at its begin
    """

    def __init__(self, trainer: Trainer):
        config = self.config = trainer.config
        self.trainer, self.own = trainer, config.method_settings
        classes = trainer.model.classes
        mlp = config.model == "mlp"
        self.net = models.mlp(64, 4, classes) if mlp else models.convnet(classes, width=4, pools=(True, True))
        self.net = self.net.double()
        models.load_arrays(self.net, trainer.model.state_dict())
        self.values = dict(self.net.named_parameters())
        self.descent = torch.optim.SGD(
            self.values.values(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.single = config.effective_head == "single"

    # --- what methods override

    def begin_task(self) -> None: ...

    def end_task(self) -> None: ...

    def step(self, x: torch.Tensor, y: torch.Tensor, old: list[Samples]) -> None:
        """Set every gradient."""
        self.backward(self.loss(x, y, old))

    def second(self, old: list[Samples]) -> bool:
        """Set the gradients of a second update, if there is one."""
        return False

    def loss(self, x: torch.Tensor, y: torch.Tensor, old: list[Samples]) -> torch.Tensor:
        return self.current(x, y)

    # --- what they use

    def current(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.cross_entropy(self.net(x), y, self.classes if self.single else None)

    @staticmethod
    def cross_entropy(logits: torch.Tensor, y: torch.Tensor, classes: Any = None) -> torch.Tensor:
        if classes is not None:
            outside = torch.ones(logits.shape[1], dtype=torch.bool)
            outside[torch.as_tensor(list(classes))] = False
            logits = logits.masked_fill(outside, float("-inf"))
        return functional.cross_entropy(logits, y)

    def gradients(self, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of a loss, where gradients are formed."""
        grads = torch.autograd.grad(loss, list(self.values.values()), allow_unused=True)
        known = zip(self.values.items(), grads, strict=True)
        found = {name: torch.zeros_like(p) if grad is None else grad for (name, p), grad in known}
        return {name: grad * self.formed(name) for name, grad in found.items()}

    def backward(self, loss: torch.Tensor) -> None:
        self.set_gradients(self.gradients(loss))

    def set_gradients(self, grads: dict[str, torch.Tensor]) -> None:
        for name, value in self.values.items():
            value.grad = grads[name].detach().clone()

    def formed(self, name: str) -> torch.Tensor:
        parameter = self.parameters[name]
        mask = parameter.mask if self.refresh else parameter.effective_grad_mask
        return torch.ones(()) if mask is None else torch.tensor(mask)

    def images(self, raw: np.ndarray) -> torch.Tensor:
        return torch.tensor(self.trainer.dataset.normalise(raw, np.float64))

    # --- following the run

    @property
    def parameters(self) -> dict[str, Any]:
        return {parameter.name: parameter for parameter in self.trainer.model.parameters()}

    def follow(self, event: Event, held: Samples | None) -> None:
        """Do what the run has just done; ``held`` was in the buffer before."""
        task = self.trainer.stream.training[max(0, event.task - 1)]
        self.held = held
        self.classes, self.number, dataset = task.classes, event.task, self.trainer.dataset
        self.refresh = bool(self.config.sparse and self.config.dgm and event.step % self.config.dgm_interval == 0)
        if event.kind in ("begin_task", "end_task"):
            self.data = self.images(dataset.train_x[task.train_index])
            self.labels = torch.tensor(dataset.train_y[task.train_index])
            self.refresh = True  # the method's own gradients are those of all living weights
            getattr(self, event.kind)()
        elif event.kind == "begin_epoch":
            for change in event.mask_changes:
                for name, flat in change.indices.items():  # what dies and is born again at once starts at 0
                    value = self.values[name]
                    for tensor in (value.data, self.descent.state[value].get("momentum_buffer")):
                        if change.kind == "shrink" and tensor is not None:
                            tensor.view(-1)[torch.tensor(flat)] = 0.0
            self.clear_dead()
        elif event.kind == "step":
            assert event.indices is not None
            assert event.observation is not None
            old = [] if held is None else [Samples(*(a[s] for a in held)) for s in event.observation.draws]
            x, y = self.images(dataset.train_x[event.indices]), torch.tensor(dataset.train_y[event.indices])
            self.net.train()
            self.step(x, y, old)
            self.update()
            self.refresh = False  # gradient masks have been chosen by now
            if self.second(old):
                self.update()

    def update(self) -> None:
        for name, value in self.values.items():
            mask = self.parameters[name].effective_grad_mask
            if mask is not None:
                value.grad[~torch.tensor(mask)] = 0.0
        self.descent.step()
        self.clear_dead()

    def clear_dead(self) -> None:
        with torch.no_grad():
            for name, value in self.values.items():
                mask = self.parameters[name].mask
                if mask is not None:
                    velocity = self.descent.state[value].get("momentum_buffer")
                    for tensor in (value, velocity):
                        if tensor is not None:
                            tensor[~torch.tensor(mask)] = 0.0


def assert_equal_for_30_steps(twin: type[Twin], *, least: int = 30, **settings: Any) -> Trainer:
    """Every parameter and running statistic after every event, to 1e-9; returns the finished run."""
    trainer = build(dataclasses.replace(BASE, **settings), small_dataset())
    other, steps, held, kind = twin(trainer), 0, None, ""
    while not trainer.done:
        if kind != "own_step":
            held = trainer.buffer.content() if trainer.buffer is not None and len(trainer.buffer) else None
        event = trainer.advance()
        kind = event.kind
        if kind == "own_step":
            continue  # the twin goes through all of them at the end of the task
        other.follow(event, held)
        steps += event.kind == "step"
        theirs = other.net.state_dict()
        for name, ours in trainer.model.state_dict().items():
            place = f"{event.kind} {event.task}.{event.epoch}.{event.step}: {name}"
            assert_close(ours, theirs[name].numpy(), call=place, rtol=1e-9, atol=1e-9)
    assert steps >= least
    return trainer


def run_of(**settings: Any) -> Trainer:
    """A finished run of the small stream."""
    trainer = build(dataclasses.replace(BASE, **settings), small_dataset())
    for _ in trainer.events():
        pass
    return trainer


def assert_same_bits(one: Trainer, other: Trainer) -> None:
    """Two runs, perhaps of two methods, ended at the same parameters, statistics and accuracies."""
    first, second = one.model.state_dict(), other.model.state_dict()
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes(), name
    assert one.history.class_il_matrix == other.history.class_il_matrix
