from __future__ import annotations

import os
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs.base import InputOptions
from multitask.inference.inputs.image import OneImage


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: must be a file, found a pipe"):
        OneImage(str(tmp_path / "a.png"), InputOptions())
