"""A process that runs tests on a changed copy of the tree, one fork per run; one JSON request and answer per line.

It imports nothing of the checkout, so that a fork finds the package and its tests in the copy alone.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

MEMORY_BYTES = 8 * 2**30
#: Where a process gets less than a core, the clock runs on while its CPU time does not.
WALL_PER_CPU = 5.0


class Recorder:
    """A pytest plugin: remembers the first failure, and stops Hypothesis from shrinking and explaining it."""

    def __init__(self) -> None:
        self.failed = ""
        self.ran = 0

    def pytest_configure(self, config) -> None:
        from hypothesis import Phase, settings

        # The current profile is the suite's: its conftest was loaded before this hook, no test module was.
        settings.register_profile("mutation", settings(), phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report) -> None:
        self.ran += report.when == "call"
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


class Witness:
    """A pytest plugin: which lines of the package each test runs, and how many CPU seconds it takes.

    What runs on import, and in what is set up once for several tests, counts for whichever test comes first. All cases
    of a test are one: a change may give them other names. Left out are tests that fail while they are watched, as some
    do that measure memory.
    """

    def __init__(self, tree: str, path: str) -> None:
        import coverage

        self._tree, self._path, self._seconds, self._started = tree, path, {}, 0.0
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=[f"{tree}/sparcl_ref/*"])
        self._coverage.start()

    def pytest_runtest_logstart(self, nodeid) -> None:
        self._coverage.switch_context(nodeid.partition("[")[0])
        self._started = time.process_time()

    def pytest_runtest_logfinish(self, nodeid) -> None:
        test = nodeid.partition("[")[0]
        self._seconds[test] = round(self._seconds.get(test, 0.0) + time.process_time() - self._started, 4)
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self._failed.add(report.nodeid.partition("[")[0])

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            os.path.relpath(file, self._tree): {
                line: [test for test in tests if test and test not in self._failed]
                for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        seconds = {test: spent for test, spent in self._seconds.items() if test not in self._failed}
        Path(self._path).write_text(json.dumps({"seconds": seconds, "lines": lines}))


def child(tree: str, tests: list[str], cpu_seconds: float, record: str, answer: int) -> None:
    """In the fork: run the tests until one fails, and write what happened to the pipe."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds) + 1, int(cpu_seconds) + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.chdir(tree)
    sys.path.insert(0, tree)
    import pytest

    recorder = Recorder()
    plugins = [recorder, Witness(tree, record)] if record else [recorder]
    # In this very process, and the long checks too.
    options = [
        *([] if record else ["-x"]),
        "-q",
        "--tb=no",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        "-m",
        "",
    ]
    code = int(pytest.main([*options, *tests], plugins=plugins))
    report = {"code": code, "failed": recorder.failed, "ran": recorder.ran, "cpu": time.process_time()}
    os.write(answer, json.dumps(report).encode())


def run_tests(tree: str, tests: list[str], cpu_seconds: float, record: str = "") -> dict:
    """Run tests in a fork; the answer holds pytest's exit code, or why there is none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            child(tree, tests, cpu_seconds, record, writing)
        finally:
            os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], WALL_PER_CPU * cpu_seconds)
    text = os.read(reading, 65536) if ready else b""
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if text:
        return json.loads(text)
    late = not ready or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
    return {"code": None, "failed": "timeout" if late else "crash", "ran": 0, "cpu": cpu_seconds}


def verdict(result: dict) -> str:
    """What one run says about the change: "timeout" and "crash" are failures too."""
    if result["code"] is None:
        return result["failed"]
    if result["code"] == 0 and result["ran"]:
        return "survived"
    # Where a module cannot be imported, pytest says that it does not find its tests.
    if result["code"] in (1, 2, 3) or result["failed"]:
        return "noticed"
    raise RuntimeError(f"pytest ended with {result['code']} after {result['ran']} tests; are the paths right?")


def attempt(tree: Path, request: dict, stamp: int) -> dict:
    """Change one file (or none), run the tests, and put the file back."""
    if not request["path"]:
        return answer_of(run_tests(str(tree), request["tests"], request["limit"], request["record"]))
    target = tree / request["path"]
    original, times = target.read_text(), target.stat()
    target.write_text(request["text"])
    # Compiled files are matched to sources by whole seconds and size: each change needs a time of its own.
    os.utime(target, (stamp, stamp))
    try:
        return answer_of(run_tests(str(tree), request["tests"], request["limit"]))
    finally:
        target.write_text(original)
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def answer_of(result: dict) -> dict:
    """The verdict, the first test that failed, and the CPU seconds it took."""
    return {"outcome": verdict(result), "by": result["failed"], "cpu": result["cpu"]}


def main() -> None:
    """``worker.py TREE MODULE...``: import the modules once, then answer requests until the input ends."""
    tree = Path(sys.argv[1])
    for module in sys.argv[2:]:
        importlib.import_module(module)
    for number, line in enumerate(sys.stdin):
        try:
            answer = attempt(tree, json.loads(line), 1_000_000_000 + number)
        except Exception as error:
            answer = {"outcome": "error", "by": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
