"""What dynamic data removal saves of a whole run, in seconds beside FLOPs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sparcl_ref import fast
from sparcl_ref.bench.engines import known
from sparcl_ref.bench.request import LEAST_WIDTH, SPARSITIES, Request
from sparcl_ref.bench.tables import seconds, text_table
from sparcl_ref.bench.timing import paired_ratio, spread
from sparcl_ref.bench.workload import IMAGE
from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.streams import Dataset
from sparcl_ref.trainer import Trainer

CLASSES = 4
TASK_CLASSES = 2
#: Of each task, as multiples of the batch size, and images of each class to test on.
BATCHES_PER_TASK, TEST_PER_CLASS = 10, 2


def measure(request: Request, *, peak_flops: float = 0.0) -> dict[str, Any]:
    """The same SparCL-DER++ run with and without DDR, in turns.

    Sizes are chosen so that every stage leaves whole batches, and three stages out of eight leave a mean of .775 of the
    data, as the published schedule of four stages out of ten does. ``with_ddr`` and ``without_ddr`` hold the `spread`
    of seconds, ``steps`` and ``train_flops`` (exact convention); ``seconds_ratio`` is a `paired_ratio`.
    """
    config = _config(request)
    dataset = random_images(BATCHES_PER_TASK * config.batch_size)
    configs = {"with_ddr": config, "without_ddr": Config.from_json({**config.to_json(), "ddr": False})}
    fast.prepare(config.dtype)
    spent: dict[str, list[float]] = {name: [] for name in configs}
    trainers: dict[str, Trainer] = {}
    for _ in range(1 if request.quick else max(1, request.rounds // 2)):
        for name, chosen in configs.items():
            trainer = trainers[name] = build(chosen, dataset)
            start = time.perf_counter()
            while not trainer.done:
                trainer.advance()
            spent[name].append(time.perf_counter() - start)
    flops = {name: known(trainer.ledger.train_flops) for name, trainer in trainers.items()}
    runs: dict[str, dict[str, Any]] = {
        name: {**spread(spent[name]), "steps": trainer.cursor.updates, "train_flops": flops[name]}
        for name, trainer in trainers.items()
    }
    return {
        **runs,
        "width": config.width,
        "batch": config.batch_size,
        "seconds_ratio": paired_ratio(spent["with_ddr"], spent["without_ddr"]),
        "flops_ratio": flops["with_ddr"] / flops["without_ddr"],
        # Every stage leaves whole batches, so that steps are left as samples are.
        "data_fraction": runs["with_ddr"]["steps"] / runs["without_ddr"]["steps"],
    }


def _config(request: Request) -> Config:
    stage = 1 if request.quick else 2
    # Half the width and half the batch of a step keep a whole run within a minute or two.
    return Config(
        model="resnet18",
        width=max(LEAST_WIDTH, request.width // (4 if request.quick else 2)),
        classes_per_task=TASK_CLASSES,
        method="derpp",
        sparsity=SPARSITIES[-1],
        batch_size=max(2, request.batch // (4 if request.quick else 2)),
        buffer_size=2 * request.batch,
        epochs=8 * stage,
        delta_k=stage,
        # A stage of one epoch leaves no room to take back what joins at the start of a task.
        p_inter=0.0 if request.quick else 0.01,
        ddr_cutoff=3,
        ddr_rho=0.3,
        importance_samples=max(2, request.batch // 2),
        engine="numba",
    )


def random_images(task_samples: int) -> Dataset:
    """Images of noise, as many of each class."""
    rng = np.random.default_rng(2)
    per_class = task_samples // TASK_CLASSES

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        images = rng.integers(0, 256, (count * CLASSES, 3, IMAGE, IMAGE), dtype=np.uint8)
        return images, np.arange(count * CLASSES) % CLASSES

    (train_x, train_y), (test_x, test_y) = part(per_class), part(TEST_PER_CLASS)
    return Dataset(train_x, train_y, test_x, test_y, name="noise", mean=(0.5,) * 3, std=(0.29,) * 3)


def text(record: dict[str, Any]) -> str:
    """Both runs, and their ratio."""
    forms = {
        f"run of resnet18, width {record['width']}": "{run} DDR",
        **seconds(".2f"),
        "steps": "{steps}",
        "train GFLOPs": "{train_flops:,.0G}",
    }
    table = text_table(forms, ({"run": run, **record[f"{run}_ddr"]} for run in ("with", "without")))
    return (
        f"{table}\n\nwith / without: seconds {record['seconds_ratio']['median']:.3f}, "
        f"FLOPs {record['flops_ratio']:.3f}, data {record['data_fraction']:.3f}"
    )
