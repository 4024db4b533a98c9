from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.randomness import STREAMS, named_streams
from tests import strategies as own


def draws(rng: np.random.Generator, count: int = 8) -> list[int]:
    return rng.integers(0, 2**63, count).tolist()


def test_every_stream_of_the_design_has_a_name() -> None:
    assert {"init", "order", "mask", "replay", "reservoir", "augment", "dropout"} <= set(STREAMS)
    assert len(set(STREAMS)) == len(STREAMS)
    assert tuple(named_streams(0)) == STREAMS


@given(own.seeds())
def test_one_seed_gives_the_same_streams_again(seed) -> None:
    one, other = named_streams(seed), named_streams(seed)
    assert {name: draws(rng) for name, rng in one.items()} == {name: draws(rng) for name, rng in other.items()}


@given(st.integers(0, 2**80))
def test_streams_are_the_spawned_children_of_the_seed(seed) -> None:
    # NumPy promises that children of one seed sequence are independent; the oracle spawns them in one go.
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    for rng, child in zip(named_streams(seed).values(), children, strict=True):
        assert draws(rng) == draws(np.random.Generator(np.random.PCG64(child)))


def test_neighbouring_seeds_and_names_share_no_stream() -> None:
    first = [draws(rng, 2) for seed in range(20) for rng in named_streams(seed).values()]
    assert all(a != b for a, b in itertools.combinations(first, 2))


@pytest.mark.parametrize("used", STREAMS)
def test_using_one_stream_never_shifts_another(used) -> None:
    rested, tired = named_streams(3), named_streams(3)
    draws(tired[used], 1000)
    for name in STREAMS:
        assert (draws(rested[name]) == draws(tired[name])) == (name != used)


def test_global_random_state_is_neither_read_nor_moved() -> None:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - that it is left alone is the point
    named_streams(1)
    after = np.random.get_state()  # noqa: NPY002
    assert (after[0], after[1].tolist(), *after[2:]) == (kind, keys.tolist(), *rest)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"non-negative"):
        named_streams(-1)
