"""Files in tars: read at their place by their paths, also by forked processes and threads, and never stale."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from multitask.data.colours import Decoding
from multitask.data.headers import read_header
from multitask.data.image_file import read_image
from multitask.errors import UserError
from multitask.utils import tar_files
from multitask.utils.files import content_digest
from multitask.utils.tar_files import is_member, read_member, size_of
from tests.data.made_shards import jpeg, write_shard


def test_a_path_into_a_tar_is_read_as_the_file_would_be(tmp_path: Path) -> None:
    data = jpeg(7)
    (tmp_path / "7.jpg").write_bytes(data)
    (tmp_path / "odd.tar").mkdir()  # a folder of such a name is a folder
    write_shard(tmp_path / "odd.tar" / "a.tar", {"./x/7.jpg": data, "x/8.txt": b"8"})
    path, file = tmp_path / "odd.tar" / "a.tar" / "x" / "7.jpg", tmp_path / "7.jpg"
    assert read_member(path) == data
    assert size_of(path) == len(data)
    assert content_digest(path) == content_digest(file)
    assert read_header(path) == read_header(file)
    sizes = [read_image(which, Decoding(), lambda image: (image.width, image.height)) for which in (path, file)]
    assert sizes == [(16, 16)] * 2
    assert not is_member(path.with_name("9.jpg"))
    assert not is_member(file)
    with pytest.raises(UserError, match=r"9.jpg: "):
        read_image(path.with_name("9.jpg"), Decoding(), lambda image: image.width)


def test_many_threads_and_a_fork_read_from_more_tars_than_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_files, "_MAX_OPEN", 2)
    paths = []
    for number in range(5):
        shard = write_shard(tmp_path / f"{number}.tar", {f"{row}.bin": bytes([number, row]) for row in range(20)})
        paths += [shard / f"{row}.bin" for row in range(20)]
    expected = [bytes([number, row]) for number in range(5) for row in range(20)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read_member, paths * 5)) == expected * 5
    with multiprocessing.get_context("fork").Pool(1) as other:
        assert other.map(read_member, paths) == expected


def test_a_tar_that_changed_is_not_read_by_its_old_places(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tar", {"1.bin": b"one"})
    assert read_member(shard / "1.bin") == b"one"
    with shard.open("r+b") as file:
        file.seek(512)
        file.write(b"two")
    os.utime(shard, (1, 1))
    with pytest.raises(UserError, match=r"a.tar: has changed since it was read"):
        read_member(shard / "1.bin")
