"""The report for people: counts per area, every failure with its rule and its first bad entry, and the verdict."""

from __future__ import annotations

from sparcl_ref.verify.compare import Difference
from sparcl_ref.verify.outcome import Outcome, Report, Row

_HEADER = ("area", "passed", "failed", "expected failures", "not provided", "compared")


def format_report(report: Report) -> str:
    """The whole report as text, without a final line break.

    Parameters
    ----------
    report : Report
    """
    blocks = [f"{report.adapter}, {report.dtype}", format_rows([*report.rows(), report.total()])]
    blocks += [format_failure(outcome) for outcome in report.failures]
    expected = [outcome for outcome in report.outcomes if outcome.reason]
    lines = [_expected_line(outcome) for outcome in expected]
    lines += [f"remark: {remark}" for remark in report.remarks]
    if lines:
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, verdict(report)])


def format_rows(rows: list[Row]) -> str:
    """Counts per area in aligned columns."""
    cells = [_HEADER]
    cells += [
        (row.area, *(f"{n:,}" for n in (row.passed, row.failed, row.expected_failures, row.not_provided, row.compared)))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    )


def format_failure(outcome: Outcome) -> str:
    """One failed case: what was specified, where it breaks first, and what it looks like."""
    lines = [
        f"FAILED {outcome.case.id} ({outcome.area}): {outcome.line}",
        f"  rule       {outcome.function.sentence}",
        f"  source     {outcome.function.source}",
        f"  case       {outcome.case.note}",
    ]
    for difference in outcome.differences:
        lines += _difference_lines(outcome, difference)
    if outcome.pattern:
        lines.append(f"  pattern    {outcome.pattern}")
    if outcome.cause:
        others = f" (or: {'; '.join(outcome.causes[1:])})" if outcome.causes[1:] else ""
        lines.append(f"  looks like {outcome.cause}{others}")
    return "\n".join(lines)


def _difference_lines(outcome: Outcome, difference: Difference) -> list[str]:
    if difference.index is None:
        return [f"  {difference.output} {difference.problem}"]
    entry = difference.output + (str(list(difference.index)) if difference.index else "")
    share = f"{difference.bad:,} of {difference.size:,} entries"
    lines = [f"  {entry} {difference.problem}: got {difference.got}, expected {difference.expected} ({share})"]
    if difference.error is not None:
        tolerance = outcome.case.tolerance[difference.output]
        allowed = f"{difference.allowed:.3g} allowed ({tolerance.reason})"
        if difference.allowed:
            allowed = f"{difference.error / difference.allowed:.3g} times the {allowed}"
        ulp = "" if difference.ulp is None else f"{difference.ulp:.3g} ULP, "
        lines.append(f"  error      {difference.error:.3g}, {ulp}{allowed}")
    return lines


def _expected_line(outcome: Outcome) -> str:
    if outcome.status == "passed":
        return f"passed although expected to fail, take it off the list: {outcome.case.id} ({outcome.reason})"
    return f"expected: {outcome.case.id} {outcome.status}: {outcome.line} ({outcome.reason})"


def verdict(report: Report) -> str:
    """The last line."""
    total = report.total()
    if total.failed:
        count = f"{total.failed:,} case{'s' if total.failed > 1 else ''} failed"
        return f"does not conform: {count}, {total.passed:,} passed"
    if not report.compared:
        provided = any(outcome.status != "not provided" for outcome in report.outcomes)
        why = "every case that ran is expected to fail" if provided else "no function asked for is provided"
        if total.passed:
            why = "the outputs of every case that passed are empty"
        return f"nothing was compared: {why} (--list shows the names)"
    left = f"; {total.not_provided:,} cases not provided" if total.not_provided else ""
    return f"conforms in what it provides: {total.passed:,} cases passed, {report.compared:,} numbers compared{left}"
