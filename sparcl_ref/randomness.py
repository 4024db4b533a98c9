"""One seed, independent streams by name, so that a change in how one part draws never shifts another."""

from __future__ import annotations

import hashlib

import numpy as np

STREAMS = ("init", "order", "mask", "replay", "reservoir", "augment", "dropout", "classes", "validation")


def named_streams(seed: int) -> dict[str, np.random.Generator]:
    """A generator for each name of `STREAMS`, from a seed of at least 0.

    Each is seeded by the pair (seed, position of its name), hence statistically independent of the others.
    """
    return {
        name: np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(position,))))
        for position, name in enumerate(STREAMS)
    }


def own_stream(seed: int, owner: str) -> np.random.Generator:
    """A generator of its own for whoever draws beside the streams above, such as a method, by its name."""
    digest = hashlib.sha256(owner.encode()).digest()
    key = (len(digest), *digest[:16])
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
