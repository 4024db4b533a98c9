"""How a method is measured: accuracy on every task, by its own answers."""

from __future__ import annotations

import numpy as np

from sparcl_ref.losses import correct
from sparcl_ref.methods import Method
from sparcl_ref.streams import Stream, Task

#: Images of a forward pass.
EVALUATION_BATCH = 250


def accuracy_rows(method: Method, stream: Stream, dtype: np.dtype) -> tuple[list[float], list[float] | None]:
    """Accuracy of the method's `predict` on each evaluation task, in 0..1; ``dtype`` is the network's.

    Returns
    -------
    class_il, task_il : list of float
        Argmax over all classes, and over the task's own; one number per task. No Task-IL (None) where tasks have no
        classes of their own.
    """
    class_il, task_il = [], []
    dataset = stream.dataset

    def scores(task: Task, told: int | None) -> np.ndarray:
        index = task.test_index
        parts = [index[start : start + EVALUATION_BATCH] for start in range(0, len(index), EVALUATION_BATCH)]
        images = (dataset.normalise(dataset.test_x[part], dtype) for part in parts)
        return np.concatenate([method.predict(x, task=told) for x in images])

    for task in stream.tasks:
        labels = dataset.test_y[task.test_index]
        found = scores(task, None)
        class_il.append(float(np.mean(correct(found, labels))))
        if not stream.class_incremental:
            continue
        found = scores(task, task.number) if method.predicts_by_task else found
        task_il.append(float(np.mean(correct(found, labels, classes=task.classes))))
    return class_il, task_il if stream.class_incremental else None
