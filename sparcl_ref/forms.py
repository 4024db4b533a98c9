"""The two forms of methods as Markdown: what a paper and mammoth each do, what that changes, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparcl_ref.comparison import compare
from sparcl_ref.methods import METHODS
from sparcl_ref.report.numbers import Spread, percent
from sparcl_ref.result import MEASURES, Result

#: Measures of both forms, and of their difference.
MEASURED = ("class_il_accuracy", "task_il_accuracy")


def forms_sections(results: Sequence[Result]) -> str:
    """A section for each method that has two forms, with the dense runs of either among the results as its last rows.

    The difference of a measure is that of runs of one seed, mean and standard deviation over seeds.
    """
    return "\n".join(line for name in METHODS for line in _section(name, results))


def _section(name: str, results: Sequence[Result]) -> Iterator[str]:
    method = METHODS[name]
    if not method.differences:
        return
    yield from (f"## {method.title}: `--method {name}`", "")
    yield from ("| | paper | mammoth | what it changes |", "| --- | --- | --- | --- |")
    yield from map(_line, method.differences)
    runs = [result for result in results if result.config.method == name and not result.config.sparse]
    paper, mammoth = (
        [result for result in runs if entry.items() <= result.config.to_json().items()] for entry in method.entries()
    )
    for measure in MEASURED:
        if paper and mammoth:
            found = compare({"paper": paper, "mammoth": mammoth}, measure=measure)
            cells = [_mean_and_std(found[form].spread) for form in ("paper", "mammoth")]
            change = _mean_and_std(found["mammoth"].difference, signed=True)
            yield _line((f"**{MEASURES[measure]}, %**", *cells, f"{change} points"))
    yield ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _mean_and_std(value: Spread, *, signed: bool = False) -> str:
    sign = "+" if signed and (value.mean or 0) > 0 else ""
    return sign + percent(value.mean) + ("" if value.std is None else f" ±{percent(value.std)}")
