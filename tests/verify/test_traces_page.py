"""The page about traces: its code runs as it stands and prints what it shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from sparcl_ref.verify.traces.archive import TraceReader

PAGE = Path(__file__).parents[2] / "tutorials" / "pages" / "traces.md"


def blocks() -> list[tuple[str, str]]:
    """(language, content) of the page's fenced blocks."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> tuple[list[tuple[str, str]], dict, Path]:
    """(shown, printed) of every block of code that shows an output, the names it leaves, and its folder."""
    folder, names, pairs = tmp_path_factory.mktemp("page"), {}, []
    with contextlib.chdir(folder):
        printed = ""
        for language, content in blocks():
            if language == "python":
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    exec(compile(content, str(PAGE), "exec"), names)
                printed = output.getvalue()
            elif language == "text":
                pairs.append((content, printed))
    return pairs, names, folder


def without_last_digits(text: str) -> list[str]:
    """Floating point numbers to three digits: what is behind depends on the machine's sums, as growth does entirely."""
    text = re.sub(r"(tolerance|by then, is) [\d.e+-]+", r"\1 measured", text)
    return re.sub(r"-?\d+\.\d+(e[-+]\d+)?", lambda found: f"{float(found[0]):.2e}", text).split()


def test_the_page_prints_what_it_shows(outcome):
    pairs, names, _ = outcome
    assert len(pairs) == 2
    for shown, printed in pairs:
        assert without_last_digits(shown) == without_last_digits(printed)
    first = names["report"].first
    assert first.name == "task1.epoch1.step0/current/bn2/output"


def test_the_page_names_every_pass_and_tensor(outcome):
    _, _, folder = outcome
    page = PAGE.read_text()
    with TraceReader(folder / "reference.npz") as reader:
        parts = [name.split("/") for name in reader.names]
        config = reader.manifest["config"]
    for pass_name, tensor in {(pass_name, tensor) for _, pass_name, _, tensor in parts}:
        if pass_name not in ("data", "initial", "choices"):
            assert f"`{pass_name}`" in page, pass_name
            assert f"`{tensor}`" in page, tensor
    choices = {tensor for _, pass_name, _, tensor in parts if pass_name == "choices"} - {"class_order", "mask", "joins"}
    assert all(f'values["{tensor}"]' in page for tensor in choices)
    assert (folder / "another.npz").is_file()
    assert config["sparsity"] == 0.7
