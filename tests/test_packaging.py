"""What installs, checks and cites the package agrees with the package."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

import sparcl_ref

ROOT = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
#: What nobody imports but starts: the words that do, and the files in which they are looked for.
STARTED = {
    "pytest-xdist": (r"--numprocesses", ["setup.cfg"]),
    "ipykernel": (r'"ipykernel_launcher"', ["tests/tutorials/notebooks.py"]),
    "ruff": (r"^ruff check", [".ci/run"]),
    "mypy": (r"^mypy$", [".ci/run"]),
    "myst-nb": (r'^    "myst_nb",$', ["website/conf.py"]),
    "furo": (r'^html_theme = "furo"$', ["website/conf.py"]),
    "sphinx-copybutton": (r'^    "sphinx_copybutton",$', ["website/conf.py"]),
    "django-static-mathjax": (r'distribution\("django-static-mathjax"\)', ["website/conf.py"]),
    "pre-commit": (r"^pre-commit install$", [".github/CONTRIBUTING.md"]),
}

#: What is imported by another name.
IMPORTED_AS = {"pillow": "PIL"}


def requirements(text: str) -> dict[str, str]:
    """Distribution to what follows its name."""
    return dict(re.match(r"([\w.-]+)(.*)", line).groups() for line in text.split("\n") if line)


EXTRAS = {extra: requirements(text) for extra, text in SETUP["options.extras_require"].items()}
RUNTIME = requirements(SETUP["options"]["install_requires"])


def imported(folder: str) -> set[str]:
    """First words of all that the modules below a folder import."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found


IN_PACKAGE = imported("sparcl_ref")
ANYWHERE = IN_PACKAGE | imported("tests")
IN_SITE = imported("website")


@pytest.mark.parametrize("name", RUNTIME)
def test_the_package_imports_what_it_requires(name):
    assert name in IN_PACKAGE


@pytest.mark.parametrize(("extra", "name"), [(extra, name) for extra, names in EXTRAS.items() for name in names])
def test_somebody_uses_what_an_extra_installs(extra, name):
    if name in STARTED:
        words, files = STARTED[name]
        assert any(re.search(words, (ROOT / file).read_text(), re.MULTILINE) for file in files)
    else:
        users = {"test": ANYWHERE, "docs": IN_SITE}.get(extra, IN_PACKAGE)
        assert IMPORTED_AS.get(name, name) in users


def test_a_requirement_that_two_extras_share_is_the_same():
    seen: dict[str, str] = {}
    for names in EXTRAS.values():
        for name, version in names.items():
            assert seen.setdefault(name, version) == version


def test_hooks_have_the_versions_of_the_extra():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    pinned = re.findall(r"\b(ruff|mypy)(==[\d.]+)", text)
    assert {name for name, _ in pinned} == {"ruff", "mypy"}
    assert all(version == EXTRAS["dev"][name] for name, version in pinned)


def test_the_workflow_tries_the_oldest_that_is_admitted():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    (constraint,) = re.findall(r"constraint: (.*)", text)
    oldest = dict(word.split("==") for word in constraint.split())
    for name, version in oldest.items():
        assert version == RUNTIME[name].removeprefix(">=") + ".*"
    assert "numpy" in oldest
    assert f'python: "{SETUP["options"]["python_requires"].removeprefix(">=")}"' in text


@pytest.mark.parametrize("command", ["pip install '.[test]' && pytest", "pytest -m slow", "ruff check .", "mypy"])
def test_every_door_runs_the_same_checks(command):
    """The machine of the project, the workflow of a code host and the README's reader."""
    for path in (".ci/run", ".github/workflows/tests.yml"):
        assert command in (ROOT / path).read_text(), path
    if "pip" in command:
        assert f"\n{command}\n" in (ROOT / "README.md").read_text()


def test_the_citation_names_this_version_and_licence():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {sparcl_ref.__version__}\n" in text
    assert f"\nlicense: {SETUP['metadata']['license_expression']}\n" in text
    readme = " ".join((ROOT / "README.md").read_text().split())
    people = re.findall(r"given-names: (\w)\w*, family-names: (\w+)", text)
    assert ", ".join(f"{first}. {last}" for first, last in people) in readme


def test_the_guide_to_the_tests_names_every_folder_and_nothing_else():
    named = set(re.findall(r"`([\w/]+(?:/|\.py))`", (ROOT / "tests" / "README.md").read_text()))
    for name in named:
        assert (ROOT / "tests" / name).exists(), name
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/test_*.py")}
    assert {f"{folder}/" for folder in folders} <= named
