"""What a command leaves behind when its runs have ended: the summary, the files of the folder, and the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sparcl_ref.run_plan import Plan, versions
from sparcl_ref.text import folded, one_line, terminal_width, told_apart

if TYPE_CHECKING:
    from sparcl_ref.config import Config
    from sparcl_ref.progress import Progress
    from sparcl_ref.result import Result
    from sparcl_ref.streams import Dataset


def summary_of(
    plan: Plan, results: Sequence[Result], failed: Sequence[tuple[Config, Exception]], dataset: Dataset
) -> dict[str, Any]:
    """What summary.json says of the runs and their data, but for the time that they took in all."""
    runs = [result.config.to_json() for result in results]
    return {
        "schema_version": 1,
        "command": plan.command,
        "config": {"name": plan.name, "threads": plan.threads, "runs": runs},
        "failed": [{"config": config.to_json(), "error": str(error)} for config, error in failed],
        "versions": versions(),
        # With --class-order random every seed has its own; each record holds the one it ran.
        "class_order": list(results[0].class_order) if len({result.class_order for result in results}) == 1 else None,
        "dataset": {
            "name": dataset.name,
            "train": len(dataset.train_x),
            "test": len(dataset.test_x),
            "shape": list(dataset.input_shape),
            "classes": dataset.classes,
            "stream": results[0].config.stream,
            "validation": results[0].config.validation,
        },
        "methods": [result.record() for result in results],
    }


def report(
    progress: Progress,
    summary: dict[str, Any],
    results: Sequence[Result],
    *,
    warn: Callable[[str], None],
    as_json: bool,
) -> None:
    """Write the run's folder, and print the table or the summary.

    Raises
    ------
    OSError
        If data could not be written; all else has been by then, and is printed.
    """
    from sparcl_ref.forecast_text import outcome_text
    from sparcl_ref.report import aggregate, files_of_run, format_table, write_run

    labels = told_apart((result.name, result.config.seed) for result in results)
    labelled = list(zip(labels, results, strict=True))
    rows = [row | {"name": label} for label, result in labelled for row in result.epoch_rows()]
    masks = {f"{label}#{one.config.seed}": found for label, one in labelled if (found := one.mask_snapshots())}
    # Written before anything is printed, and printed whatever was not written: neither may take the other with it.
    failure, directory = None, progress.directory
    try:
        for line in write_run(directory, summary, rows, masks):
            warn(line)
    except OSError as error:
        failure = error
    else:
        try:
            progress.clear()
        except OSError as error:
            warn(f"all is written, but {one_line(error)}")
    if as_json:
        print(json.dumps(summary, allow_nan=False), flush=True)
    else:
        order = "another for each seed, see summary.json"
        print(f"class order: {' '.join(map(str, summary['class_order'])) if summary['class_order'] else order}\n")
        print(format_table(aggregate(summary["methods"]), width=min(terminal_width(), 80)), flush=True)
        if part := summary["dataset"]["validation"]:
            print(f"Accuracies are those on {part:g} of the training images, set aside for validation.")
        print(f"\n{outcome_text(summary['methods'])}", flush=True)
    if failure is not None:
        raise failure
    if not as_json:
        done = f"{summary['wall_seconds']:.0f} s in all. In {directory}: {', '.join(files_of_run(directory))}."
        print("\n" + folded(done, terminal_width()))
