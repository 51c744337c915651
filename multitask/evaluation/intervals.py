"""Intervals by resampling groups, whose images are not independent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.metrics import MATRIX_CLASSES, FloatArray, IntArray, f1_scores

NUM_RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of R resamples of the groups.

    Attributes:
        macro_f1: (R,); NaN where a resample has no image of the declared classes.
        accuracy: (R,).
    """

    macro_f1: FloatArray
    accuracy: FloatArray


_CHUNK = 4_000_000
"""Weights that are held at once: what is needed does not grow with the number of groups."""


def _weights(num_groups: int, seed: int, num_classes: int = 1) -> Iterator[FloatArray]:
    """(r, G) how often each group is drawn, G draws with replacement, for ``NUM_RESAMPLES`` rows in all.

    Neither r x G nor r x ``num_classes`` is beyond ``_CHUNK``.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(num_groups, num_classes))
    for start in range(0, NUM_RESAMPLES, rows):
        size = min(rows, NUM_RESAMPLES - start)
        yield rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=size).astype(float)


def resample(
    given: IntArray, predicted: IntArray, groups: IntArray, declared: NDArray[np.bool_], seed: int
) -> Resampled:
    """Scores of ``NUM_RESAMPLES`` resamples of the groups.

    A resample may draw no image of a rare class, whose F1 is then not 0 but unknown: macro-F1 is taken over the classes
    that were drawn, and scaled by the share of declared classes that the data has at all. So the interval is about the
    score that is reported.

    Args:
        given: (N,) class indices.
        predicted: (N,) likewise.
        groups: (N,) group indices, every one below G in use.
        declared: (C,) bool, the classes that macro-F1 is the mean of.
        seed: of the draws. With the same groups and seed two models are scored on the same draws, so that the
            difference of their scores is a paired one.

    Returns:
        R macro-F1s and accuracies.
    """
    total = declared.sum()
    if len(declared) > MATRIX_CLASSES:  # most of so many classes do not occur; of few, no sum is to change its order
        there, places = np.unique(np.concatenate([given, predicted]), return_inverse=True)
        given, predicted, declared = places[: len(given)], places[len(given) :], declared[there]
    num_groups, num_classes = int(groups.max()) + 1, len(declared)

    def per_group(classes: IntArray, chosen: NDArray[np.bool_] | slice = slice(None)) -> FloatArray:
        flat = np.bincount(groups[chosen] * num_classes + classes[chosen], minlength=num_groups * num_classes)
        return flat.reshape(num_groups, num_classes).astype(float)

    hits, support, guesses = per_group(given, given == predicted), per_group(given), per_group(predicted)
    present = np.isin(np.arange(num_classes), given) & declared
    macro_f1, accuracy = [], []
    for weights in _weights(num_groups, seed, num_classes):
        drawn_hits, drawn_support = weights @ hits, weights @ support
        f1 = f1_scores(drawn_hits, drawn_support, weights @ guesses)
        drawn = (drawn_support > 0) & declared
        num_drawn = drawn.sum(axis=1)
        mean = (f1 * drawn).sum(axis=1) / np.where(num_drawn > 0, num_drawn, np.nan)
        macro_f1.append(mean * present.sum() / total)
        accuracy.append(drawn_hits.sum(axis=1) / drawn_support.sum(axis=1))
    return Resampled(np.concatenate(macro_f1), np.concatenate(accuracy))


def resample_mean(values: FloatArray, groups: IntArray, seed: int) -> FloatArray:
    """The mean of ``NUM_RESAMPLES`` resamples of the groups.

    Args:
        values: (N,).
        groups: (N,) group indices, every one below G in use.
        seed: of the draws, the same as those of ``resample``.

    Returns:
        (R,).
    """
    sums, sizes = np.bincount(groups, values), np.bincount(groups).astype(float)
    return np.concatenate([(weights @ sums) / (weights @ sizes) for weights in _weights(len(sizes), seed)])


def resample_group_means(means: FloatArray, seed: int) -> FloatArray:
    """The mean over groups, of which each counts once, of ``NUM_RESAMPLES`` resamples of the groups.

    Args:
        means: (G, K) the mean of each of K quantities in each group.
        seed: of the draws, the same as those of ``resample``.

    Returns:
        (R, K).
    """
    return np.concatenate([weights @ means / len(means) for weights in _weights(len(means), seed)])


def interval(values: FloatArray, level: float = LEVEL) -> tuple[float, float]:
    """The middle of the values that holds a share of ``level`` of them, NaNs left aside: (low, high)."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def excludes_zero(low: float, high: float) -> bool:
    """Whether a difference with this interval is beyond noise."""
    return low > 0 or high < 0


@dataclass(frozen=True)
class Difference:
    """A score of a run against the first run's, on the images that both predicted.

    Attributes:
        run: the run's name.
        metric: as ``joint.macro_f1``.
        num_images: images that both predicted.
        num_groups: their groups.
        value: the run's score less the first run's, on those.
        low: of the interval (95%, if not said otherwise) over resampled groups, the same in both runs.
        high: likewise.
    """

    run: str
    metric: str
    num_images: int
    num_groups: int
    value: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval excludes zero."""
        return excludes_zero(self.low, self.high)
