"""Several passes over the same groups: a score and its interval over groups and passes, and paired differences.

A pass predicts every group once, by a network that was not trained on it: all folds of one seed, or the one split of
one seed. A contender's score is the mean of its passes' scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.intervals import LEVEL, NUM_RESAMPLES, excludes_zero, interval, resample
from multitask.evaluation.metrics import FloatArray, Scores
from multitask.labels import MISSING, LabelSpace
from multitask.utils.seeds import derive

if TYPE_CHECKING:
    from multitask.evaluation.predictions import Predictions


def resampled_metrics(space: LabelSpace) -> tuple[str, ...]:
    """The scores that can be resampled, as dotted keys of ``report.json``."""
    tasks = (f"tasks.{task}.{name}" for task in space.task_names for name in ("macro_f1", "accuracy"))
    return ("joint.macro_f1", "joint.accuracy", *tasks)


@dataclass(frozen=True, eq=False)
class PassScore:
    """A score over P passes, with its resamples.

    Attributes:
        value: the mean of the passes.
        single: (P,) each pass's score.
        samples: (R,) of resampled groups and passes. Those of two contenders that predicted the same images are of
            the same draws, so that their difference is a paired one.
        num_images: images scored.
        num_groups: their groups.
    """

    value: float
    single: tuple[float, ...]
    samples: FloatArray
    num_images: int
    num_groups: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval that holds a share of ``level`` of the resamples: (low, high)."""
        return interval(self.samples, level)


@dataclass(frozen=True)
class Gap:
    """A score less another's, with its interval."""

    value: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval excludes zero."""
        return excludes_zero(self.low, self.high)


def gap(score: PassScore, other: PassScore, level: float = LEVEL) -> Gap:
    """``score`` less ``other``, paired by group and pass."""
    return Gap(score.value - other.value, *interval(score.samples - other.samples, level))


def score_passes(
    passes: Sequence[Predictions], metric: str, seed: int, classes: Sequence[str] | None = None
) -> PassScore | None:
    """A score over passes.

    With one pass the groups are resampled. With several the passes are, too: P - 1 of P are drawn with replacement,
    since P of P would be too narrow by a factor of (P - 1) / P in variance (Rao and Wu 1988, J. Am. Stat. Assoc. 83).

    Args:
        passes: P of them, of the same images in the same order, as from ``aligned``.
        metric: one of ``resampled_metrics``.
        seed: of the resampling.
        classes: macro-F1 of the classes is the mean over these, and over no others; None: over all that can occur.

    Returns:
        None where no image has the labels that the metric needs.
    """
    place, _, name = metric.rpartition(".")
    resamples, single = [], []
    num_images = num_groups = 0
    for answers in passes:
        given, guess, declared = _labelling(answers, place)
        if classes is not None:
            assert place == "joint", metric
            declared = np.isin(np.array(answers.space.class_names), list(classes)) & declared
        known = given != MISSING
        if not known.any() or not np.isin(given[known], np.flatnonzero(declared)).any():
            return None
        groups = np.unique(answers.groups[known].astype(str), return_inverse=True)[1]
        num_images, num_groups = len(groups), int(groups.max()) + 1
        single.append(float(getattr(Scores(given[known], guess[known], declared), name)))
        resamples.append(getattr(resample(given[known], guess[known], groups, declared, seed), name))
    weights = pass_weights(len(passes), seed)
    samples = np.einsum("rp,pr->r", weights, np.stack(resamples))
    return PassScore(float(np.mean(single)), tuple(single), samples, num_images, num_groups)


def pass_weights(num_passes: int, seed: int) -> FloatArray:
    """(R, P) the weight of each pass in each resample; rows sum to 1."""
    if num_passes == 1:
        return np.ones((NUM_RESAMPLES, 1))
    rng = np.random.default_rng(derive(seed, "passes"))
    drawn = rng.multinomial(num_passes - 1, np.full(num_passes, 1 / num_passes), size=NUM_RESAMPLES)
    return drawn / (num_passes - 1)


def _labelling(answers: Predictions, place: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Given and predicted labels of the joint or of ``tasks.<name>``, and which of them can occur."""
    space = answers.space
    if place == "joint":
        return answers.classes, answers.predicted, space.possible
    task = place.removeprefix("tasks.")
    column = space.task_names.index(task)
    guess = answers.task_log_probs()[task].argmax(dim=1).numpy()
    return answers.labels[:, column], guess, space.possible_labels(task)


def aligned(names: Sequence[str], passes: Sequence[Sequence[Predictions]]) -> list[list[Predictions]]:
    """Every contender's passes with their images in the same order, so that resamples pair them.

    Args:
        names: the contenders.
        passes: the passes of each; as many for all.

    Raises:
        UserError: two contenders have other label spaces, or predicted other images or labels.
    """
    first = _sorted(passes[0][0])
    found = []
    for name, own in zip(names, passes, strict=True):
        rows = [_sorted(answers) for answers in own]
        for answers in rows:
            if answers.space != first.space:
                raise UserError(f"{name}: has another label space than {names[0]}; their scores do not compare")
            if not np.array_equal(answers.images, first.images) or not np.array_equal(answers.labels, first.labels):
                raise UserError(f"{name}: was scored on other images than {names[0]}; their scores do not compare")
        found.append(rows)
    return found


def _sorted(answers: Predictions) -> Predictions:
    return answers.take(np.argsort(answers.images.astype(str), kind="stable"))
