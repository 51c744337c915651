"""Commands that work for long say at once that they began."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Called

Call = Callable[..., Called]


@pytest.mark.parametrize("command", ["train", "study", "bakeoff", "recipe"])
def test_it_is_said_before_the_file_is_read(command: str, call: Call, tmp_path: Path) -> None:
    absent = tmp_path / "absent.yaml"
    done = call(command, absent)
    assert done.out == f"reading {absent}, loading PyTorch\n"
    assert done.refusal().endswith("no such file")
    assert call(command, absent, "--quiet").out == ""
