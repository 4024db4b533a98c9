"""Signals: the first is noted, the second is Ctrl-C, and processes that begin hear of none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from sparcl_ref.interrupts import Interrupts, held_back


@pytest.fixture(autouse=True)
def unignored():
    """The signals as a terminal leaves them: whoever runs the tests in the background may have some ignored."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for each in before:
        signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_the_second_interrupts(number, code, second):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts() as stopping:
        assert not stopping
        os.kill(os.getpid(), number)
        assert stopping
        assert stopping.exit_code == code
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as stopping:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stopping
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_nothing_is_touched():
    seen = []

    def inside():
        with Interrupts() as stopping:
            seen.append(bool(stopping))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_process_begun_while_held_back_hears_nothing_and_this_one_later():
    code = "import signal; print(sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))"
    with Interrupts() as stopping:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        # Another thread of this process may have taken it already; here it is only noted.
        assert stopping.came == signal.SIGINT
    assert done.stdout.strip() == str(sorted(map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
