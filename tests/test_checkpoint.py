"""A state comes back to the bit, and a file in which a single bit has changed is told from a good one."""

from __future__ import annotations

import hashlib
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparcl_ref import checkpoint, durable
from sparcl_ref.checkpoint import DamagedError, decode, encode, flatten, unflatten
from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.streams import Dataset

DTYPES = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(endianness="?"), hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"), hnp.complex_number_dtypes(), hnp.unicode_string_dtypes(max_len=3),
)  # fmt: skip
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
KEYS = st.one_of(
    st.text(max_size=4), st.integers(), st.booleans(), st.none(), st.tuples(st.integers(), st.text(max_size=2))
)
LEAVES = st.one_of(
    ARRAYS, ARRAYS.map(lambda array: array.T), ARRAYS.filter(lambda array: array.size).map(lambda array: array.flat[0]),
    st.none(), st.booleans(), st.integers(), st.integers(min_value=2**64, max_value=2**200), st.floats(),
    st.text(max_size=5), st.binary(max_size=5), st.characters(categories=["Cs"]),
)  # fmt: skip
STATES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


def same(one, other) -> bool:
    """Whether two states are equal in value, type, dtype, byte order and order of keys; NaN is NaN, -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        kinds = (one.dtype.str, one.shape) == (other.dtype.str, other.shape)
        return kinds and np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(same(a, b) and same(c, d) for (a, c), (b, d) in pairs)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    return one == other


@given(STATES)
def test_a_state_comes_back_to_the_bit(state):
    assert same(decode(bytes(encode(state))), state)


@given(STATES)
def test_the_same_state_gives_the_same_bytes(state):
    assert encode(state) == encode(state)


@given(STATES, st.data())
def test_a_changed_bit_or_a_lost_end_is_noticed(state, data):
    whole = bytes(encode(state))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << (bit % 8)
    for bad in (bytes(changed), whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        with pytest.raises(DamagedError, match="cut off or changed"):
            decode(bad)


def test_what_is_whole_but_of_somebody_else_is_no_checkpoint():
    content = b"something else"
    with pytest.raises(DamagedError, match="not a checkpoint"):
        decode(content + hashlib.sha256(content).hexdigest().encode())


def test_a_checkpoint_is_an_npz_without_pickle():
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    with np.load(io.BytesIO(encode({"weights": weights})), allow_pickle=False) as file:
        assert file.files == ["tree", "0"]
        np.testing.assert_array_equal(file["0"], weights)
        assert file["tree"].tobytes() == b'{"dict": [["weights", {"array": 0}]]}'


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"a": [1, {2}]}, "state/a/1 is a set"),
        ({"a": np.array([None])}, "state/a is an array of Python objects"),
        (1j, "state"),
    ],
)
def test_what_has_no_place_in_a_file_is_refused_by_its_place(state, place):
    with pytest.raises(TypeError, match=place):
        flatten(state)


def test_keys_that_look_like_the_format_are_keys():
    state = {"array": 0, "tuple": {"dict": []}}
    assert unflatten(*flatten(state)) == state


@pytest.mark.parametrize("changes", [{"method": "derpp", "sparsity": 0.5}, {"method": "er", "profile": "released"}])
def test_a_run_goes_on_from_a_file_to_the_same_bits(changes, tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), 10)
    images = rng.integers(0, 256, size=(40, 1, 8, 8), dtype=np.uint8)
    data = Dataset.from_arrays("noise", train_x=images, train_y=labels, test_x=images, test_y=labels)
    config = Config(
        model="convnet", width=4, classes_per_task=2, epochs=2, delta_k=2, batch_size=10, buffer_size=8,
        augmentation="crop_flip", **changes,
    )  # fmt: skip
    straight = build(config, data)
    for _ in range(9):
        straight.advance()
    checkpoint.write(tmp_path / "state.npz", straight.state())
    resumed = build(config, data)
    resumed.load_state(checkpoint.read(tmp_path / "state.npz"))
    for trainer in (straight, resumed):
        for _ in trainer.events():
            pass
    assert same(straight.state(), resumed.state())


def test_a_write_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    checkpoint.write(path, 1)

    def full(kind, path, action):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "step", full)
    with pytest.raises(OSError, match=r"No space left.*state\.npz"):
        checkpoint.write(path, 2)
    assert checkpoint.read(path) == 1
    assert list(tmp_path.iterdir()) == [path]
