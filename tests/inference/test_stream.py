from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from multitask.data.images import Preprocessing
from multitask.inference.stream import ImageInput, read_batches

PREPROCESSING = Preprocessing((8, 8))


def gray(value: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (value, value, value))


def test_batches_come_in_order_with_the_unreadable_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no image")
    images = [gray(0), gray(1), tmp_path / "bad.jpg", gray(3), gray(4)]
    batches = list(read_batches([ImageInput(str(i), image) for i, image in enumerate(images)], PREPROCESSING, 2))
    assert [len(batch.inputs) for batch in batches] == [2, 2, 1]
    assert [batch.pixels[:, 0, 0, 0].tolist() for batch in batches] == [[0, 1], [3], [4]]
    assert [{*batch.errors} for batch in batches] == [set(), {0}, set()]
    assert "bad.jpg" in str(batches[1].errors[0])
    assert [item.name for item in batches[1].readable] == ["3"]


def test_inputs_are_taken_as_they_are_needed() -> None:
    taken = 0

    def endless() -> Iterator[ImageInput]:
        nonlocal taken
        while True:
            taken += 1
            yield ImageInput("", gray(0))

    batches = read_batches(endless(), PREPROCESSING, 4)
    for _ in range(5):
        assert next(batches).pixels.shape == (4, 8, 8, 3)
    assert taken <= 5 * 4 + 3 * 4
    batches.close()
    before = taken
    assert list(batches) == []
    assert taken == before


def test_nothing_is_no_batch() -> None:
    assert list(read_batches([], PREPROCESSING, 4)) == []
