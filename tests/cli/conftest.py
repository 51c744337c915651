"""The command line, in this process: as the console script is called, without the cost of a new process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multitask.cli import main
from multitask.config import Config
from multitask.settings.yaml_text import dump_yaml


@dataclass(frozen=True)
class Called:
    """What a command gave."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one line with which a command refused."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """Calls ``multitask`` with words."""

    def make(*words: object) -> Called:
        monkeypatch.setattr(sys, "argv", ["multitask", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        found = capsys.readouterr()
        return Called(code, found.out, found.err)

    return make


@pytest.fixture
def config_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes the config of a tiny run on the drawn set: ``config_file({"training.epochs": 1})``."""

    def make(changes: dict[str, Any] | None = None, name: str = "tiny.yaml") -> Path:
        path = tmp_path / name
        path.write_text(dump_yaml(tiny(changes).model_dump(mode="json")), encoding="utf-8")
        return path

    return make
