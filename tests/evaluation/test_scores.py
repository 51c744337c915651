from __future__ import annotations

import pytest

from multitask.evaluation.scores import ClassScores, Confusion, LabellingScores, SparseConfusion


def make_scores(confusion: Confusion) -> LabellingScores:
    return LabellingScores(
        num_images=3,
        num_groups=2,
        accuracy=None,
        accuracy_ci=None,
        macro_f1=None,
        macro_f1_ci=None,
        ece=None,
        absent_classes=(),
        classes=tuple(ClassScores(name, 1, 0.5, 0.5, 0.5) for name in "ab"),
        confusion=confusion,
        reliability=(),
    )


@pytest.mark.parametrize(
    "confusion", [((1, 1), (0, 1)), SparseConfusion(2, ((0, 1, 2), (1, 1, 1))), SparseConfusion(2, ())]
)
def test_a_confusion_matrix_is_whole_or_its_entries(confusion: Confusion) -> None:
    assert make_scores(confusion).confusion == confusion


@pytest.mark.parametrize(
    "confusion", [((1, 1),), ((1, 1), (0,)), SparseConfusion(3, ()), SparseConfusion(2, ((0, 2, 1),))]
)
def test_a_confusion_matrix_of_other_classes_is_refused(confusion: Confusion) -> None:
    with pytest.raises(ValueError, match="confusion does not fit the 2 classes"):
        make_scores(confusion)
