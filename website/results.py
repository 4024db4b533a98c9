"""The page of committed results: each folder with its command and its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from website.links import Checkout

FOLDER = "tutorials/results"
SHOWN = (".json", ".png")


def write(checkout: Checkout, fresh: Path) -> None:
    """Copy what is committed and list it."""
    blocks = [
        "# Committed results",
        "What [the tables of results](../pages/results.md) are made from. A `summary.json` runs again with "
        "`python -m sparcl_ref.run --config FILE`, to the same bits on the same machine.",
    ]
    root = checkout.root / FOLDER
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = [path for path in sorted(folder.rglob("*")) if path.suffix in SHOWN and path.name != "report.html"]
        blocks.append(f"## {folder.name}")
        summary = folder / "summary.json"
        if summary.exists():
            blocks.append(f"```\n{json.loads(summary.read_text(encoding='utf-8'))['command']}\n```")
        for path in files:
            copy = fresh / "results" / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        names = [path.relative_to(root).as_posix() for path in files]
        blocks.append("\n".join(f"- [{name.partition('/')[2]}]({name})" for name in names))
    (fresh / "results" / "index.md").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
