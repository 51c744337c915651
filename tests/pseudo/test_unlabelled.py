"""Images without labels are answered as they come, and none is held as an object."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from multitask.errors import UserError
from multitask.inference.kept_outputs import AnsweredBatch
from multitask.inference.prediction import PredictionBatch
from multitask.inference.stream import ImageInput, InputBatch
from multitask.labels import LabelSpace, Task
from multitask.progress import Progress
from multitask.pseudo.own_images import OwnImages
from multitask.pseudo.unlabelled import answer_unlabelled
from multitask.utils import strings

SPACE = LabelSpace([Task("colour", ("red", "blue"))])


class Inputs:
    """Images of which every ``damaged``-th cannot be read."""

    paths, notes, has_groups, has_boxes = ("images",), (), False, False

    def __init__(self, names: Iterable[str], count: int, damaged: int) -> None:
        self._names, self.count, self._damaged = names, count, damaged

    def __iter__(self) -> Iterator[ImageInput]:
        for place, name in enumerate(self._names):
            error = None if (place + 1) % self._damaged else UserError("damaged")
            yield ImageInput(name, Path(name), error=error)


class Stub:
    """A predictor that says of the images one after the other: red to 0.0, to 0.1, ... to 0.9, and anew."""

    needs_boxes, spec, space = False, SimpleNamespace(grouping=None), SPACE

    def batches(self, inputs: Iterable[ImageInput], size: int | None) -> Iterator[InputBatch]:
        waiting: list[ImageInput] = []
        for item in inputs:
            waiting.append(item)
            if len(waiting) == 7:
                yield self._batch(waiting)
                waiting = []
        if waiting:
            yield self._batch(waiting)

    def _batch(self, items: list[ImageInput]) -> InputBatch:
        errors = {place: item.error for place, item in enumerate(items) if item.error is not None}
        return InputBatch(tuple(items), np.empty(0, dtype=np.uint8), errors)

    def compute(self, batches: Iterable[InputBatch]) -> Iterator[InputBatch]:
        yield from batches

    def answer(self, batch: InputBatch) -> AnsweredBatch:
        red = np.array([int(Path(item.name).stem) % 10 / 10 for item in batch.readable])
        probs = np.stack([red, 1 - red], axis=1)
        names = tuple(item.name for item in batch.readable)
        return AnsweredBatch(batch.inputs, PredictionBatch(SPACE, names, probs.argmax(axis=1), probs), batch.errors)


def answer(names: Iterable[str], count: int, damaged: int = 10_000_000) -> Any:
    predictor: Any = Stub()
    inputs: Any = Inputs(names, count, damaged)
    return answer_unlabelled(predictor, inputs, OwnImages([]), Progress())


def test_each_file_is_answered_once_however_it_is_named() -> None:
    found = answer(["b/3.jpg", "/b/4.jpg", "b/../b/3.jpg", "b/5.jpg", "/b//4.jpg"], 5)
    assert found.paths.tolist() == [str(Path("b/3.jpg").absolute()), "/b/4.jpg", str(Path("b/5.jpg").absolute())]
    assert found.class_probs[:, 0].tolist() == [0.3, 0.4, 0.5]
    assert found.group_indices.tolist() == [0, 1, 2]


def test_images_that_cannot_be_read_are_counted_and_the_others_keep_their_places() -> None:
    found = answer((f"/b/{number}.jpg" for number in range(40)), 40, damaged=4)
    kept = [number for number in range(40) if (number + 1) % 4]
    assert found.paths.tolist() == [f"/b/{number}.jpg" for number in kept]
    assert np.allclose(found.class_probs[:, 0], [number % 10 / 10 for number in kept])
    assert found.num_unreadable == 10
    with pytest.raises(UserError, match=r"images: no image can be read \(3 are damaged or no images\)"):
        answer(["/b/1.jpg", "/b/2.jpg", "/b/3.jpg"], 3, damaged=1)


def test_no_image_is_held_as_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strings, "_FEW", 100)
    for module in ("utils.strings", "utils.texts", "pseudo.unlabelled"):
        monkeypatch.setattr(f"multitask.{module}.TEXTS_AT_ONCE", 100)
    peaks: dict[int, list[int]] = {2_000: [], 6_000: []}
    for num in (2_000, 6_000) * 3:  # the least of three: threads of other tests, and imports, count too
        tracemalloc.start()
        answer((f"/a folder with a name/{number}.jpg" for number in range(num)), num)
        peaks[num].append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Bytes; as objects an image takes more than a thousand.
    assert (min(peaks[6_000]) - min(peaks[2_000])) / 4_000 < 300
