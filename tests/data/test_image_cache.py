"""The pixels of many images: the same wherever they are kept, never stale, safe for several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multitask.data.crop import BoxSettings, CentreSettings
from multitask.data.image_cache import ImageCache, SharedPixels, choose_cache, free_bytes
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.utils.files import content_digest, is_part

FORK = multiprocessing.get_context("fork")
SIZE = (48, 36)  # height, width
Usage = namedtuple("Usage", "total used free")


def make_image(width: int = 96, height: int = 128) -> Image.Image:
    """A slope with a bright quarter."""
    y, x = np.mgrid[0:height, 0:width]
    quarter = 120 * ((x < width / 2) & (y < height / 2))
    return Image.fromarray(np.stack([120 * x // width, 120 * y // height, quarter], axis=2).astype(np.uint8))


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


class TestImages:
    @pytest.fixture
    def paths(self, tmp_path: Path) -> list[Path]:
        return [saved(make_image(60 + index, 80), tmp_path / f"{index}.jpg") for index in range(5)]

    def test_in_memory_or_not_they_are_the_same(self, paths: list[Path]) -> None:
        kept, read = (ImageCache(paths, Preprocessing(SIZE), cache) for cache in ("memory", "none"))
        assert len(kept) == len(read) == 5
        for index in range(5):
            np.testing.assert_array_equal(kept[index], read[index])

    def test_in_memory_they_outlive_their_files(self, paths: list[Path]) -> None:
        kept = ImageCache(paths, Preprocessing(SIZE), "auto")
        paths[2].unlink()
        assert kept[2].shape == (*SIZE, 3)

    def test_auto_leaves_files_where_memory_is_short(self, paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        class Memory:
            available = 5 * SIZE[0] * SIZE[1] * 3 * 2 - 1

        monkeypatch.setattr("multitask.data.image_cache.psutil.virtual_memory", Memory)
        read = ImageCache(paths, Preprocessing(SIZE), "auto")
        paths[2].unlink()
        with pytest.raises(UserError, match="no such file"):
            read[2]

    def test_progress_counts_every_image(self, paths: list[Path]) -> None:
        seen: list[int] = []
        ImageCache(paths, Preprocessing(SIZE), "memory", seen.append)
        assert seen == [1, 2, 3, 4, 5]

    def test_the_first_bad_file_is_named(self, paths: list[Path]) -> None:
        paths[3].write_bytes(b"nothing")
        with pytest.raises(UserError, match=r"3\.jpg"):
            ImageCache(paths, Preprocessing(SIZE), "memory")


class TestSharedImages:
    @pytest.fixture
    def paths(self, tmp_path: Path) -> list[Path]:
        return [saved(make_image(60 + index, 80), tmp_path / f"{index}.jpg") for index in range(5)]

    @pytest.fixture
    def shared(self, paths: list[Path], tmp_path: Path) -> SharedPixels:
        return SharedPixels(tmp_path / "reuse", [content_digest(path) for path in paths])

    @pytest.mark.parametrize("cache", ["memory", "auto"])
    def test_they_are_the_same_and_read_once(
        self, paths: list[Path], shared: SharedPixels, cache: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []
        plain = ImageCache(paths, Preprocessing(SIZE), "memory")
        first = ImageCache(paths, Preprocessing(SIZE), cache, seen.append, shared)
        assert seen == [1, 2, 3, 4, 5]
        monkeypatch.setattr(Preprocessing, "load", None)
        again = ImageCache(paths, Preprocessing(SIZE), cache, seen.append, shared)
        assert len(seen) == len(first) == len(again) == 5
        for index in range(5):
            np.testing.assert_array_equal(first[index], plain[index])
            np.testing.assert_array_equal(again[index], plain[index])
            assert not again[index].flags.writeable

    def test_memory_that_is_short_does_not_matter(
        self, paths: list[Path], shared: SharedPixels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Memory:
            available = 0

        monkeypatch.setattr("multitask.data.image_cache.psutil.virtual_memory", Memory)
        kept = ImageCache(paths, Preprocessing(SIZE), "auto", None, shared)
        paths[2].unlink()
        assert kept[2].shape == (*SIZE, 3)

    def test_without_a_cache_nothing_is_kept(self, paths: list[Path], shared: SharedPixels) -> None:
        read = ImageCache(paths, Preprocessing(SIZE), "none", None, shared)
        assert read[0].shape == (*SIZE, 3)
        assert not shared.folder.exists()

    def test_an_image_that_changes_while_all_are_read_is_named_and_nothing_is_kept(
        self, paths: list[Path], shared: SharedPixels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load = Preprocessing.load

        def change(self: Preprocessing, path: Path, box: Any) -> Any:
            if path == paths[1]:
                saved(make_image(99, 80), path)
            return load(self, path, box)

        monkeypatch.setattr(Preprocessing, "load", change)
        with pytest.raises(UserError, match=r"1\.jpg: changed while the images were read"):
            ImageCache(paths, Preprocessing(SIZE), "auto", None, shared)
        assert list(shared.folder.glob("*.npy")) == []

    def test_a_bad_file_is_named_and_nothing_is_kept(self, paths: list[Path], tmp_path: Path) -> None:
        paths[3].write_bytes(b"nothing")
        shared = SharedPixels(tmp_path / "reuse", [content_digest(path) for path in paths])
        with pytest.raises(UserError, match=r"3\.jpg: cannot be read as an image"):
            ImageCache(paths, Preprocessing(SIZE), "auto", None, shared)
        assert list(shared.folder.glob("*.npy")) == []

    def test_what_is_written_is_said_before_with_its_size_and_place(
        self, paths: list[Path], shared: SharedPixels
    ) -> None:
        said: list[str] = []
        seen: list[int] = []
        told = SharedPixels(shared.folder, shared.contents, lambda text: said.append(f"{text} after {len(seen)}"))
        for _ in range(2):
            ImageCache(paths, Preprocessing(SIZE), "disk", seen.append, told)
            [file] = shared.folder.glob("pixels-*.npy")
            assert said == [f"writing 25.9 kB to {file} after 0"]

    @pytest.mark.parametrize("damage", ["cut", "byte", "empty"])
    def test_a_damaged_file_is_made_again_and_it_is_said(
        self, paths: list[Path], shared: SharedPixels, damage: str
    ) -> None:
        said: list[str] = []
        told = SharedPixels(shared.folder, shared.contents, said.append)
        whole = ImageCache(paths, Preprocessing(SIZE), "disk", None, told)[3].copy()
        [file] = shared.folder.glob("pixels-*.npy")
        content = bytearray(file.read_bytes())
        content[2000] ^= 1
        file.unlink()  # what is mapped from the old file must not change under anybody
        file.write_bytes({"cut": content[:-100], "byte": content, "empty": b""}[damage])
        again = ImageCache(paths, Preprocessing(SIZE), "disk", None, told)
        np.testing.assert_array_equal(again[3], whole)
        assert said[1:] == [f"{file} is damaged, and is made again", f"writing 25.9 kB to {file}"]

    def test_a_disk_without_room_is_refused_before_anything_is_read(
        self, paths: list[Path], shared: SharedPixels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("multitask.data.image_cache.shutil.disk_usage", lambda path: Usage(0, 0, 25_000))
        with pytest.raises(UserError, match=r"pixels-\w+\.npy: takes 25.9 kB, but its disk has 25.0 kB left$"):
            ImageCache(paths, Preprocessing(SIZE), "disk", lambda done: pytest.fail("read"), shared)
        assert list(shared.folder.glob("*.npy")) == []

    def test_a_changed_file_or_setting_is_never_served_from_before(
        self, paths: list[Path], shared: SharedPixels
    ) -> None:
        ImageCache(paths, Preprocessing(SIZE), "disk", None, shared)
        for preprocessing in (Preprocessing(SIZE[::-1]), Preprocessing(SIZE, CentreSettings(left=0.5))):
            found = ImageCache(paths, preprocessing, "disk", None, shared)
            np.testing.assert_array_equal(found[1], preprocessing.load(paths[1]))
        stamp = paths[1].stat()
        saved(make_image(61, 80).transpose(Image.Transpose.ROTATE_180), paths[1])
        os.utime(paths[1], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as a copy that keeps times does
        now = SharedPixels(shared.folder, [content_digest(path) for path in paths])
        found = ImageCache(paths, Preprocessing(SIZE), "disk", None, now)
        np.testing.assert_array_equal(found[1], Preprocessing(SIZE).load(paths[1]))

    @pytest.mark.parametrize("cache", ["memory", "disk", "none"])
    def test_each_is_cropped_to_its_own_box(self, paths: list[Path], shared: SharedPixels, cache: Any) -> None:
        boxes = np.array([[0, 0, 20, 20], [10, 10, 50, 70], [np.nan] * 4, [5, 5, 30, 60], [0, 0, 60, 80]], dtype=float)
        preprocessing = Preprocessing(SIZE, BoxSettings())
        found = ImageCache(paths, preprocessing, cache, None, shared if cache == "disk" else None, boxes)
        expected = [preprocessing.load(path, box) for path, box in zip(paths, boxes, strict=True)]
        order = np.array([4, 0, 2, 2, 1])
        np.testing.assert_array_equal(found.take(order), np.stack(expected)[order])
        np.testing.assert_array_equal(found[3], expected[3])
        np.testing.assert_array_equal(expected[2], Preprocessing(SIZE).load(paths[2]))  # the fallback


def _build(paths: list[Path], shared: SharedPixels, start: Any, slow_s: float) -> None:
    """In a process of its own: builds or waits, and checks what it gets."""
    start.wait()
    found = ImageCache(paths, Preprocessing(SIZE), "disk", lambda done: time.sleep(slow_s), shared)
    for index, path in enumerate(paths):
        np.testing.assert_array_equal(found[index], Preprocessing(SIZE).load(path))


def test_several_processes_build_one_cache_while_its_maker_is_killed(tmp_path: Path) -> None:
    """Whoever is killed at whatever point, the others end with the right pixels, and nothing is left behind."""
    (tmp_path / "set").mkdir()
    paths = [saved(make_image(60 + index, 80), tmp_path / "set" / f"{index}.png") for index in range(8)]
    shared = SharedPixels(tmp_path / "cache", [content_digest(path) for path in paths])
    start = FORK.Barrier(5)
    victim = FORK.Process(target=_build, args=(paths, shared, FORK.Barrier(1), 0.5))
    others = [FORK.Process(target=_build, args=(paths, shared, start, 0.05)) for _ in range(4)]
    victim.start()
    deadline = time.monotonic() + 60
    while not (shared.folder.is_dir() and any(is_part(path) for path in shared.folder.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for process in others:
        process.start()
    start.wait()  # now they ask for what the victim is making
    time.sleep(0.2)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    for process in others:
        process.join(120)
        assert process.exitcode == 0
    assert sorted(path.suffix for path in shared.folder.iterdir()) == [".lock", ".npy"]


class TestChoice:
    @pytest.fixture
    def free(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        def set_free(memory: int, disk: int) -> None:
            monkeypatch.setattr(
                "multitask.data.image_cache.psutil.virtual_memory", lambda: namedtuple("M", "available")(memory)
            )
            monkeypatch.setattr("multitask.data.image_cache.shutil.disk_usage", lambda path: Usage(0, 0, disk))

        return set_free

    @pytest.mark.parametrize(
        ("memory", "disk", "expected"), [(200, 0, "memory"), (199, 200, "disk"), (199, 199, "none")]
    )
    def test_auto_takes_half_of_what_is_free(
        self, free: Any, tmp_path: Path, memory: int, disk: int, expected: str
    ) -> None:
        free(memory, disk)
        assert choose_cache("auto", 100, tmp_path / "not" / "there") == expected
        for named in ("memory", "disk", "none"):
            assert choose_cache(named, 100, tmp_path) == named

    def test_each_process_of_this_machine_holds_a_copy_in_memory_and_all_share_the_disk(
        self, free: Any, tmp_path: Path
    ) -> None:
        free(400, 200)
        assert choose_cache("auto", 100, tmp_path, num_copies=2) == "memory"
        assert choose_cache("auto", 100, tmp_path, num_copies=3) == "disk"

    def test_there_is_no_room_in_what_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert free_bytes(tmp_path / "file" / "cache") == 0
        assert free_bytes(tmp_path / "cache") > 0
