"""Python threads and processes beside compiled loops: each in a process of its own, which such things can end."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

BEGIN = """
import sys
import numpy as np
from sparcl_ref import fast
from sparcl_ref.models import build_model

def train(seed):
    rng = np.random.default_rng(seed)
    network = fast.compile(build_model("mlp", input_shape=(1, 4, 4), classes=3, width=8, rng=rng))
    optimizer = fast.CompiledSGD(network.parameters())
    for _ in range(5):
        network.zero_grads()
        logits = network.forward(rng.standard_normal((2, 1, 4, 4), dtype=np.float32), mode="train")
        network.backward(logits, need_dx=False)
        taken = network.take_grads()
        network.set_grads(taken, taken)
        optimizer.step(0.01)
    return float(abs(logits).sum())
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
expected = [train(seed) for seed in range(2)]
with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(train, range(2))) == expected)
"""
FORK = """
import multiprocessing
expected = train(0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply_async(train, [0]).get(timeout=60) == expected)
"""


def run(script: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BEGIN + script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_NUM_THREADS": "2", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_python_threads_take_turns(layer):
    done = run(THREADS, NUMBA_THREADING_LAYER=layer)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_goes_on_where_threads_can():
    done = run(FORK, NUMBA_THREADING_LAYER="workqueue")
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or importlib.util.find_spec("numba.np.ufunc.omppool") is None,
    reason="Numba's loops do not run on GNU OpenMP here",
)
def test_a_forked_process_is_refused_where_threads_are_lost():
    done = run(FORK, NUMBA_THREADING_LAYER="omp")
    assert done.returncode == 1
    assert "RuntimeError: the compiled engine has run in the process that this one was forked from" in done.stderr


def test_without_a_compiler_the_engine_is_refused():
    done = run("train(0)", NUMBA_DISABLE_JIT="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: the compiled engine needs Numba's compiler")
