"""The twin against the frozen cases: it passes everything it provides, and provides all of SparCL that it has."""

from __future__ import annotations

import pytest

from sparcl_ref.verify.check import check
from sparcl_ref.verify.difference import DTYPES
from tests.torch_twin import adapter

#: What the twin does without: schedules of the learning rate, accuracies, costs and structured masks.
LEFT_OUT = {
    "learning_rate",
    "replay_size",
    "average_accuracy",
    "forgetting",
    "backward_transfer",
    "forward_transfer",
    "learning_accuracy",
    "conv2d_flops",
    "linear_flops",
    "paper_density",
    "paper_train_flops",
    "paper_memory_bytes",
    "sparse_weight_bytes",
    "best_patterns",
    "keep_kernels_per_filter",
    "kernels_to_grow",
    "grow_column_blocks",
    "silent_filters",
    "packnet_partition",
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_twin_passes_what_it_provides(dtype):
    report = check(adapter, dtype=dtype)
    assert [(o.case.id, o.line) for o in report.outcomes if o.status == "failed"] == []
    assert {o.case.function for o in report.outcomes if o.status == "not provided"} == LEFT_OUT
    assert sum(o.compared for o in report.outcomes) > 15_000
