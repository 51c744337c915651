"""What executors of tests start: a process of this machine."""

from __future__ import annotations

import subprocess
from typing import Any

from multitask.executors import StartedWorker


class ProcessWorker(StartedWorker):
    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self.process = process

    def ended(self) -> str | None:
        code = self.process.poll()
        return None if code is None else f"exit code {code}"

    def cancel(self) -> None:
        self.process.kill()
