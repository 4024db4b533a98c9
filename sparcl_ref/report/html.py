"""One self-contained page about a run: no scripts, nothing loaded from anywhere, readable on paper and in the dark."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sparcl_ref.report import provenance, sections
from sparcl_ref.report.answer import answer, caveats, duration, headline
from sparcl_ref.report.glossary import glossary
from sparcl_ref.report.illustrations import Illustration
from sparcl_ref.report.markup import Markup, element, joined
from sparcl_ref.report.stylesheet import stylesheet
from sparcl_ref.report.table import Record, Row, seeds_phrase


def render(summary: Mapping[str, Any], rows: Sequence[Row], figures: Sequence[Illustration]) -> str:
    """The page report.html.

    Parameters
    ----------
    summary : mapping
        As in summary.json, with at least one record.
    rows : sequence of Row
        Of its records, from `aggregate`.
    figures : sequence of Illustration
        In the order of `illustrate`.

    Returns
    -------
    str
        A whole HTML document. All text from the summary is escaped.
    """
    records = summary["methods"]
    name = headline(_dataset_name(summary), number_of_tasks(records), rows)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content="sparcl_ref"),
        element("title", name),
        # CSS of our own making; style elements do not decode entities, so escaping would break its child selectors.
        element("style", Markup(stylesheet(rows))),
    )
    body = element(
        "main",
        _opening(summary, rows, name),
        *map(picture, figures[:2]),
        sections.results(rows),
        *map(picture, figures[2:3]),
        sections.entries(rows, records),
        *map(picture, figures[3:]),
        sections.removals(records),
        provenance.configuration(records),
        provenance.again(summary),
        provenance.versions(summary),
        glossary(),
        element("footer", "Written by sparcl_ref, the reference implementation of SparCL (Wang et al., NeurIPS 2022)."),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _opening(summary: Mapping[str, Any], rows: Sequence[Row], name: str) -> Markup:
    notes = [element("li", note) for note in caveats(rows, summary["methods"])]
    return joined(
        [
            element("p", "Report of a run", class_="eyebrow"),
            element("h1", name),
            element("p", facts(summary, rows), class_="facts"),
            element("div", *(element("p", unbroken(sentence, rows)) for sentence in answer(rows)), class_="answer"),
            element("ul", *notes, class_="caveats note") if notes else "",
        ]
    )


def unbroken(sentence: str, rows: Sequence[Row]) -> Markup:
    """A sentence in which entries' names, and numbers with their unit, stay on one line."""
    names = sorted({re.escape(row.name) for row in rows}, key=len, reverse=True)
    parts = re.split(rf"({'|'.join(names)}|[\d.]+ (?:%|times|points))", sentence)
    # Splitting at a group puts what it matched at the odd places.
    return joined(element("span", part, class_="whole") if index % 2 else part for index, part in enumerate(parts))


def facts(summary: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Data, seeds and time in one line."""
    dataset = summary.get("dataset", {})
    parts = []
    if "train" in dataset and "test" in dataset:
        shape = "x".join(map(str, dataset.get("shape", [])))
        size = f" of {shape}" if shape else ""
        parts.append(f"{dataset['train']:,} training and {dataset['test']:,} test images{size}")
    parts += [f"{key}: {dataset[key]}" for key in ("source", "licence") if dataset.get(key)]
    parts.append(seeds_phrase(rows))
    if summary.get("wall_seconds") is not None:
        parts.append(duration(summary["wall_seconds"]))
    return " · ".join(parts)


def number_of_tasks(records: Sequence[Record]) -> int | None:
    """Tasks of all runs, None if these differ."""
    found = {len(record["class_il_matrix"][0]) for record in records}
    return found.pop() if len(found) == 1 else None


def _dataset_name(summary: Mapping[str, Any]) -> str:
    return str(summary.get("dataset", {}).get("name", "a data set"))


def picture(figure: Illustration) -> Markup:
    """A figure with its caption: the dark drawing where the page is dark, the light one elsewhere and on paper."""
    light, dark = (
        f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}" for data in (figure.light, figure.dark)
    )
    return element(
        "figure",
        # The drawing shows its title; this one is for those who navigate by headings.
        element("h2", figure.title, class_="unseen"),
        element(
            "div",
            element(
                "picture",
                element("source", srcset=dark, media="screen and (prefers-color-scheme: dark)"),
                element("img", src=light, alt=figure.alt),
            ),
            class_="figure-box",
        ),
        element("figcaption", figure.caption),
        id=figure.name.replace("_", "-"),
    )
