"""Steps that Ctrl-C and SIGTERM do not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interrupts_held() -> Iterator[None]:
    """A context whose end is when Ctrl-C and SIGTERM are heard that come within it.

    Processes that are started within it never hear Ctrl-C, which is for the process that started them. In a thread
    other than the main one signals are heard as ever: it is the main one that hears them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before: dict[int, Any] = {}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which new processes inherit
    try:
        for number in numbers:
            if callable(handler := signal.getsignal(number)):
                before[number] = handler
                signal.signal(number, hear)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in heard:
            signal.raise_signal(number)
