"""Processes of this machine, which is what a launch does without an executor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from multitask.executors.base import ExecutorSettings


class ProcessesSettings(ExecutorSettings):
    """A study's workers are processes of the launch; a bake-off's runs follow one another in it."""

    name: Literal["processes"] = "processes"

    def open(self, folder: Path) -> None:
        """Nothing to connect to."""
        return
