"""One run under the ways of counting that are easily mixed up, and how they relate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparcl_ref.config import Config
from sparcl_ref.cost import paper
from sparcl_ref.cost.flops import FLOPS_PER_MAC, pass_macs
from sparcl_ref.cost.predict import Prediction, pass_costs, predict
from sparcl_ref.cost.spec import ModelSpec


@dataclass(frozen=True)
class Convention:
    """A number, what it counts, and its relation to the numbers before it.

    Attributes
    ----------
    name : str
    value : int, float or None
        None if a layer does not say what it costs; nothing else is said then.
    unit : str
        "MAC" or "FLOP".
    per : str
        "sample" (one training sample, one forward and backward pass unless it says forward) or "run".
    relation : str
    holds : bool
        Whether the relation is true of these numbers; they are counted separately, not derived from it.
    """

    name: str
    value: float | None
    unit: str
    per: str
    relation: str
    holds: bool

    @property
    def value_text(self) -> str:
        """The value as tables show it."""
        return "unknown" if self.value is None else f"{self.value:,.0f}"


def pytorch_counter_flops(spec: ModelSpec) -> int:
    """What `torch.utils.flop_counter.FlopCounterMode` reports for a dense forward and backward pass of one sample.

    It counts 2 per multiply-add, leaves out the first layer's input gradient, which autograd does not form, and takes
    the weight gradient of a convolution with g groups for g times what it is.
    """
    passes = ((pass_macs(layer), layer.groups) for layer in spec.layers)
    return FLOPS_PER_MAC * sum(macs.forward + macs.dx + macs.dw * groups for macs, groups in passes)


def rigl_flops(dense_flops: float, sparse_flops: float, interval: int) -> float:
    """Training FLOPs per sample in RigL's accounting (Evci et al. 2020, appendix on training FLOPs).

    Backward is twice forward; every ``interval + 1``-th step forms the weight gradient densely, to choose what grows:
    (3 f_S interval + 2 f_S + f_D) / (interval + 1), where f_D and f_S are one forward pass.
    """
    return (3 * sparse_flops * interval + 2 * sparse_flops + dense_flops) / (interval + 1)


def conventions(spec: ModelSpec, config: Config, task_sizes: Sequence[int]) -> list[Convention]:
    """Count one run in every way."""
    if spec.unknown:
        return [Convention("forward MACs", None, "MAC", "sample", spec.unknown, True)]
    prediction = predict(spec, config, task_sizes)
    rows = _of_dense_sample(spec)
    if config.sparse:
        rows += _of_sparse_sample(spec, config, prediction)
    return rows + _of_run(spec, config, task_sizes, prediction)


def _flops(name: str, value: float, relation: str, holds: bool, *, per: str = "sample") -> Convention:
    return Convention(name, value, "FLOP", per, relation, holds)


def _of_dense_sample(spec: ModelSpec) -> list[Convention]:
    macs = sum(layer.forward_macs for layer in spec.layers)
    flops = FLOPS_PER_MAC * sum(pass_macs(layer).forward for layer in spec.layers)
    twice = FLOPS_PER_MAC * sum(sum(pass_macs(dataclasses.replace(layer, needs_dx=True))) for layer in spec.layers)
    counter = pytorch_counter_flops(spec)
    first = sum(FLOPS_PER_MAC * layer.forward_macs for layer in spec.layers if not layer.needs_dx)
    grouped = sum(FLOPS_PER_MAC * (layer.groups - 1) * layer.forward_macs for layer in spec.layers)
    less = "the rule less dX of the first layer" + (" and more dW of grouped convolutions" if grouped else "")
    return [
        Convention("forward MACs", macs, "MAC", "sample", "one per weight and output position", macs > 0),
        _flops("forward FLOPs", flops, "2 x forward MACs", flops == 2 * macs),
        _flops("backward = 2 x forward", twice, "the rule: 3 x forward FLOPs", twice == 3 * flops),
        _flops("PyTorch's counter", counter, less, counter == twice - first + grouped),
    ]


def _of_sparse_sample(spec: ModelSpec, config: Config, prediction: Prediction) -> list[Convention]:
    first_epoch = prediction.epochs[0]
    passes = pass_costs(spec, first_epoch.counts).values()
    dense, sparse = (FLOPS_PER_MAC * sum(one.forward for one in each) for each in (map(pass_macs, spec.layers), passes))
    policy = config.policy_class
    interval = getattr(config.policy_settings, "delta_t", max(1, config.delta_k * first_epoch.steps))
    rigl = rigl_flops(dense, sparse, interval)
    excess = (dense - sparse) / (interval + 1)
    exact = FLOPS_PER_MAC * sum(map(sum, passes))
    static = "the rule with the living weights' forward pass"
    needless = "" if policy.spends == "growth" else f" ({policy.heads} does not grow by it and needs none)"
    grown = f"static, and one dense dW in {interval + 1} steps{needless}"
    less = "static less the first dX and the masked part of dW"
    return [
        _flops("sparse, static", 3 * sparse, static, 3 * sparse <= 3 * dense),
        _flops("sparse, RigL's accounting", rigl, grown, math.isclose(rigl, 3 * sparse + excess)),
        _flops("sparse, exact", exact, less, exact <= 3 * sparse),
    ]


def _of_run(spec: ModelSpec, config: Config, task_sizes: Sequence[int], prediction: Prediction) -> list[Convention]:
    samples, exact = prediction.pass_samples, prediction.train_flops
    dense = samples * FLOPS_PER_MAC * sum(sum(pass_macs(layer)) for layer in spec.layers)
    published = paper.train_flops(spec, config, task_sizes)
    dense_published = paper.train_flops(spec, dataclasses.replace(config, sparsity=None), task_sizes)
    if exact is None or published is None or dense_published is None:
        return []
    compared = "less than" if config.sparse else "equal to"
    counted = "PyTorch's counter x" if all(layer.groups == 1 for layer in spec.layers) else "dense cost of"
    all_passes = f"{compared} {counted} {samples:,} samples of all passes: {dense:,}"
    batches = "forward of all batches, backward of one" + (f"; dense {dense_published:,}" if config.sparse else "")
    return [
        _flops("run, exact", exact, all_passes, exact <= dense if config.sparse else exact == dense, per="run"),
        _flops("run, paper", published, batches, published <= dense_published, per="run"),
    ]
