from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation.confident_learning import RANKS, Judged, Rank
from multitask.evaluation.group_pooling import Pooling
from multitask.labels import MISSING


def judged(given: list[int], rank: Rank = "self_confidence") -> Judged:
    """Forty units of two labels of three, each 0.9 sure of its own; ``given`` are the first units' labels."""
    truth = np.arange(40) % 2
    probs = np.full((40, 3), 0.02)
    probs[np.arange(40), truth], probs[np.arange(40), 1 - truth] = 0.9, 0.08
    labels = truth.copy()
    labels[: len(given)] = given
    pooling = Pooling.fit(np.log(probs), np.arange(40), labels)
    return Judged(probs, labels, pooling, rank)


@pytest.mark.parametrize("rank", RANKS)
def test_a_label_that_the_probabilities_contradict_is_flagged_and_ranked_first(rank: Rank) -> None:
    found = judged([1], rank)
    assert np.flatnonzero(found.flagged).tolist() == [0]
    assert found.scores.argmin() == 0
    assert found.suggested(0) == 0
    assert found.suggested(2) == 1  # the most probable of the others, also where the given one is right


def test_a_unit_without_a_label_is_no_suspect() -> None:
    found = judged([MISSING, 1])
    assert not found.flagged.any()
    assert found.scores[0] == 1


def test_of_one_label_alone_nothing_is_learned() -> None:
    found = judged([0] * 40)
    assert not found.flagged.any()
    assert (found.scores == 1).all()
