"""Settings say what they accept: plain values, choices read anew, bounds in words."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import NoneType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.registry import Registry
from sparcl_ref.settings import OwnSettings, flag, kinds, setting

COLOURS: Registry[object] = Registry("colour", {"red": len})


@dataclass(frozen=True)
class Example(OwnSettings):
    share: float = setting(0.5, "a share", at_least=0, at_most=1)
    rate: float = setting(0.1, "a rate", above=0)
    momentum: float = setting(0.0, "momentum", at_least=0, below=1)
    count: int | None = setting(None, "a number or none", at_least=1)
    name: str = setting("red", "a colour", choices=COLOURS)
    on: bool = setting(True, "a switch")


def test_kinds_are_those_of_the_annotations() -> None:
    assert kinds(Example) == {
        "share": (float,),
        "rate": (float,),
        "momentum": (float,),
        "count": (int, NoneType),
        "name": (str,),
        "on": (bool,),
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 1.5}, r"--share must be in 0\.\.1, got 1\.5"),
        ({"rate": 0}, r"--rate must be above 0, got 0"),
        ({"momentum": 1}, r"--momentum must be in 0\.\.1, below 1, got 1"),
        ({"count": 0}, r"--count must be at least 1, got 0"),
        ({"count": 1.0}, r"--count must be a whole number or none, got 1\.0"),
        ({"share": None}, r"--share must be a number, got None"),
        ({"share": float("nan")}, r"--share must be a finite number, got nan"),
        ({"name": "green"}, r"--name must be one of red, got 'green'"),
        ({"name": 3}, r"--name must be text, got 3"),
        ({"on": 1}, r"--on must be true or false, got 1"),
        ({"share": True}, r"--share must be a number, got True"),
    ],
    ids=str,
)
def test_what_is_refused_is_named_with_what_is_accepted(values, message) -> None:
    with pytest.raises(ValueError, match=message):
        Example(**values)


def test_choices_are_read_when_a_value_is_checked() -> None:
    with pytest.raises(ValueError, match="one of red"):
        Example(name="blue")
    try:
        COLOURS.register("blue", sum)
        assert Example(name="blue").name == "blue"
    finally:
        COLOURS.added.clear()


@given(
    st.floats(0, 1),
    st.sampled_from([float, np.float64, Fraction]),
    st.integers(1, 2**60),
    st.sampled_from([int, np.int64]),
)
def test_values_are_stored_as_plain_python(share, number, count, whole) -> None:
    example = Example(share=number(share), count=whole(count), name=Path("red"), on=np.bool_(False))
    assert (example.share, example.count, example.name, example.on) == (share, count, "red", False)
    assert [type(value) for value in (example.share, example.count, example.name, example.on)] == [
        float,
        int,
        str,
        bool,
    ]


def test_flags_have_dashes() -> None:
    assert flag("delta_k") == "--delta-k"
