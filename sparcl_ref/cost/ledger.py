"""The multiply-adds of a run, recorded as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sparcl_ref.cost.describe import describe
from sparcl_ref.cost.flops import MACS_PER_SCORE, MacTable, PassMacs, of_head, pass_macs, update_rule
from sparcl_ref.cost.spec import LayerSpec

if TYPE_CHECKING:
    from sparcl_ref.layers import Parameter
    from sparcl_ref.models import Network


class FlopLedger:
    """Records the `exact` cost of a run from its masks and gradient masks, pass by pass.

    Parameters
    ----------
    momentum, nesterov, weight_decay
        As the optimiser's; they decide what an update costs.

    Attributes
    ----------
    table : MacTable
    """

    def __init__(self, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0):
        self.table = MacTable()
        self._rule = update_rule(momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        self._model: Network | None = None
        self._layers: tuple[LayerSpec, ...] = ()
        self._parameters: list[Parameter] = []
        self._versions: list[int] = []
        self._per_sample: dict[str, PassMacs] = {}

    def record_pass(
        self, kind: str, samples: int, model: Network, *, backward: bool = True, head: bool = False
    ) -> None:
        """One forward pass, and a backward pass unless told otherwise, with the masks as they are now.

        With ``head`` of the classifier alone, see `of_head`.

        Raises
        ------
        ValueError
            If the kind, "current", "replay", "probe" or a method's own, is no word.
        """
        self._look_at(model)
        per_sample = of_head(self._per_sample) if head else self._per_sample
        self.table.add_pass(kind, per_sample, samples, backward=backward)

    def record_update(self, parameters: Iterable[Parameter]) -> None:
        """One step of the optimiser over these, with the masks as they are now."""
        macs = (self._rule.macs(parameter.active, parameter.grad_active) for parameter in parameters)
        self.table.overhead_macs["optimizer"] += sum(macs)

    def record_scores(self, model: Network) -> None:
        """One computation of equation 1 or 3: two multiply-adds for every living sparsifiable weight."""
        alive = sum(parameter.active for parameter in model.sparsifiable())
        self.table.overhead_macs["mask_updates"] += MACS_PER_SCORE * alive

    @property
    def train_flops(self) -> int | None:
        """FLOPs so far, two per multiply-add; None if a layer does not say its own."""
        return self.table.train_flops

    def state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.table.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.table.load_state(state)

    def _look_at(self, model: Network) -> None:
        """Count living weights again only after a mask has changed: that takes milliseconds, all else microseconds."""
        if model is not self._model:
            spec = describe(model)
            self._model, self._parameters, self._versions = model, model.parameters(), []
            self._layers, self.table.unknown = spec.layers, spec.unknown
        versions = [parameter.version for parameter in self._parameters]
        if versions == self._versions:
            return
        self._versions = versions
        counts = {parameter.name: (parameter.active, parameter.grad_active) for parameter in self._parameters}
        self._per_sample = {}
        for layer in self._layers:
            active, grad_active = counts.get(layer.parameter, (0, 0))
            self._per_sample[layer.name] = pass_macs(layer, active=active, grad_active=grad_active)
