"""The report of cases as JUnit's XML, which continuous integration reads."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from sparcl_ref.verify.outcome import Outcome
from sparcl_ref.verify.report import Report, format_failure

#: Characters that XML 1.0 does not allow, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: Report) -> bytes:
    """JUnit's XML: a suite per area, a test case per case; expected failures and what did not run are skipped.

    A report in which nothing was compared has one failing case that says so, because JUnit takes none for success.
    """
    total = report.total()
    root = ElementTree.Element("testsuites", name=f"sparcl_ref.verify {report.dtype}")
    for row in report.rows():
        skipped = row.expected_failures + row.not_provided + row.outside_range
        counts = {"tests": row.passed + row.failed + skipped, "failures": row.failed, "errors": 0, "skipped": skipped}
        suite = ElementTree.SubElement(root, "testsuite", {"name": row.area, **{k: str(v) for k, v in counts.items()}})
        for outcome in report.outcomes:
            if outcome.area == row.area:
                _add_case(suite, outcome)
    if not report.conforms and not total.failed:
        suite = ElementTree.SubElement(root, "testsuite", name="verdict", tests="1", failures="1", errors="0")
        case = ElementTree.SubElement(suite, "testcase", classname="verdict", name="something was compared")
        ElementTree.SubElement(case, "failure", message=report.verdict())
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, outcome: Outcome) -> None:
    names = {"classname": f"{outcome.area}.{outcome.function.name}", "name": outcome.case.id}
    case = ElementTree.SubElement(suite, "testcase", names)
    message = _NOT_XML.sub("?", outcome.line)
    if outcome.status in ("not provided", "outside range"):
        ElementTree.SubElement(case, "skipped", message=f"{outcome.status}: {message}")
    elif outcome.status == "failed" and outcome.reason:
        reason = _NOT_XML.sub("?", outcome.reason)
        ElementTree.SubElement(case, "skipped", message=f"expected to fail ({reason}): {message}")
    elif outcome.status == "failed":
        failure = ElementTree.SubElement(case, "failure", message=message)
        failure.text = _NOT_XML.sub("?", format_failure(outcome))
