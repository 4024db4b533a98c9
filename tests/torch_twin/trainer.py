"""The method, event by event: initialise, begin_task, begin_epoch, step, end_epoch.

Every random decision is an argument; every other decision is the twin's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from . import importance, optim, released, state, tdm
from .buffer import Buffer
from .config import Config
from .losses import cross_entropy
from .masks import Margin
from .network import Growth, MaskedNetwork
from .removal import Removal
from .step import Replayed, observe


class Twin(MaskedNetwork):
    """SparCL (or a plain method) that runs on fed decisions.

    Parameters
    ----------
    model
        An nn.Module of `models`; it is converted to `config.dtype`.
    config
        Settings.
    normalise
        Maps raw images, as in the data set and the buffer, to network inputs (NumPy to NumPy). Default: unchanged.

    Attributes
    ----------
    masks : dict of bool tensors, for the sparsifiable weights
    gradient_masks : dict of bool tensors, for these and whatever is in `frozen`
    frozen : dict of bool tensors, False where released rule 8 holds an entry at 0
    momentum : dict of tensors, for every parameter
    gradients : {"current", "replay", "total"} -> dict of tensors
        Of the last step. "current" and "replay" are autograd's gradients at living weights, 0 at dead ones; "total" is
        what the optimiser used: their sum, and 0 where the gradient mask is closed.
    buffer : Buffer
    removal : Removal
        Remaining samples and counts.
    task, epoch, iteration : int
    margins : list of dict
        One record per selection: event ("shrink", "gradient_mask", "ddr", "alive", "argmax"), layer, margin, task,
        epoch, iteration. "alive" is the smallest non-zero |w| against 0 (released rule 5), "argmax" the two largest
        logits of the least clear sample of a batch (what the counts of DDR hang on).
    log : list of (task, epoch, list of Action)
    """

    def __init__(
        self, model: nn.Module, config: Config, *, normalise: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> None:
        super().__init__(model, config)
        self.normalise = normalise or (lambda raw: raw)
        self.buffer = Buffer(config.capacity)
        self.removal = Removal(config)
        self.images = self.labels = np.empty(0)
        self.classes: tuple[int, ...] = ()
        self.log: list[tuple[int, int, list[tdm.Action]]] = []

    @property
    def remaining(self) -> np.ndarray:
        """Original indices of the task's samples still trained on, ascending."""
        return self.removal.remaining

    @property
    def misclassified(self) -> np.ndarray:
        """Times each sample of the task was misclassified in this stage."""
        return self.removal.misclassified

    def begin_task(self, task: int, images: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> None:
        """Start task `task` (from 1) on raw images (n, C, H, W), labels (n,) and its classes."""
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images with {len(labels)} labels")
        self.task, self.epoch, self.iteration = task, 0, 0
        self.images, self.labels = np.asarray(images), np.asarray(labels, dtype=np.int64)
        self.classes = tuple(int(c) for c in classes)
        self.removal.begin(len(self.labels))

    def begin_epoch(self, task: int, epoch: int, growth: Growth | None = None) -> list[tdm.Action]:
        """Take the mask actions due before epoch `epoch` (from 1) and return them.

        `growth` holds the flat indices that join, by layer. Indices of another number than the rules ask for, of living
        weights, of unknown layers or for an epoch without expansion are a ValueError. A function may name them instead:
        growth(group, candidates, count) returns `count` of the candidates, the inactive places in the concatenation of
        the group's flat layers.
        """
        if (task, epoch) != (self.task, self.epoch + 1):
            raise RuntimeError(f"task {task}, epoch {epoch} cannot follow task {self.task}, epoch {self.epoch}")
        actions, growth = self._actions_due(epoch), growth or {}
        expands = any(action.kind == "expand" for action in actions)
        if not callable(growth) and not set(growth) <= (set(self.shapes) if expands else set()):
            raise ValueError(f"growth for {sorted(growth)} given; expansion is {'' if expands else 'not '}due here")
        self.epoch, self.iteration = epoch, 0
        update = self._released_update if self.config.released else self._paper_update
        update(actions, growth)
        self.log.append((task, epoch, actions))
        if self.config.released and epoch > 1:
            self._remove_data(epoch - 1)
        return actions

    def batches(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut a permutation of `remaining` into the epoch's batches; the released profile skips a partial last one."""
        order, size = np.asarray(order), self.config.batch_size
        if not np.array_equal(np.sort(order), self.remaining):
            raise ValueError("the order must be a permutation of the remaining original indices")
        if self.config.released:
            return released.full_batches(order, size)
        return [order[k : k + size] for k in range(0, len(order), size)]

    def step(
        self,
        batch: np.ndarray,
        draws: Sequence[np.ndarray] = (),
        reservoir_draws: np.ndarray | None = None,
        *,
        inputs: np.ndarray | None = None,
        replay_inputs: Sequence[np.ndarray] | None = None,
    ) -> dict[str, float]:
        """Train on one batch; return the losses ("current", "replay_mse", "replay_ce" unweighted, "total" weighted).

        Parameters
        ----------
        batch : (N,) original indices within the task
        draws : one (ER, DER) or two (DER++) arrays of buffer slots, B' then B''; empty exactly when nothing is replayed
        reservoir_draws : (N,) j of each presented sample, needed when there is a buffer
        inputs, replay_inputs : network inputs of the batch, of each draw, in place of the normalised raw images
        """
        batch, c = np.asarray(batch), self.config
        self._check_step(batch, draws, reservoir_draws)
        raw, labels = self.images[batch], self.labels[batch]
        replayed = []
        for k, draw in enumerate(draws):
            x = self._inputs(self.buffer.images[draw], None if replay_inputs is None else replay_inputs[k])
            stored = self._tensor(self.buffer.logits[draw])
            replayed.append(Replayed(x, torch.as_tensor(self.buffer.labels[draw]), stored))
        x = self._inputs(raw, inputs)
        seen = observe(self.model, c, x, torch.as_tensor(labels), self.classes, replayed)
        self._take_gradients(seen.current, seen.replay)
        settings = {"lr": c.lr, "momentum": c.momentum, "nesterov": c.nesterov, "weight_decay": c.weight_decay}
        for name, parameter in self.parameters.items():
            velocity = self.momentum[name]
            optim.sgd_step(parameter, self.gradients["total"][name], velocity, self.living(name), **settings)
        logits = seen.logits.numpy()
        if c.capacity:
            self.buffer.add(raw, labels, logits, self.task, np.asarray(reservoir_draws))
        self.removal.count(batch, logits.argmax(axis=1) == labels)
        self._record("argmax", "", argmax_margin(logits))
        self.iteration += 1
        return seen.losses

    def end_epoch(self) -> None:
        """Close the epoch. DDR removes data here under `paper`, after the next mask action under `released`."""
        if not self.config.released:
            self._remove_data(self.epoch)

    def state(self) -> dict:
        """Complete state as NumPy arrays; the module `state` lists its parts."""
        return state.get_state(self)

    def load(self, given: dict) -> None:
        """Take over a state of that layout, or parts of it. The task's data stay those of `begin_task`."""
        state.set_state(self, given)

    def cwi(self) -> dict[str, Tensor]:
        """Equation (1) for every sparsifiable weight, from fresh probes of the task and of the buffer."""
        c, names, filled = self.config, list(self.shapes), len(self.buffer)
        first = self.remaining[: c.importance_samples]
        x, y = self._inputs(self.images[first]), torch.as_tensor(self.labels[first])
        current = importance.probe_gradients(
            self.model, names, x, y, chunk=c.batch_size, loss=lambda z, t: cross_entropy(z, t, self.classes)
        )
        replay = {name: torch.zeros_like(gradient) for name, gradient in current.items()}
        if filled:
            x = self._inputs(self.buffer.images[:filled])
            y = torch.as_tensor(self.buffer.labels[:filled])
            replay = importance.probe_gradients(self.model, names, x, y, chunk=c.batch_size, loss=cross_entropy)
        coefficients = {"alpha": c.importance_alpha, "beta": c.importance_beta}
        return {n: importance.cwi(self.parameters[n].detach(), current[n], replay[n], **coefficients) for n in names}

    def _actions_due(self, epoch: int) -> list[tdm.Action]:
        c = self.config
        if not (c.sparse and c.tdm):
            return []
        common = {"delta_k": c.delta_k, "sparsity": c.sparsity, "p_inter": c.p_inter, "p_intra": c.p_intra}
        if c.released:
            return released.mask_actions(epoch - 1, epochs=c.epochs, **common)
        return tdm.actions(self.task, epoch, **common)

    def _remove_data(self, epoch: int) -> None:
        margin = self.removal.close(epoch)
        if margin is not None:
            self._record("ddr", "", margin)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array)).to(self.config.dtype)

    def _inputs(self, raw: np.ndarray, given: np.ndarray | None = None) -> Tensor:
        return self._tensor(self.normalise(raw) if given is None else given)

    def _check_step(self, batch: np.ndarray, draws: Sequence[np.ndarray], reservoir: np.ndarray | None) -> None:
        c, filled = self.config, len(self.buffer)
        if self.epoch == 0:
            raise RuntimeError("step before begin_epoch")
        if not np.isin(batch, self.remaining).all() or len(np.unique(batch)) != len(batch):
            raise ValueError("batch must hold distinct remaining samples")
        if c.released and len(batch) != c.batch_size:
            raise ValueError(f"the released profile trains on whole batches of {c.batch_size}, not on {len(batch)}")
        replays = released.replays(self.task, filled) if c.released else filled > 0
        sizes = [min(c.replay_batch_size, filled)] * c.draws if replays else []
        if [len(np.unique(draw)) for draw in draws] != sizes or [len(draw) for draw in draws] != sizes:
            raise ValueError(f"draws of distinct slots, sizes {sizes}, are due; given {[len(draw) for draw in draws]}")
        if any(np.min(draw) < 0 or np.max(draw) >= filled for draw in draws):
            raise ValueError(f"draws must name slots 0..{filled - 1}")
        if c.capacity and (reservoir is None or len(reservoir) != len(batch)):
            raise ValueError(f"{len(batch)} reservoir draws are due, one per presented sample")


def argmax_margin(logits: np.ndarray) -> Margin:
    """Margin between the two largest logits of the least clear sample."""
    ordered = np.sort(logits, axis=1)
    first, second = ordered[:, -1], ordered[:, -2]
    worst = int((first - second).argmin())
    return Margin(float(first[worst]), float(second[worst]), float(np.abs(logits).max()))
