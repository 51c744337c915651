"""The thread that makes batches ahead of their consumer."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from multitask.data.batch_maker import made_ahead

LEFT_OPEN = """
import atexit, sys, threading
from multitask.data.batch_maker import made_ahead

class Maker:
    def __getitem__(self, order):
        return order

kept = made_ahead(Maker(), range(10**9), False)
next(kept)
(thread,) = [thread for thread in threading.enumerate() if thread.name == "batches"]
atexit.register(lambda: print("alive" if thread.is_alive() else "gone"))
sys.exit(3)
"""


def test_a_process_that_ends_within_an_epoch_ends_the_thread_before() -> None:
    command = [sys.executable, "-c", LEFT_OPEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout.strip()) == (3, "gone"), done.stderr


def test_an_epoch_that_is_closed_waits_for_no_thread() -> None:
    """It may be the garbage collector that closes it: see ``utils.threads``."""
    at_work, free = threading.Event(), threading.Event()

    class Maker:
        def __getitem__(self, order: int) -> int:
            if order:
                at_work.set()
                assert free.wait(60)
            return order

    maker: Any = Maker()
    orders: Any = range(3)
    served: Any = made_ahead(maker, orders, pin=False)
    assert next(served) == 0
    assert at_work.wait(60)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "batches"]
    served.close()
    assert thread.is_alive()
    free.set()
    thread.join(timeout=60)
    assert not thread.is_alive()
