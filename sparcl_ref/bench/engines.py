"""Our side of a training step: resnet18 under random masks of exact budgets, in any engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparcl_ref.assembly import with_engine
from sparcl_ref.bench.workload import ALPHA, BETA, CLASSES, IMAGE, LEARNING_RATE, StepData
from sparcl_ref.cost import FlopLedger
from sparcl_ref.masks import budget, random_mask
from sparcl_ref.methods import Batch, DERpp
from sparcl_ref.models import Network, build_model
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.sparcl.dgm import gradient_sparsity


def sparse_resnet18(width: int, *, sparsity: float = 0.0, masked_gradients: bool = False) -> Network:
    """A network whose sparsifiable weights have random masks, and gradient masks of DGM's size if asked for."""
    rng = np.random.default_rng(0)
    network = build_model("resnet18", input_shape=(3, IMAGE, IMAGE), classes=CLASSES, width=width, rng=rng)
    for parameter in network.sparsifiable() if sparsity else ():
        size = parameter.value.size
        mask = random_mask(parameter.value.shape, budget(size, sparsity), rng)
        parameter.set_mask(mask)
        if masked_gradients:
            chosen = np.zeros(size, dtype=bool)
            kept = budget(size, gradient_sparsity(sparsity))
            chosen[rng.choice(np.flatnonzero(mask), size=kept, replace=False)] = True
            parameter.set_grad_mask(chosen.reshape(mask.shape))
    return network


def training_step(network: Network, data: StepData, *, engine: str) -> Callable[[], dict[str, float]]:
    """A DER++ step in an engine; it returns the three losses.

    The buffer holds exactly the replayed batch, so that every draw is all of it, in another order.
    """
    batch = len(data.new)
    rng = np.random.default_rng(0)
    network, descent = with_engine(engine, network)
    buffer = ReservoirBuffer(
        batch, image_shape=data.new.shape[1:], image_dtype=np.float32, classes=CLASSES, logits_dtype=np.float32
    )
    buffer.add(data.replayed, data.replayed_labels, data.logits, task=1, rng=rng)
    method = DERpp(
        network, buffer=buffer, prepare=lambda raw: raw, rng=rng, replay_batch_size=batch, alpha=ALPHA, beta=BETA
    )
    optimizer = descent(network.parameters())
    samples = Batch(data.new, data.new, data.new_labels, tuple(range(CLASSES)), 2)

    def step() -> dict[str, float]:
        losses = method.observe(samples).losses
        optimizer.step(LEARNING_RATE)
        return losses

    return step


def useful_flops(network: Network, batch: int) -> int:
    """Of a DER++ step with the masks as they are: what touches no dead weight and no silenced gradient."""
    ledger = FlopLedger()
    ledger.record_pass("current", batch, network)
    ledger.record_pass("replay", 2 * batch, network)
    return known(ledger.train_flops)


def known(flops: int | None) -> int:
    """A count of the package's own layers, which all say what they cost."""
    if flops is None:
        raise ValueError("a layer of this network does not say what it costs")
    return flops
