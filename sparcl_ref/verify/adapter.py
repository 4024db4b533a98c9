"""An adopter's functions: what they take, called by argument name, their answers turned into NumPy arrays."""

from __future__ import annotations

import contextlib
import copy
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.function import REQUIRED, Function

#: How alike two names must be for one to be taken for a slip of the other.
SLIP = 0.85
#: And how alike where every name is meant for one of the protocol.
NEAR = 0.6
#: What an adapter may have besides functions: through this every array goes that it is given.
CONVERT = "as_array"


class NotProvidedError(Exception):
    """The adapter does not have what a case needs."""


class OutsideRange(Exception):  # noqa: N818 - what an adapter says of a call, and no error
    """Raised by an adapter whose function is not made for numbers like those of a call.

    An exception of an adapter's own with this name, or one derived from such a class, says the same.
    """


def is_outside(error: BaseException) -> bool:
    """Whether an exception says that a call is outside the adapter's range."""
    return any(base.__name__ == OutsideRange.__name__ for base in type(error).__mro__)


@dataclass(frozen=True)
class Signature:
    """What a function of an adapter takes."""

    names: tuple[str, ...] | None  #: arguments it takes by name; None if it takes any
    required: tuple[str, ...] = ()  #: those without a default


@dataclass(frozen=True)
class Interface:
    """What an adapter provides."""

    signatures: dict[str, Signature]  #: of the protocol's functions it has
    remarks: tuple[str, ...] = ()  #: what looks like a slip, such as a name that almost is one of the protocol's


def provided(adapter: ModuleType | Mapping[str, Any], name: str) -> Any:
    """What the adapter has under a name, or None."""
    return adapter.get(name) if isinstance(adapter, Mapping) else getattr(adapter, name, None)


def inspect_adapter(adapter: ModuleType | Mapping[str, Any], known: list[str]) -> Interface:
    """Which of the functions the protocol knows an adapter has, and with which arguments."""
    found = {name: provided(adapter, name) for name in known}
    remarks = [f"{name} is not a function but {type(thing).__name__}" for name, thing in found.items()
               if thing is not None and not callable(thing)]  # fmt: skip
    given = adapter if isinstance(adapter, Mapping) else vars(adapter)
    names = [name for name in given if name not in (*known, CONVERT)]
    # A namespace has helpers of its own, of which only a slip is told; a dict of functions has nothing else.
    listed = isinstance(adapter, Mapping) and "__name__" not in adapter
    for name in names:
        if str(name).startswith("_") or not callable(provided(adapter, name)):
            continue
        likely = difflib.get_close_matches(str(name), known, n=1, cutoff=NEAR if listed else SLIP)
        if listed or (likely and found[likely[0]] is None):
            hint = f"; did you mean {likely[0]}?" if likely else ""
            remarks.append(f"{name} is not a name of the protocol{hint}")
    return Interface({name: _signature(thing) for name, thing in found.items() if callable(thing)}, tuple(remarks))


def _signature(function: Callable) -> Signature:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled functions may not say
        return Signature(None)
    if any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
        names = None
    else:
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names = tuple(parameter.name for parameter in parameters if parameter.kind in by_name)
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
    return Signature(names, tuple(required))


def full_arguments(case: Case, function: Function) -> dict[str, Any]:
    """A case's arguments with the protocol's defaults for those it leaves out, in the protocol's order."""
    defaults = {argument.name: argument.default for argument in function.arguments}
    given = {name: case.arguments.get(name, default) for name, default in defaults.items()}
    missing = [name for name, value in given.items() if value is REQUIRED]
    if missing or case.arguments.keys() - defaults.keys():
        raise ValueError(f"{case.id}: the case does not fit {function.name}({', '.join(defaults)})")
    return given


def arguments_for(given: Mapping[str, Any], function: Function, signature: Signature) -> dict[str, Any]:
    """The arguments to call with: ``given`` are all of the protocol's, left out are defaults that are not taken.

    Raises
    ------
    NotProvidedError
        If an optional argument that the function does not take has a value of its own, or the function takes no random
        choices and so draws for itself.
    TypeError
        If the function cannot be called by the protocol's names at all.
    """
    given = dict(given)
    if signature.names is None:
        return given
    takes = f"it takes {', '.join(signature.names) or 'nothing by name'}"
    for argument in function.arguments:
        if argument.name in signature.names:
            continue
        value = given.pop(argument.name)
        if argument.drawn:
            raise NotProvidedError(f"takes no {argument.name!r}, so it draws for itself; the kit gives what is drawn")
        if argument.default is REQUIRED:
            raise TypeError(f"takes no argument named {argument.name!r}; {takes}")
        if not _equals_default(value, argument.default):
            raise NotProvidedError(f"takes no {argument.name!r}")
    strange = [name for name in signature.required if name not in given]
    if strange:
        raise TypeError(f"wants an argument {strange[0]!r}, which the protocol does not give")
    return given


def _equals_default(value: Any, default: Any) -> bool:
    if isinstance(value, np.ndarray):
        return False
    # True == 1 in Python, but a flag is not a number.
    return isinstance(value, bool) == isinstance(default, bool) and value == default


@dataclass(frozen=True, eq=False)
class Returned:
    """One output as the adapter returned it."""

    array: np.ndarray | None  #: None if the adapter returned None, or far more entries than asked for
    shape: tuple[int, ...] = ()
    dtype: str = ""  #: its name; empty for None and for Python numbers and lists of them, which have none


def call(
    adapter: ModuleType | Mapping[str, Any], name: str, outputs: Sequence[str], arguments: Mapping[str, Any]
) -> dict[str, Returned]:
    """Call one function by name and give what it returns the names of its outputs.

    Arguments are copied first, so that an adapter that writes into them spoils nothing else.

    Raises
    ------
    NotProvidedError
        If the function raises NotImplementedError.
    TypeError
        If what it returns cannot be understood.
    """
    convert = provided(adapter, CONVERT) or (lambda array: array)
    if not callable(convert):
        raise TypeError(f"{CONVERT} must be a function that takes an array, got {type(convert).__name__}")
    given = {key: copy.deepcopy(value) for key, value in arguments.items()}
    given = {key: convert(value) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    try:
        returned = provided(adapter, name)(**given)
    except NotImplementedError as error:
        raise NotProvidedError(str(error) or "raises NotImplementedError") from error
    return {key: as_returned(value, key) for key, value in named(returned, outputs).items()}


def named(returned: Any, outputs: Sequence[str]) -> dict[str, Any]:
    """Outputs by name, from the one output, a tuple in order, or a dict.

    Raises
    ------
    TypeError
        If there are too few or too many.
    """
    wanted = ", ".join(outputs)
    if isinstance(returned, Mapping):
        if set(returned) != set(outputs):
            raise TypeError(f"returned a dict of {', '.join(map(str, returned)) or 'nothing'}; expected {wanted}")
        return {name: returned[name] for name in outputs}
    if len(outputs) == 1:
        if isinstance(returned, tuple) and len(returned) == 1:
            returned = returned[0]
        return {outputs[0]: returned}
    if not isinstance(returned, tuple | list):
        raise TypeError(f"returned one {type(returned).__name__}; expected a tuple of {len(outputs)}: {wanted}")
    if len(returned) != len(outputs):
        raise TypeError(f"returned {len(returned)} values; expected {len(outputs)}: {wanted}")
    return dict(zip(outputs, returned, strict=True))


def as_returned(value: Any, name: str) -> Returned:
    """Anything NumPy, ``__array__`` or DLPack understands, as an array of numbers or truth values.

    Raises
    ------
    TypeError
        If it is neither, nor None.
    """
    if value is None:
        return Returned(None)
    typed = hasattr(value, "dtype") or hasattr(value, "__dlpack__")
    for step in ("detach", "cpu"):  # a torch tensor that requires a gradient, or is on another device, refuses
        if callable(getattr(value, step, None)):
            value = getattr(value, step)()
    array = None
    with contextlib.suppress(Exception):  # whatever foreign arrays raise, the second door may open
        array = np.asarray(value)
    if (array is None or array.dtype == object) and not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    if array is None:
        raise TypeError(f"{name}: cannot make an array of {type(value).__name__}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got {type(value).__name__} (as dtype {array.dtype})")
    return Returned(array, array.shape, array.dtype.name if typed else "")
