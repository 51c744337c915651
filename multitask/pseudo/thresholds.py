"""The probability from which a head is sure of a label: found on some groups, its precision estimated on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.prior_shift import Answered
from multitask.evaluation.selective import GRID, group_errors, p_value
from multitask.pseudo.settings import PseudoSettings
from multitask.utils.records import Count, Score
from multitask.utils.spelling import plural

NUM_FOLDS = 5
MARGINS = (0.0, 0.25, 0.5, 0.75)
"""The shares of what is left to a precision of 1 that are asked for beyond it where a threshold is found, one after the
other: a threshold that only just keeps it on the groups that chose it fails on others every other time."""


@dataclass(frozen=True, kw_only=True)
class LabelThreshold:
    """How sure a head must be of one label.

    Attributes:
        label: its name.
        threshold: the calibrated probability from which the label is given; None: it never is.
        precision: the share of right ones among those that it is given, by thresholds that were found on other groups;
            None where none is.
        precision_low: its lower bound, of the confidence that the settings name.
        at_prior: the precision in images of the estimated prior; None where that is not identifiable, or as above.
        num_groups: the groups that ``precision`` is the mean over.
        num_images: theirs that were given the label.
        why: why it is never given; empty where it is.
    """

    label: str
    threshold: Score | None
    precision: Score | None
    precision_low: Score | None
    at_prior: Score | None
    num_groups: Count
    num_images: Count
    why: str


def find_thresholds(
    answered: Answered, names: Sequence[str], settings: PseudoSettings, seed: int, shift: FloatArray | None = None
) -> tuple[LabelThreshold, ...]:
    """The threshold of each label of a head.

    A label's threshold is the lowest of ``selective.GRID`` at which the precision that is asked for is proven. The
    precision that is told is cross-fitted: a group's labels count by the threshold that was found on the groups of the
    other folds; its lower bound must be what is asked for. Of ``MARGINS`` the first with which it is decides, so that
    a bound that is just kept is the best of at most four.

    Args:
        answered: on which the network was not trained; those without a label do not count.
        names: of the C labels.
        settings: what is asked for.
        seed: of the folds.
        shift: (C,) log-ratios of the prior of the images to be labelled to that of these; None: not known.
    """
    known = answered.known()
    predicted = known.probs.argmax(axis=1)
    # A right answer counts by how much more often its label is among the images to be labelled.
    weights = None if shift is None else np.exp(shift)[known.labels]
    found = []
    for label, name in enumerate(names):
        rows = np.flatnonzero(predicted == label)
        images = _Images(
            known.probs[rows, label],
            known.labels[rows] == label,
            np.unique(known.groups[rows], return_inverse=True)[1].astype(np.int64),
            None if weights is None else weights[rows],
        )
        found.append(_find(images, name, settings, np.random.default_rng([seed, label])))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Images:
    """The M images that a head gives one label: how sure it is, whether it is right, groups from 0, and weights."""

    confidences: FloatArray
    right: NDArray[np.bool_]
    groups: IntArray
    weights: FloatArray | None

    def errors(self, threshold: float, rows: NDArray[np.bool_]) -> FloatArray:
        return group_errors(self.confidences[rows], self.right[rows], self.groups[rows], threshold)


def _find(images: _Images, name: str, settings: PseudoSettings, rng: np.random.Generator) -> LabelThreshold:
    num_groups = int(images.groups.max()) + 1 if len(images.groups) else 0
    fold_of_group = rng.permutation(num_groups) % NUM_FOLDS
    tried = []
    for margin in MARGINS:
        tried.append(_cross_fit(images, name, settings, margin, fold_of_group))
        if not tried[-1].why:
            return tried[-1]
    return max(tried, key=lambda found: found.precision_low or 0.0)


def _cross_fit(
    images: _Images, name: str, settings: PseudoSettings, margin: float, fold_of_group: IntArray
) -> LabelThreshold:
    asked = settings.precision + margin * (1 - settings.precision)
    errors, chosen = [], np.zeros(len(images.groups), dtype=bool)
    for fold in np.unique(fold_of_group):
        inside = fold_of_group[images.groups] == fold
        threshold = _lowest(images, ~inside, asked, settings.certainty)
        if threshold is not None:
            errors.append(images.errors(threshold, inside))
            chosen |= inside & (images.confidences >= threshold)
    means = np.concatenate([*errors, np.empty(0)])
    whole = _lowest(images, np.ones(len(images.groups), dtype=bool), asked, settings.certainty)
    low, at_prior = lower_bound(means, settings.certainty), _at_prior(images, chosen)
    why = _why_not(whole, low, at_prior, len(fold_of_group), settings.precision)
    return LabelThreshold(
        label=name,
        threshold=None if why else whole,
        precision=1 - float(means.mean()) if len(means) else None,
        precision_low=low if len(means) else None,
        at_prior=at_prior,
        num_groups=len(means),
        num_images=int(chosen.sum()),
        why=why,
    )


def _lowest(images: _Images, rows: NDArray[np.bool_], precision: float, certainty: float) -> float | None:
    """The lowest threshold of which a precision is proven on some of the images; None: there is none."""
    for threshold in GRID[::-1]:
        errors = images.errors(threshold, rows)
        if len(errors) and p_value(float(errors.mean()), len(errors), 1 - precision) <= 1 - certainty:
            return float(threshold)
    return None


def _at_prior(images: _Images, chosen: NDArray[np.bool_]) -> float | None:
    if images.weights is None or not chosen.any():
        return None
    weights = images.weights[chosen]
    return float(np.clip((weights * images.right[chosen]).sum() / weights.sum(), 0, 1))


def _why_not(threshold: float | None, low: float, at_prior: float | None, num_groups: int, precision: float) -> str:
    if not num_groups:
        return "it is predicted in no group that the network did not train on"
    if threshold is None:
        groups = plural(num_groups, "group", "groups")
        return f"no probability proves a precision of {precision:g} on the {groups} in which it is predicted"
    if low < precision:
        return f"on groups that did not choose the threshold the precision is proven to be {low:.3f} only"
    if at_prior is not None and at_prior < precision:
        return f"with the estimated prior of the images its precision is {at_prior:.3f}"
    return ""


def lower_bound(errors: FloatArray, certainty: float) -> float:
    """The lower bound of a precision: what it is at least, with a probability of ``certainty`` over the groups.

    1 - b with the least b of which ``selective.p_value`` says that the error is not above it; 0 of no group.

    Args:
        errors: (G,) the share of wrong labels in each group.
        certainty: of the bound.

    >>> round(lower_bound(np.zeros(45), 0.9), 3), lower_bound(np.empty(0), 0.9)
    (0.95, 0.0)
    """
    if not len(errors):
        return 0.0
    mean, least = float(errors.mean()), 1 - certainty
    low, high = mean, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if p_value(mean, len(errors), middle) > least:
            low = middle
        else:
            high = middle
    return 1 - high
