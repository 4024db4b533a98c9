"""A network under masks: what belongs to its weights, how TDM changes their masks, how DGM silences their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from . import dgm, importance, masks, models, optim, released
from .config import Config
from .tdm import Action

Growth = Mapping[str, np.ndarray] | Callable[[masks.Group, np.ndarray, int], np.ndarray]


class MaskedNetwork:
    """Parameters of a model with masks, gradient masks, velocities and the last gradients; all dicts by parameter name.

    Subclasses give it the time (`task`, `epoch`, `iteration`) and equation (1) (`cwi`).
    """

    def __init__(self, model: nn.Module, config: Config) -> None:
        self.model, self.config = model.to(config.dtype), config
        self.parameters: dict[str, nn.Parameter] = dict(model.named_parameters())
        names = config.sparsifiable or models.sparsifiable(model)
        self.shapes = {name: tuple(self.parameters[name].shape) for name in names} if config.sparse else {}
        self.masks = {name: torch.ones(shape, dtype=torch.bool) for name, shape in self.shapes.items()}
        self.gradient_masks = {name: mask.clone() for name, mask in self.masks.items()}
        self.frozen: dict[str, Tensor] = {}
        self.momentum = self._zeros()
        self.gradients = {part: self._zeros() for part in ("current", "replay", "total")}
        self.margins: list[dict] = []
        self.task = self.epoch = self.iteration = 0

    def _zeros(self) -> dict[str, Tensor]:
        return {name: torch.zeros_like(p, requires_grad=False) for name, p in self.parameters.items()}

    def initialise(
        self, weights: Mapping[str, np.ndarray], initial_masks: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Load a complete state dict of dense initial values and the first masks.

        `initial_masks` are a random decision of the paper profile: required there, of exactly the budgeted sizes. The
        released profile derives its own from the weights; masks given there must equal them.
        """
        c = self.config
        models.load_arrays(self.model, weights)
        given = {name: torch.tensor(np.asarray(m), dtype=torch.bool) for name, m in (initial_masks or {}).items()}
        if c.sparse and c.released:
            own = {name: released.initial_mask(self.parameters[name], c.sparsity) for name in self.shapes}
            if given and any(not torch.equal(given[name], own[name]) for name in own):
                raise ValueError("given initial masks differ from the released profile's own")
            given = own
            entries = {n: released.frozen_entries(p) for n, p in self.parameters.items() if n not in self.shapes}
            self.frozen = {name: mask for name, mask in entries.items() if mask is not None}
        if {name: tuple(mask.shape) for name, mask in given.items()} != self.shapes:
            raise ValueError(f"initial masks must be given for exactly {self.shapes}")
        if self.shapes and not c.released:
            for group, count in masks.budgets(self.shapes, c.sparsity, c.budgets).items():
                if (found := int(masks.flat(given, group).sum())) != count:
                    raise ValueError(f"initial mask of {group} has {found} active weights, expected {count}")
        self._set_masks(given)

    def cwi(self) -> dict[str, Tensor]:
        """Equation (1) for every sparsifiable weight, now."""
        raise NotImplementedError

    def living(self, name: str) -> Tensor | None:
        """Entries of a parameter that may be other than 0; None where all may."""
        return self.masks.get(name, self.frozen.get(name))

    def _set_masks(self, changed: Mapping[str, Tensor]) -> None:
        """Install masks and assign 0 to all that is dead: values, velocities, gradients."""
        self.masks |= changed
        for name, mask in {**changed, **self.frozen}.items():
            self.gradient_masks[name] = mask.clone()
        for name, parameter in self.parameters.items():
            for tensor in (parameter, self.momentum[name], *(part[name] for part in self.gradients.values())):
                optim.clear(tensor, self.living(name))

    def _record(self, event: str, layer: str, margin: masks.Margin) -> None:
        where = {"task": self.task, "epoch": self.epoch, "iteration": self.iteration}
        self.margins.append({"event": event, "layer": layer, "margin": margin, **where})

    # -- TDM ----------------------------------------------------------------------------------------------------------

    def _paper_update(self, actions: Sequence[Action], growth: Growth) -> None:
        for action in actions:
            values = self.cwi() if action.kind == "shrink" else None
            changed = {}
            for group, count in masks.budgets(self.shapes, action.target, self.config.budgets).items():
                living = masks.flat(self.masks, group)
                if values is None:
                    new = self._grown(living, group, count, growth)
                else:
                    new, margin = masks.shrink(masks.flat(values, group), living, count)
                    self._record("shrink", "+".join(group), margin)
                changed |= masks.unflat(new, self.shapes, group)
            self._set_masks(changed)

    def _released_update(self, actions: Sequence[Action], growth: Growth) -> None:
        for action in actions:
            for name in self.shapes:
                weight = self.parameters[name].detach()
                living = released.alive(weight)
                size = weight.abs().reshape(-1)
                self._record("alive", name, masks.margin(size, living.reshape(-1), ~living.reshape(-1)))
                if action.kind == "shrink":
                    living = self._released_shrink(name, living, float(action.target))
                else:
                    self._set_masks({name: living})  # what is 0 by value loses its state before it may be drawn again
                    count = int(living.sum()) + released.growth_count(weight, float(action.target))
                    new = self._grown(living.reshape(-1), (name,), count, growth)
                    living = new.reshape(living.shape)
                self._set_masks({name: living})

    def _released_shrink(self, name: str, living: Tensor, target: float) -> Tensor:
        gradient = self.gradients["total"][name]
        values = released.importance(self.parameters[name], gradient, self.config.importance_alpha)
        kept = released.above_threshold(values, target) & living
        self._record("shrink", name, masks.margin(*(t.reshape(-1) for t in (values, kept, living & ~kept))))
        return kept

    def _grown(self, living: Tensor, group: masks.Group, count: int, growth: Growth) -> Tensor:
        """Let `growth` name the weights of a group that join its flat mask until `count` live."""
        if callable(growth):
            candidates = torch.nonzero(~living).reshape(-1).numpy()
            places = np.asarray(growth(group, candidates, max(0, count - int(living.sum()))))
        else:
            places = self._places(growth, group)
        return masks.grow(living, torch.as_tensor(places, dtype=torch.int64), count)

    def _places(self, growth: Mapping[str, np.ndarray], group: masks.Group) -> np.ndarray:
        """Flat growth indices of a group's layers as places in their concatenation."""
        places, offset = [], 0
        for name in group:
            size = self.masks[name].numel()
            own = np.asarray(growth.get(name, ()), dtype=np.int64).reshape(-1)
            if len(own) and not (own.min() >= 0 and own.max() < size):
                raise ValueError(f"growth indices of {name} must lie in 0..{size - 1}")
            places.append(own + offset)
            offset += size
        return np.concatenate(places)

    # -- DGM ----------------------------------------------------------------------------------------------------------

    def _take_gradients(self, current: Mapping[str, Tensor], replay: Mapping[str, Tensor]) -> None:
        """Store the gradients of living weights, refresh the gradient masks when due, silence the total."""
        c = self.config
        for name in self.parameters:
            parts = {"current": current[name].clone(), "replay": replay[name].clone()}
            parts["total"] = current[name] + replay[name]
            for part, gradient in parts.items():
                optim.clear(gradient, self.living(name))
                self.gradients[part][name] = gradient
        if c.sparse and c.dgm and dgm.refresh_due(self.iteration, c.dgm_interval):
            self._refresh_gradient_masks()
        for name, mask in self.gradient_masks.items():
            optim.clear(self.gradients["total"][name], mask)

    def _refresh_gradient_masks(self) -> None:
        c = self.config
        counts = dgm.keep_counts(self.shapes, c.gradient_sparsity, c.budgets)
        for name, mask in {**self.masks, **self.frozen}.items():
            current, replay, total = (self.gradients[part][name] for part in ("current", "replay", "total"))
            if c.released:
                kept = released.gradient_mask(total, c.gradient_sparsity)
                margin = masks.margin(*(t.reshape(-1) for t in (total.abs(), kept, mask & ~kept)))
            else:
                values = importance.cgi(current, replay, alpha=c.importance_alpha, beta=c.importance_beta)
                kept, margin = dgm.gradient_mask(values, mask, counts[name])
            self.gradient_masks[name] = kept
            self._record("gradient_mask", name, margin)
