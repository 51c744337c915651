"""What is said of gradients that conflict, at the boundaries of what the sampled steps bear out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from multitask.progress import ConflictSteps, EpochRecord, TrainingScores
from multitask.reporting.run.gradient_conflict import SLIGHT, _student, conflict_sentence, pair_cosines


def epoch(train: TrainingScores | None, number: int = 1) -> EpochRecord:
    return EpochRecord(epoch=number, train=train, best=False)


def history(*epochs: dict[tuple[str, str], list[float]]) -> list[EpochRecord]:
    """Of the cosines of each epoch's steps."""
    rows = []
    for number, pairs in enumerate(epochs, start=1):
        conflict: dict[str, Any] = {}
        steps: dict[str, Any] = {}
        for (one, other), cosines in pairs.items():
            sd = float(np.std(cosines, ddof=1)) if len(cosines) > 1 else None
            conflict.setdefault(one, {})[other] = float(np.mean(cosines))
            steps.setdefault(one, {})[other] = ConflictSteps(num=len(cosines), sd=sd)
        train = TrainingScores(conflict=conflict, conflict_steps=steps)
        rows.append(epoch(train, number))
    return rows


AB, AC = ("a", "b"), ("a", "c")


@pytest.mark.parametrize(("freedom", "exact"), [(3, 3.182), (5, 2.571), (20, 2.086), (200, 1.972)])
def test_students_quantile(freedom: int, exact: float) -> None:
    assert _student(0.95, freedom) == pytest.approx(exact, rel=0.05)


def test_interval_is_from_the_steps_within_the_epochs_and_not_from_the_drift() -> None:
    found = pair_cosines(history({AB: [0.1, 0.3, 0.2]}, {AB: [-0.5, -0.3, -0.4]}))[AB]
    assert found.mean == pytest.approx(-0.1)
    assert found.num_steps == 6
    # Pooled variance .01 of 4 degrees; of the mean of two means of three: .01 (1/3 + 1/3) / 4
    assert found.margin == pytest.approx(2.776 * math.sqrt(0.01 * 2 / 3) / 2, rel=0.03)


def test_intervals_hold_for_all_pairs_at_once() -> None:
    steps = [0.1, 0.3, 0.2, 0.25, 0.15]
    alone = pair_cosines(history({AB: steps}))[AB].margin
    among = pair_cosines(history({AB: steps, AC: steps}))[AB].margin
    assert alone is not None
    assert among is not None
    assert among > alone


@pytest.mark.parametrize(
    ("steps", "opposed"),
    [
        ([0.3, -0.3, 0.2, -0.21], False),  # a mean of -.00
        ([-0.3, 0.1, -0.2, 0.1], False),  # a mean of -.08 within noise
        ([-0.3, -0.2, -0.25, -0.22], True),
        ([-SLIGHT + 0.002, -SLIGHT + 0.001, -SLIGHT + 0.0015, -SLIGHT + 0.001], False),  # sure, but a trifle
        ([-SLIGHT - 0.002, -SLIGHT - 0.001, -SLIGHT - 0.0015, -SLIGHT - 0.001], True),
        ([0.3, 0.2, 0.25, 0.22], False),
        ([-0.3, -0.2, -0.25], False),  # three steps bear nothing out
    ],
)
def test_gradients_oppose_each_other_only_beyond_noise(steps: list[float], opposed: bool) -> None:
    sentence = conflict_sentence(history({AB: steps}))
    assert sentence is not None
    assert sentence.startswith("The gradients of a and b oppose each other (") is opposed
    assert ("do not oppose each other beyond noise" in sentence) is (not opposed and len(steps) > 3)
    assert sentence.startswith("Too few steps") is (len(steps) == 3)


def test_figures_stand_beside_the_claim() -> None:
    sentence = conflict_sentence(history({AB: [-0.3, -0.2, -0.25, -0.25], AC: [0.5, 0.4, 0.4, 0.5]}))
    assert sentence is not None
    assert "(mean cosine −.25, 95% −." in sentence
    assert ", for all 2 pairs at once, from 4 steps)" in sentence
    assert "other pair" not in sentence


def test_of_several_the_one_that_agrees_least_is_named() -> None:
    rows = history({AB: [0.1, 0.2, 0.1, 0.2], AC: [0.01, -0.02, 0.01, -0.01]})
    sentence = conflict_sentence(rows)
    assert sentence is not None
    assert sentence.startswith("No two losses’ gradients oppose each other beyond noise; those of a and c agree least")
    both = conflict_sentence(history({AB: [-0.3, -0.31, -0.3, -0.31], AC: [-0.4, -0.41, -0.4, -0.41]}))
    assert both is not None
    assert both.startswith("The gradients of a and c oppose each other (")
    assert ", and so do those of 1 other pair:" in both


def test_a_noisy_lowest_mean_does_not_hide_a_sure_one() -> None:
    rows = history({AB: [-0.9, 0.5, -0.9, 0.5], AC: [-0.1, -0.11, -0.1, -0.11]})
    sentence = conflict_sentence(rows)
    assert sentence is not None
    assert sentence.startswith("The gradients of a and c oppose each other (")


def test_runs_from_before_the_spread_was_recorded_are_judged_by_their_epochs() -> None:
    def old(*means: float) -> list[EpochRecord]:
        return [epoch(TrainingScores(conflict={"a": {"b": mean}}), i) for i, mean in enumerate(means, start=1)]

    assert "do not oppose each other beyond noise" in str(conflict_sentence(old(-0.001, -0.002, 0.001, -0.001)))
    assert str(conflict_sentence(old(-0.2, -0.21, -0.19, -0.2))).startswith("The gradients of a and b oppose")
    assert str(conflict_sentence(old(-0.2))).startswith("Too few steps")


@pytest.mark.parametrize("rows", [[], [epoch(None)], [epoch(TrainingScores())]])
def test_where_nothing_was_looked_at_nothing_is_said(rows: list[Any]) -> None:
    assert conflict_sentence(rows) is None
    steps = {"a": {"b": ConflictSteps(num=0, sd=None)}}
    unknown = epoch(TrainingScores(conflict={"a": {"b": None}}, conflict_steps=steps))
    assert conflict_sentence([unknown]) is None
