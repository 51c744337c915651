"""Pooling of the images of one group for a label that they share.

Images of one group are not independent: what misleads the network in one (a haircut) misleads it in the others, and
to add up their log-probabilities would be far too sure. As in the effective size of a cluster sample (Kish 1965), n
images whose evidence correlates by r count as ``n / (1 + (n - 1) r)``: with r = 0 as all n of them, with r = 1 as
one, whose log-probabilities are the mean. The correlation, like the temperature of a single image's answer, is that
under which the given labels are the most probable, given that a share of them, fitted too, is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING

TEMPERATURES = np.geomspace(0.2, 10, 41)
CORRELATIONS = np.linspace(0, 1, 21)
NOISES = np.array([0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2])
"""Shares of wrong labels among which the most probable one is fitted."""

LOWEST = -30.0
"""No image's log-probability counts as lower, or one alone would decide."""


@dataclass(frozen=True, eq=False)
class Pooling:
    """The pooling of the log-probabilities of images into probabilities of their units.

    Attributes:
        temperature: that an image's evidence is divided by; above 1: the network is overconfident.
        correlation: 0 to 1, of the evidence of two images of one unit; None where no unit has two.
        noise: the share of the given labels that is wrong, as fitted.
        answered: (C,) log-prior in the outputs: that of the mean probability.
        prior: (C,) log-prior of the units' given labels.
    """

    temperature: float
    correlation: float | None
    noise: float
    answered: FloatArray
    prior: FloatArray

    @classmethod
    def fit(cls, log_probs: FloatArray, units: IntArray, given: IntArray) -> Pooling:
        """The pooling under which the given labels are the most probable.

        Args:
            log_probs: (N, C) of the images, rows normalised.
            units: (N,) the unit of each, every one below U in use.
            given: (U,) the units' labels, ``MISSING`` where unknown.
        """
        answered = np.log(np.exp(log_probs).mean(axis=0) + 1e-12)
        image_labels = given[units]
        known = np.flatnonzero(image_labels != MISSING)
        if not len(known):
            return cls(1.0, None, 0.0, answered, np.full_like(answered, -np.log(len(answered))))
        # An image by itself first, so that groups of one image and of many have the same temperature.
        alone = _evidence(log_probs, answered)[known]
        prior = _log_shares(image_labels[known], log_probs.shape[1])
        temperature, _ = _best(((float(t), prior + alone / t) for t in TEMPERATURES), image_labels[known])
        chosen = np.flatnonzero(given != MISSING)
        prior = _log_shares(given[chosen], log_probs.shape[1])
        sizes, mean = mean_evidence(log_probs, answered, units)
        sizes, mean = sizes[chosen, None], mean[chosen] / temperature
        labels = given[chosen]
        ways = ((float(r), prior + effective_sizes(sizes, float(r)) * mean) for r in CORRELATIONS)
        correlation, noise = _best(ways, labels)
        return cls(temperature, correlation if sizes.max() > 1 else None, noise, answered, prior)

    def probs(self, log_probs: FloatArray, units: IntArray) -> FloatArray:
        """(U, C) the labels' probabilities of each unit, from (N, C) log-probabilities of its images."""
        sizes, mean = mean_evidence(log_probs, self.answered, units)
        counts = effective_sizes(sizes, self.correlation or 0.0)
        return _softmax(self.prior + counts[:, None] * mean / self.temperature)

    def confidence(self, probs: FloatArray, given: IntArray) -> FloatArray:
        """(U, C) the labels' probabilities where the given labels are known, and known to be wrong at times.

        By Bayes' rule: a label is the given one in all but the share ``noise`` of the units, and then any other alike.
        """
        num_units, num_labels = probs.shape
        noise = max(self.noise, 1 / (num_units + 1))  # that none was found does not mean that there is none
        likelihood = np.full_like(probs, noise / max(num_labels - 1, 1))
        likelihood[np.arange(num_units), given] = 1 - noise
        weighted = probs * likelihood
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def _evidence(log_probs: FloatArray, answered: FloatArray, lowest: float = LOWEST) -> FloatArray:
    """(N, C) the evidence of each image: its log-probabilities less the log-prior in all outputs."""
    return np.asarray(np.maximum(log_probs, lowest) - answered)


def mean_evidence(
    log_probs: FloatArray, answered: FloatArray, units: IntArray, lowest: float = LOWEST
) -> tuple[FloatArray, FloatArray]:
    """The (U,) sizes of the units, and the (U, C) means of their images' evidence; arguments as of ``Pooling``.

    No log-probability counts as lower than ``lowest``.
    """
    sizes = np.bincount(units).astype(float)
    evidence = _evidence(log_probs, answered, lowest)
    sums = np.stack([np.bincount(units, column) for column in evidence.T], axis=1)
    return sizes, sums / sizes[:, None]


def effective_sizes(sizes: FloatArray, correlation: float) -> FloatArray:
    """n / (1 + (n - 1) r): as how many images n count whose evidence correlates by r.

    >>> effective_sizes(np.array([1.0, 7.0]), 0.5)
    array([1.  , 1.75])
    """
    return sizes / (1 + (sizes - 1) * correlation)


def _log_shares(labels: IntArray, num_labels: int) -> FloatArray:
    """(C,) the labels' shares; one that does not occur has that of half a unit."""
    counts = np.bincount(labels, minlength=num_labels) + 0.5
    shares: FloatArray = np.log(counts / counts.sum())
    return shares


def _softmax(scores: FloatArray) -> FloatArray:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _best(ways: Iterable[tuple[float, FloatArray]], labels: IntArray) -> tuple[float, float]:
    """The way, of those with their (U, C) scores, and the noise under which the labels are the most probable."""
    best = (-np.inf, 1.0, 0.0)
    rows = np.arange(len(labels))
    for value, scores in ways:
        of_given = _softmax(scores)[rows, labels][:, None]
        others = (1 - of_given) / max(scores.shape[1] - 1, 1)
        likelihood = np.log((1 - NOISES) * of_given + NOISES * others + 1e-300).sum(axis=0)
        index = int(likelihood.argmax())
        best = max(best, (float(likelihood[index]), value, float(NOISES[index])))
    return best[1], best[2]
