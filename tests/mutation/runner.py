"""Runs the test suite against changes, each on a private copy of the tree, in several processes at once."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutation.suites import stages

WORKER = Path(__file__).with_name("worker.py")
PRELOADED = ("numpy", "torch", "scipy.stats", "numba", "hypothesis.extra.numpy", "pytest")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
#: What no test reads.
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info")
#: A test run may take this many times the CPU time of the unchanged tree, and some seconds.
PATIENCE, GRACE_SECONDS, UNCHANGED_SECONDS = 3.0, 10.0, 600.0


@dataclass(frozen=True)
class Change:
    """One change to try: what it is called, the file, its new text, and the lines of the old one that tests run."""

    name: str
    path: str
    text: str
    kind: str = "designed"
    lines: range = range(0)

    @property
    def digest(self) -> str:
        """Of the changed file: the same change of a file that has become another is another change."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What the tests said.

    Attributes
    ----------
    outcome : {"noticed", "timeout", "crash", "survived"}
        All but the last mean that the change was noticed.
    by : str
        The first test that failed.
    seconds : float
        Wall time.
    digest : str
        The change's.
    """

    name: str
    path: str
    kind: str
    outcome: str
    by: str
    seconds: float
    digest: str

    @property
    def noticed(self) -> bool:
        return self.outcome != "survived"

    def record(self) -> dict:
        """As JSON values."""
        return asdict(self)


class Worker:
    """A process with its own copy of the tree.

    Parameters
    ----------
    tree : Path
        Copied to a temporary folder, which `close` removes.
    preloaded : sequence of str
        Modules to import once, outside the tree.
    """

    def __init__(self, tree: Path, *, preloaded: Sequence[str] = PRELOADED):
        self._folder = tempfile.TemporaryDirectory(prefix="mutation-")
        self.tree = Path(self._folder.name, "tree").resolve()
        shutil.copytree(tree, self.tree, ignore=LEFT_OUT)
        # As the suite's conftest sets them: it comes too late for what is preloaded.
        surroundings = os.environ | dict.fromkeys(THREADS, "1") | {"CI": "true"}
        surroundings |= {"MPLCONFIGDIR": self._folder.name}
        for name in ("PYTHONPATH", "PYTEST_ADDOPTS"):
            surroundings.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER), str(self.tree), *preloaded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.tree,
            env=surroundings,
        )

    def ask(self, tests: list[str], limit: float, *, path: str = "", text: str = "", record: str = "") -> dict:
        """Run tests or files of them, with a limit of CPU seconds, while one file is changed or none.

        ``record`` names a file for which lines each test ran and how long, see `tests.mutation.witnesses`.

        Raises
        ------
        RuntimeError
            If the worker could not run the tests at all.
        """
        request = {"tests": tests, "limit": limit, "path": path, "text": text, "record": record}
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"outcome": "error", "by": "the worker ended"}
        if answer["outcome"] == "error":
            raise RuntimeError(f"the tests could not be run: {answer['by']}")
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


class Runner:
    """Tries changes on several workers.

    Parameters
    ----------
    tree : Path
    jobs : int
        Workers at a time.
    stages : callable
        ``(tree, change) -> list of lists of tests or files of them``; by default `tests.mutation.suites.stages` of
        the changed file.
    seconds : mapping
        CPU seconds of tests where they are known; others are tried on the unchanged tree first.
    """

    def __init__(
        self,
        tree: Path,
        *,
        jobs: int = 2,
        stages: Callable[[Path, Change], list[list[str]]] = lambda tree, change: stages(tree, change.path),
        seconds: Mapping[str, float] | None = None,
        preloaded: Sequence[str] = PRELOADED,
    ):
        self.stages = stages
        self._seconds = dict(seconds or {})
        self._workers = [Worker(tree, preloaded=preloaded) for _ in range(jobs)]

    def run(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """Try the changes; yields outcomes as they come in.

        Raises
        ------
        RuntimeError
            If a test fails on the unchanged tree: every change would count as noticed.
        """
        yield from self._spread(self._try, changes)

    def _try(self, worker: Worker, change: Change) -> Outcome:
        started = time.monotonic()
        answer = {"outcome": "survived", "by": ""}
        for tests in self.stages(worker.tree, change):
            limit = self._limit(worker, tests)
            answer = worker.ask(tests, limit, path=change.path, text=change.text)
            if answer["outcome"] != "survived":
                break
        seconds = round(time.monotonic() - started, 2)
        return Outcome(change.name, change.path, change.kind, answer["outcome"], answer["by"], seconds, change.digest)

    def record(self, files: Sequence[str]) -> Iterator[str]:
        """Run each test file on the unchanged tree; yields what `tests.mutation.witnesses` reads, as text."""
        yield from self._spread(self._record, files)

    def _record(self, worker: Worker, file: str) -> str:
        path = worker.tree.parent / "record.json"
        worker.ask([file], UNCHANGED_SECONDS, record=str(path))
        return path.read_text()

    def _limit(self, worker: Worker, tests: list[str]) -> float:
        """CPU seconds that tests may take, from what each takes on the unchanged tree."""
        for test in tests:
            if test not in self._seconds:
                answer = worker.ask([test], UNCHANGED_SECONDS)
                if answer["outcome"] != "survived":
                    raise RuntimeError(f"{answer['by'] or test} fails without any change; mend it first")
                self._seconds[test] = answer["cpu"]
        return GRACE_SECONDS + PATIENCE * sum(self._seconds[test] for test in tests)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def _spread(self, work: Callable, items: Sequence) -> Iterator:
        """Each item to the next idle worker; the first error ends everything."""
        todo: queue.SimpleQueue = queue.SimpleQueue()
        done: queue.SimpleQueue = queue.SimpleQueue()
        for item in items:
            todo.put(item)

        def serve(worker: Worker) -> None:
            try:
                while True:
                    done.put((work(worker, todo.get_nowait()), None))
            except queue.Empty:
                return
            except BaseException as error:
                done.put((None, error))

        threads = [threading.Thread(target=serve, args=(worker,), daemon=True) for worker in self._workers]
        for thread in threads:
            thread.start()
        for _ in items:
            result, error = done.get()
            if error is not None:
                raise error
            yield result
        for thread in threads:
            thread.join()


@contextmanager
def running(tree: Path, **settings) -> Iterator[Runner]:
    """A `Runner` that is closed at the end."""
    runner = Runner(tree, **settings)
    try:
        yield runner
    finally:
        runner.close()
