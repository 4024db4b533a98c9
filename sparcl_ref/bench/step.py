"""A whole DER++ training step of resnet18: three passes, forward and backward, and an update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sparcl_ref.bench import engines, pytorch
from sparcl_ref.bench.csr import with_csr
from sparcl_ref.bench.data import StepData, step_data
from sparcl_ref.bench.request import SPARSITIES, Request
from sparcl_ref.bench.timing import Contender, compared, interleaved, paired_ratio
from sparcl_ref.text import columns

#: What the name of a compiled contender ends in when gradients of silenced weights are not formed.
GATED = " + DGM"


def measure(request: Request, *, peak_flops: float) -> dict[str, Any]:
    """All contenders in turns.

    Returns
    -------
    dict
        ``contenders``, see `compared`; ``gradient_masks``, for each sparsity the `paired_ratio` of the seconds without
        to those with gradient masks.
    """
    contenders = step_contenders(request.width, request.batch, request.sparsities)
    seconds = interleaved(contenders, rounds=request.rounds)
    return {
        "contenders": compared(contenders, seconds, baseline=pytorch.BASELINE, peak_flops=peak_flops),
        "gradient_masks": {
            name: paired_ratio(seconds[name], seconds[name + GATED]) for name in seconds if name + GATED in seconds
        },
    }


def step_contenders(width: int, batch: int, sparsities: Sequence[float]) -> list[Contender]:
    """Dense PyTorch and NumPy, masked-dense PyTorch, CSR, and the compiled engine with and without gradient masks."""
    data, last = step_data(batch), SPARSITIES[-1]
    found = [
        *torch_contenders(width, data),
        *torch_contenders(width, data, sparsity=last),
        our_contender("numpy 0", "numpy", width, data),
        _csr_contender(width, data, last),
    ]
    for sparsity in sparsities:
        name = f"numba {sparsity:g}"
        found.append(our_contender(name, "numba", width, data, sparsity=sparsity))
        if sparsity:
            found.append(
                our_contender(name + GATED, "numba", width, data, sparsity=sparsity, masked_gradients=True)
            )  # fmt: skip
    return found


def torch_contenders(width: int, data: StepData, *, sparsity: float = 0.0) -> list[Contender]:
    """PyTorch in both memory formats, masked-dense if ``sparsity`` > 0, from the weights that ours start from."""
    network = engines.sparse_resnet18(width, sparsity=sparsity)
    found = []
    for name, memory_format in pytorch.FORMATS.items():
        model = pytorch.resnet18(width, conv=pytorch.MaskedConv2d if sparsity else torch.nn.Conv2d)
        pytorch.load_parameters(model, network.parameters())
        found.append(
            Contender(
                f"{name} masked-dense {sparsity:g}" if sparsity else name,
                pytorch.training_step(model, data, memory_format),
                engines.useful_flops(network, len(data.new)),
            )
        )
    return found


def our_contender(name: str, engine: str, width: int, data: StepData, **masks: Any) -> Contender:
    """An engine of ours; ``masks`` as for `sparse_resnet18`."""
    network = engines.sparse_resnet18(width, **masks)
    useful = engines.useful_flops(network, len(data.new))
    return Contender(name, engines.training_step(network, data, engine=engine), useful)


def _csr_contender(width: int, data: StepData, sparsity: float) -> Contender:
    """The numpy engine, its masked convolutions by SciPy's sparse matrices."""
    network = with_csr(engines.sparse_resnet18(width, sparsity=sparsity))
    useful = engines.useful_flops(network, len(data.new))
    return Contender(f"scipy csr {sparsity:g}", engines.training_step(network, data, engine="numpy"), useful)


def text(record: dict[str, Any]) -> str:
    """The steps as a table, and what gradient masks gain."""
    rows = [
        (
            row["name"],
            *(f"{row[key]:.3f}" for key in ("median_seconds", "min_seconds", "max_seconds")),
            f"{row['times_faster']:.2f}",
            f"{row['useful_gflops_per_second']:.1f}",
            f"{100 * row['fraction_of_peak']:.1f} %",
        )
        for row in record["contenders"]
    ]
    header = ("DER++ step of resnet18", "median, s", "min", "max", "times faster", "useful GFLOP/s", "of peak")
    gains = [
        (name, *(f"{ratio[key]:.3f}" for key in ("median", "lower_quartile", "upper_quartile")))
        for name, ratio in record["gradient_masks"].items()
    ]
    tables = [columns(header, rows)]
    if gains:
        ends = ("median", "lower quartile", "upper quartile")
        tables.append(columns(("seconds without / with gradient masks, same round", *ends), gains))
    return "\n\n".join(tables)
