"""A sweep, whole and with workers killed in the midst of it, here and on a Dask cluster: are the results the same?

    python -m tests.sweep.kills --runs 40

prints the digest of all result files after each. Exit code 0 if they are the same, 1 otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GRID = """
seeds = {seeds}
[settings]
dataset = "digits"
width = 4
epochs = {epochs}
delta_k = 2
batch_size = 32
importance_samples = 64
[[entries]]
method = "er"
[[entries]]
method = "derpp"
sparsity = [0.9, 0.95, "none"]
"""
#: Runs of each seed.
ENTRIES = 4


def grid(folder: Path, runs: int, *, epochs: int = 4) -> Path:
    """A grid of so many runs of a second or two."""
    path = folder / "grid.toml"
    path.write_text(GRID.format(seeds=-(-runs // ENTRIES), epochs=epochs))
    return path


def sweep(path: Path, out: Path, *options: str) -> subprocess.Popen:
    """The command, begun; a run is saved several times a second."""
    return subprocess.Popen(
        [sys.executable, "-m", "sparcl_ref.sweep", str(path), "--out", str(out), "--checkpoint-every", "0.2", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    """What it printed; RuntimeError unless all went well."""
    said, complaints = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the sweep ended with {process.returncode}: {complaints}")
    return said + complaints


def digest(out: Path) -> str:
    """Of the results, names and contents."""
    whole = hashlib.sha256()
    for path in sorted((out / "results").glob("*.json")):
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def children(process: int) -> list[int]:
    """Processes that train for it."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(status.read_text().rpartition(")")[2].split()[1]) == process:
                command = (status.parent / "cmdline").read_bytes()
                found += [int(status.parent.name)] if b"spawn_main" in command else []
        except (OSError, ValueError):  # it has just ended
            continue
    return found


def once_something_is_saved(out: Path, process: subprocess.Popen) -> None:
    """Wait until a run under way has a checkpoint."""
    while process.poll() is None and not any(out.glob("work/*/checkpoint-*")):
        time.sleep(0.02)


def killed_here(path: Path, out: Path) -> str:
    """The sweep in two processes, one of which is killed."""
    process = sweep(path, out)
    once_something_is_saved(out, process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    said = finish(process)
    if "killed by SIGKILL" not in said:
        raise RuntimeError("nothing was killed in time")
    return said


def killed_on_dask(path: Path, out: Path) -> str:
    """The sweep on a cluster of two workers, one of which is killed."""
    from distributed import Client, LocalCluster

    # A worker that dies is started again by its nanny.
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        workers = client.run(os.getpid)
        process = sweep(path, out, "--dask", cluster.scheduler_address)
        once_something_is_saved(out, process)
        os.kill(next(iter(workers.values())), signal.SIGKILL)
        said = finish(process)
        if set(client.run(os.getpid).values()) == set(workers.values()):
            raise RuntimeError("nothing was killed in time")
        return said


def digests(runs: int, note: Callable[[str], None], *, epochs: int = 4) -> set[str]:
    """Of the results of the three sweeps."""
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        path = grid(Path(folder), runs, epochs=epochs)
        ways = {"undisturbed": lambda path, out: finish(sweep(path, out)), "one worker of two killed": killed_here,
                "one Dask worker of two killed": killed_on_dask}  # fmt: skip
        for way, run in ways.items():
            out = Path(folder, way.replace(" ", "-"))
            run(path, out)
            count = len(list(out.glob("results/*.json")))
            note(f"{count} results, {way}: {digest(out)}")
            found.add(digest(out))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.sweep.kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    sys.exit(0 if len(digests(parser.parse_args().runs, lambda line: print(line, flush=True))) == 1 else 1)
