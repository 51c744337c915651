from __future__ import annotations

import tracemalloc

import pytest

from multitask.data.sources.listed_images import ListedImages, NamesOfFolder


def test_millions_of_names_are_no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.data.sources.listed_images.TEXTS_AT_ONCE", 1_000)
    found = ListedImages()
    tracemalloc.start()
    try:
        for where in ("", "a/long/path"):
            images = NamesOfFolder()
            for number in reversed(range(30_000)):
                images.add(f"image-{number:05d}.png")
            found.add(where, images)
        assert len(found) == 60_000
        assert next(found.paths()) == "image-00000.png"
        assert tracemalloc.get_traced_memory()[0] < 60_000 * 40
    finally:
        tracemalloc.stop()
    names = [f"image-{number:05d}.png" for number in range(30_000)]
    assert list(found) == [("", name) for name in names] + [("a/long/path", name) for name in names]


def test_the_few_names_of_a_folder_are_sorted() -> None:
    found, images = ListedImages(), NamesOfFolder()
    for name in ("b.png", "c.png", "a.png"):
        images.add(name)
    found.add("here", images)
    assert list(found.paths()) == ["here/a.png", "here/b.png", "here/c.png"]
