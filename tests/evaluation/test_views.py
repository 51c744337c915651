from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from multitask.data.images import Pixels
from multitask.errors import UserError
from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.views import VIEWS, Views, ViewSettings
from multitask.labels import LabelSpace, Task
from multitask.settings.extensions import temporary_extensions

SPACE = LabelSpace([Task("hand", ("left", "right")), Task("ring", ("no", "yes"))])


def made(size: tuple[int, int] = (20, 10)) -> Pixels:
    """Two images: a step from dark to bright, to the right and down."""
    height, width = size
    images = np.zeros((2, height, width, 3), dtype=np.uint8)
    images[0, :, width // 3 :] = 200
    images[1, height // 3 :] = 200
    return images


def bright(images: Pixels) -> dict[str, FloatArray]:
    """A network that answers by the brightness of the left half."""
    share = images[:, :, : images.shape[2] // 2].mean(axis=(1, 2, 3)) / 255 * 0.98 + 0.01
    table = np.log(np.stack([share, 1 - share], axis=1))
    joint = np.log(np.stack([share * 0.9, share * 0.1, (1 - share) * 0.5, (1 - share) * 0.5], axis=1))
    return {"hand": table, "ring": table, "joint": joint}


@pytest.mark.parametrize("kind", VIEWS)
def test_a_view_keeps_size_and_leaves_the_image_as_it_was(kind: str) -> None:
    images = made((21, 13))
    before = images.copy()
    found = list(VIEWS[kind].model_validate({}).of(images))
    assert len(found) == {"flip": 1, "shift": 4, "scale": 2}[kind]
    for view in found:
        assert view.shape == images.shape
        assert view.dtype == np.uint8
        assert (view != images).any()
        assert view.min() == 0
        assert view.max() == 200  # what comes in at the edge is the edge
    np.testing.assert_array_equal(images, before)


def test_shifts_go_to_all_sides_and_scales_are_about_the_centre() -> None:
    left, right, up, down = VIEWS["shift"]().of(made((50, 25)))
    step = [int((view[0, 0, :, 0] > 100).argmax()) for view in (left, right)]
    assert step == [7, 9]  # of 8, by .04 * 25 = 1
    assert [int((view[1, :, 0, 0] > 100).argmax()) for view in (up, down)] == [14, 18]
    square = np.zeros((1, 41, 41, 3), dtype=np.uint8)
    square[0, 10:31, 10:31] = 255
    large, small = VIEWS["scale"]().of(square)
    sizes = [(view[0, 20, :, 0] > 127).sum() for view in (large, small)]
    assert sizes == [23, 19]
    for view in (large, small):
        np.testing.assert_allclose(view[0], view[0, ::-1, ::-1], atol=16)


def test_the_average_is_the_geometric_mean_and_normalised() -> None:
    views = Views.parse(["flip"], [], SPACE, True)
    assert views is not None
    images = made()
    found = views.answers(images, bright, SPACE)
    own, other = bright(images), bright(np.ascontiguousarray(images[:, :, ::-1]))
    for head, values in found.items():
        expected = np.sqrt(np.exp(own[head]) * np.exp(other[head]))
        np.testing.assert_allclose(np.exp(values), expected / expected.sum(axis=1, keepdims=True), atol=1e-12)


def test_a_task_does_without_a_view_and_with_it_what_is_over_all_tasks() -> None:
    images = made()
    views = Views.parse(["flip", "shift"], ["hand:flip"], SPACE, True)
    without = Views.parse(["shift"], [], SPACE, True)
    both = Views.parse(["flip", "shift"], [], SPACE, True)
    assert views is not None
    assert without is not None
    assert both is not None
    found = views.answers(images, bright, SPACE)
    np.testing.assert_allclose(found["hand"], without.answers(images, bright, SPACE)["hand"])
    np.testing.assert_allclose(found["joint"], without.answers(images, bright, SPACE)["joint"])
    np.testing.assert_allclose(found["ring"], both.answers(images, bright, SPACE)["ring"])
    assert np.abs(found["ring"] - found["hand"]).max() > 0.1
    assert views.of_head("class", SPACE) == ("", "shift")  # one head over all classes


@pytest.mark.parametrize(
    ("kinds", "excepted", "may_flip", "line"),
    [
        (["flop"], [], True, "views: unknown view 'flop'; did you mean 'flip'?"),
        (["flip", "flip"], [], True, "views: flip stands twice"),
        (["flip"], [], False, "views: flip: the run's config says that left and right may not be swapped"),
        (["flip"], ["hond:flip"], True, "views except hond:flip: unknown task 'hond'; did you mean 'hand'?"),
        (["flip"], ["hand:scale"], True, "views except hand:scale: scale is not among the views; write TASK:VIEW"),
        (["flip"], ["hand"], True, "views except hand: unknown task"),
        ([], ["hand:flip"], True, "views except hand:flip: flip is not among the views"),
        (["flip"], ["hand:flip", "ring:flip"], True, "views except: no task is left for flip"),
    ],
)
def test_what_cannot_be_is_a_line(kinds: list[str], excepted: list[str], may_flip: bool, line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        Views.parse(kinds, excepted, SPACE, may_flip)


def test_no_views_are_none() -> None:
    assert Views.parse([], [], SPACE, False) is None


class Upside(ViewSettings):
    name: Literal["upside"] = "upside"

    def of(self, images: Pixels) -> Iterator[Pixels]:
        yield np.ascontiguousarray(images[:, ::-1])


def test_a_view_of_ones_own_is_a_row() -> None:
    with temporary_extensions():
        VIEWS["upside"] = Upside
        views = Views.parse(["upside"], [], SPACE, True)
        assert views is not None
        assert views.name == "upside"
        asked: list[Pixels] = []
        views.answers(made(), lambda images: asked.append(images) or bright(images), SPACE)  # type: ignore[func-returns-value]
        assert len(asked) == 2
