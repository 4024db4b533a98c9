"""Multiply-adds of training, per layer and phase: the formulas and the table.

The `exact` convention: a living weight costs one multiply-add per output position and sample in the forward pass,
positions on the padding included; as many for the gradient of the input (dX), except where no one needs it; and a
weight whose gradient is formed costs as many for the gradient of the weight (dW). Batch-norm, ReLU, pooling, biases and
the loss are not counted. One multiply-add is 2 FLOPs.

Why dX and dW cost what the forward pass costs: each of

    y[o, p] += w[o, i, k] x[i, p s + k]
    dx[i, p s + k] += w[o, i, k] dy[o, p]
    dw[o, i, k] += dy[o, p] x[i, p s + k]

touches every pair of weight and output position once.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from sparcl_ref.cost.spec import LayerSpec

FLOPS_PER_MAC = 2
#: Kinds of passes that tables name first; a method may have further ones of its own.
PASSES = ("current", "replay", "probe")
DIRECTIONS = ("forward", "dx", "dw")
#: "forward_current", "dx_current", ..., "dw_probe"; the order of tables.
PHASES = tuple(f"{direction}_{kind}" for kind in PASSES for direction in DIRECTIONS)
#: Work outside convolutions and linear layers that a sparse engine also has; listed beside the totals, not in them.
OVERHEADS = ("optimizer", "mask_updates")
#: Equations 1 and 3 over sparsifiable weights have two terms with a coefficient for each living one.
MACS_PER_SCORE = 2


class PassMacs(NamedTuple):
    """Multiply-adds of one forward and backward pass through one layer."""

    forward: int
    dx: int
    dw: int


def pass_macs(layer: LayerSpec, *, active: int | None = None, grad_active: int | None = None) -> PassMacs:
    """Multiply-adds of one layer for one forward and backward pass of one sample.

    ``active`` weights live, by default all; of ``grad_active`` the gradient is formed, by default of the living. It may
    be formed of dead ones, which is how some policies choose what grows.

    Raises
    ------
    ValueError
        Unless both lie in 0..number of weights.
    """
    active = layer.weights if active is None else active
    grad_active = active if grad_active is None else grad_active
    if not (0 <= grad_active <= layer.weights and 0 <= active <= layer.weights):
        raise ValueError(
            f"{layer.name}: expected living weights and weights with gradient in 0..{layer.weights}, "
            f"got {active} and {grad_active}"
        )
    visits, (forward, dx) = layer.positions, layer.products
    return PassMacs(
        forward=active * visits + forward, dx=active * visits + dx if layer.needs_dx else 0, dw=grad_active * visits
    )


def of_head(per_sample: Mapping[str, PassMacs]) -> dict[str, PassMacs]:
    """What the last layer alone costs, on features that are known: nobody needs the gradient of its input."""
    return {name: one._replace(dx=0) for name, one in [*per_sample.items()][-1:]}


class MacTable:
    """Multiply-adds by phase and layer; what is predicted and what is recorded have this one form.

    Attributes
    ----------
    macs : dict of str to dict of str to int
        Phase, such as "forward_current", to layer to multiply-adds.
    overhead_macs : dict of str to int
    unknown : str
        Why multiply-adds are not known, if so: totals are None then.
    """

    def __init__(self, *, unknown: str = ""):
        self.macs: dict[str, dict[str, int]] = {phase: {} for phase in PHASES}
        self.overhead_macs: dict[str, int] = dict.fromkeys(OVERHEADS, 0)
        self.unknown = unknown

    def add_pass(self, kind: str, per_sample: Mapping[str, PassMacs], samples: int, *, backward: bool = True) -> None:
        """Add a pass of ``samples`` samples, given what each layer costs for one; only its forward half if told so.

        The kind is one of `PASSES`, or a method's own, such as "fisher": it gets rows of its own after theirs.

        Raises
        ------
        ValueError
            If ``kind`` is no word, or there are fewer than 0 samples.
        TypeError
            If the samples are no whole number.
        """
        if not kind.isidentifier():
            raise ValueError(f"a pass must be named by one word, such as {', '.join(PASSES)} or fisher, got {kind!r}")
        samples = operator.index(samples)  # NumPy's would overflow in the sums
        if samples < 0:
            raise ValueError(f"a pass must have at least 0 samples, got {samples}")
        if samples == 0:
            return
        rows = [self.macs.setdefault(f"{direction}_{kind}", {}) for direction in DIRECTIONS]
        for name, one in per_sample.items():
            for row, macs in zip(rows, one if backward else (one.forward, 0, 0), strict=True):
                row[name] = row.get(name, 0) + samples * macs

    @property
    def train_macs(self) -> int | None:
        """All phases and layers together; None if unknown."""
        return None if self.unknown else sum(self.phase_macs().values())

    @property
    def train_flops(self) -> int | None:
        """`train_macs`, two operations each; None if unknown."""
        return None if self.train_macs is None else FLOPS_PER_MAC * self.train_macs

    def phase_macs(self) -> dict[str, int]:
        """Phase to multiply-adds of all layers; empty if unknown."""
        return {} if self.unknown else {phase: sum(row.values()) for phase, row in self.macs.items()}

    def layer_macs(self) -> dict[str, int]:
        """Layer to multiply-adds of all phases."""
        totals = Counter[str]()
        for row in self.macs.values():
            totals.update(row)
        return dict(totals)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MacTable):
            return NotImplemented
        return self.state() == other.state()

    def state(self) -> dict[str, Any]:
        """Plain JSON values, sharing nothing with the table; what costs nothing is left out."""
        macs = {phase: {name: count for name, count in row.items() if count} for phase, row in self.macs.items()}
        why = {"unknown": self.unknown} if self.unknown else {}
        return {"macs": macs, "overhead_macs": dict(self.overhead_macs), **why}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.macs = {phase: dict(row) for phase, row in state["macs"].items()}
        self.overhead_macs = {name: state["overhead_macs"][name] for name in OVERHEADS}
        self.unknown = state.get("unknown", "")


class UpdateRule(NamedTuple):
    """Multiply-adds of an optimiser's step per weight: for each living one, and for each with a gradient."""

    per_active: int
    per_grad_active: int

    def macs(self, active: int, grad_active: int) -> int:
        """Of one step for that many living weights, and weights with a gradient."""
        return self.per_active * active + self.per_grad_active * grad_active


def update_rule(*, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> UpdateRule:
    """What SGD costs per weight.

    w - lr v is one multiply-add, momentum's m v + g another, Nesterov's g + m v a third, weight decay's g + c w one.
    With momentum or weight decay every living weight moves in each step; without them only those with a gradient.
    """
    extras = int(momentum != 0) + int(nesterov) + int(weight_decay != 0)
    return UpdateRule(1 + extras, 0) if extras else UpdateRule(0, 1)
