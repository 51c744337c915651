from __future__ import annotations

import pytest

from multitask.evaluation.scores import ClassScores, LabellingScores
from multitask.reporting.run import plots
from multitask.reporting.run.class_scores import ConfusedPair, MatrixCell, absent_in_words, class_scores


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    for name in ("confusion", "reliability"):
        monkeypatch.setattr(plots, name, lambda *_, key, label, **__: f'<svg id="{key}"></svg>')


def make_scores(matrix):
    names = [f"c{place}" for place in range(len(matrix))]
    return LabellingScores(
        num_images=sum(map(sum, matrix)),
        num_groups=1,
        accuracy=0.75,
        accuracy_ci=(0.5, 0.9),
        macro_f1=0.7,
        macro_f1_ci=None,
        ece=None,
        absent_classes=(),
        classes=tuple(ClassScores(name, sum(row), 0.5, 0.5, 0.5) for name, row in zip(names, matrix, strict=True)),
        confusion=tuple(map(tuple, matrix)),
        reliability=(),
    )


def test_cells_say_count_share_and_whether_they_are_right():
    view = class_scores("mask", "task-0", make_scores([[9, 1, 0], [2, 2, 0], [0, 0, 0]]))
    looks = [[cell.look for cell in row.cells if cell.count] for row in view.matrix]
    assert looks == [["right deep", "wrong"], ["wrong", "right"], []]
    assert [row.total for row in view.matrix] == [10, 4, 0]
    assert view.matrix[0].cells[1] == MatrixCell(
        count=1, shade=f"{0.1**plots.SHADE_POWER:.2f}", look="wrong", words="given c0, predicted c1: .100 of 10"
    )
    assert view.words == "3 classes, 14 images; accuracy .750 (95% .500 to .900); macro-F1 .700."


@pytest.mark.parametrize(
    ("size", "layout", "upright", "long", "large"),
    [
        (4, "row", False, False, False),
        (5, "stacked", True, False, False),
        (10, "stacked", True, False, False),
        (11, "whole", True, False, False),
        (25, "whole", True, True, False),
        (61, "whole", True, True, True),
    ],
)
def test_more_classes_get_more_room(size, layout, upright, long, large):
    view = class_scores("t", "task-0", make_scores([[1] * size] * size))
    assert (view.layout, view.upright, view.long, view.large) == (layout, upright, long, large)
    assert bool(view.matrix) is not large
    assert bool(view.image) is large
    assert len(view.confused) == (12 if large else 0)


def test_the_commonest_confusions_come_first_and_what_is_right_is_none():
    matrix = [[0] * 61 for _ in range(61)]
    matrix[0][0], matrix[0][1], matrix[2][3] = 50, 5, 7
    found = class_scores("t", "task-0", make_scores(matrix)).confused
    assert found == (ConfusedPair("c2", "c3", 7, 1.0), ConfusedPair("c0", "c1", 5, 5 / 55))


def test_absent_classes_in_words():
    assert absent_in_words([]) == ""
    assert absent_in_words(["a"]).startswith("One declared class has no image")
    assert absent_in_words([str(number) for number in range(14)]).endswith("10, 11 and 2 more.")
