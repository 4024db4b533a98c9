"""One self-contained page about a run: no scripts, nothing loaded from anywhere, readable on paper and in the dark."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sparcl_ref.report import numbers
from sparcl_ref.report.page import measurements, provenance
from sparcl_ref.report.page.glossary import glossary
from sparcl_ref.report.page.lead import caveats, duration, findings, headline
from sparcl_ref.report.page.markup import Markup, element, joined
from sparcl_ref.report.page.stylesheet import NARROW_SCREEN, stylesheet
from sparcl_ref.report.table import Record, Row, aggregate, seeds_phrase

if TYPE_CHECKING:
    from sparcl_ref.report.figures.illustrations import Illustration, Picture


class Section(NamedTuple):
    """A heading that the contents list, where it is, and what stands under it."""

    slug: str
    heading: str
    content: Markup


def render(summary: Mapping[str, Any], figures: Sequence[Illustration] = (), files: Sequence[str] = ()) -> str:
    """The page report.html: a whole HTML document, in which all text from the summary is escaped.

    Parameters
    ----------
    summary : mapping
        As in summary.json, with at least one record.
    figures : sequence of Illustration
        Those of the run that could be drawn.
    files : sequence of str
        Names of data files beside the page, to link to.
    """
    records = summary["methods"]
    rows = aggregate(records)
    name = headline(str(summary.get("dataset", {}).get("name", "a data set")), number_of_tasks(records), rows)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content="sparcl_ref"),
        element("title", name),
        # CSS of our own making; style elements do not decode entities, so escaping would break its child selectors.
        element("style", Markup(stylesheet(rows))),
    )
    sections = _sections(summary, rows, figures)
    body = element(
        "main",
        _opening(summary, rows, name),
        _contents(sections, files),
        *(element("section", element("h2", each.heading), each.content, id=each.slug) for each in sections),
        element("footer", "Written by sparcl_ref, the reference implementation of SparCL (Wang et al., NeurIPS 2022)."),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _sections(summary: Mapping[str, Any], rows: Sequence[Row], figures: Sequence[Illustration]) -> list[Section]:
    """All that there is something to show for, in order."""
    records = summary["methods"]
    drawn = {each.sketch.name: Section(each.sketch.name, each.title, picture(each, rows)) for each in figures}
    sections = [
        drawn.get("accuracy_over_tasks"),
        drawn.get("accuracy_against_flops"),
        Section("results", "Results", measurements.results(rows)),
        drawn.get("accuracy_matrices"),
        Section("entries", "Entry by entry", measurements.entries(rows, records)),
        drawn.get("mask_over_time"),
        drawn.get("cost_waterfall"),
        Section("removed", "Data removed", measurements.removals(records)),
        Section("configuration", "Configuration", provenance.configuration(records)),
        Section("again", "Run it again", provenance.again(summary)),
        Section("words", "What the words mean", glossary()),
    ]
    return [each for each in sections if each and each.content]


def _opening(summary: Mapping[str, Any], rows: Sequence[Row], name: str) -> Markup:
    """Title, data, findings, and what to keep in mind with them."""
    notes = [element("li", note) for note in caveats(rows, summary["methods"])]
    parts = [
        element("p", "Report of a run", class_="eyebrow"),
        element("h1", unbroken(name, rows)),
        element("p", facts(summary, rows), class_="facts"),
        element("div", *(element("p", unbroken(sentence, rows)) for sentence in findings(rows)), class_="answer"),
    ]
    return joined([*parts, element("ul", *notes, class_="caveats note") if notes else ""])


def _contents(sections: Sequence[Section], files: Sequence[str]) -> Markup:
    """Links to the sections, and to the files that the page was made from."""
    # Whose mask or whose savings a figure shows is said there.
    links = [element("a", each.heading.partition(":")[0], href=f"#{each.slug}") for each in sections]
    contents = element("nav", element("ul", *(element("li", link) for link in links)), aria_label="Contents")
    beside = joined((element("a", name, href=name) for name in files), ", ")
    return joined([contents, element("p", "Data beside this page: ", beside, ".", class_="note") if files else ""])


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


def picture(figure: Illustration, rows: Sequence[Row]) -> Markup:
    """A figure with its caption, drawn for the page's colours and width; the light and wide one on paper."""
    dark = "(prefers-color-scheme: dark)"
    choices = {
        f"screen and {NARROW_SCREEN} and {dark}": figure.narrow_dark,
        f"screen and {NARROW_SCREEN}": figure.narrow_light,
        f"screen and {dark}": figure.dark,
    }
    sources = [
        element("source", srcset=_inline(each), width=each.width, media=media) for media, each in choices.items()
    ]
    image = element("img", src=_inline(figure.light), width=figure.light.width, alt=figure.sketch.alt)
    return element(
        "figure",
        element("p", figure.under, class_="note"),
        element("picture", *sources, image),
        _key(rows) if figure.sketch.keyed and len(rows) > 1 else "",
        element("figcaption", figure.sketch.caption),
    )


def _inline(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.data).decode('ascii')}"


def _key(rows: Sequence[Row]) -> Markup:
    """The names that the narrow drawing has no room for, by the numbers that it shows."""
    order = sorted(enumerate(rows), key=lambda pair: pair[1].accuracy, reverse=True)
    names = [(measurements.swatch(index, rows), f"{numbers.percent(row.accuracy)} {row.name}") for index, row in order]
    return element("ul", *(element("li", *parts) for parts in names), class_="key narrow")
