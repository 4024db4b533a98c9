"""The report for machines: JSON values, and JUnit's XML that continuous integration reads."""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from sparcl_ref.verify.outcome import Outcome, Report
from sparcl_ref.verify.table import format_failure, verdict

FORMAT = 1
#: Characters that XML 1.0 does not allow, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_json(report: Report) -> dict[str, Any]:
    """Plain JSON values; numbers that JSON does not have are None.

    Parameters
    ----------
    report : Report

    Returns
    -------
    dict
        ``format``, ``adapter``, ``dtype``, ``conforms``, ``verdict``, ``areas`` (one record per area), ``total``,
        ``cases`` (one record per case, with the differences of failures) and ``remarks``.
    """
    return {
        "format": FORMAT,
        "adapter": report.adapter,
        "dtype": report.dtype,
        "conforms": report.conforms,
        "verdict": verdict(report),
        "areas": [asdict(row) for row in report.rows()],
        "total": asdict(report.total()),
        "cases": [_case_record(outcome) for outcome in report.outcomes],
        "remarks": list(report.remarks),
    }


def _case_record(outcome: Outcome) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": outcome.case.id,
        "function": outcome.function.name,
        "area": outcome.area,
        "status": outcome.status,
        "compared": outcome.compared,
    }
    if outcome.line:
        record["line"] = outcome.line
    if outcome.reason:
        record["expected_to_fail"] = outcome.reason
    if outcome.status == "failed":
        record |= {
            "sentence": outcome.function.sentence,
            "source": outcome.function.source,
            "note": outcome.case.note,
            "causes": list(outcome.causes),
            "pattern": outcome.pattern,
            "differences": [
                {key: _finite(value) for key, value in asdict(difference).items()} for difference in outcome.differences
            ],
        }
    return record


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_junit(report: Report) -> bytes:
    """JUnit's XML: a suite per area, a test case per case; not provided and expected failures are skipped.

    A report in which nothing was compared has one failing case that says so, because JUnit takes none for success.
    """
    total = report.total()
    root = ElementTree.Element("testsuites", name=f"sparcl_ref.verify {report.dtype}")
    for row in report.rows():
        counts = {"tests": row.passed + row.failed + row.expected_failures + row.not_provided, "failures": row.failed,
                  "errors": 0, "skipped": row.expected_failures + row.not_provided}  # fmt: skip
        suite = ElementTree.SubElement(root, "testsuite", name=row.area, **{k: str(v) for k, v in counts.items()})
        for outcome in report.outcomes:
            if outcome.area == row.area:
                _add_case(suite, outcome)
    if not report.conforms and not total.failed:
        suite = ElementTree.SubElement(root, "testsuite", name="verdict", tests="1", failures="1", errors="0")
        case = ElementTree.SubElement(suite, "testcase", classname="verdict", name="something was compared")
        ElementTree.SubElement(case, "failure", message=verdict(report))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, outcome: Outcome) -> None:
    names = {"classname": f"{outcome.area}.{outcome.function.name}", "name": outcome.case.id}
    case = ElementTree.SubElement(suite, "testcase", names)
    message = _NOT_XML.sub("?", outcome.line)
    if outcome.status == "not provided":
        ElementTree.SubElement(case, "skipped", message=f"not provided: {message}")
    elif outcome.status == "failed" and outcome.reason:
        reason = _NOT_XML.sub("?", outcome.reason)
        ElementTree.SubElement(case, "skipped", message=f"expected to fail ({reason}): {message}")
    elif outcome.status == "failed":
        failure = ElementTree.SubElement(case, "failure", message=message)
        failure.text = _NOT_XML.sub("?", format_failure(outcome))
