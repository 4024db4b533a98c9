"""The rules that produce the tensors of a trace: one sentence and one source each, for the report."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """What a tensor has to be, in one sentence, and the equation, algorithm or paper that says so.

    Attributes
    ----------
    exact : bool
        Whether every entry must be equal; else a tolerance applies.
    zeros : bool
        Whether an entry that is 0 in the reference must be exactly 0, because it is dead or silenced.
    """

    sentence: str
    source: str
    exact: bool = False
    zeros: bool = False


#: Source of what both sides are given; that it agrees says nothing about an implementation.
GIVEN = "given"
#: Layers to their names in the protocol.
_LAYERS = {
    "Conv2d": "conv2d",
    "Linear": "linear",
    "BatchNorm2d": "batchnorm2d",
    "BatchNorm1d": "batchnorm2d",
    "ReLU": "relu",
    "MaxPool2d": "max_pool2d",
    "AvgPool2d": "avg_pool2d",
    "GlobalAvgPool2d": "global_avg_pool2d",
    "Dropout": "dropout",
}
_SGD = "SGD with momentum as in PyTorch, under masks"

#: Tensors that a function of the protocol makes have its rule, exactly where all of it is exact.
_FUNCTIONS = {
    **{f"output/{layer}": f"{name}_forward" for layer, name in _LAYERS.items()},
    **{f"dx/{layer}": f"{name}_backward" for layer, name in _LAYERS.items()},
    "cwi": "cwi",
    "cgi": "cgi",
    "slots": "reservoir_slot",
}

_RULES = {
    "data": Rule("The data set of the run: given, to be taken as it is.", GIVEN, exact=True),
    "choice": Rule("A random decision of the run: replayed, not drawn.", GIVEN, exact=True),
    "initial": Rule("Dense initial value: given, to be taken as it is.", GIVEN, exact=True),
    "input": Rule("(image * scale - mean) / std, of the batch's or the replayed samples' stored images.", "data set"),
    # layers that compute nothing of their own; the others are functions of the protocol
    "output/Flatten": Rule("(N, ...) -> (N, product of the rest), in C order.", "flatten"),
    "output/Residual": Rule("y = relu(body(x) + shortcut(x)).", "residual block, forward (He et al. 2016)"),
    "dx/Flatten": Rule("dy in the input's shape.", "flatten"),
    "dx/Residual": Rule("The contributions through body and shortcut add.", "residual block, backward"),
    # losses
    "loss/current": Rule(
        "CE~: mean cross-entropy of the new batch; under the single head over the task's own classes only.",
        "DER++ loss, first term; equation 1 defines CE~",
    ),
    "loss/replay_mse": Rule(
        "a times the mean over samples and logits of (logits - stored logits)^2.",
        "DER++ loss, a MSE(B') (Buzzega et al. 2020)",
    ),
    "loss/replay_ce": Rule(
        "Coefficient times the mean cross-entropy of the replayed samples over the whole head.",
        "DER++ loss, b CE(B''); ER's replay term",
    ),
    "dlogits": Rule(
        "Gradient of the pass's weighted mean loss: 0 for classes that take no part, divided by the samples.",
        "losses, backward",
    ),
    "gradient/current": Rule(
        "Gradient of the loss on the new batch alone; 0 where none is formed: at dead weights, and between refreshes "
        "at those the gradient mask silences.",
        "backpropagation; first part of equation 3",
        zeros=True,
    ),
    "gradient/replay": Rule(
        "Gradient of the whole replay term with its coefficients, all replay passes together; 0 where none is formed.",
        "backpropagation; second part of equation 3",
        zeros=True,
    ),
    # the regime
    "probe/current": Rule(
        "Gradient of mean CE~ (single head) over the task's first remaining samples, in chunks of the batch size, each "
        "with its own batch-norm statistics, running ones untouched; chunks weigh by size; 0 at dead weights.",
        "equation 1, d CE~(D_t) / dw",
    ),
    "probe/buffer": Rule(
        "Gradient of mean CE (full head) over the whole buffer in slot order, in chunks like the other; 0 at dead "
        "weights.",
        "equation 1, d CE(M) / dw",
    ),
    "shrink": Rule(
        "The living weights of largest CWI stay, floor((1-s)n + 1/2) of each layer; among equals the lower flat index.",
        "Algorithm 1, shrink",
        exact=True,
    ),
    "expand": Rule("The weights that join are added to the mask.", "Algorithm 1, expand", exact=True),
    "masked": Rule(
        "After a mask action dead weights are exactly 0 in value and velocity; a weight that joins starts at 0, also "
        "one removed and redrawn in the same action.",
        "Algorithm 1",
        zeros=True,
    ),
    "gradient_mask": Rule(
        "Of the living weights those of largest CGI, so that a fraction s + q of the layer is masked; chosen at "
        "iterations 0, interval, 2 interval, ..., kept in between; among equals the lower flat index.",
        "dynamic gradient masking, equation 3",
        exact=True,
    ),
    # the update
    "gradient": Rule(
        "current + replay, and 0 outside the gradient mask: what the optimiser is given.",
        "dynamic gradient masking",
        zeros=True,
    ),
    "velocity": Rule(
        "v = momentum v + gradient + weight_decay w; exactly 0 at dead weights; the gradient mask silences the "
        "gradient only.",
        _SGD,
        zeros=True,
    ),
    "value": Rule("w = w - lr v (Nesterov: g + momentum v for v); exactly 0 at dead weights.", _SGD, zeros=True),
    "running_mean": Rule(
        "running_mean = (1 - m) running_mean + m mu, in each of the step's passes in turn, not in probes.",
        "batch normalisation, running statistics",
    ),
    "running_var": Rule(
        "running_var = (1 - m) running_var + m var n / (n - 1), unbiased, in each of the step's passes in turn, not in "
        "probes.",
        "batch normalisation, running statistics",
    ),
    "num_batches_tracked": Rule(
        "Counts the passes in train mode.", "batch normalisation, running statistics", exact=True
    ),
    # the buffer
    "presented": Rule("Every presentation counts, stored or not.", "reservoir sampling (Vitter 1985)", exact=True),
    "stored": Rule(
        "What is stored: the image before normalisation and augmentation, its label and its task.",
        "reservoir buffer",
        exact=True,
    ),
    "stored_logits": Rule(
        "What is stored: the raw logits, before any head mask, of the training pass that presented the sample.",
        "reservoir buffer; DER++ (Buzzega et al. 2020)",
    ),
    # data removal, cost, evaluation
    "correct": Rule("argmax over the whole head, before the update, is the label.", "equation 2", exact=True),
    "misclassified": Rule(
        "How often each remaining sample was misclassified in this stage, by ascending index.", "equation 2", exact=True
    ),
    "remaining": Rule(
        "After stage i <= cutoff the fewest-misclassified go, so that floor(rho |D_t| i / cutoff + 1/2) are gone; "
        "among equals the lowest index first.",
        "dynamic data removal, equation 2",
        exact=True,
    ),
    "flops": Rule(
        "2 FLOPs per multiply-add: living weights at every output position, dW where the gradient mask is set.",
        "exact convention of the cost",
        exact=True,
    ),
    "accuracy": Rule(
        "Share of correct test samples in eval mode, with running statistics; one number per task.",
        "Class-IL: argmax over the whole head; Task-IL: over the task's classes",
    ),
}


class RuleBook(dict[str, Rule]):
    """Rules by the name a manifest refers to; what the protocol does not know, such as a new layer, rules itself."""

    def __missing__(self, name: str) -> Rule:
        return Rule(f"{name}: as the reference computes it; the protocol has no function of this kind.", "reference")


def rule_book() -> RuleBook:
    """All rules there are."""
    from sparcl_ref.verify.areas import functions

    known = functions()
    made_by = {}
    for name, function in ((name, known[key]) for name, key in _FUNCTIONS.items()):
        made_by[name] = Rule(f"{function.sentence}.", function.source, all(out.exact for out in function.outputs))
    return RuleBook(_RULES | made_by)
