"""Rankings for removal: who leaves, by each of them, and what one of somebody's own has to give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.sparcl.ddr import ddr_keep
from sparcl_ref.sparcl.removal import REMOVALS, Removal, register

#: By name: what a sample is ranked by, from its score, its earlier scores, its number of chance and its place.
ORDERS = {
    "mistakes": lambda score, earlier, chance, place: (score, place),
    "shuffled": lambda score, earlier, chance, place: (score, chance),
    "all_stages": lambda score, earlier, chance, place: (score + earlier, chance),
    "random": lambda score, earlier, chance, place: chance,
}

samples = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=40)


def test_all_rankings_are_looked_at() -> None:
    assert ORDERS.keys() == dict(REMOVALS).keys()
    assert [name for name, ranking in REMOVALS.items() if not ranking.draws] == ["mistakes"]


@pytest.mark.parametrize("name", ORDERS)
@given(samples, st.randoms(use_true_random=False), st.data())
def test_those_of_the_lowest_rank_leave(name, known, random, data) -> None:
    chance = [number / 64 for number in range(len(known))]
    random.shuffle(chance)
    keep = data.draw(st.integers(0, len(known)))
    score, earlier = np.array(known, dtype=np.int64).reshape(-1, 2).T
    before = score.copy(), earlier.copy()
    ranks = REMOVALS[name](score, earlier, np.array(chance))
    order = sorted(range(len(known)), key=lambda place: ORDERS[name](*known[place], chance[place], place))
    assert ddr_keep(ranks, keep).tolist() == sorted(order[len(known) - keep :])
    for array, copy in zip((score, earlier), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_ranking_gives_a_score_for_each_sample() -> None:
    short = Removal(lambda scores, earlier, chance: scores[1:])
    with pytest.raises(ValueError, match=r"a score for each sample, shape \(3,\), got \(2,\)"):
        short(np.arange(3), np.zeros(3), np.zeros(3))


def test_what_is_no_ranking_is_not_registered() -> None:
    with pytest.raises(TypeError, match="removal 'mine': register a Removal"):
        register("mine", lambda scores: scores)  # type: ignore[arg-type]
