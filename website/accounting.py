"""The page on costs: what the commands print that recompute the paper's columns and count one run in every way."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

PARTS = (
    (
        "The paper's cost columns, recomputed",
        "--table1",
        "Every printed cost of the paper, ours beside it, the rule that gives it, and what a sparse engine has to do "
        "(*exact*). Tutorial 06 derives each rule.",
    ),
    (
        "One run, counted every way",
        "--conventions",
        "Papers count different things under one name: the tiny network and one training run, under each agreement.",
    ),
)


def write(fresh: Path) -> None:
    """Write the page; it costs a second, because nothing is trained."""
    from sparcl_ref.flops import main

    blocks = [
        "---\nhide-toc: true\n---\n\n# Accounting",
        "What training costs, in FLOPs and bytes, and how that is counted.",
    ]
    for title, option, words in PARTS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            main([option])
        command = f"python -m sparcl_ref.flops {option}"
        blocks += [
            f"## {title}",
            words,
            f":::{{container}} wide\n```text\n$ {command}\n{printed.getvalue().rstrip()}\n```\n:::",
        ]
    (fresh / "accounting.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
