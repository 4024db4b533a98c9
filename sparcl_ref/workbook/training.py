"""SparCL-DER++ as a loop over functions of the protocol: whoever has written them trains a network with them.

Random decisions come from the streams of the package, in its order, so that right functions end at the numbers of
`sparcl_ref.train` with the same settings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sparcl_ref.assembly import build_network, build_stream
from sparcl_ref.config import Config
from sparcl_ref.presets import PRESETS
from sparcl_ref.randomness import named_streams
from sparcl_ref.streams import Dataset, Task, cut_batches, load_dataset
from sparcl_ref.workbook.calls import RequestError, by_name
from sparcl_ref.workbook.job import Job
from sparcl_ref.workbook.network import MASKED, Arrays, backward, forward, train_flops
from sparcl_ref.workbook.parts import Parts
from sparcl_ref.workbook.recall import Buffer

#: The tiny job's SparCL-DER++ at sparsity .75, with half the channels.
_TINY = next(entry for entry in PRESETS["tiny"] if (entry["method"], entry.get("sparsity")) == ("derpp", 0.75))
WIDTH = 32
#: Steps after which the time of the whole is foretold, if it is more than so many seconds.
FIRST_STEPS, LONG = 5, 90.0


def settings(*, width: int = WIDTH, epochs: int = 10, sparsity: float = 0.75, seed: int = 0) -> Config:
    """The tiny job in float64, with these changes; what `sparcl_ref.train` is given for comparison.

    Raises
    ------
    ValueError
        If one of them cannot be, naming it.
    """
    changes = {"width": width, "epochs": epochs, "sparsity": sparsity, "seed": seed}
    least: int = Config.from_json(_TINY).delta_k
    if isinstance(epochs, int) and 1 <= epochs < least:
        raise RequestError(f"epochs must be at least {least}, those between two adjustments of the mask, got {epochs}")
    try:
        return Config.from_json({**_TINY, **changes, "dtype": "float64", "engine": "numpy"})
    except ValueError as error:
        raise RequestError(by_name(str(error))) from None


#: Settings that the loop below follows; others must be as `settings` has them.
FOLLOWED = {
    "dataset", "width", "seed", "epochs", "batch_size", "lr", "momentum", "nesterov", "weight_decay",
    "sparsity", "delta_k", "p_inter", "p_intra", "importance_alpha", "importance_beta", "importance_samples",
    "ddr_rho", "ddr_cutoff", "dgm_q", "dgm_interval", "buffer_size", "replay_batch_size", "alpha", "beta",
}  # fmt: skip


def train(
    own: Mapping[str, Callable[..., Any]],
    config: Config,
    tell: Callable[[str], None] = print,
    *,
    dataset: Dataset | None = None,
) -> Job:
    """Learn task by task with these functions, by their names in the protocol, and the reference for all others.

    ``config`` is one of `settings`, perhaps with other numbers, and ``tell`` gets a line after each task. The data set
    is the one that ``config`` names unless given.

    Raises
    ------
    ValueError
        If a name is not the protocol's, or ``config`` asks for what this loop does not do.
    """
    if not config.sparse:
        raise RequestError("sparsity must be given here; start from settings()")
    given, usual = config.to_json(), settings().to_json()
    for name in usual | given:
        if name not in FOLLOWED and given.get(name) != usual.get(name):
            raise RequestError(f"{name} must be {usual.get(name)} here, got {given.get(name)}; start from settings()")
    return Training(own, config, tell, dataset).run()


class Training:
    """The state of one training: weights, masks, buffer, random streams."""

    def __init__(
        self,
        own: Mapping[str, Callable[..., Any]],
        config: Config,
        tell: Callable[[str], None],
        dataset: Dataset | None = None,
    ):
        self.parts, self.config, self.tell = Parts(own), config, tell
        self.rng = named_streams(config.seed)
        self.data = load_dataset(config.dataset) if dataset is None else dataset
        self.stream = build_stream(config, self.data, self.rng["classes"])
        self.state = build_network(config, self.data, self.rng["init"]).state_dict()
        self.sparsity = str(config.sparsity)
        self.velocity = {name: np.zeros_like(value) for name, value in self.state.items()}
        self.masks: Arrays = {name: self._first_mask(name) for name in MASKED}
        self.grad_masks: Arrays = dict(self.masks)
        self.buffer = Buffer(self.parts, config.buffer_size, self.data)
        self.steps = self.flops = 0
        self.matrix: list[list[float]] = []
        self.start = time.perf_counter()

    def run(self) -> Job:
        self.matrix.append(self._accuracies())
        for task in self.stream.training:
            self._learn(task)
            self.matrix.append(self._accuracies())
            row = "  ".join(f"{accuracy:4.0%}" for accuracy in self.matrix[-1][: task.number])
            self.tell(f"after task {task.number}, accuracy on each so far: {row}")
        matrix = np.array(self.matrix)
        forgetting = float(self.parts.forgetting(matrix))
        seconds = time.perf_counter() - self.start
        return Job(self.config, matrix, forgetting, self.flops, self.steps, seconds, self.parts)

    def _learn(self, task: Task) -> None:
        config, remaining = self.config, task.train_index
        stage: list[tuple[np.ndarray, np.ndarray]] = []
        for epoch in range(1, config.epochs + 1):
            self._move_masks(task, epoch, remaining)
            order = self.rng["order"].permutation(len(remaining))
            for step, index in enumerate(cut_batches(remaining, order, config.batch_size)):
                right = self._step(task, step, index)
                stage.append((np.searchsorted(remaining, index), right))
            if epoch % config.delta_k == 0:
                remaining = self._remove(task, epoch, remaining, stage)
                stage = []

    # Before an epoch: which weights live.

    def _first_mask(self, name: str) -> np.ndarray:
        value = self.state[name]
        active = int(self.parts.budget(value.size, self.sparsity))
        chosen = self.rng["mask"].choice(np.arange(value.size), size=active, replace=False)
        mask = self.parts.random_mask(list(value.shape), active, chosen)
        self._clear(name, mask)
        return mask

    def _clear(self, name: str, mask: np.ndarray) -> None:
        value, velocity = self.state[name], self.velocity[name]
        self.state[name], _, self.velocity[name] = self.parts.apply_mask(value, np.zeros_like(value), velocity, mask)

    def _move_masks(self, task: Task, epoch: int, remaining: np.ndarray) -> None:
        policy: Any = self.config.policy_settings
        given = {"delta_k": self.config.delta_k, "p_inter": str(policy.p_inter), "p_intra": str(policy.p_intra)}
        kinds, targets = self.parts.tdm_actions(task.number, epoch, self.sparsity, **given)
        self.grad_masks = dict(self.masks)
        importance = self._importance(task, remaining) if 0 in kinds else {}
        for kind, target in zip(kinds, targets, strict=True):
            for name, mask in self.masks.items():
                active = int(self.parts.budget(mask.size, f"{target:.12g}"))
                if kind == 0:
                    moved = self.parts.shrink(mask, importance[name], active)
                else:
                    dead = np.flatnonzero(~mask)
                    joining = self.rng["mask"].choice(dead, size=active - np.count_nonzero(mask), replace=False)
                    moved = self.parts.grow(mask, active, joining)
                self.masks[name] = self.grad_masks[name] = moved
                self._clear(name, moved)

    def _importance(self, task: Task, remaining: np.ndarray) -> Arrays:
        """Equation 1, from the gradients on the first samples of the task and on the whole buffer."""
        policy: Any = self.config.policy_settings
        probed = remaining[: policy.importance_samples]
        now = self._probe(self.data.train_x[probed], self.data.train_y[probed], list(task.classes))
        memory = self.buffer.content()
        before = self._probe(memory.images, memory.labels, None)
        return {name: self.parts.cwi(self.state[name], now[name], before[name], **self._weights) for name in MASKED}

    @property
    def _weights(self) -> dict[str, float]:
        return {"alpha": self.config.importance_alpha, "beta": self.config.importance_beta}

    def _probe(self, images: np.ndarray, labels: np.ndarray, classes: Sequence[int] | None) -> Arrays:
        """Gradients of the mean loss over all images, in chunks of the batch size."""
        total = {name: np.zeros_like(self.state[name]) for name in MASKED}
        for begin in range(0, len(images), self.config.batch_size):
            part = slice(begin, begin + self.config.batch_size)
            logits, kept = self._forward(images[part], "probe")
            _, dlogits = self.parts.cross_entropy(logits, labels[part], classes)
            grads = backward(self.parts, self.state, dlogits, kept)
            for name in MASKED:
                total[name] += grads[name] * (len(logits) / len(images))
        return total

    # A step: DER++, the gradient mask, the update, the buffer.

    def _step(self, task: Task, step: int, index: np.ndarray) -> np.ndarray:
        """One update; returns which of the samples were classified correctly before it."""
        config = self.config
        if step % config.dgm_interval == 0:
            self.grad_masks = dict(self.masks)
        images, labels = self.data.train_x[index], self.data.train_y[index]
        dark, old = self.buffer.draws(config.effective_replay_batch_size, self.rng["replay"], times=2)
        logits, kept = self._forward(images, "train")
        none = np.zeros((0, logits.shape[1])), None
        dark_logits, dark_kept = self._forward(dark.images, "train") if len(dark.labels) else none
        old_logits, old_kept = self._forward(old.images, "train") if len(old.labels) else none
        method: Any = config.method_settings
        coefficients = {"alpha": method.alpha, "beta": method.beta}
        _, dlogits, ddark, dold = self.parts.derpp_loss(
            logits, labels, dark_logits, dark.logits, old_logits, old.labels, list(task.classes), **coefficients
        )
        current = backward(self.parts, self.state, dlogits, kept)
        replayed = {name: np.zeros_like(grad) for name, grad in current.items()}
        for dz, passed in ((ddark, dark_kept), (dold, old_kept)):
            if passed is not None:
                for name, grad in backward(self.parts, self.state, dz, passed).items():
                    replayed[name] = replayed[name] + grad
        if step % config.dgm_interval == 0:
            self._choose_gradients(current, replayed)
        self._update(current, replayed)
        self.buffer.present(images, labels, logits, self.rng["reservoir"])
        self.steps += 1
        self._foretell()
        return self.parts.correct(logits, labels)

    def _choose_gradients(self, current: Arrays, replayed: Arrays) -> None:
        q = None if self.config.dgm_q is None else str(self.config.dgm_q)
        masked = f"{float(self.parts.gradient_sparsity(self.sparsity, q)):.12g}"
        for name, mask in self.masks.items():
            importance = self.parts.cgi(current[name], replayed[name], **self._weights)
            self.grad_masks[name] = self.parts.gradient_mask(mask, importance, masked)

    def _update(self, current: Arrays, replayed: Arrays) -> None:
        rule = {name: getattr(self.config, name) for name in ("lr", "momentum", "nesterov", "weight_decay")}
        for name, grad in current.items():
            masks = {"mask": self.masks.get(name), "grad_mask": self.grad_masks.get(name)}
            self.state[name], self.velocity[name] = self.parts.sgd_step(
                self.state[name], grad + replayed[name], self.velocity[name], **masks, **rule
            )

    def _forward(self, images: np.ndarray, mode: str) -> tuple[np.ndarray, Any]:
        """Logits of images as the data set has them; every pass that a backward pass follows is counted."""
        if mode != "eval":
            shapes = {name: value.shape for name, value in self.state.items()}
            counts = {n: (np.count_nonzero(self.masks[n]), np.count_nonzero(self.grad_masks[n])) for n in MASKED}
            self.flops += train_flops(self.parts, shapes, images.shape[-1], len(images), counts)
        return forward(self.parts, self.state, self.data.normalise(images, np.dtype("float64")), mode)

    # After a stage: the data that leave.

    def _remove(self, task: Task, epoch: int, remaining: np.ndarray, stage: list[Any]) -> np.ndarray:
        config = self.config
        number = int(self.parts.completed_stage(epoch, config.epochs, config.delta_k, config.ddr_cutoff))
        if number < 0:
            return remaining
        positions, right = (np.concatenate(column) for column in zip(*stage, strict=True))
        counts = self.parts.misclassification_counts(len(remaining), positions, right)
        sizes = self.parts.ddr_sizes(len(task.train_index), str(config.ddr_rho), config.ddr_cutoff)
        return remaining[self.parts.ddr_keep(counts, int(sizes[number]))]

    # Measuring.

    def _accuracies(self) -> list[float]:
        """Class-IL accuracy on each task."""
        rows = []
        for task in self.stream.tasks:
            logits, _ = self._forward(self.data.test_x[task.test_index], "eval")
            rows.append(float(np.mean(self.parts.correct(logits, self.data.test_y[task.test_index]))))
        return rows

    def _foretell(self) -> None:
        """Say how long it will take if that is long, and which of one's own functions takes most of it."""
        if self.steps != FIRST_STEPS:
            return
        sizes = [len(task.train_index) for task in self.stream.training]
        every = self.config.epochs * sum(math.ceil(size / self.config.batch_size) for size in sizes)
        expected = (time.perf_counter() - self.start) / FIRST_STEPS * every
        mine = {name: part.seconds for name, part in self.parts.used().items() if part.own_calls}
        if expected > LONG and mine:
            slowest = max(mine, key=lambda name: mine[name])
            self.tell(f"this will take about {expected / 60:.0f} minutes; the slowest of yours is {slowest}")
