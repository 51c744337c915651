"""The thread that makes batches ahead of their consumer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
