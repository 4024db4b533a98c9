"""The canonical runs: configurations in which, taken together, all that the method does happens."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparcl_ref.assembly import build_network
from sparcl_ref.config import Config
from sparcl_ref.randomness import named_streams
from sparcl_ref.streams import Dataset, load_dataset

#: Small, and much happens in it: 3 tasks of 16 samples in batches of 6; a mask action and a stage of data
#: removal every second epoch, which leaves 11 samples and so no batch of one; a gradient mask every second step; replay
#: of fewer samples than asked for, then of all in the buffer but two. Momentum and weight decay are on, so that dead
#: weights could revive.
CANONICAL = Config(
    model="convnet",
    width=4,
    epochs=4,
    delta_k=2,
    batch_size=6,
    replay_batch_size=8,
    buffer_size=10,
    sparsity=0.7,
    p_inter=0.05,
    p_intra=0.03,
    importance_samples=10,
    ddr_cutoff=1,
    dgm_q=0.08,
    dgm_interval=2,
    momentum=0.9,
    weight_decay=1e-3,
    class_order="random",
    dtype="float64",
    engine="numpy",
    seed=2,
)


def _but_for(**changed: Any) -> Config:
    """The first run with other settings."""
    return Config.from_json(CANONICAL.to_json() | changed)


#: What the first leaves out: experience replay over the whole head, three stages of data removal, so that it matters of
#: what their fractions are taken, Nesterov's momentum and rates in steps; the norm of its gradients is often above 1.
_ER = _but_for(
    method="er", head="full", epochs=8, batch_size=7, ddr_rho=0.6, ddr_cutoff=3, nesterov=True, lr_schedule="step",
    er_weight=0.75,
)  # fmt: skip
#: Stored logits alone, over the whole head, two stages of data removal, and rates along a cosine.
_DER = _but_for(
    method="der", head="full", epochs=6, ddr_rho=0.5, ddr_cutoff=2, nesterov=True, lr_schedule="cosine", alpha=0.5
)  # fmt: skip
#: By the names that the command knows them under.
RUNS = {"derpp": CANONICAL, "er": _ER, "der": _DER}
CANONICAL_CLASSES = 6
SAMPLES_PER_CLASS = 8
TEST_SAMPLES_PER_CLASS = 4


def canonical_dataset() -> Dataset:
    """The first handwritten digits of the classes 0 to 5: eight of each to train on, four to test."""
    digits = load_dataset("digits")

    def first(labels: np.ndarray, count: int) -> np.ndarray:
        wanted = [np.flatnonzero(labels == label)[:count] for label in range(CANONICAL_CLASSES)]
        return np.sort(np.concatenate(wanted))

    train, test = first(digits.train_y, SAMPLES_PER_CLASS), first(digits.test_y, TEST_SAMPLES_PER_CLASS)
    return Dataset(
        name="digits 0-5",
        train_x=digits.train_x[train],
        train_y=digits.train_y[train],
        test_x=digits.test_x[test],
        test_y=digits.test_y[test],
    )


def dense_initial(config: Config, dataset: Dataset) -> dict[str, np.ndarray]:
    """The state in which a configuration's network starts, before any mask."""
    return build_network(config, dataset, named_streams(config.seed)["init"]).state_dict()


def canonical_initial(config: Config = CANONICAL) -> dict[str, np.ndarray]:
    """A canonical run's initial state: as drawn, but one channel is silent, so that selections meet ties.

    What comes out of channel 0 of the second convolution is 0 for ever (its batch-norm gives -1, before a ReLU), and
    the weights that read it start at 0. Their importance is exactly 0 in every implementation, and the rule for equals
    decides which of them leave.
    """
    values = dense_initial(config, canonical_dataset())
    values["bn2.weight"][0] = 0.0
    values["bn2.bias"][0] = -1.0
    values["conv3.weight"][:, 0] = 0.0
    return values
