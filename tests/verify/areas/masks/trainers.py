"""What SNIP keeps, and what RigL drops and grows: inputs, oracles and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.areas.masks.exchange import zeroed
from tests.verify.areas.masks.selection import higher_index, kept
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _snip_mask()
    yield from _rigl_share()
    yield from _rigl_update()


def _snip_mask() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, weight, gradient, active: int, note: str) -> CaseSpec:
        arguments = {"weight": weight, "gradient": gradient, "active": active}
        return CaseSpec("snip_mask", name, kind, note, arguments, "paper")

    shape = (4, 3, 2, 2)
    weight, gradient = draws.floats("snip weight", shape), draws.floats("snip gradient", shape)
    yield case("conv", "regular", weight, gradient, 14, "neither factor decides alone, and signs do not count")
    opposed = np.array([[4.0, -0.5, 1.0, 0.25], [-3.0, 2.0, 0.125, -1.0]])
    pulls = np.array([[0.25, 8.0, -2.5, 1.0], [0.5, 1.0, 64.0, -1.5]])
    yield case("opposed", "adversarial", opposed, pulls, 3, "small weights with large gradients, and the reverse")
    yield case("signs", "adversarial", -np.abs(weight), np.abs(gradient), 20, "every product is negative")
    ties = np.array([1.0, -2.0, 0.5, 4.0, -1.0, 2.0])
    yield case("ties", "adversarial", ties, 2 / ties, 3, "products are equal: the lower flat index stays")
    yield case("zeros", "edge", np.zeros((2, 3)), gradient.reshape(-1)[:6].reshape(2, 3), 2, "no weight matters")
    yield case("none", "edge", weight, gradient, 0, "nothing stays")
    yield case("all", "edge", weight, gradient, weight.size, "everything stays")


def _rigl_share() -> Iterator[CaseSpec]:
    for name, kind, step, end, highest, note in (
        ("first", "regular", 0, 750, 0.3, "all of it"),
        ("quarter", "adversarial", 150, 600, 0.3, "a cosine is still near its start where a line is not"),
        ("half", "regular", 300, 600, 0.3, "half of it"),
        ("late", "adversarial", 500, 600, 0.4, "a cosine is near its end where a line is not"),
        ("last", "edge", 600, 600, 0.3, "nothing at the end"),
        ("after", "adversarial", 900, 600, 0.3, "nothing after the end: the cosine would rise again"),
        ("long-after", "adversarial", 1200, 600, 0.5, "nothing, a whole period later"),
        ("other", "adversarial", 100, 400, 0.5, "another share at the start"),
    ):
        yield CaseSpec("rigl_share", name, kind, note, {"step": step, "end": end, "highest": highest}, "paper")


def _rigl_update() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask, gradient, share: float, note: str, *, value=None) -> CaseSpec:
        value = draws.floats(f"rigl {name} w", mask.shape) if value is None else value
        arrays = {"value": np.where(mask, value, 0.0), "mask": mask, "gradient": gradient}
        arrays["velocity"] = np.where(mask, draws.floats(f"rigl {name} v", mask.shape), 0.0)
        return CaseSpec("rigl_update", name, kind, note, arrays | {"share": share}, "paper")

    shape = (4, 3, 2, 2)
    mask = draws.truths("rigl", shape, count=23)
    gradient = draws.floats("rigl gradient", shape)
    yield case("conv", "regular", mask, gradient, 0.3, "6.9 weights are 6: truncated")
    yield case("few", "adversarial", mask, gradient, 0.125, "2.875 weights are 2")
    loud = np.where(mask, 4 * gradient, gradient)
    yield case("come-back", "adversarial", mask, loud, 0.5, "what leaves may join at once, and keeps what it has")
    yield case("quiet-living", "adversarial", mask, np.where(mask, 0.0, gradient), 0.4, "dead entries have gradients")
    down = np.where(np.abs(gradient) > 1, -np.abs(gradient), np.abs(gradient))
    yield case("negative", "adversarial", mask, down, 0.4, "the largest gradients are negative")
    yield case("equal-gradients", "adversarial", mask, np.ones(shape), 0.3, "of equal gradients the first joins")
    same = np.where(draws.truths("rigl signs", shape, count=24), 0.5, -0.5)
    yield case("equal-weights", "adversarial", mask, gradient, 0.3, "of equal weights the first stays", value=same)
    yield case("none", "edge", mask, gradient, 0.0, "nothing moves")
    yield case("all", "edge", mask, gradient, 1.0, "the largest gradients of all")
    yield case("too-few", "edge", mask, gradient, 0.03125, "0.7 weights are none")
    nearly = np.arange(12).reshape(3, 4) < 10
    plane = draws.distinct("rigl plane", (3, 4))
    yield case("few-dead", "adversarial", nearly, np.where(nearly, plane / 64, plane), 0.5, "more leave than are dead")
    yield case("dense", "edge", np.ones((2, 5), bool), draws.floats("rigl dense", (2, 5)), 0.4, "all come back")


# --- oracle -----------------------------------------------------------------------------------------------------------


def snip_mask(a: Arguments) -> Result:
    """Entries sorted by their product and their place, in Python."""
    weight, gradient = a["weight"].reshape(-1).tolist(), a["gradient"].reshape(-1).tolist()
    order = sorted(range(len(weight)), key=lambda place: (-abs(weight[place] * gradient[place]), place))
    chosen = set(order[: a["active"]])
    return {"mask": np.array([place in chosen for place in range(len(weight))]).reshape(a["weight"].shape)}, {}


def rigl_share(a: Arguments) -> Result:
    """(1 + cos x) / 2 is cos^2(x / 2), and 0 at x = pi."""
    over = a["step"] >= a["end"]
    share = 0.0 if over else a["highest"] * math.cos(math.pi * a["step"] / (2 * a["end"])) ** 2
    return {"share": share}, {"share": Tolerance(4, a["highest"], "a share times a cosine and 1, halved")}


def rigl_update(a: Arguments) -> Result:
    """Entries sorted by their size, their gradient and their place, in Python."""
    value, gradient = a["value"].reshape(-1).tolist(), a["gradient"].reshape(-1).tolist()
    living = np.flatnonzero(a["mask"]).tolist()
    number = int(len(living) * a["share"])
    stay = set(sorted(living, key=lambda place: (-abs(value[place]), place))[: len(living) - number])
    others = [place for place in range(len(value)) if place not in stay]
    join = set(sorted(others, key=lambda place: (-abs(gradient[place]), place))[:number])
    mask = np.array([place in stay | join for place in range(len(value))]).reshape(a["mask"].shape)
    return {"mask": mask, "value": zeroed(a["value"], mask), "velocity": zeroed(a["velocity"], mask)}, {}


ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in (snip_mask, rigl_share, rigl_update)}


# --- wrong implementations --------------------------------------------------------------------------------------------


def ranked(weight, gradient, active, *, fault):
    scores = {
        "weight": np.abs(weight),
        "gradient": np.abs(gradient),
        "sign": weight * gradient,
        "sum": np.abs(weight) + np.abs(gradient),
        "smallest": -np.abs(weight * gradient),
    }.get(fault, np.abs(weight * gradient))
    everywhere = np.ones(weight.shape, bool)
    if fault == "other end":
        return higher_index(everywhere, scores, active)
    return kept(everywhere, scores, active or (weight.size if fault == "slice" else 0))


def share_of(step, end, highest, *, fault):
    now = step if fault == "rises" else min(step, end)
    if fault == "line":
        return highest * (1 - now / end)
    if fault == "quarter":
        return highest * math.cos(math.pi / 2 * now / end)
    if fault == "fixed":
        highest = 0.3
    return highest * (1 + math.cos(math.pi * now / end)) / (1 if fault == "whole" else 2)


def updated(value, velocity, mask, gradient, share, *, fault):
    living = int(mask.sum())
    number = {"rounded": round, "up": math.ceil}.get(fault, int)(living * share)
    size = {"signed value": value, "largest leave": -np.abs(value)}.get(fault, np.abs(value))
    stay = (higher_index if fault == "last stays" else kept)(mask, size, living - number)
    strength = {
        "signed": gradient,
        "smallest": -np.abs(gradient),
        "living": np.abs(gradient) * mask,
    }.get(fault, np.abs(gradient))
    free = ~mask if fault == "no return" else ~stay
    join = (higher_index if fault == "last joins" else kept)(free, strength, number) & free
    after = stay | join
    lives = stay if fault == "restart" else after
    if fault == "velocity restarts":
        return zeroed(value, after), zeroed(velocity, stay), after
    return zeroed(value, lives), zeroed(velocity, lives), after


WRONG = (
    Wrong("snip-weight", "snip_mask", "ranked by |w|", ranked, fault="weight", likely="ranked by the weight alone"),
    Wrong("snip-gradient", "snip_mask", "ranked by |g|", ranked, fault="gradient",
        likely="ranked by the gradient alone"),
    Wrong("snip-sign", "snip_mask", "ranked by w g", ranked, fault="sign",
        likely="ranked by the product with its sign"),
    Wrong("snip-sum", "snip_mask", "ranked by |w| + |g|", ranked, fault="sum",
        likely="ranked by the sum of both sizes"),
    Wrong("snip-smallest", "snip_mask", "the smallest products stay", ranked, fault="smallest"),
    Wrong("snip-ties", "snip_mask", "of equals the last stay", ranked, fault="other end",
        likely="ties broken from the other end"),
    Wrong("snip-slice", "snip_mask", "everything stays where nothing should", ranked, fault="slice",
        likely="a slice [-k:] that takes everything for k = 0"),
    Wrong("share-line", "rigl_share", "the share falls along a line", share_of, fault="line",
        likely="a line instead of a cosine"),
    Wrong("share-quarter", "rigl_share", "the cosine goes a quarter of its period", share_of, fault="quarter",
        likely="a quarter of a cosine's period instead of half of it"),
    Wrong("share-rises", "rigl_share", "the cosine goes on after the end", share_of, fault="rises",
        likely="the cosine goes up again after the end"),
    Wrong("share-whole", "rigl_share", "it is not halved", share_of, fault="whole", likely="not halved"),
    Wrong("share-fixed", "rigl_share", "the highest share is fixed", share_of, fault="fixed",
        likely="the highest share fixed in the code"),
    Wrong("rigl-rounded", "rigl_update", "the number is rounded", updated, fault="rounded",
        likely="the number rounded instead of truncated"),
    Wrong("rigl-up", "rigl_update", "the number is rounded up", updated, fault="up", likely="the number rounded up"),
    Wrong("rigl-no-return", "rigl_update", "only dead entries join", updated, fault="no return",
        likely="what has just left cannot join"),
    Wrong("rigl-restart", "rigl_update", "what comes back starts at 0", updated, fault="restart",
        likely="what leaves and joins at once starts at 0"),
    Wrong("rigl-velocity", "rigl_update", "what comes back has no momentum", updated, fault="velocity restarts"),
    Wrong("rigl-signed", "rigl_update", "the largest signed gradient joins", updated, fault="signed",
        likely="grown by the gradient with its sign"),
    Wrong("rigl-smallest", "rigl_update", "the smallest gradient joins", updated, fault="smallest",
        likely="the smallest gradients join"),
    Wrong("rigl-living", "rigl_update", "gradients of dead entries are masked", updated, fault="living",
        likely="the gradient of living entries alone"),
    Wrong("rigl-last-joins", "rigl_update", "of equal gradients the last joins", updated, fault="last joins",
        likely="of equal gradients the last joins"),
    Wrong("rigl-last-stays", "rigl_update", "of equal weights the last stays", updated, fault="last stays"),
    Wrong("rigl-signed-value", "rigl_update", "the most negative weights leave", updated, fault="signed value",
        likely="dropped by the value with its sign"),
    Wrong("rigl-largest-leave", "rigl_update", "the largest weights leave", updated, fault="largest leave",
        likely="the largest weights leave"),
)  # fmt: skip
