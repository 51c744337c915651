"""Attribution of the lost joint macro-F1 to the heads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from multitask.evaluation.metrics import IntArray, Scores
from multitask.evaluation.scores import Attribution
from multitask.labels import LabelSpace
from multitask.utils.records import finite

MAX_EXACT_TASKS = 10
"""Shapley shares need 2**T scores; beyond this many tasks only the single-head figures are given."""


def attribute(given: IntArray, predicted: IntArray, space: LabelSpace) -> Attribution:
    """The share of each head in 1 - macro-F1.

    The shares are Shapley values (Shapley 1953) of the game in which a head joins by becoming perfect: a head's share
    is its gain averaged over every order in which the heads could become perfect, so the shares and what absent classes
    cost add up to 1 - macro-F1 exactly.

    Args:
        given: (N,) classes.
        predicted: (N,) classes.
        space: their label space.

    Returns:
        With ``lost`` None beyond ``MAX_EXACT_TASKS``, and every figure None without data.
    """
    truth, guess = space.decode(given), space.decode(predicted)
    names = space.task_names

    def score(perfect: Iterable[int]) -> float:
        labels = guess.copy()
        columns = list(perfect)
        labels[:, columns] = truth[:, columns]
        return Scores(given, space.encode(labels), space.possible).macro_f1

    base = score(())
    everything = score(range(len(names)))
    lost: dict[str, float] | None = None
    if len(names) <= MAX_EXACT_TASKS:
        values = {
            chosen: score(chosen)
            for size in range(len(names) + 1)
            for chosen in itertools.combinations(range(len(names)), size)
        }
        lost = dict.fromkeys(names, 0.0)
        for chosen, value in values.items():
            for task, name in enumerate(names):
                if task not in chosen:
                    share = 1 / (len(names) * math.comb(len(names) - 1, len(chosen)))
                    lost[name] += share * (values[tuple(sorted((*chosen, task)))] - value)
    return Attribution(
        macro_f1=finite(base),
        perfect={name: finite(score((task,))) for task, name in enumerate(names)},
        lost=None if lost is None else {name: finite(share) for name, share in lost.items()},
        absent=finite(float(np.float64(1.0) - everything)),
    )
