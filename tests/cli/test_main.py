from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_matplotlib_is_given_a_folder_where_the_home_cannot_be_written_to(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile is undone
        monkeypatch.delenv(name)
    (tmp_path / "file").touch()  # root may write to any folder
    for home, given in ((tmp_path / "new", False), (tmp_path / "file" / "home", True)):
        monkeypatch.setenv("HOME", str(home))
        call("--help")
        assert ("MPLCONFIGDIR" in os.environ) is given
