"""Confident learning: Northcutt et al. 2021, https://arxiv.org/abs/1911.00068, as cleanlab implements it."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from multitask.evaluation.group_pooling import Pooling
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING

Rank = Literal["self_confidence", "normalized_margin"]
RANKS: tuple[Rank, ...] = get_args(Rank)
"""Rankings of suspects: by the given label's probability, or that less the most probable other label's."""

FILTER = "prune_by_noise_rate"
"""How the suspects are cut off: as many of each given label as the confident joint says are of another."""


class Judged:
    """The result of confident learning on U units, each an image or a group.

    Args:
        probs: (U, C) out of fold, of each label.
        given: (U,) labels, ``MISSING`` where there is none.
        pooling: how the images' probabilities were turned into the units'.
        rank: what suspects are ranked by.

    Attributes:
        confidence: (U, C) the probability of each label if errors are as rare as the pooling's fit says.
        flagged: (U,) bool, whether a given label is suspect.
        scores: (U,) what they are ranked by, 1 where there is no label.
    """

    def __init__(
        self,
        probs: FloatArray,
        given: IntArray,
        pooling: Pooling,
        rank: Rank,
    ) -> None:
        self.probs = probs
        self.given = given
        self.pooling = pooling
        self.confidence = pooling.confidence(probs, np.maximum(given, 0))
        self.flagged = np.zeros(len(given), dtype=bool)
        self.scores = np.ones(len(given))
        known = np.flatnonzero(given != MISSING)
        # Labels that nobody has are left out: there is nothing to learn their threshold from.
        there = np.unique(given[known])
        if len(there) < 2:
            return
        kept = probs[known][:, there]
        kept = kept / kept.sum(axis=1, keepdims=True)
        labels = np.searchsorted(there, given[known])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that of a rare label it may not flag all
            self.flagged[known] = find_label_issues(labels, kept, filter_by=FILTER, n_jobs=1)
        self.scores[known] = get_label_quality_scores(labels, kept, method=rank)

    def suggested(self, unit: int) -> int:
        """The most probable label that is not the given one."""
        probs = self.probs[unit].copy()
        probs[self.given[unit]] = -1
        return int(probs.argmax())
