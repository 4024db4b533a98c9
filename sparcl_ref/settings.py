"""Settings that say themselves what they accept: explanation, choices and bounds, checked on creation."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import operator
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparcl_ref.text import did_you_mean

#: The largest whole number of most settings: more than that no machine's integers hold.
MOST = 2**63 - 1
_HOLDS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}


def setting(
    default: Any,
    help: str,
    *,
    choices: Iterable[str] | None = None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    about: str = "",
    most: int = MOST,
    needs: tuple[str, ...] = (),
) -> Any:
    """A dataclass field for a setting, with one line of help.

    Choices are read anew at each check, so that a registry can be given. Bounds hold for numbers, not for None;
    ``about`` is a word about the range, for the message that refuses a value. ``most`` is a limit for whole numbers
    that is no part of the range: beyond it no run could be. The setting matters only where all the attributes of its
    object are true that ``needs`` names.
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return field(
        default=default,
        metadata={"help": help, "choices": choices, "bounds": given, "about": about, "most": most, "needs": needs},
    )


@dataclass(frozen=True)
class OwnSettings:
    """Base of a method's or policy's own settings; every field is made by `setting`, and they pass `check`."""

    def __post_init__(self) -> None:
        check(self)

    def idle(self) -> Iterator[tuple[str, str]]:
        """Names of settings that another one switches off, and its flag with the value that does: "--drop 0"."""
        return iter(())


def flag(name: str) -> str:
    """A setting's name on the command line."""
    return "--" + name.replace("_", "-")


@functools.cache
def kinds(cls: type) -> Mapping[str, tuple[type, ...]]:
    """Field to the plain types its value may have, `NoneType` among them where it may be None."""
    found = {}
    for name, annotation in typing.get_type_hints(cls).items():
        union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
        found[name] = typing.get_args(annotation) if union else (annotation,)
    return {item.name: found[item.name] for item in dataclasses.fields(cls)}


def is_setting(item: dataclasses.Field[Any]) -> bool:
    """Whether a field was made by `setting`."""
    return "help" in item.metadata


def check(settings: Any) -> None:
    """Replace each value of a frozen settings object by its plain Python form, and refuse what does not fit.

    Raises
    ------
    ValueError
        Naming the setting, the value given and what is accepted.
    """
    cls: type = type(settings)
    accepted_kinds = kinds(cls)
    for item in filter(is_setting, dataclasses.fields(settings)):
        value = plain(item.name, getattr(settings, item.name), accepted_kinds[item.name])
        object.__setattr__(settings, item.name, value)
        choices = item.metadata["choices"]
        if choices is not None and value not in list(choices):
            hint = did_you_mean(str(value), choices)
            raise ValueError(f"{flag(item.name)} must be one of {', '.join(choices)}, got {value!r}{hint}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{flag(item.name)} must be a finite number, got {value}")
        if value is not None:
            good = all(_HOLDS[name](value, bound) for name, bound in item.metadata["bounds"].items())
            require(item.name, value, good, accepted(item))
        if isinstance(value, int):
            require(item.name, value, value <= item.metadata["most"], f"at most {item.metadata['most']:,}")


def require(name: str, value: Any, good: bool, expected: str) -> None:
    """Refuse a value with a ValueError unless it is good."""
    if not good:
        raise ValueError(f"{flag(name)} must be {expected}, got {shown(value)}")


def accepted(item: dataclasses.Field[Any]) -> str:
    """A setting's range in words: "at least 1", "in 0..1, below 1"."""
    bounds = {name: f"{bound:g}" for name, bound in item.metadata["bounds"].items()}
    if "at_least" in bounds and ("at_most" in bounds or "below" in bounds):
        words = f"in {bounds['at_least']}..{bounds.get('at_most', bounds.get('below'))}"
        words += f", below {bounds['below']}" if "below" in bounds else ""
    else:
        words = " and ".join(f"{name.replace('_', ' ')} {bound}" for name, bound in bounds.items())
    return f"{words} ({item.metadata['about']})" if item.metadata["about"] else words


def plain(name: str, value: Any, accepted_kinds: tuple[type, ...]) -> Any:
    """A value as plain Python: NumPy's numbers and booleans, whole numbers for floats, and paths for text are taken.

    Booleans never count as numbers.

    Raises
    ------
    ValueError
        If the value is of another kind.
    """
    if value is None and types.NoneType in accepted_kinds:
        return None
    if isinstance(value, bool | np.bool_):
        if bool in accepted_kinds:
            return bool(value)
    elif int in accepted_kinds and isinstance(value, numbers.Integral):
        return int(value)
    elif float in accepted_kinds and isinstance(value, numbers.Real):
        return float(value)
    elif str in accepted_kinds and isinstance(value, str | os.PathLike):
        return os.fspath(value)
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", types.NoneType: "none"}
    expected = " or ".join(names.get(kind, kind.__name__) for kind in accepted_kinds)
    raise ValueError(f"{flag(name)} must be {expected}, got {value!r}")


def shown(value: Any) -> str:
    """A value in words; Python prints no whole number of more than some thousand digits."""
    return (
        f"a number of {value.bit_length()} bits" if isinstance(value, int) and value.bit_length() > 256 else f"{value}"
    )
