"""SparCL in one file: sparse continual learning (Wang et al., NeurIPS 2022) with NumPy alone, top to bottom.

Ten handwritten digits arrive two at a time; a network in which three quarters of the middle layer's weights are zero
learns each pair and keeps what it knew, with a buffer of 100 old images. Run it: ``python tutorials/microsparcl.py``.
Equation numbers are the paper's. The network is small (64-128-128-10, ReLU) so that every derivative fits on a line;
its middle matrix W2 is the one under the mask. What the paper leaves open is settled as `sparcl_ref` does.
"""

from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np

SETTINGS = {
    "seed": 0, "width": 128, "epochs": 10, "batch": 16, "lr": 0.03, "buffer": 100,
    "alpha": 0.1, "beta": 0.5,                                        # DER++: weight of stored logits, of old labels
    "sparsity": "0.75", "p_inter": "0.01", "p_intra": "0.005", "delta_k": 2, "probe": 256,              # TDM
    "cwi_alpha": 0.5, "cwi_beta": 1.0,                                 # equations 1 and 3
    "rho": "0.3", "cutoff": 4,                                         # DDR
    "refresh": 30,                                                     # DGM; its q is 0.2 (1 - s)
}  # fmt: skip


# 1. The network: a forward pass that keeps what the backward pass needs, and the chain rule, last layer first.


def forward(w, x):
    a1 = x @ w["W1"].T + w["b1"]
    h1 = np.maximum(a1, 0)
    a2 = h1 @ w["W2"].T + w["b2"]
    h2 = np.maximum(a2, 0)
    return h2 @ w["W3"].T + w["b3"], (x, a1, h1, a2, h2)


def backward(w, kept, dz):
    """Gradients of every weight, from that of the logits."""
    x, a1, h1, a2, h2 = kept
    d2 = (dz @ w["W3"]) * (a2 > 0)
    d1 = (d2 @ w["W2"]) * (a1 > 0)
    return {
        "W1": d1.T @ x, "b1": d1.sum(0), "W2": d2.T @ h1, "b2": d2.sum(0), "W3": dz.T @ h2, "b3": dz.sum(0)
    }  # fmt: skip


# 2. The losses: gradient of their mean with respect to the logits.


def cross_entropy(z, labels, classes=slice(None)):
    """Softmax minus one-hot. Over a task's own classes alone (the single head) the other logits get nothing."""
    inside = np.full(z.shape, -np.inf)
    inside[:, classes] = z[:, classes]
    p = np.exp(inside - inside.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(z)), labels] -= 1
    return p / len(z)


def squared_error(z, stored):
    return 2 * (z - stored) / z.size


# 3. Masks: exact budgets, the most important stay, random ones join. Among equals the lower index stays.


def budget(n, sparsity):
    """floor((1 - s) n + 1/2) in exact decimals: in floats (1 - 0.9) * 5 + 0.5 falls just below 1."""
    return floor((1 - min(max(sparsity, Fraction(0)), Fraction(1))) * n + Fraction(1, 2))


def keep_best(mask, importance, count):
    living = np.flatnonzero(mask)
    best = living[np.argsort(-importance.flat[living], kind="stable")[:count]]
    chosen = np.zeros_like(mask)
    chosen.flat[best] = True
    return chosen


def grow(mask, count, rng):
    grown = mask.copy()
    grown.flat[rng.choice(np.flatnonzero(~mask), size=count - np.count_nonzero(mask), replace=False)] = True
    return grown


def importance(now, before, c):
    """Equation 3, how strongly the new task and the old ones pull at a weight. With |w| added it is equation 1."""
    return c["cwi_alpha"] * abs(now) + c["cwi_beta"] * abs(before)


def tdm(task, epoch, s, c):
    """Task-aware dynamic masking: what happens to the mask before an epoch, as ("shrink" or "grow", sparsity)."""
    if epoch % c["delta_k"] == 0:
        return [("shrink", s + Fraction(c["p_intra"])), ("grow", s)]
    return [("grow", s - Fraction(c["p_inter"]))] if task > 1 and epoch == 1 else []


# 4. Data: what leaves (DDR, equation 2), and what is remembered (reservoir sampling).


def left_after(n, stage, c):
    """Samples of a task of n that are left after so many stages of delta_k epochs."""
    return n - floor(Fraction(c["rho"]) * n * min(stage, c["cutoff"]) / c["cutoff"] + Fraction(1, 2))


def hardest(wrong, count):
    """Positions of the samples most often misclassified; among equals the earliest go first."""
    return np.sort(np.argsort(wrong, kind="stable")[len(wrong) - count :])


def remember(buffer, images, labels, logits, rng, c):
    """The i-th sample ever shown takes slot i, then slot j, uniform in 0..i, as long as there is such a slot."""
    draws = rng.integers(0, buffer["seen"] + np.arange(len(images)) + 1)
    for x, y, z, j in zip(images, labels, logits, draws, strict=True):
        slot = buffer["seen"] if buffer["seen"] < c["buffer"] else j
        if slot < c["buffer"]:
            buffer["x"][slot], buffer["y"][slot], buffer["z"][slot] = x, y, z
        buffer["seen"] += 1


# 5. Training: Algorithm 1 around DER++.


def train(train_x, train_y, tasks, **changes):
    """Learn the tasks (lists of labels) in order; yields (what, w, mask, buffer) after each step and each task."""
    c = SETTINGS | changes
    s, classes = Fraction(c["sparsity"]), 1 + max(map(max, tasks))
    names = ("init", "order", "mask", "replay", "reservoir")  # a random stream for each kind of decision
    rng = {n: np.random.default_rng(np.random.SeedSequence(c["seed"], spawn_key=(i,))) for i, n in enumerate(names)}

    sizes, w = (train_x.shape[1], c["width"], c["width"], classes), {}
    for i in (1, 2, 3):  # He's initialisation keeps the size of signals from layer to layer
        w[f"W{i}"] = rng["init"].standard_normal((sizes[i], sizes[i - 1])) * np.sqrt(2 / sizes[i - 1])
        w[f"b{i}"] = np.zeros(sizes[i])
    n = w["W2"].size
    mask = grow(np.zeros(w["W2"].shape, bool), budget(n, s), rng["mask"])
    w["W2"][~mask] = 0
    buffer = {"x": np.zeros((c["buffer"], sizes[0])), "y": np.zeros(c["buffer"], int), "seen": 0}
    buffer["z"] = np.zeros((c["buffer"], classes))

    def gradients(x, loss, *about, scale=1.0):
        z, kept = forward(w, x)
        return z, backward(w, kept, scale * loss(z, *about))

    for task, own in enumerate(tasks, start=1):
        left = everything = np.flatnonzero(np.isin(train_y, own))
        for epoch in range(1, c["epochs"] + 1):
            # The mask moves before the epoch's updates.
            actions = tdm(task, epoch, s, c) if s else []
            if any(kind == "shrink" for kind, _ in actions):
                probe, filled = left[: c["probe"]], min(buffer["seen"], c["buffer"])
                _, now = gradients(train_x[probe], cross_entropy, train_y[probe], own)
                _, before = gradients(buffer["x"][:filled], cross_entropy, buffer["y"][:filled])
                cwi = abs(w["W2"]) + importance(now["W2"], before["W2"], c)  # equation 1
            for kind, target in actions:
                count = budget(n, target)
                mask = keep_best(mask, cwi, count) if kind == "shrink" else grow(mask, count, rng["mask"])
                w["W2"][~mask] = 0

            # One epoch.
            if (epoch - 1) % c["delta_k"] == 0:
                wrong = np.zeros(len(left), int)
            order = rng["order"].permutation(len(left))
            for step, at in enumerate(np.split(order, range(c["batch"], len(order), c["batch"]))):
                x, y = train_x[left[at]], train_y[left[at]]
                z, new = gradients(x, cross_entropy, y, own)
                old = {name: np.zeros_like(value) for name, value in w.items()}
                if filled := min(buffer["seen"], c["buffer"]):
                    for loss, term, scale in ((squared_error, "z", c["alpha"]), (cross_entropy, "y", c["beta"])):
                        drawn = rng["replay"].choice(filled, size=min(c["batch"], filled), replace=False)
                        _, g = gradients(buffer["x"][drawn], loss, buffer[term][drawn], scale=scale)
                        old = {name: old[name] + g[name] for name in w}
                # DGM: of the living weights' gradients only the most important count, chosen anew now and then.
                if step % c["refresh"] == 0:
                    masked = s + (1 - s) / 5
                    useful = keep_best(mask, importance(new["W2"], old["W2"], c), budget(n, masked))
                for name, value in w.items():
                    g = new[name] + old[name]
                    value -= c["lr"] * (g * useful if name == "W2" else g)
                remember(buffer, x, y, z, rng["reservoir"], c)
                wrong[at] += z.argmax(1) != y
                yield "step", w, mask, buffer

            # DDR: after a stage of delta_k epochs what was learned best leaves.
            stage, rest = divmod(epoch, c["delta_k"])
            if rest == 0 and stage <= c["cutoff"]:
                left = left[hardest(wrong, left_after(len(everything), stage, c))]
        yield "task", w, mask, buffer


if __name__ == "__main__":
    digits = np.load(Path(__file__).parents[1] / "sparcl_ref" / "streams" / "digits.npz")
    train_x, test_x = ((digits[k].reshape(-1, 64) / 16 - 0.305754) / 0.376217 for k in ("train_x", "test_x"))
    train_y, test_y = digits["train_y"].astype(int), digits["test_y"].astype(int)
    pairs = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    print("accuracy on each pair of digits after each task, all ten classes to choose from")
    for what, w, mask, _ in train(train_x, train_y, pairs):
        if what == "task":
            right = forward(w, test_x)[0].argmax(1) == test_y
            each = "  ".join(f"{right[np.isin(test_y, pair)].mean():4.0%}" for pair in pairs)
            print(f"{each}   {np.count_nonzero(mask):,} of {mask.size:,} middle weights live")
    print(f"{right.mean():.1%} of all test images are right after the last task")
