"""The page on the explorer says of each moment what the committed page shows there, and that page is up to date."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.explore import EPILOG, main
from sparcl_ref.masks import budget
from sparcl_ref.presets import PRESETS, configurations
from sparcl_ref.report.explorer import packing
from sparcl_ref.report.explorer.page import page_of
from sparcl_ref.report.explorer.small import SMALL, small_page
from sparcl_ref.sparcl import tdm_actions
from sparcl_ref.sparcl.ddr import completed_stage, ddr_sizes
from tests.browser import follow, overflow
from tests.report.explorer.__main__ import MOMENT, PAGE, TUTORIALS, kept, take
from tests.report.explorer.committed import Run, committed

TEXT = (TUTORIALS / "pages" / "explore.md").read_text(encoding="utf-8")
#: A page that is mailed, or opened on a train.
MOST_BYTES = 1_000_000
STILL_BYTES = 120_000


RUNS = committed()


def the_first_exchange(run: Run) -> str:
    t = run.at(1, 2)
    return f"{run.conv3['left'][t]} weights of conv3 leave, and {run.conv3['came'][t]} join at random"


def the_least_important_leave(run: Run) -> str:
    leaves = run.leaves(run.at(1, 2))
    assert (run.importance[run.at(1, 1)][leaves] == 0).all()
    return f"of the weights shown, {leaves.sum()} leave next, and all are of the lowest quarter"


def room_for_a_task(run: Run) -> str:
    t = run.at(2, 1)
    assert run.conv3["left"][t] == 0
    return f"{run.conv3['came'][t]} weights of conv3 join, and none leaves"


def room_given_back(run: Run) -> str:
    t = run.at(2, 2)
    assert run.conv3["left"][t] - run.conv3["came"][t] == run.conv3["came"][run.at(2, 1)]
    return f"{run.conv3['left'][t]} leave and {run.conv3['came'][t]} join"


def sediment(run: Run) -> str:
    stayed = (run.alive.all(axis=0) & ~run.joined.any(axis=0)).sum() / run.alive[0].sum()
    adjusted = [t for t in range(1, len(run.moments)) if run.conv3["left"][t]]
    gone = []
    for t in range(1, adjusted[-1]):
        new = run.joined[t] & run.alive[t]
        if new.any():
            following = next(later for later in adjusted if later > t)
            gone.append((new & run.leaves(following)).sum() / new.sum())
    return (
        f"{100 * stayed:.0f} % of the weights that lived at the start never left; of those that join, between "
        f"{100 * min(gone):.0f} and {100 * max(gone):.0f} % are gone at the next exchange"
    )


def a_mask_that_never_moves(run: Run) -> str:
    other = RUNS["no-tdm"]
    assert not any(other.conv3["came"] + other.conv3["left"])
    means = [each.accuracy[-1].mean() for each in (run, other)]
    return f"the mean is {means[0]:.1f} % with a mask that moves and {means[1]:.1f} % with one that never does"


def ties(run: Run) -> str:
    t = run.at(1, 2)
    counts = run.wrong[run.at(1, 1)].astype(int) + run.wrong[t]
    never = np.flatnonzero((run.task == 1) & (counts == 0))
    went = np.flatnonzero(run.gone[t])
    # Images are in the file's order.
    assert went.tolist() == never[: len(went)].tolist()
    return f"{len(never)} images were never misclassified; the first {len(went)} of them in the file go"


def all_sixes(run: Run) -> str:
    t = run.at(4, 2)
    went = run.gone[t] & ~run.gone[t - 1]
    assert set(run.labels[went]) == {6}
    return f"{went.sum()} images go, every one of them a six"


def ghosts(run: Run) -> str:
    t = run.at(1, 8)
    count = run.gone[t][run.slots[t]].sum()
    return f"{count} of the {run.about['capacity']} images in the buffer are no longer trained on"


def without_removal(run: Run) -> str:
    other = RUNS["no-ddr"]
    assert not any(other.about["removed"])
    return (
        f"the newest task ends at {run.accuracy[-1, -1]:.1f} %, and without removal at {other.accuracy[-1, -1]:.1f} %"
    )


def born_old(run: Run) -> str:
    t = run.at(3, 2)
    silent = run.silenced[t].astype(bool)
    assert round(run.conv3["living"][t] / 5) == run.conv3["silent"][t]
    share = (run.gradient[t][silent] == 0).mean()
    return (
        f"{run.conv3['silent'][t]} of {run.conv3['living'][t]:,} living weights are silenced; by the gradients at the "
        f"end of the same epoch, {100 * share:.0f} % of those shown belong to the lowest quarter"
    )


def the_newest_task(run: Run) -> str:
    *older, newest = run.accuracy[run.at(5, 6)]
    others = f"{min(older):.1f} and {max(older):.0f} %"
    return f"after six epochs the newest task is at {newest:.1f} %, the others between {others}"


def what_the_full_head_gives_up(run: Run) -> str:
    other = RUNS["full-head"]
    rows = [each.accuracy[-1] for each in (run, other)]
    older = [f"{min(row[:-1]):.1f} to {max(row[:-1]):.1f} %" for row in rows]
    return (
        f"the newest task ends at {rows[0][-1]:.1f} % under the single head and at {rows[1][-1]:.1f} % under the full "
        f"one, the older ones at {older[0]} and at {older[1]}"
    )


def the_first_forgetting(run: Run) -> str:
    t = run.about["marks"]["forgetting"]
    assert t == run.at(3, 8)
    learned = run.accuracy[run.at(2, 1) : t + 1, 1]
    assert run.accuracy[-1, 1] > learned.max() - 5  # it recovers
    return f"the second task has fallen from {learned.max():.1f} to {learned[-1]:.1f} %"


#: Where a moment is, to what is said of it there.
CLAIMS: dict[str, Callable[[Run], str]] = {
    "#t=1.2": the_first_exchange,
    "#t=1.1&colour=importance": the_least_important_leave,
    "#t=2.1": room_for_a_task,
    "#t=2.2": room_given_back,
    "#t=5.10&order=birth": sediment,
    "#t=5.10&beside=no-tdm": a_mask_that_never_moves,
    "#t=1.2&images=mistakes": ties,
    "#t=4.2": all_sixes,
    "#t=1.8": ghosts,
    "#t=5.10&beside=no-ddr": without_removal,
    "#t=3.2&colour=gradient": born_old,
    "#t=5.6": the_newest_task,
    "#t=5.10&beside=full-head": what_the_full_head_gives_up,
    "#t=3.8": the_first_forgetting,
}
LINKS = re.findall(r"\]\(\.\./explorer\.html(#[^)]*)\)", TEXT)


@pytest.mark.parametrize("moment", CLAIMS)
def test_what_is_said_of_a_moment_is_what_was_recorded_there(moment):
    (row,) = [line for line in TEXT.split("\n") if f"(../explorer.html{moment})" in line]
    claim = CLAIMS[moment](RUNS["run"])
    assert claim in row.replace("**", ""), claim


def test_every_moment_that_is_listed_is_claimed_and_none_is_listed_twice():
    assert sorted(LINKS) == sorted(CLAIMS)


def test_the_pages_are_made_by_what_makes_pages_today():
    assert PAGE.read_text(encoding="utf-8") == page_of(kept(PAGE)), "python -m tests.report.explorer renews it"
    for name in SMALL:
        assert (TUTORIALS / f"{name}.html").read_text(encoding="utf-8") == small_page(name)


def test_the_page_has_the_size_that_is_stated():
    assert 450_000 < PAGE.stat().st_size < 550_000 < MOST_BYTES
    assert "half a megabyte" in TEXT


def test_the_page_has_the_runs_of_the_preset():
    configs = configurations(PRESETS["explorer"], {})
    # Settings that came after the page was made have their defaults there.
    assert [Config.from_json(run.about["settings"]) for run in RUNS.values()] == configs
    assert list(RUNS) == ["run", "full-head", "no-ddr", "no-tdm"]


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_masks_and_removals_follow_the_calendar(run):
    """What needs no training to be known: budgets and stages."""
    settings = run.about["settings"]
    schedule = {name: settings[name] for name in ("sparsity", "delta_k", "p_inter", "p_intra") if name in settings}
    moved = "p_inter" in settings
    for layer in run.about["layers"]:
        living = budget(layer["size"], settings["sparsity"])
        for t, (task, epoch) in enumerate(run.moments):
            came = left = 0
            for action in tdm_actions(task, epoch, **schedule) if moved and task else ():
                target = budget(layer["size"], action.sparsity)
                came, left = came + max(0, target - living), left + max(0, living - target)
                living = target
            assert (layer["came"][t], layer["left"][t], layer["living"][t]) == (came, left, living)
    stages = {"epochs": settings["epochs"], "delta_k": settings["delta_k"], "cutoff": settings["ddr_cutoff"]}
    for t, (task, epoch) in enumerate(run.moments):
        stage = completed_stage(epoch, **stages) if task and settings["ddr"] else None
        sizes = ddr_sizes(run.about["samples"][task - 1], rho=settings["ddr_rho"], cutoff=settings["ddr_cutoff"])
        assert run.about["removed"][t] == (0 if stage is None else sizes[stage - 1] - sizes[stage])


@pytest.mark.slow
def test_the_example_makes_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    quicker = block.replace("epochs=10", "epochs=2, width=4, batch_size=64, ddr=False")
    assert quicker != block
    exec(compile(quicker, "explore.md", "exec"), {})
    header, _ = packing.unpack(kept(tmp_path / "run.html"))
    assert [run["title"] for run in header["runs"]] == ["SparCL-DER++ .90 (no DDR)"]


def test_commands_of_the_page_are_those_of_the_program(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for command in re.findall(r"^python -m sparcl_ref\.explore (.*)$", TEXT, re.MULTILINE):
        assert f"python -m sparcl_ref.explore {command}" in EPILOG
        assert all(word in shown for word in command.split() if word.startswith("--"))


def test_moments_open_as_they_are_written(open_page):
    page = open_page(PAGE.as_uri() + "#t=0")
    page.wait_for_selector("html[data-ready]")
    for moment in CLAIMS:
        follow(page, moment)
        task, epoch = re.search(r"t=(\d+)\.(\d+)", moment).groups()
        assert page.locator("#now").inner_text() == f"task {task}, epoch {epoch}"
        # Written anew from the state: what the page did not understand would be gone.
        assert page.evaluate("location.hash") == moment


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_wide_and_narrow_windows(open_page, dark):
    page = open_page(PAGE.as_uri() + MOMENT, dark=dark)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert overflow(page) == 0
        assert page.locator(".accuracy .newest").is_visible()


def test_small_pages_that_are_linked_open(open_page):
    links = re.findall(r"\]\(\.\./(reservoir|convolution)\.html(#[^)]*)\)", TEXT)
    assert {name for name, _ in links} == set(SMALL)
    for name, hash_ in links:
        page = open_page((TUTORIALS / f"{name}.html").as_uri() + hash_)
        assert page.evaluate("location.hash") == hash_


def test_the_still_is_there_for_light_and_dark_pages_and_can_be_taken_again(chromium, tmp_path):
    """Pixels are not compared: another Chromium has other letters."""
    from PIL import Image

    for path in take(chromium, PAGE, tmp_path):
        kept = TUTORIALS / "figures" / path.name
        assert kept.stat().st_size < STILL_BYTES
        now, before = Image.open(path).convert("L"), Image.open(kept).convert("L")
        assert abs(now.size[1] / now.size[0] - before.size[1] / before.size[0]) < 0.1
        means = [np.asarray(picture, dtype=float).mean() for picture in (now, before)]
        assert abs(means[0] - means[1]) < 12
        assert (means[0] < 128) == ("dark" in path.name)
