"""What comes while a step is done is heard after it, and not lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from multitask.utils.interrupts import interrupts_held


def test_an_interrupt_is_heard_at_the_end_and_not_by_what_is_started_meanwhile() -> None:
    done = []

    def interrupted() -> None:
        with interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            words = [sys.executable, "-S", "-c", "input(); print('done')"]
            child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            child.send_signal(signal.SIGINT)
            done.append(child.communicate("\n")[0])

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["done\n"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_each_goes_to_who_hears_it_and_what_is_ignored_stays_so() -> None:
    heard: list[int] = []
    before = [
        signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.signal(signal.SIGTERM, lambda *e: heard.append(e[0])),
    ]
    try:
        with interrupts_held(), interrupts_held():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
                os.kill(os.getpid(), number)
            assert not heard
        assert heard == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_another_thread_holds_nothing() -> None:
    done = []

    def work() -> None:
        with interrupts_held():
            done.append(threading.current_thread().name)

    thread = threading.Thread(target=work, name="another")
    thread.start()
    thread.join()
    assert done == ["another"]
