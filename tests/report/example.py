"""A made-up run with plausible numbers, shaped like the one-minute comparison: 8 entries, 5 tasks, 10 epochs each."""

from __future__ import annotations

from typing import Any

import numpy as np

TASKS, EPOCHS, DELTA_K = 5, 10, 2
TASK_SAMPLES = (288, 288, 288, 288, 285)

#: Name, method, sparsity, head, final Class-IL and Task-IL, train FLOPs (paper, exact), memory (paper, exact), seconds.
ENTRIES: tuple[tuple, ...] = (
    ("SGD", "sgd", None, "full", 0.197, 0.962, 1.62e11, 1.60e11, 6_310_000, 6_720_000, 5.2),
    ("ER", "er", None, "full", 0.861, 0.981, 2.16e11, 3.19e11, 6_310_000, 6_810_000, 9.6),
    ("DER++ (full head)", "derpp", None, "full", 0.885, 0.984, 2.70e11, 4.79e11, 6_310_000, 6_811_000, 13.9),
    ("DER++ (single head)", "derpp", None, "single", 0.934, 0.986, 2.70e11, 4.79e11, 6_310_000, 6_811_000, 14.1),
    ("SparCL-ER .75", "er", 0.75, "single", 0.893, 0.979, 5.1e10, 8.4e10, 5_410_000, 5_902_000, 9.1),
    ("SparCL-DER++ .75", "derpp", 0.75, "single", 0.925, 0.984, 6.4e10, 1.23e11, 5_410_000, 5_902_000, 12.2),
    ("SparCL-DER++ .90", "derpp", 0.90, "single", 0.894, 0.978, 2.8e10, 6.2e10, 5_190_000, 5_604_000, 12.0),
    ("SparCL-DER++ .95", "derpp", 0.95, "single", 0.871, 0.969, 1.6e10, 4.1e10, 5_120_000, 5_508_000, 11.9),
)


def accuracy_matrix(final: float, chance: float, rng: np.random.Generator, *, forgets: bool) -> list[list[float]]:
    """Rows untrained, after task 1, ...: learned at 98 %, then declining towards a mean of ``final``."""
    matrix = np.zeros((TASKS + 1, TASKS))
    matrix[0] = np.clip(rng.normal(chance, 0.05, TASKS), 0, 1)
    for task in range(TASKS):
        matrix[1 : task + 1, task] = matrix[0, task] if chance > 0.3 else 0.0
        learned = 0.985 + rng.uniform(-0.01, 0.012)
        end = (0.0 if task < TASKS - 1 else 0.985) if forgets else final + (task - 2) * 0.018 + rng.normal(0, 0.008)
        ages = np.arange(TASKS - task) / max(1, TASKS - 1 - task)
        fall = ages**0.4 if forgets else ages
        matrix[task + 1 :, task] = np.clip(learned + (end - learned) * (fall if task < TASKS - 1 else ages), 0, 1)
    return [[round(float(value) * 72) / 72 for value in row] for row in matrix]


def removals(sparse: bool) -> list[dict[str, int]]:
    """Data removal at rho = .3 over four stages of two epochs."""
    rows = []
    for task, samples in enumerate(TASK_SAMPLES if sparse else (), start=1):
        gone = [int(0.3 * samples * stage / 4 + 0.5) for stage in range(5)]
        rows += [
            {"task": task, "stage": stage, "removed": gone[stage] - gone[stage - 1], "left": samples - gone[stage],
             "saved_flops": 10**8 * (5 - stage)}
            for stage in range(1, 5)
        ]  # fmt: skip
    return rows


def savings(sparse: bool, flops: float) -> dict[str, list[dict[str, Any]]]:
    """A cost taken apart, for SparCL into all its parts."""
    names = ("new data", "replay", "TDM", "DDR", "DGM") if sparse else ("new data", "replay")
    totals = [int(flops * factor) for factor in (3, 9, 2, 1.5, 1)[: len(names)]]
    changes = [total - before for total, before in zip(totals, [0, *totals[:-1]], strict=True)]
    parts = [
        {"name": name, "change_flops": change, "total_flops": total}
        for name, change, total in zip(names, changes, totals, strict=True)
    ]
    return {"paper": parts, "exact": parts}


def record(entry: tuple, seed: int) -> dict[str, Any]:
    """One record of ``methods``."""
    name, method, sparsity, head, class_il, task_il, flops, flops_exact, memory, memory_exact, wall = entry
    rng = np.random.default_rng([seed, *name.encode()])
    shift = float(rng.normal(0, 0.008))
    class_matrix = accuracy_matrix(class_il + shift, 0.1, rng, forgets=method == "sgd")
    task_matrix = accuracy_matrix(task_il, 0.5, rng, forgets=False)
    final = np.array(class_matrix)
    learned = np.diagonal(final[1:])
    before = np.diagonal(final)[1:]
    sparse = sparsity is not None
    config = {
        "dataset": "digits", "model": "convnet", "method": method, "head": head, "sparsity": sparsity,
        "buffer_size": 100, "epochs": EPOCHS, "batch_size": 16, "lr": 0.03, "delta_k": DELTA_K, "width": None,
        "tdm": True, "seed": seed,
    }  # fmt: skip
    return {
        "name": name,
        "method": method,
        "sparsity": sparsity,
        "head": head,
        "seed": seed,
        "class_order": list(range(10)),
        "class_il_matrix": class_matrix,
        "task_il_matrix": task_matrix,
        "class_il_accuracy": float(final[-1].mean()),
        "task_il_accuracy": float(np.mean(task_matrix[-1])),
        "forgetting": float(np.mean([final[i + 1 : TASKS, i].max() - final[TASKS, i] for i in range(TASKS - 1)])),
        "backward_transfer": float(np.mean(final[-1, :-1] - learned[:-1])),
        "forward_transfer": float(np.mean(before - final[0, 1:])),
        "learning_accuracy": float(learned.mean()),
        "layer_sparsity": dict.fromkeys(("body.conv2.weight", "body.conv3.weight"), sparsity) if sparse else {},
        "train_flops": {"paper": flops, "exact": int(flops_exact)},
        "memory_bytes": {"paper": memory, "exact": memory_exact},
        "steps": 700 if sparse else 900,
        "savings": savings(sparse, flops),
        "data_removed": removals(sparse),
        "wall_seconds": wall,
        "config": config,
        "warnings": [],
    }


def many(seeds: int = 1) -> list[dict[str, Any]]:
    """Records of twenty-five entries of four families, in the order of their numbers and of no other."""
    families = ("baselines", "rehearsal", "regularisation", "sparse")
    made = []
    for index in range(25):
        accuracy = 0.2 + 0.03 * (index * 7 % 25)
        sparse = index % 4 == 3
        entry = (f"entry {index}", f"method {index // 2}", 0.9 if sparse else None, "full", accuracy, 0.95,
                 1e11, (1 + index % 5) * 2e10, 10**6, 10**6, 9.0)  # fmt: skip
        made += [record(entry, seed) | {"family": families[index % 4]} for seed in range(seeds)]
    return made


def joint_record(seed: int = 0) -> dict[str, Any]:
    """Joint training: two rows, and no order."""
    entry = ("Joint", "joint", None, "full", 0.972, 0.99, 1.62e11, 1.60e11, 6_310_000, 6_720_000, 5.0)
    undefined = dict.fromkeys(("forgetting", "backward_transfer", "forward_transfer", "learning_accuracy"))
    matrix = [[0.1, 0.0, 0.15, 0.1, 0.12], [0.99, 0.97, 0.96, 0.98, 0.96]]
    return {**record(entry, seed), **undefined, "class_il_matrix": matrix, "task_il_matrix": matrix,
            "class_il_accuracy": 0.972}  # fmt: skip


def mask(sparsity: float, *, weights: int = 9216, shape: tuple[int, ...] = (32, 32, 3, 3), seed: int = 0) -> dict:
    """Snapshots of a mask that grows at random and loses mostly what joined late."""
    rng = np.random.default_rng([seed, int(1000 * sparsity)])
    score = rng.gamma(2.0, size=weights)
    budget = int((1 - sparsity) * weights + 0.5)
    alive = np.zeros(weights, dtype=bool)
    alive[rng.permutation(weights)[:budget]] = True

    def shrink(target: int) -> None:
        living = np.flatnonzero(alive)
        alive[living[np.argsort(score[living])[: len(living) - target]]] = False

    def grow(target: int) -> None:
        dead = np.flatnonzero(~alive)
        chosen = rng.permutation(dead)[: target - np.count_nonzero(alive)]
        alive[chosen] = True
        score[chosen] = rng.gamma(1.2, size=len(chosen)) * 0.6

    snapshots, labels = [alive.copy()], [(0, 0)]
    for task in range(1, TASKS + 1):
        score *= rng.lognormal(0, 0.3, size=weights)
        for epoch in range(1, EPOCHS + 1):
            if task > 1 and epoch == 1:
                grow(int((1 - sparsity + 0.01) * weights + 0.5))
            if epoch % DELTA_K == 0:
                shrink(int((1 - sparsity - 0.005) * weights + 0.5))
                grow(budget)
            snapshots.append(alive.copy())
            labels.append((task, epoch))
    return {"layer": "body.conv2.weight", "shape": list(shape), "labels": labels, "alive": np.array(snapshots)}


def epoch_rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per record and epoch."""
    return [
        {
            "name": each["name"], "seed": each["seed"], "task": task, "epoch": epoch,
            "loss_current": 1.2 / (epoch + task), "loss_replay": 0.4 / epoch if each["method"] != "sgd" else 0.0,
            "train_accuracy": 1 - 0.5 / (epoch + 1), "samples": 288, "active_fraction": 1 - (each["sparsity"] or 0),
            "learning_rate": 0.03,
            "train_flops_exact": each["train_flops"]["exact"] * ((task - 1) * EPOCHS + epoch) // (TASKS * EPOCHS),
        }
        for each in records
        for task in range(1, TASKS + 1)
        for epoch in range(1, EPOCHS + 1)
    ]  # fmt: skip


def run(*, seeds: int = 1, joint: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Summary, epoch rows and masks of a run."""
    records = [record(entry, seed) for entry in ENTRIES for seed in range(seeds)]
    if joint:
        records += [joint_record(seed) for seed in range(seeds)]
    summary = {
        "schema_version": 1,
        "command": "python -m sparcl_ref.run --tiny" + (f" --seeds {seeds}" if seeds > 1 else ""),
        "config": {"name": "tiny", "threads": 1, "runs": [each["config"] for each in records]},
        "versions": {"sparcl_ref": "0.1.0", "python": "3.12.3", "machine": "x86_64", "numpy": "2.4.0"},
        "threads": {"blas": 1, "workers": 2},
        "class_order": list(range(10)),
        "dataset": {"name": "digits", "train": 1437, "test": 360, "shape": [1, 8, 8], "classes": 10},
        "methods": records,
        "wall_seconds": 48.3 * seeds,
    }
    masks = {f"{each['name']}#{each['seed']}": mask(each["sparsity"]) for each in records if each["sparsity"]}
    return summary, epoch_rows(records), masks
