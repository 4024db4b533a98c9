"""Data sets, and how they become a stream of tasks and batches."""

from __future__ import annotations

from sparcl_ref.streams.augmentation import AUGMENTATIONS, crop_flip, crop_flip_at, none
from sparcl_ref.streams.catalogue import DATASETS, load_dataset, register
from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.scenario import Plan, Scenario, domain_incremental
from sparcl_ref.streams.scenarios import SCENARIOS
from sparcl_ref.streams.tasks import Stream, Task, class_order, cut_batches, joint, split

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "SCENARIOS",
    "Dataset",
    "Plan",
    "Scenario",
    "Stream",
    "Task",
    "class_order",
    "crop_flip",
    "crop_flip_at",
    "cut_batches",
    "domain_incremental",
    "joint",
    "load_dataset",
    "none",
    "register",
    "split",
]
