"""SparCL as a regime around any method: TDM before an epoch, DGM between backward and update, DDR after a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sparcl_ref.config import Config
from sparcl_ref.layers import Parameter
from sparcl_ref.masks import budgets, exact, grow, random_mask, shrink
from sparcl_ref.methods import Observation
from sparcl_ref.models import Network
from sparcl_ref.sparcl.ddr import completed_stage, ddr_keep, ddr_sizes
from sparcl_ref.sparcl.dgm import gradient_mask, gradient_sparsity, is_refresh
from sparcl_ref.sparcl.importance import cgi, cwi
from sparcl_ref.sparcl.tdm import tdm_actions

#: Gives, for a list of parameters, the probe gradients on the current task and on the buffer.
Probe = Callable[[list[Parameter]], tuple[list[np.ndarray], list[np.ndarray]]]


@dataclass(frozen=True)
class MaskChange:
    """One action on the mask: what kind, to which sparsity, and the flat indices that left or joined, per parameter."""

    kind: str
    sparsity: Fraction
    indices: dict[str, np.ndarray]

    @property
    def count(self) -> int:
        """Number of weights that left or joined."""
        return sum(len(flat) for flat in self.indices.values())


class SparCL:
    """Holds what the rules need remembered (misclassification counts) and applies them to the model.

    The masks themselves belong to the parameters.

    Parameters
    ----------
    model : Network
    config : Config
        With a sparsity; each of ``tdm``, ``ddr`` and ``dgm`` can be off.
    rng : numpy.random.Generator
        The stream named "mask".
    """

    def __init__(self, model: Network, config: Config, *, rng: np.random.Generator):
        self.model = model
        self.config = config
        self.rng = rng
        self.parameters = model.sparsifiable()
        self._counts = np.zeros(0, dtype=np.int64)
        for group, active in zip(self._groups(), self._budgets(exact(config.sparsity)), strict=True):
            size = sum(parameter.value.size for parameter in group)
            self._set_group(group, random_mask((size,), active, rng))

    # --- TDM: before an epoch

    def before_epoch(self, task: int, epoch: int, probe: Probe) -> list[MaskChange]:
        """Lift the gradient masks and take the mask actions of Algorithm 1.

        Parameters
        ----------
        task, epoch : int
            From 1.
        probe : callable
            Called once if an action needs gradients, before any mask changes.

        Returns
        -------
        list of MaskChange
            In the order taken; empty if TDM is off.
        """
        for parameter in self.parameters:
            parameter.set_grad_mask(None)
        if not self.config.tdm:
            return []
        config = self.config
        actions = tdm_actions(
            task,
            epoch,
            sparsity=config.sparsity,
            delta_k=config.delta_k,
            p_inter=config.p_inter,
            p_intra=config.p_intra,
        )
        return [
            self._shrink(action.sparsity, probe) if action.kind == "shrink" else self._expand(action.sparsity)
            for action in actions
        ]

    def importance(self, probe: Probe) -> list[np.ndarray]:
        """The score by which weights are kept, one array per sparsifiable parameter.

        "cwi" is equation 1; "negated_cwi", "magnitude" and "random" are there to find out what it is worth.
        """
        kind = self.config.importance
        if kind == "magnitude":
            return [np.abs(parameter.value) for parameter in self.parameters]
        if kind == "random":
            return [self.rng.random(parameter.value.shape) for parameter in self.parameters]
        alpha, beta = self.config.importance_alpha, self.config.importance_beta
        scores = [
            cwi(parameter.value, current, memory, alpha=alpha, beta=beta)
            for parameter, current, memory in zip(self.parameters, *probe(self.parameters), strict=True)
        ]
        return [-score for score in scores] if kind == "negated_cwi" else scores

    def _shrink(self, sparsity: Fraction, probe: Probe) -> MaskChange:
        scores = dict(zip(map(id, self.parameters), self.importance(probe), strict=True))
        left: dict[str, np.ndarray] = {}
        for group, active in zip(self._groups(), self._budgets(sparsity), strict=True):
            score = np.concatenate([scores[id(parameter)].reshape(-1) for parameter in group])
            left |= self._set_group(group, shrink(_joined_mask(group), score, active))
        return MaskChange("shrink", sparsity, left)

    def _expand(self, sparsity: Fraction) -> MaskChange:
        joined: dict[str, np.ndarray] = {}
        for group, active in zip(self._groups(), self._budgets(sparsity), strict=True):
            joined |= self._set_group(group, grow(_joined_mask(group), active, self.rng))
        return MaskChange("expand", sparsity, joined)

    def _groups(self) -> list[list[Parameter]]:
        """Parameters that share a budget: each alone, or all together for "global"."""
        if self.config.budgets == "global":
            return [self.parameters]
        return [[parameter] for parameter in self.parameters]

    def _budgets(self, sparsity: Fraction) -> list[int]:
        return budgets([parameter.value.shape for parameter in self.parameters], sparsity, self.config.budgets)

    def _set_group(self, group: list[Parameter], flat: np.ndarray) -> dict[str, np.ndarray]:
        """Split a joined flat mask over its parameters; returns the flat indices that changed, by name."""
        changed = {}
        ends = np.cumsum([parameter.value.size for parameter in group])
        for parameter, part in zip(group, np.split(flat, ends[:-1]), strict=True):
            before = _joined_mask([parameter])
            parameter.set_mask(part.reshape(parameter.value.shape))
            changed[parameter.name] = np.flatnonzero(before != part)
        return changed

    # --- DGM: around a step

    def before_step(self, iteration: int) -> None:
        """Lift the gradient masks where they will be chosen anew from this step's gradients.

        Parameters
        ----------
        iteration : int
            Step within the epoch, from 0.
        """
        if self.config.dgm and is_refresh(iteration, self.config.dgm_interval):
            for parameter in self.parameters:
                parameter.set_grad_mask(None)

    def after_backward(self, iteration: int, step: Observation) -> None:
        """Choose the gradient masks at a refresh, and silence the gradients outside them.

        Parameters
        ----------
        iteration : int
            Step within the epoch, from 0.
        step : Observation
            Its current part is the gradient of CE~ as trained, its replay part the whole replay term.
        """
        if not self.config.dgm or not is_refresh(iteration, self.config.dgm_interval):
            return
        masked = gradient_sparsity(self.config.sparsity, self.config.dgm_q)
        for index, parameter in enumerate(self.model.parameters()):
            if not parameter.sparsifiable:
                continue
            current = step.current_grads[index]
            replay = np.zeros_like(current) if step.replay_grads is None else step.replay_grads[index]
            score = cgi(current, replay, alpha=self.config.importance_alpha, beta=self.config.importance_beta)
            parameter.set_grad_mask(gradient_mask(parameter.mask, score, masked))
            parameter.grad[~parameter.grad_mask] = 0.0

    # --- DDR: counting during a stage, removal after it

    def begin_task(self, samples: int) -> None:
        """Start counting for a task of that many samples."""
        self._counts = np.zeros(samples, dtype=np.int64)

    def count(self, remaining: np.ndarray, indices: np.ndarray, correct: np.ndarray) -> None:
        """Note which samples of a step were misclassified.

        Parameters
        ----------
        remaining : ndarray of int
            Ascending indices of the task's remaining samples.
        indices : ndarray of int, shape (N,)
            The step's samples, a subset of ``remaining``.
        correct : ndarray of bool, shape (N,)
            Argmax over the whole head, before the update.
        """
        np.add.at(self._counts, np.searchsorted(remaining, indices), ~correct)

    @property
    def counts(self) -> np.ndarray:
        """Misclassifications in this stage, in the order of the remaining indices; a copy."""
        return self._counts.copy()

    def after_epoch(self, epoch: int, remaining: np.ndarray, samples: int) -> np.ndarray:
        """Remove the best-learned samples if a stage is complete; counts start anew with each stage.

        Parameters
        ----------
        epoch : int
            The one just trained, from 1.
        remaining : ndarray of int
            Ascending indices.
        samples : int
            Size of the task before any removal.

        Returns
        -------
        ndarray of int
            The indices that remain.
        """
        config = self.config
        cutoff = config.ddr_cutoff
        stage = completed_stage(epoch, epochs=config.epochs, delta_k=config.delta_k, cutoff=cutoff)
        if config.ddr and stage is not None:
            keep = ddr_sizes(samples, rho=config.ddr_rho, cutoff=cutoff)[stage]
            remaining = remaining[ddr_keep(self._counts, keep)]
        if epoch % config.delta_k == 0:
            self._counts = np.zeros(len(remaining), dtype=np.int64)
        return remaining

    def state(self) -> dict[str, Any]:
        """The counts; masks are in the model's state, the generator in the run's."""
        return {"counts": self._counts.copy()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self._counts = np.array(state["counts"], dtype=np.int64)


def _joined_mask(group: list[Parameter]) -> np.ndarray:
    """The masks of a group as one flat array; a parameter without a mask lives everywhere."""
    masks = [np.ones(p.value.size, dtype=bool) if p.mask is None else p.mask.reshape(-1) for p in group]
    return np.concatenate(masks)
