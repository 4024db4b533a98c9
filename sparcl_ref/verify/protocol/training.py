"""Losses, the optimizer and metrics."""

from __future__ import annotations

from sparcl_ref.verify.protocol.function import Argument, Function, Output

_BUZZEGA = "Buzzega et al., 2020"
_LOGITS = Argument("logits", "float (N, C)")
_LABELS = Argument("labels", "int (N,): classes of the whole head, 0..C-1")
_CLASSES = Argument(
    "classes",
    "list of int in any order, or None: the classes that take part (single head); None means all (full head)",
    default=None,
)
_REPLAY = (
    Argument("replay_logits", "float (M, C): logits of the samples replayed with labels; M = 0 with an empty buffer"),
    Argument("replay_labels", "int (M,)"),
)
_PER_SAMPLE = Output("per_sample", "float (N,): the loss of each sample")
_DLOGITS = Output("dlogits", "float (N, C): gradient with respect to logits")
_DREPLAY = Output("dreplay_logits", "float (M, C): gradient with respect to replay_logits")
_LOSS = Output("loss", "float: the weighted sum of mean losses")

LOSSES = (
    Function(
        "cross_entropy",
        "losses",
        (_LOGITS, _LABELS, _CLASSES),
        (_PER_SAMPLE, Output("dlogits", "float (N, C): gradient of the mean loss; +0.0 for classes left out")),
        "loss = log(sum over the classes that take part of exp(logit)) - the label's logit; the gradient of the mean "
        "over samples is (softmax - one-hot) / N, and exactly +0.0 for classes that take no part",
        "method, losses; equation (1) for the single head",
    ),
    Function(
        "mse_logits",
        "losses",
        (_LOGITS, Argument("targets", "float (N, C): the logits stored with the samples")),
        (_PER_SAMPLE, Output("dlogits", "float (N, C): gradient of the mean over samples and logits")),
        "loss of a sample = mean over its C logits of (logit - stored)^2; the gradient of the mean over samples is "
        "2 (logit - stored) / (N C)",
        _BUZZEGA,
    ),
    Function(
        "er_loss",
        "losses",
        (_LOGITS, _LABELS, *_REPLAY, _CLASSES, Argument("weight", "float: w", default=1.0)),
        (_LOSS, _DLOGITS, _DREPLAY),
        "L = CE~(B) + w CE(B'): means over their own batches; classes restricts the current batch alone, replayed "
        "samples are always over all logits; an empty replay adds 0",
        "experience replay; method, losses",
    ),
    Function(
        "derpp_loss",
        "losses",
        (
            _LOGITS,
            _LABELS,
            Argument("dark_logits", "float (K, C): logits of the samples replayed with stored logits; K may be 0"),
            Argument("dark_targets", "float (K, C): their stored logits"),
            *_REPLAY,
            _CLASSES,
            Argument("alpha", "float: a", default=0.1),
            Argument("beta", "float: b", default=0.5),
        ),
        (
            _LOSS,
            _DLOGITS,
            Output("ddark_logits", "float (K, C): gradient with respect to dark_logits"),
            _DREPLAY,
        ),
        "L = CE~(B) + a MSE(logits(B'), stored logits) + b CE(B''): three passes, two independent draws; an empty draw "
        "adds 0 (b = 0 with an empty B'' is DER)",
        f"{_BUZZEGA}, equation of DER++",
    ),
    Function(
        "derpp_step",
        "losses",
        (
            Argument("w1", "float (H, D): first layer of the perceptron logits = relu(images w1^T + b1) w2^T + b2"),
            Argument("b1", "float (H,)"),
            Argument("w2", "float (C, H)"),
            Argument("b2", "float (C,)"),
            Argument("images", "float (N, D): the current batch"),
            _LABELS,
            Argument("classes", "list of int: the current task's classes"),
            Argument("buffer_images", "float (F, D): the filled slots of the buffer; F may be 0"),
            Argument("buffer_labels", "int (F,)"),
            Argument("buffer_logits", "float (F, C): the logits stored with them"),
            Argument("dark_draw", "int (K,): slots replayed with their stored logits, B'"),
            Argument("replay_draw", "int (M,): slots replayed with their labels, B''"),
            Argument("head", '"full" or "single": over which logits the loss on the current batch is', default="full"),
            Argument("alpha", "float: a", default=0.1),
            Argument("beta", "float: b", default=0.5),
            Argument("lr", "float: learning rate of plain gradient descent", default=0.03),
        ),
        (
            Output("w1", "float (H, D): after the step"),
            Output("b1", "float (H,): after the step"),
            Output("w2", "float (C, H): after the step"),
            Output("b2", "float (C,): after the step"),
            Output("logits", "float (N, C): what the buffer stores with the batch"),
        ),
        "every parameter moves by -lr times the gradient of CE~(B) + a MSE(B') + b CE(B'') at the old parameters; the "
        "buffer stores the raw logits of the training pass, before the update and before any head mask",
        f"{_BUZZEGA}; method, losses and reservoir buffer",
    ),
)

OPTIMIZER = (
    Function(
        "sgd_step",
        "optimizer",
        (
            Argument("value", "float, any shape: the weights"),
            Argument("grad", "float, shape of value: dense; where entries are dead or silenced it may hold NaN"),
            Argument("velocity", "float, shape of value; zeros before the first step"),
            Argument("mask", "bool, shape of value, or None: the living entries; None means all", default=None),
            Argument(
                "grad_mask", "bool, subset of mask, or None: whose gradient counts; None means mask", default=None
            ),
            Argument("lr", "float: eta"),
            Argument("momentum", "float: mu", default=0.0),
            Argument("nesterov", "bool", default=False),
            Argument("weight_decay", "float: lambda", default=0.0),
        ),
        (
            Output("value", "float, shape of value"),
            Output("velocity", "float, shape of value; not compared if momentum is 0"),
        ),
        "g = (grad where grad_mask is set, else 0) + lambda value; velocity = mu velocity + g; value -= eta velocity, "
        "or eta (g + mu velocity) with Nesterov; dead entries of value and velocity are then assigned +0.0. The "
        "gradient mask silences the gradient only: momentum and weight decay of living weights go on",
        "method, sections 3 and 5; PyTorch's convention of momentum",
    ),
    Function(
        "learning_rate",
        "optimizer",
        (
            Argument("schedule", '"constant", "cosine" or "step"'),
            Argument("base", "float: rate of the first epoch"),
            Argument("epoch", "int, from 1"),
            Argument("epochs", "int"),
            Argument(
                "milestones",
                "list of int: after how many epochs the rate falls; None for ceil(epochs / 2) and ceil(3 epochs / 4)",
                default=None,
            ),
            Argument("gamma", "float: by which factor", default=0.1),
        ),
        (Output("rate", "float"),),
        "constant: base; cosine: base (1 + cos(pi (epoch - 1) / epochs)) / 2; step: base gamma^(number of milestones "
        "below epoch)",
        "Loshchilov and Hutter, 2017; He et al., 2016",
    ),
)


def _of_matrix(name: str, sentence: str, source: str) -> Function:
    matrix = Argument(
        "matrix",
        "float (T + 1, T): R[t, j - 1] is the accuracy on task j after training on tasks 1..t; row 0 is untrained",
    )
    value = Output("value", "float; None or NaN where the mean is over no task (T = 1)")
    return Function(name, "metrics", (matrix,), (value,), sentence, source)


METRICS = (
    Function(
        "correct",
        "metrics",
        (_LOGITS, _LABELS, _CLASSES),
        (Output("correct", "bool (N,)", exact=True),),
        "whether the largest logit is the label's: over the whole head (Class-IL), or among the given classes "
        "(Task-IL); among equal logits the lowest class wins",
        "method, setting",
    ),
    _of_matrix("average_accuracy", "mean over j = 1..T of R[T, j]", "Lopez-Paz and Ranzato, 2017"),
    _of_matrix(
        "forgetting",
        "mean over j = 1..T-1 of (max over l = j..T-1 of R[l, j]) - R[T, j]; the last row is no candidate for the "
        "maximum, so the value may be negative",
        "Chaudhry et al., 2018",
    ),
    _of_matrix("backward_transfer", "mean over j = 1..T-1 of R[T, j] - R[j, j]", "Lopez-Paz and Ranzato, 2017"),
    _of_matrix("forward_transfer", "mean over j = 2..T of R[j-1, j] - R[0, j]", "Lopez-Paz and Ranzato, 2017"),
    _of_matrix("learning_accuracy", "mean over j = 1..T of R[j, j]", "Riemer et al., 2019"),
)

FUNCTIONS = (*LOSSES, *OPTIMIZER, *METRICS)
