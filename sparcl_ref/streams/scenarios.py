"""The scenarios by name, open to others."""

from __future__ import annotations

from sparcl_ref.registry import Registry
from sparcl_ref.streams.dataset import Dataset
from sparcl_ref.streams.permuted import PERMUTED
from sparcl_ref.streams.rotated import ROTATED
from sparcl_ref.streams.scenario import Plan, Scenario
from sparcl_ref.streams.tasks import Stream, split


def make_split(dataset: Dataset, plan: Plan) -> Stream:
    """Tasks of so many classes each, in their order."""
    return split(dataset, classes_per_task=plan.classes_per_task, class_order=plan.class_order)


SPLIT = Scenario("classes by turns", class_incremental=True, make=make_split)

#: By the name that ``--stream`` takes; ``SCENARIOS.register(name, scenario)`` adds one.
SCENARIOS: Registry[Scenario] = Registry(
    "stream", {"split": SPLIT, "permuted": PERMUTED, "rotated": ROTATED}, base=Scenario
)
