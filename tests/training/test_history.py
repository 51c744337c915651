from __future__ import annotations

import math

import pytest

from multitask.progress import EpochRecord, LabelScores, ValidationScores
from multitask.training.history import is_best, lookup, out_of_patience


def scores(value: float) -> ValidationScores:
    return ValidationScores(joint=LabelScores(macro_f1=value, loss=value))


def history(*values: float, best: int = 1) -> list[EpochRecord]:
    return [EpochRecord(epoch=epoch, val=scores(value), best=epoch == best) for epoch, value in enumerate(values, 1)]


def test_lookup_follows_a_dotted_path() -> None:
    assert lookup({"tasks": {"mask": {"loss": 1}}}, "tasks.mask.loss") == 1.0


@pytest.mark.parametrize(
    ("earlier", "score", "monitor", "expected"),
    [
        ((), 0.1, "joint.macro_f1", True),
        ((0.5,), 0.6, "joint.macro_f1", True),
        ((0.5,), 0.5, "joint.macro_f1", False),
        ((0.5, 0.7), 0.6, "joint.macro_f1", False),
        ((0.5, 0.7), 0.4, "joint.loss", True),
        ((0.5, 0.7), 0.6, "joint.loss", False),
        ((), math.nan, "joint.loss", False),
        ((math.nan,), math.nan, "joint.loss", False),
        ((0.5,), math.nan, "joint.macro_f1", False),
        ((math.nan, 0.2), 0.3, "joint.macro_f1", True),
    ],
)
def test_the_best_is_better_than_all_before(
    earlier: tuple[float, ...], score: float, monitor: str, expected: bool
) -> None:
    assert is_best(history(*earlier), scores(score), monitor) is expected


def test_where_nothing_validates_the_last_epoch_is_the_best() -> None:
    assert is_best(history(0.5), None, "joint.loss")


def test_patience_counts_from_the_last_best_epoch() -> None:
    rows = history(0.1, 0.5, 0.4, 0.3, best=2)
    assert out_of_patience(rows, 2)
    assert not out_of_patience(rows, 3)
    assert not out_of_patience(rows, None)
    assert not out_of_patience([], 1)
