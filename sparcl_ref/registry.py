"""Things of one kind by name, open to others: methods, policies, models and data sets each keep one in their room."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TypeVar

Thing = TypeVar("Thing")


class Registry(Mapping[str, Thing]):
    """The package's own things of a kind, what was registered, and what installed packages offer.

    An installed package offers a thing by an entry point of the group ``sparcl_ref.<kind>s``, such as
    ``sparcl_ref.methods``; it is loaded when it is first asked for.

    Parameters
    ----------
    kind : str
        Singular, for messages: "method".
    own : mapping of str to object
        Those of the package, in the order of lists.
    """

    def __init__(self, kind: str, own: Mapping[str, Thing]):
        self.kind = kind
        self._own = dict(own)
        #: What `register` took, by name; worker processes are told of it.
        self.added: dict[str, Thing] = {}

    def register(self, name: str, thing: Thing) -> Thing:
        """Add a thing under a name, for this process and the workers it starts; returns the thing.

        Raises
        ------
        ValueError
            If the name is empty or taken by another thing.
        """
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
            raise ValueError(f"unknown {self.kind} {name!r}; choose one of {', '.join(self)}") from None

    @functools.cached_property
    def _offered(self) -> dict[str, metadata.EntryPoint]:
        group = f"sparcl_ref.{self.kind.replace(' ', '_')}s"
        return {point.name: point for point in metadata.entry_points(group=group)}

    def __getitem__(self, name: str) -> Thing:
        for known in (self._own, self.added):
            if name in known:
                return known[name]
        thing: Thing = self._offered[name].load()
        return thing

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._own, *self.added, *self._offered]))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _same_definition(one: object, other: object) -> bool:
    """Whether two things are one definition, loaded twice: a script's main module has two names in worker processes."""
    names = [(getattr(thing, "__qualname__", None), getattr(thing, "__code__", thing)) for thing in (one, other)]
    return names[0][0] is not None and names[0] == names[1]
