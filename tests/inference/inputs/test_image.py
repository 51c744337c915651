from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs.base import InputOptions
from multitask.inference.inputs.image import OneImage


def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: must be a file, found a pipe"):
        OneImage(str(tmp_path / "a.png"), InputOptions())


def test_a_file_of_another_kind_is_refused_with_what_to_do_before_any_image_is_read(tmp_path: Path) -> None:
    for name in ("shard.tar", "shard.jpg"):  # what is called an image is refused where it is read
        with tarfile.open(tmp_path / name, "w") as archive:
            archive.add(__file__, "1.jpg")
    with pytest.raises(UserError, match=r"shard\.tar: is no image but a tar archive; unpack it$"):
        OneImage(str(tmp_path / "shard.tar"), InputOptions())
    assert OneImage(str(tmp_path / "shard.jpg"), InputOptions()).count == 1
