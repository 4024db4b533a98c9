"""Things of one kind by name, open to others: methods, policies, models and data sets each keep one in their room."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TypeVar

from sparcl_ref.text import did_you_mean, one_line

Thing = TypeVar("Thing")


class Registry(Mapping[str, Thing]):
    """The package's own things of a kind, what was registered, and what installed packages offer.

    An installed package offers a thing by an entry point of the registry's group, such as ``sparcl_ref.methods``; it is
    loaded when it is first asked for.

    Parameters
    ----------
    kind : str
        Singular, for messages: "method".
    own : mapping of str to object
        Those of the package, in the order of lists.
    base : type, optional
        What a thing must be, or be a subclass of; without it, it must be callable.
    group : str, optional
        Plural of the kind, after "sparcl_ref." the group of entry points; made with an s unless given.
    """

    def __init__(self, kind: str, own: Mapping[str, Thing], *, base: type | None = None, group: str = ""):
        self.kind = kind
        self.group = f"sparcl_ref.{group or kind.replace(' ', '_') + 's'}"
        self.base = base
        self._own = dict(own)
        #: What `register` took, by name; worker processes are told of it.
        self.added: dict[str, Thing] = {}

    def register(self, name: str, thing: Thing) -> Thing:
        """Add a thing under a name, for this process and the workers it starts; returns the thing.

        What is defined anew by the same name in the same module, as in a notebook's cell, takes the old one's place.

        Raises
        ------
        ValueError
            If the name is empty or taken by another thing.
        TypeError
            If the thing is of another kind, or has no title where things of this kind have one.
        """
        fits = callable(thing) if self.base is None else _is_or_derives(thing, self.base)
        if not fits or (hasattr(thing, "Settings") and not hasattr(thing, "title")):
            derived = self.base and f"a {self.base.__name__}, with a title if it is a class"
            expected = derived or "a function or class"
            raise TypeError(f"{self.kind} {name!r}: register {expected}, got {thing!r}")
        if not name or name != name.strip() or "," in name:
            raise ValueError(f"a {self.kind}'s name must be a word without commas, got {name!r}")
        taken = self._own.get(name, self.added.get(name, thing))
        if taken != thing and not _same_definition(taken, thing):
            raise ValueError(f"there is a {self.kind} named {name!r} already; choose another name")
        if name not in self._own:
            self.added[name] = thing
        return thing

    def find(self, name: str) -> Thing:
        """The thing of that name.

        Raises
        ------
        ValueError
            If there is none, naming those there are.
        """
        try:
            return self[name]
        except KeyError:
            names = ", ".join(self)
            hint = did_you_mean(str(name), self)
            raise ValueError(
                f"unknown {self.kind} {name!r}; choose one of {names}, or register it first{hint}"
            ) from None

    @functools.cached_property
    def _offered(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=self.group)}

    def __getitem__(self, name: str) -> Thing:
        for known in (self._own, self.added):
            if name in known:
                return known[name]
        point = self._offered[name]
        try:
            thing: Thing = point.load()
        except Exception as error:
            package = "a package" if point.dist is None else point.dist.name
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise ValueError(
                f"the {self.kind} {name!r} that {package} offers cannot be loaded ({reason}); mend or uninstall it"
            ) from error
        return thing

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._own, *self.added, *self._offered]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _is_or_derives(thing: object, base: type) -> bool:
    return isinstance(thing, base) or (isinstance(thing, type) and issubclass(thing, base))


def _same_definition(one: object, other: object) -> bool:
    """Whether two things are classes or functions of one name in one module."""
    names = [(getattr(thing, "__qualname__", None), getattr(thing, "__module__", None)) for thing in (one, other)]
    return names[0][0] is not None and names[0] == names[1]
