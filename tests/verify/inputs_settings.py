"""Inputs with another value where the other cases of a function have always the same: none of it may stand in code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    yield from _rules()
    yield from _costs()


def _rules() -> Iterator[CaseSpec]:
    mask = np.array([[True, False, True], [False, True, True]])
    yield CaseSpec(
        "exchange",
        "matrix",
        "adversarial",
        "of two equals the later goes, and a weight that stays keeps its velocity",
        {
            "value": np.where(mask, draws.floats("exchange matrix w", mask.shape), 0.0),
            "velocity": np.where(mask, draws.floats("exchange matrix v", mask.shape), 0.0),
            "mask": mask,
            "importance": np.array([[0.5, 9.0, 0.25], [9.0, 0.25, 0.75]]),
            "keep": 3,
            "active": 4,
            "joining": np.array([3]),
        },
        "paper",
    )
    yield CaseSpec(
        "probe_gradient",
        "other-norm",
        "adversarial",
        "scale and offset of the normalisation left out; an eps that is fixed in the code",
        {
            "x": draws.floats("probe norm x", (5, 2, 2, 1)),
            "labels": np.array([2, 0, 0, 2, 1]),
            "classes": [2, 0, 1],
            "weight": draws.floats("probe norm w", (3, 4)),
            "bias": draws.floats("probe norm b", 3),
            "gamma": np.array([-0.5, 3.0]),
            "beta": np.array([1.5, 0.0]),
            "batch_size": 2,
            "eps": 0.25,
        },
        "paper",
    )
    yield CaseSpec(
        "tdm_active_counts",
        "other-steps",
        "adversarial",
        "p_inter and p_intra mixed up, or fixed in the code",
        {
            "n": 80,
            "task": 2,
            "epochs": 6,
            "sparsity": "0.8",
            "delta_k": 3,
            "p_inter": "0.1",
            "p_intra": "0.05",
        },
        "paper",
    )
    yield CaseSpec(
        "completed_stage",
        "other-cutoff",
        "edge",
        "a cutoff that is fixed in the code: the second stage removes nothing here",
        {"epoch": 10, "epochs": 50, "delta_k": 5, "cutoff": 1},
        "paper",
    )
    living = draws.truths("dgm interval", (3, 4), count=8)
    yield CaseSpec(
        "dgm_step",
        "other-interval",
        "edge",
        "an interval that is fixed in the code: iteration 30 is none of every 7",
        {
            "mask": living,
            "grad_mask": living & draws.truths("dgm interval old", (3, 4), count=5),
            "grad_current": draws.distinct("dgm interval current", (3, 4)),
            "grad_replay": -draws.distinct("dgm interval replay", (3, 4)),
            "sparsity": "0.6",
            "alpha": 0.5,
            "beta": 1.0,
            "iteration": 30,
            "interval": 7,
        },
        "paper",
    )
    yield CaseSpec(
        "replay_size",
        "small-batch",
        "edge",
        "a replay batch of fixed size",
        {"batch_size": 5, "presented": 1000, "capacity": 200},
    )


def _costs() -> Iterator[CaseSpec]:
    yield CaseSpec(
        "linear_flops",
        "hidden-layer",
        "regular",
        "inputs and outputs that are no constants of one classifier",
        {"in_features": 100, "out_features": 64, "batch": 3, "active": 640, "grad_active": 512},
    )
    network = {"forward_macs": 1_000_000, "prunable_macs": 750_000}
    yield CaseSpec(
        "paper_density",
        "other-network",
        "regular",
        "0.98548 belongs to one network and is no constant",
        {"sparsity": "0.5", **network},
    )
    yield CaseSpec(
        "paper_train_flops",
        "other-network",
        "regular",
        "figures of one network fixed in the code",
        {"method": "er", **network, "trained_samples": 1000, "sparsity": "0.5", "gradient_sparsity": "0.6"},
    )
    yield CaseSpec(
        "paper_memory_bytes",
        "other-network",
        "regular",
        "figures of one network fixed in the code",
        {"parameters": 120_000, "conv_outputs": 5_000, "batch_size": 8, "sparsity": "0.5", "gradient_sparsity": "0.6"},
    )
