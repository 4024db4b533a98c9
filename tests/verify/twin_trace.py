"""The PyTorch twin replays a recorded run from its choices alone and logs a trace of its own, as any port would.

Nothing of the package but the file format and `read_choices` is used. What the twin does not have (the outputs of
functional layers, probe gradients, FLOPs) is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sparcl_ref.verify.traces.archive import TraceWriter
from sparcl_ref.verify.traces.choices import Choice, Choices, read_choices
from tests.torch_twin import Config, Twin, importance, models
from tests.torch_twin.buffer import reservoir_slot

#: The passes of a step, by method.
TERMS = {
    "er": ("current", "replay_ce"), "der": ("current", "replay_mse"), "derpp": ("current", "replay_mse", "replay_ce"),
}  # fmt: skip

#: Changes a twin that has not begun, so that it is wrong in one way.
Spoil = Callable[[Twin], None]


class TwinTrace:
    """A twin that is fed a recording's choices and logs what it computes.

    Parameters
    ----------
    choices : Choices
    writer : TraceWriter
    spoil : callable, optional
        Called with the twin before its first event.
    """

    def __init__(self, choices: Choices, writer: TraceWriter, *, spoil: Spoil | None = None) -> None:
        self.choices, self.writer, data = choices, writer, choices.data
        told = choices.config | {"tdm": choices.config["policy"] == "tdm"}
        names = (set(Config.__dataclass_fields__) - {"dtype", "sparsifiable"}) & told.keys()
        config = Config(**{name: told[name] for name in names})
        mean, std = (data[name].reshape(1, -1, 1, 1) for name in ("mean", "std"))
        self.normalise = lambda raw: (raw * data["scale"] - mean) / std
        classes = len(choices.class_order)
        model = models.convnet(classes, width=choices.config["width"], pools=(True, True))
        self.twin = Twin(model, config, normalise=self.normalise)
        self.twin.initialise(choices.initial, choices.masks)
        self.at = "start"
        self.passes = TERMS[config.method]
        self.terms: list[str] | None = None
        self.tasks: list[np.ndarray] = []
        if spoil is not None:
            spoil(self.twin)
        self._listen()

    def run(self, until: str = "") -> None:
        """All events of the recording, or those up to one."""
        for name, tensor in self.twin.model.state_dict().items():
            self.write("initial", name, "value", self.choices.initial[name])
            if name in self.twin.masks:
                self.write("masked", name, "value", tensor)
        for choice in self.choices.events():
            self.at = choice.at
            getattr(self, f"_{choice.kind}")(choice)
            if choice.at == until:
                return

    def write(self, pass_name: str, layer: str, tensor: str, array: object) -> None:
        values = array.detach().numpy() if isinstance(array, torch.Tensor) else array
        self.writer.write(self.at, pass_name, layer, tensor, values)

    # -- what is heard while the twin works

    def _listen(self) -> None:
        twin = self.twin
        twin.model.register_forward_pre_hook(self._pass_begins)
        twin.model.register_forward_hook(self._pass_ends)
        for name, module in twin.model.named_children():
            module.register_forward_hook(lambda _, inputs, output, name=name: self._layer(name, inputs[0], output))
        self.scores: dict[str, torch.Tensor] = {}
        self.masks: list[dict[str, torch.Tensor]] = []
        self.correct = np.empty(0)
        cwi, set_masks, count = twin.cwi, twin._set_masks, twin.removal.count

        def heard_cwi() -> dict[str, torch.Tensor]:
            self.scores = cwi()
            self.living = {name: mask.clone() for name, mask in twin.masks.items()}
            return self.scores

        def heard_masks(changed: dict[str, torch.Tensor]) -> None:
            set_masks(changed)
            self.masks.append({name: mask.clone() for name, mask in changed.items()})

        def heard_count(batch: np.ndarray, correct: np.ndarray) -> None:
            self.correct = correct
            count(batch, correct)

        twin.cwi, twin._set_masks, twin.removal.count = heard_cwi, heard_masks, heard_count

    def _pass_begins(self, model: nn.Module, inputs: tuple) -> None:
        if self.terms is not None:
            self.terms.append(self.passes[len(self.terms)])
            self.write(self.terms[-1], "-", "input", inputs[0])

    def _pass_ends(self, model: nn.Module, inputs: tuple, logits: torch.Tensor) -> None:
        self._gradient_of(logits, "-", "logits_gradient")

    def _layer(self, name: str, x: torch.Tensor, y: torch.Tensor) -> None:
        if self.terms is not None:
            self.write(self.terms[-1], name, "output", y)
            self._gradient_of(x, name, "input_gradient")

    def _gradient_of(self, tensor: torch.Tensor, layer: str, name: str) -> None:
        if self.terms is not None and tensor.requires_grad:
            term = self.terms[-1]
            tensor.register_hook(lambda gradient: self.write(term, layer, name, gradient))

    # -- events

    def _begin_task(self, choice: Choice) -> None:
        samples, data = choice.values["samples"], self.choices.data
        self.samples = samples
        self.tasks.append(choice.values["classes"])
        self.twin.begin_task(choice.task, data["train_x"][samples], data["train_y"][samples], choice.values["classes"])

    def _begin_epoch(self, choice: Choice) -> None:
        twin = self.twin
        twin.config = dataclasses.replace(twin.config, lr=self._rate(choice.epoch))
        self.masks.clear()
        actions = twin.begin_epoch(choice.task, choice.epoch, choice.joins)
        for action, changed in zip(actions, self.masks, strict=True):
            for name, mask in changed.items():
                if action.kind == "shrink":
                    scores = self.scores[name].detach().clone()
                    scores[~self.living[name]] = 0.0
                    self.write("shrink", name, "importance", scores)
                self.write(action.kind, name, "mask", mask)
        for name in twin.masks if actions else ():
            self.write("masked", name, "value", twin.parameters[name])
            self.write("masked", name, "velocity", twin.momentum[name])

    def _rate(self, epoch: int) -> float:
        """The learning rate of an epoch: torch's schedulers, stepped once after each epoch before it."""
        settings = self.choices.config
        schedule, base, epochs = (settings[key] for key in ("lr_schedule", "lr", "epochs"))
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=base)
        milestones = [-(-epochs // 2), -(-3 * epochs // 4)]
        scheduler = {
            "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
            "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs),
            "step": lambda: torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1),
        }[schedule]()
        optimizer.step()
        for _ in range(epoch - 1):
            scheduler.step()
        return optimizer.param_groups[0]["lr"]

    def _step(self, choice: Choice) -> None:
        twin, values = self.twin, choice.values
        batch = np.searchsorted(self.samples, values["batch"])
        draws = [values[f"{term}_slots"] for term in self.passes[1:] if f"{term}_slots" in values]
        presented = twin.buffer.seen
        self.terms = []
        losses = twin.step(batch, draws, values["reservoir_draws"])
        for term in self.terms:
            label_weight = twin.config.er_weight if twin.config.method == "er" else twin.config.beta
            weight = {"replay_mse": twin.config.alpha, "replay_ce": label_weight}.get(term, 1.0)
            self.write(term, "-", "loss", weight * losses[term])
        self.terms = None
        self._gradients(choice, replayed=bool(draws))
        for name, tensor in twin.model.state_dict().items():
            self.write("update", name, "value", tensor)
        self._buffer(values["reservoir_draws"], presented)
        self.write("ddr", "-", "correct", self.correct)
        self.write("ddr", "-", "misclassified", twin.misclassified[twin.remaining])

    def _gradients(self, choice: Choice, *, replayed: bool) -> None:
        twin, config = self.twin, self.twin.config
        refresh = choice.step % config.dgm_interval == 0
        for name in twin.parameters:
            parts = {part: twin.gradients[part][name].clone() for part in ("current", "replay")}
            if name in twin.masks:
                if refresh:
                    coefficients = {"alpha": config.importance_alpha, "beta": config.importance_beta}
                    self.write("dgm", name, "importance", importance.cgi(*parts.values(), **coefficients))
                else:
                    for part in parts.values():
                        part[~twin.gradient_masks[name]] = 0.0
                self.write("dgm", name, "gradient_mask", twin.gradient_masks[name])
            self.write("current", name, "gradient", parts["current"])
            if replayed:
                self.write("replay", name, "gradient", parts["replay"])
            self.write("update", name, "gradient", twin.gradients["total"][name])
            self.write("update", name, "velocity", twin.momentum[name])

    def _buffer(self, draws: np.ndarray, presented: int) -> None:
        content, capacity = self.twin.buffer.content(), self.twin.config.capacity
        slots = [reservoir_slot(presented + k, capacity, int(draw)) for k, draw in enumerate(draws)]
        self.write("buffer", "-", "slots", [-1 if slot is None else slot for slot in slots])
        self.write("buffer", "-", "presented", content["seen"])
        for tensor in ("images", "labels", "tasks", "logits"):
            self.write("buffer", "-", tensor, content[tensor])

    def _end_epoch(self, choice: Choice) -> None:
        self.twin.end_epoch()
        self.write("ddr", "-", "remaining", self.samples[self.twin.remaining])

    def _end_task(self, choice: Choice) -> None:
        """Accuracies in eval mode, on the test samples of every task, known or not."""
        data, model, order = self.choices.data, self.twin.model.eval(), self.choices.class_order
        per_task = self.choices.config["classes_per_task"]
        rows: dict[str, list[float]] = {"class_il_accuracy": [], "task_il_accuracy": []}
        for classes in order.reshape(-1, per_task):
            chosen = np.isin(data["test_y"], classes)
            with torch.no_grad():
                logits = model(torch.as_tensor(self.normalise(data["test_x"][chosen]))).numpy()
            labels, own = data["test_y"][chosen], np.sort(classes)
            rows["class_il_accuracy"].append(np.mean(logits.argmax(axis=1) == labels))
            rows["task_il_accuracy"].append(np.mean(own[logits[:, own].argmax(axis=1)] == labels))
        for tensor, row in rows.items():
            self.write("evaluation", "-", tensor, row)


def twin_trace(reference: Path, path: Path, *, spoil: Spoil | None = None, until: str = "") -> Path:
    """Replay a recording with the twin and write its trace, where wanted up to an event only."""
    with TraceWriter(path) as writer:
        TwinTrace(read_choices(reference), writer, spoil=spoil).run(until)
    return path
