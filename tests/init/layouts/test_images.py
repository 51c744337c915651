"""The images below a folder: links out of it are refused in words that fit a command that has no such setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.init.layouts.images import paths_and_notes


def test_a_link_out_of_the_folder_is_refused_with_what_can_be_done(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "set/red").symlink_to(tmp_path / "far")
    with pytest.raises(UserError, match=r"set/red: is a link that leads out of .*; init follows none that"):
        paths_and_notes(tmp_path / "set")
