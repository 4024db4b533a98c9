"""A whole DER++ training step of resnet18: three passes, forward and backward, and an update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sparcl_ref.bench import engines, pytorch
from sparcl_ref.bench.csr import with_csr
from sparcl_ref.bench.request import BASELINE, SPARSITIES, Request
from sparcl_ref.bench.tables import comparison, text_table
from sparcl_ref.bench.timing import Contender, compared, interleaved, paired_ratio
from sparcl_ref.bench.workload import StepData, step_data
from sparcl_ref.models import Network

#: What the name of a compiled contender ends in when gradients of silenced weights are not formed.
GATED = " + DGM"


def measure(request: Request, *, peak_flops: float) -> dict[str, Any]:
    """All ``contenders`` `compared`; ``gradient_masks`` are by name `paired_ratio`s of seconds without to with them."""
    contenders = step_contenders(request.width, request.batch, request.sparsities)
    spent = interleaved(contenders, rounds=request.rounds)
    return {
        "contenders": compared(contenders, spent, baseline=BASELINE, peak_flops=peak_flops),
        "gradient_masks": {
            name: paired_ratio(spent[name], spent[name + GATED]) for name in spent if name + GATED in spent
        },
    }


def step_contenders(width: int, batch: int, sparsities: Sequence[float]) -> list[Contender]:
    """Dense PyTorch and NumPy, masked-dense PyTorch, CSR, and the compiled engine with and without gradient masks."""
    data, last = step_data(batch), SPARSITIES[-1]
    found = [
        *torch_contenders(width, data),
        *torch_contenders(width, data, sparsity=last),
        our_contender("numpy 0", data, engines.sparse_resnet18(width)),
        our_contender(f"scipy csr {last:g}", data, with_csr(engines.sparse_resnet18(width, sparsity=last))),
    ]
    for sparsity in sparsities:
        for gated in (False, True) if sparsity else (False,):
            network = engines.sparse_resnet18(width, sparsity=sparsity, masked_gradients=gated)
            found.append(our_contender(f"numba {sparsity:g}" + GATED * gated, data, network))
    return found


def torch_contenders(width: int, data: StepData, *, sparsity: float = 0.0) -> list[Contender]:
    """PyTorch in both memory formats, masked-dense if ``sparsity`` > 0, from the weights that ours start from."""
    network = engines.sparse_resnet18(width, sparsity=sparsity)
    useful = engines.useful_flops(network, len(data.new))
    conv, kind = (pytorch.MaskedConv2d, f" masked-dense {sparsity:g}") if sparsity else (torch.nn.Conv2d, "")
    found = []
    for name, memory_format in pytorch.FORMATS.items():
        model = pytorch.resnet18(width, conv=conv)
        pytorch.load_parameters(model, network.parameters())
        found.append(Contender(name + kind, pytorch.training_step(model, data, memory_format), useful))
    return found


def our_contender(name: str, data: StepData, network: Network) -> Contender:
    """One of ours: in the compiled engine if its name begins so, else in the numpy engine."""
    useful = engines.useful_flops(network, len(data.new))
    engine = "numba" if name.startswith("numba") else "numpy"
    return Contender(name, engines.training_step(network, data, engine=engine), useful)


def text(record: dict[str, Any]) -> str:
    """The steps as a table, and what gradient masks gain."""
    table = text_table(comparison("DER++ step of resnet18", ".3f", "s", ".1%"), record["contenders"])
    gains = [{"name": name, **ratio} for name, ratio in record["gradient_masks"].items()]
    if not gains:
        return table
    ends = {key.replace("_", " "): f"{{{key}:.3f}}" for key in ("median", "lower_quartile", "upper_quartile")}
    return f"{table}\n\n{text_table({'seconds without / with gradient masks, same round': '{name}', **ends}, gains)}"
