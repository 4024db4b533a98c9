"""Prints a digest of a few training steps; run in a process of its own, since a process has one number of threads."""

from __future__ import annotations

import hashlib
import sys

import numpy as np

from sparcl_ref import fast
from sparcl_ref.models import build_model


def digest(dtype: str, density: float) -> str:
    """Digest of all logits, gradients, statistics and updated values; the sparse network is too narrow for BLAS."""
    rng = np.random.default_rng(0)
    shape, width = (3, 12, 10), 4 if density < 1 else 32
    model = build_model("resnet18", input_shape=shape, classes=4, width=width, dtype=np.dtype(dtype), rng=rng)
    for parameter in model.sparsifiable() if density < 1 else ():
        mask = rng.random(parameter.value.shape) < density
        parameter.set_mask(mask)
        parameter.set_grad_mask(mask & (rng.random(mask.shape) < 0.8))
    network = fast.compile(model)
    optimizer = fast.CompiledSGD(network.parameters(), momentum=0.0 if density < 1 else 0.9)
    found = hashlib.sha256()
    for batch in (7, 3, 33):
        taken = []
        for _ in range(2):
            logits = network.forward(rng.standard_normal((batch, *shape)).astype(dtype), mode="train")
            found.update(logits)
            found.update(network.backward(rng.standard_normal(logits.shape).astype(dtype)))
            taken.append(network.take_grads())
        network.set_grads(*taken)
        optimizer.step(0.01)
    for array in network.state_dict().values():
        assert np.isfinite(array).all()
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()


if __name__ == "__main__":
    for kind in ("float32", "float64"):
        print(digest(kind, float(sys.argv[1])))
