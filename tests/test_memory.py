"""What the system says of its memory, and what is refused for want of it."""

from __future__ import annotations

import pytest

from sparcl_ref import memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system that says nothing but what a test writes."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP_LIMIT", tmp_path / "memory.max")
    return tmp_path


def test_available_bytes_is_what_linux_says_or_the_containers_limit(system):
    (system / "meminfo").write_text("MemTotal:  2000 kB\nMemFree:  10 kB\nMemAvailable:    1500 kB\n")
    assert memory.available_bytes() == 1_536_000
    (system / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 1_536_000
    (system / "memory.max").write_text("1000\n")
    assert memory.available_bytes() == 1000
    (system / "memory.max").write_text("9999999999\n")
    assert memory.available_bytes() == 1_536_000


def test_available_bytes_elsewhere_is_what_is_built_in_or_unknown(system, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.get)
    assert memory.available_bytes() == 40_960
    monkeypatch.setattr(memory.os, "sysconf_names", {})
    assert memory.available_bytes() is None
    memory.require_memory("anything", 10**30)


def test_require_memory_refuses_one_byte_too_many(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 12_345)
    memory.require_memory("it", 12_345)
    with pytest.raises(ValueError, match=r"^it takes 12,346 bytes of memory, and only 12,345 are there$"):
        memory.require_memory("it", 12_346)
