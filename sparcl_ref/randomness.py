"""One seed, independent streams by name, so that a change in how one part draws never shifts another."""

from __future__ import annotations

import numpy as np

STREAMS = ("init", "order", "mask", "replay", "reservoir", "augment", "dropout", "classes")


def named_streams(seed: int) -> dict[str, np.random.Generator]:
    """A generator for each name of `STREAMS`.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    dict of str to numpy.random.Generator
        Each is seeded by the pair (seed, position of its name), hence statistically independent of the others.
    """
    return {
        name: np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(position,))))
        for position, name in enumerate(STREAMS)
    }
