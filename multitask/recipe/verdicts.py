"""Verdicts on a proposal: its score, and its gain with an interval at the stage's share of alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multitask.errors import UserError
from multitask.evaluation.intervals import LEVEL
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.repeated_runs import PassScore, aligned, gap, score_passes
from multitask.reporting.figures import IntervalGap, IntervalScore
from multitask.reporting.recipe.report_schema import Judged


@dataclass(frozen=True)
class Judges:
    """How answers are judged.

    Attributes:
        metric: the score that decides.
        seed: of the resampling.
        level: of the interval of a gain.
    """

    metric: str
    seed: int
    level: float

    def of_one(self, answers: Sequence[Predictions]) -> Judged:
        """A score by itself, as the baseline's.

        Args:
            answers: a pass each.

        Raises:
            UserError: no image that is judged has such a label.
        """
        score = self._score(answers)
        return Judged(None, _shown(score), None, LEVEL, score.num_groups, score.num_images)

    def of_two(self, before: Sequence[Predictions], after: Sequence[Predictions]) -> Judged:
        """A proposal against what stood before it, group by group; an ensemble has one pass against several.

        Args:
            before: a pass each.
            after: likewise.

        Raises:
            UserError: they answered other images.
        """
        value = self.gain(before, after, self.level)
        scores = [self._score(answers) for answers in (before, after)]
        return Judged(
            _shown(scores[0]), _shown(scores[1]), value, self.level, scores[1].num_groups, scores[1].num_images
        )

    def gain(self, before: Sequence[Predictions], after: Sequence[Predictions], level: float) -> IntervalGap:
        """The gain with its interval of some level; errors as ``of_two``."""
        old, new = (self._score(rows) for rows in aligned(("what stood", "the proposal"), (before, after)))
        found = gap(new, old, level)
        return IntervalGap(found.value, found.low, found.high, found.beyond_noise)

    def _score(self, answers: Sequence[Predictions]) -> PassScore:
        found = score_passes(answers, self.metric, self.seed)
        if found is None:
            raise UserError(f"metric: {self.metric} cannot be had: no image that is judged has such a label")
        return found


def _shown(score: PassScore) -> IntervalScore:
    return IntervalScore(score.value, score.interval())
