"""Records that stand beside the tutorials: what other machines measured, and runs that take hours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Where they are, from the top of the repository.
RESULTS = Path("tutorials", "results")


def committed(name: str) -> Any:
    """Read a record, such as ``"bench/bench.json"``, from the folder of results in this checkout.

    It is looked for from the working directory upwards, then beside the package.

    Raises
    ------
    FileNotFoundError
        If it is in neither.
    """
    here = Path.cwd()
    tops = [here, *here.parents, Path(__file__).resolve().parents[2]]
    found = next((path for top in tops if (path := top / RESULTS / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"there is no {(RESULTS / name).as_posix()} in {here} or above, nor beside the package; start in a checkout"
        )
    return json.loads(found.read_text(encoding="utf-8"))
