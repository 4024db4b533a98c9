"""The protocol's functions for masks and for importance."""

from __future__ import annotations

from sparcl_ref.verify.protocol.function import Argument, Function, Output

SPARSITY = Argument("sparsity", 'str, a decimal such as "0.75": fraction of dead weights, limited to 0..1')
MASK = Argument("mask", "bool, any shape: True where a weight lives")
ALPHA = Argument("alpha", "float: coefficient of the current task's gradient", 0.5)
BETA = Argument("beta", "float: coefficient of the buffer's gradient", 1.0)
JOINING = Argument("joining", "int (k,): flat (C-order) indices of the dead entries drawn to join")

_SECTION = "SparCL, section 3 (task-aware dynamic masking), budgets"
_ALGORITHM = "SparCL, Algorithm 1"
_EQ1 = "SparCL, equation (1)"

BUDGET = Function(
    "budget",
    "masks",
    (Argument("n", "int: weights of the layer"), SPARSITY),
    (Output("active", "int: living weights", exact=True),),
    "of n weights floor((1 - s) n + 1/2) live, in exact decimals: a half rounds up, and s is the decimal as written",
    _SECTION,
)

BUDGETS = Function(
    "budgets",
    "masks",
    (
        Argument("shapes", "list of list of int: weight shapes (out, in, kh, kw) or (out, in), in network order"),
        SPARSITY,
        Argument("kind", 'str: "uniform", "erk" or "global"', "uniform"),
    ),
    (Output("active", 'int (layers,), or (1,) for "global"', exact=True),),
    "uniform budgets give every layer one sparsity, ERK each layer its density, global one number for all weights",
    f"{_SECTION}; Evci et al., RigL, 2020",
)

ERK_DENSITIES = Function(
    "erk_densities",
    "masks",
    (Argument("shapes", "list of list of int: weight shapes"), SPARSITY),
    (Output("densities", "float (layers,), each in 0..1"),),
    "a layer's density is eps (sum of its dimensions) / (product of its dimensions); layers that would pass 1 are "
    "dense and eps is solved again for the rest, so that (1 - s) of all weights live",
    "Evci et al., RigL, 2020, Erdos-Renyi-kernel",
)

RANDOM_MASK = Function(
    "random_mask",
    "masks",
    (
        Argument("shape", "list of int"),
        Argument("active", "int: living entries"),
        Argument("chosen", "int (active,): flat (C-order) indices drawn to live, in any order"),
    ),
    (Output("mask", "bool, the given shape", exact=True),),
    "a random mask has exactly the drawn entries alive; indices are flat and in C order",
    f"{_ALGORITHM}, initial mask",
)

SHRINK = Function(
    "shrink",
    "masks",
    (
        MASK,
        Argument("importance", "float, shape of mask: read at living entries only"),
        Argument("active", "int: entries that stay alive"),
    ),
    (Output("mask", "bool, shape of mask", exact=True),),
    "the given number of most important living entries stays; among equals the lower flat index is kept, and a dead "
    "entry never returns, however important",
    f"{_ALGORITHM}, shrink",
)

GROW = Function(
    "grow",
    "masks",
    (MASK, Argument("active", "int: living entries afterwards"), JOINING),
    (Output("mask", "bool, shape of mask", exact=True),),
    "the living stay and the drawn dead entries join them",
    f"{_ALGORITHM}, expand",
)

APPLY_MASK = Function(
    "apply_mask",
    "masks",
    (
        Argument("value", "float, any shape"),
        Argument("grad", "float, shape of value"),
        Argument("velocity", "float, shape of value: the optimiser's momentum"),
        MASK,
    ),
    (
        Output("value", "float, shape of value", exact=True),
        Output("grad", "float, shape of value", exact=True),
        Output("velocity", "float, shape of value", exact=True),
    ),
    "dead entries are assigned +0.0 in value, gradient and optimiser state; multiplying would leave -0.0 and NaN",
    f"{_ALGORITHM}: only active weights have values, gradients and optimiser state",
)

EXCHANGE = Function(
    "exchange",
    "masks",
    (
        Argument("value", "float, any shape"),
        Argument("velocity", "float, shape of value"),
        MASK,
        Argument("importance", "float, shape of value"),
        Argument("keep", "int: entries alive after the shrink"),
        Argument("active", "int: entries alive after the expansion"),
        JOINING,
    ),
    (
        Output("value", "float, shape of value", exact=True),
        Output("velocity", "float, shape of value", exact=True),
        Output("mask", "bool, shape of value", exact=True),
    ),
    "shrink by importance, then the drawn entries join with value and velocity 0, also those that the shrink has just "
    "removed",
    f"{_ALGORITHM}, intra-task adjustment",
)

CGI = Function(
    "cgi",
    "importance",
    (
        Argument("grad_current", "float, any shape: gradient on the current task"),
        Argument("grad_buffer", "float, shape of grad_current: gradient on the buffer, zeros if it is empty"),
        ALPHA,
        BETA,
    ),
    (Output("importance", "float, shape of grad_current"),),
    "continual gradient importance is alpha |g_current| + beta |g_buffer|: each part's size, not the size of the sum",
    "SparCL, equation (3)",
)

CWI = Function(
    "cwi",
    "importance",
    (
        Argument("weight", "float, any shape"),
        Argument("grad_current", "float, shape of weight"),
        Argument("grad_buffer", "float, shape of weight"),
        ALPHA,
        BETA,
    ),
    (Output("importance", "float, shape of weight"),),
    "continual weight importance is |w| + alpha |g_current| + beta |g_buffer|; the gradients are those of the losses, "
    "not the weights again",
    _EQ1,
)

PROBE_GRADIENT = Function(
    "probe_gradient",
    "importance",
    (
        Argument("x", "float (N, C, H, W): the samples, not augmented"),
        Argument("labels", "int (N,)"),
        Argument("classes", "list of int: classes of the task, in any order; None for the whole head", None),
        Argument("weight", "float (K, C H W): of the linear layer"),
        Argument("bias", "float (K,)"),
        Argument("gamma", "float (C,): batch-norm's weight"),
        Argument("beta", "float (C,): batch-norm's bias"),
        Argument("batch_size", "int: samples of a chunk; the last chunk may be smaller"),
        Argument("eps", "float: batch-norm's", 1e-5),
    ),
    (Output("dweight", "float (K, C H W)"),),
    "the gradient of the mean cross-entropy of batch-norm, flatten, linear, formed in chunks with each chunk's own "
    "batch-norm statistics and weighted by the chunk's number of samples; no samples give zeros",
    f"{_EQ1}; chunked probe",
)

FUNCTIONS = (
    BUDGET,
    BUDGETS,
    ERK_DENSITIES,
    RANDOM_MASK,
    SHRINK,
    GROW,
    APPLY_MASK,
    EXCHANGE,
    CGI,
    CWI,
    PROBE_GRADIENT,
)
