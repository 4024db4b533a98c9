"""Things by name: found, refused, added from outside, offered by installed packages, and sent to other processes."""

from __future__ import annotations

import pickle
import sys

import pytest

from sparcl_ref import extensions
from sparcl_ref.methods import METHODS, FineTuning
from sparcl_ref.models import MODELS
from sparcl_ref.policies import POLICIES, Policy
from sparcl_ref.registry import Registry
from sparcl_ref.sparcl.rules import PROFILES


def tool() -> str:
    return "mine"


def known() -> Registry:
    return Registry("tool", {"hammer": len, "saw": sum})


def test_things_are_found_in_order_and_strangers_refused() -> None:
    tools = known()
    assert list(tools) == ["hammer", "saw"]
    assert tools.find("saw") is sum
    assert len(tools) == 2
    with pytest.raises(ValueError, match=r"unknown tool 'axe'; choose one of hammer, saw"):
        tools.find("axe")
    with pytest.raises(KeyError):
        tools["axe"]


def test_what_is_registered_is_found_and_told_of() -> None:
    tools = known()
    assert tools.register("axe", tool) is tool
    assert tools.find("axe") is tool
    assert list(tools) == ["hammer", "saw", "axe"]
    assert tools.added == {"axe": tool}
    tools.register("axe", tool)  # again is no conflict: a module may be imported by two names
    tools.register("saw", sum)
    assert tools.added == {"axe": tool}


@pytest.mark.parametrize(
    ("name", "thing", "message"),
    [
        ("saw", len, "there is a tool named 'saw' already"),
        ("", len, "must be a word without commas, got ''"),
        ("a,b", len, "must be a word without commas"),
        (" axe", len, "must be a word without commas"),
    ],
)
def test_a_name_that_is_taken_or_none_is_refused(name, thing, message) -> None:
    with pytest.raises(ValueError, match=message):
        known().register(name, thing)


def test_installed_packages_offer_things_by_entry_points(tmp_path, monkeypatch) -> None:
    (tmp_path / "offering.py").write_text("def axe():\n    return 'sharp'\n")
    info = tmp_path / "offering-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sparcl_ref.odd_tools]\naxe = offering:axe\n")
    monkeypatch.syspath_prepend(tmp_path)
    tools = Registry("odd tool", {"saw": sum})
    assert list(tools) == ["saw", "axe"]
    assert "offering" not in sys.modules, "loaded when it is asked for"
    assert tools.find("axe")() == "sharp"


class Sent(FineTuning):
    """A method that another process must learn of."""

    title = "Sent"


def test_what_was_registered_can_be_taken_over_elsewhere(monkeypatch) -> None:
    monkeypatch.setattr(METHODS, "added", {"sent": Sent})
    message = pickle.dumps(extensions.added())
    monkeypatch.setattr(METHODS, "added", {})
    extensions.take_over(pickle.loads(message))
    assert METHODS.find("sent") is Sent


class Untitled(Policy):
    """A policy that says not what it is called."""


@pytest.mark.parametrize(
    ("register", "thing", "message"),
    [
        (METHODS.register, 3, r"method 'mine': register a Method, with a title .*got 3"),
        (METHODS.register, Policy, r"method 'mine': register a Method"),
        (POLICIES.register, FineTuning, r"policy 'mine': register a Policy"),
        (POLICIES.register, Untitled, r"policy 'mine': register a Policy, with a title"),
        (PROFILES.register, None, r"profile 'mine': register a Rules"),
        (MODELS.register, "mlp", r"model 'mine': register a function or class, got 'mlp'"),
    ],
)
def test_what_is_of_another_kind_is_refused_when_it_is_registered(register, thing, message) -> None:
    with pytest.raises(TypeError, match=message):
        register("mine", thing)


def test_a_package_whose_offer_cannot_be_loaded_is_named(tmp_path, monkeypatch) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sparcl_ref.odd_tools]\naxe = no_such_module:axe\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"the odd tool 'axe' that broken offers cannot be loaded"):
        Registry("odd tool", {}).find("axe")
