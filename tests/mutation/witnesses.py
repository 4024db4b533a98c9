"""Which tests run a line, so that few have to be asked about a change of it.

Recorded once on the unchanged tree, which takes as long as the tests themselves, and then some. It only says whom to
ask first: a test also notices what another's set-up ran, and before a change is said to have survived, whole files are
asked as `tests.mutation.suites` orders them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sparcl_ref.durable import put
from tests.mutation.runner import Change, running
from tests.mutation.suites import FIRST, REST, SLOW, files_behind, stages

#: CPU seconds of the tests asked together: those of the first group notice most changes.
GROUP_SECONDS = (2.0, 8.0)


@dataclass(frozen=True)
class Witnesses:
    """Attributes
    ----------
    seconds : dict
        CPU seconds of each test.
    lines : dict
        Of each file, by line: the tests that run it.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def of(self, change: Change) -> list[str]:
        """Tests that run the changed lines, those of the file's own test modules before others, the quickest first."""
        lines = self.lines.get(change.path, {})
        found = {test for line in change.lines for test in lines.get(line, ())}
        own = own_tests(change.path)
        return sorted(found, key=lambda test: (not test.startswith(own), self.seconds[test], test))

    def groups(self, change: Change) -> list[list[str]]:
        """The first of these, as many as fit into the seconds of each group."""
        groups, tests = [], self.of(change)
        for allowed in GROUP_SECONDS:
            taken, spent = 0, 0.0
            while taken < len(tests) and (not taken or spent + self.seconds[tests[taken]] <= allowed):
                spent += self.seconds[tests[taken]]
                taken += 1
            groups += [tests[:taken]] if taken else []
            tests = tests[taken:]
        return groups

    def stages(self, tree: Path, change: Change, *, quick: bool = False) -> list[list[str]]:
        """Groups of witnesses, then the files behind; ``quick`` asks these only where nobody saw the lines run."""
        groups = self.groups(change)
        return groups if groups and quick else groups + stages(tree, change.path, quick=quick)


def own_tests(path: str) -> tuple[str, ...]:
    """The test modules and folders most likely to notice a change of a file."""
    return FIRST[max((prefix for prefix in FIRST if f"{path}/".startswith(f"{prefix}/")), key=len)]


def merged(records: Iterable[dict]) -> Witnesses:
    """One from what single test files recorded."""
    seconds: dict[str, float] = {}
    lines: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        seconds |= record["seconds"]
        for path, found in record["lines"].items():
            for line, tests in found.items():
                lines[path][int(line)] += tests
    return Witnesses(seconds, lines)


def recorded(tree: Path, kept: Path | None, *, paths: Iterable[str], jobs: int) -> Witnesses:
    """What was kept, or else recorded now, and kept if there is a place for it.

    Parameters
    ----------
    kept : Path or None
        It stands for the tree as it was then: remove it when tests or package have changed.
    paths : iterable of str
        The files to be changed; only tests that could be asked about one are run.
    """
    if kept is not None and kept.exists():
        return merged([json.loads(kept.read_text())])
    entries = dict.fromkeys(entry for path in paths for entry in own_tests(path))
    with running(tree, jobs=jobs) as runner:
        witnesses = merged(json.loads(text) for text in runner.record(files_behind(tree, (*entries, *REST, *SLOW))))
    if kept is not None:
        put(kept, json.dumps({"seconds": witnesses.seconds, "lines": witnesses.lines}).encode())
    return witnesses
