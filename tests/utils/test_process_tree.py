"""Nothing is left of a process, whatever it starts meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from multitask.utils.process_tree import kill_tree
from tests.processes import MARK, marked

STARTS = """
import subprocess, sys
while True:
    subprocess.Popen(["sleep", "60.25"])
    print("started", flush=True)
"""


def test_a_process_that_starts_others_without_end_leaves_none(tmp_path: Path) -> None:
    environment = {MARK: str(tmp_path), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([sys.executable, "-S", "-c", STARTS], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        kill_tree(process.pid)
        process.stdout.close()
        assert process.wait(30) == -9
    kill_tree(process.pid)  # gone: no error
    until = time.monotonic() + 30
    while marked(str(tmp_path)) and time.monotonic() < until:  # killed, but not yet gone
        time.sleep(0.05)
    assert not marked(str(tmp_path))
