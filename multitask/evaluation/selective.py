"""Selective classification: only what the network is confident of is answered, the rest is asked of a human.

Every group counts once: the error among the answered is that of an answered image of a group, both drawn at random, the
group among those that have one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.metrics import FloatArray, IntArray

CERTAINTY = 0.9
"""The probability, over the choice of the calibrating groups, with which a risk is kept."""

GRID = np.round(
    np.concatenate([np.arange(0.999, 0.99, -0.001), np.arange(0.99, 0.9, -0.01), np.arange(0.9, 0, -0.05), [0.0]]), 3
)
"""The thresholds that are tried, strictest first; none depends on the images."""

STARTS = (0.99, 0.95, 0.8, 0.5)
"""Where the tests begin, a share of the error probability each."""


def answer_threshold(
    confidences: FloatArray, right: NDArray[np.bool_], groups: IntArray, max_risk: float
) -> float | None:
    """The confidence from which images are answered, so that the error among these is at most R.

    It holds with a probability of ``CERTAINTY`` = 1 - d over the choice of the calibrating groups, by Learn then Test
    (Angelopoulos et al. 2021, https://arxiv.org/abs/2110.01052). For the threshold t let L_k(t) be the share of wrong
    images among those of group k with a confidence of at least t. The L_k of the groups that have such images are
    independent, within 0 and 1, and their mean bounds the risk: that the risk is above R is rejected where
    ``p_value`` is at most d / J. From each of J starts the thresholds of ``GRID`` are tested in order, the next one
    only where the last was rejected; so no risk above R is accepted at all but with probability d, whatever the
    network. SGR (Geifman and El-Yaniv 2017, https://arxiv.org/abs/1705.08500) does the same with a binomial bound,
    which takes images for independent.

    Args:
        confidences: (M,) of calibrating images.
        right: (M,) bool, whether their prediction is.
        groups: (M,) their groups, as numbers from 0.
        max_risk: R.

    Returns:
        The lowest threshold that is proven; None where none is.

    >>> confidences = np.linspace(0.6, 1, 400)
    >>> answer_threshold(confidences, confidences > 0.7, np.arange(400), max_risk=0.1)
    0.7
    >>> answer_threshold(confidences, confidences > 0.7, np.arange(400), max_risk=0.001) is None
    True
    """
    each = (1 - CERTAINTY) / len(STARTS)
    proven: float | None = None
    for start in STARTS:
        for value in GRID[np.less_equal(GRID, start)]:
            losses = group_errors(confidences, right, groups, value)
            if p_value(float(losses.mean()) if len(losses) else 1.0, len(losses), max_risk) > each:
                break
            proven = float(value) if proven is None else min(proven, float(value))
    return proven


def group_errors(confidences: FloatArray, right: NDArray[np.bool_], groups: IntArray, threshold: float) -> FloatArray:
    """The share of wrong images among the answered of each group that has any.

    >>> group_errors(np.array([0.9, 0.8, 0.2, 0.7]), np.array([True, False, False, False]), np.array([0, 0, 1, 2]), 0.5)
    array([0.5, 1. ])
    """
    chosen = confidences >= threshold
    answered = np.bincount(groups[chosen])
    wrong = np.bincount(groups[chosen], weights=~right[chosen])
    errors: FloatArray = wrong[answered > 0] / answered[answered > 0]
    return errors


def p_value(mean: float, num: int, bound: float) -> float:
    """That the expectation of independent values within 0 and 1 is above a bound, by Hoeffding and Bentkus.

    min(exp(-n h(min(m, b), b)), e P(B <= ceil(n m))) with m the mean of n values, b the bound, B binomial of n draws
    with probability b, and h(a, b) = a log(a / b) + (1 - a) log((1 - a) / (1 - b)); Bates et al. 2021,
    https://arxiv.org/abs/2101.02703.

    Args:
        mean: m.
        num: n.
        bound: b.

    >>> round(p_value(0.0, 45, 0.05), 4), p_value(0.06, 45, 0.05)
    (0.0994, 1.0)
    """
    if not num or mean >= bound:
        return 1.0
    entropy = (1 - mean) * math.log((1 - mean) / (1 - bound)) + (mean * math.log(mean / bound) if mean else 0.0)
    return min(1.0, math.exp(-num * entropy), math.e * _binomial(math.ceil(num * mean - 1e-9), num, bound))


def _binomial(most: int, num: int, prob: float) -> float:
    """The probability of at most ``most`` of ``num`` draws."""
    logs = (
        math.lgamma(num + 1)
        - math.lgamma(k + 1)
        - math.lgamma(num - k + 1)
        + k * math.log(prob)
        + (num - k) * math.log1p(-prob)
        for k in range(most + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


@dataclass(frozen=True, eq=False)
class RiskCurve:
    """The error among the answered as more is answered, the most confident first; equal ones are answered together.

    Attributes:
        answered: (M,) share of all, rising to 1; each group weighs the same, whatever its number of images.
        error: (M,) of these.
        area: under the curve, AURC: the mean error over all shares (Geifman, Uziel and El-Yaniv 2019,
            https://arxiv.org/abs/1805.08206).
        area_error: its standard error over groups, as of ``_area_error``; NaN where there is one group.
    """

    answered: FloatArray
    error: FloatArray
    area: float
    area_error: float

    @classmethod
    def of(cls, confidences: FloatArray, right: NDArray[np.bool_], groups: IntArray) -> RiskCurve:
        """The curve of M > 0 images.

        >>> curve = RiskCurve.of(np.array([0.9, 0.6]), np.array([True, False]), np.array([0, 1]))
        >>> curve.answered, curve.error, curve.area
        (array([0.5, 1. ]), array([0. , 0.5]), 0.25)
        >>> RiskCurve.of(np.array([0.6, 0.6]), np.array([True, False]), np.array([0, 1])).error
        array([0.5, 0.5])
        """
        _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        order = np.argsort(-confidences, kind="stable")
        ordered, wrong = of_group[order], ~right[order]
        weights = 1 / sizes[ordered]
        # No threshold lies between equal confidences: what is answered from one on is all of them.
        falling = -confidences[order]
        ends = np.searchsorted(falling, falling, side="right") - 1
        answered = np.cumsum(weights)[ends]
        error = np.cumsum(weights * wrong)[ends] / answered
        area = float((error * weights).sum() / answered[-1])
        spread = _area_error(weights, answered, error, wrong, ordered) if len(sizes) > 1 else math.nan
        return cls(answered / answered[-1], error, area, spread)

    def area_interval(self) -> tuple[float, float]:
        """95% of ``area``: 1.96 standard errors to each side, within 0 and 1; both NaN where there is one group."""
        low, high = np.clip([self.area - 1.96 * self.area_error, self.area + 1.96 * self.area_error], 0.0, 1.0)
        return float(low), float(high)

    def at(self, shares: FloatArray) -> FloatArray:
        """The error where at least those shares are answered."""
        places = np.searchsorted(self.answered, shares - 1e-9)
        found: FloatArray = self.error[np.minimum(places, len(self.error) - 1)]
        return found


def _area_error(
    weights: FloatArray, answered: FloatArray, error: FloatArray, wrong: NDArray[np.bool_], groups: IntArray
) -> float:
    """The standard error of the area under a curve over groups (infinitesimal jackknife; Efron 1982, chapter 6).

    It is the root of sum_g u_g ** 2, with u_g what the area gains where group g counts a little more; resamples of the
    groups would each go over all images. With w the weights of the images in the order of the curve, e whether they are
    wrong, W the sum of w up to each and to those of the same confidence, E the error up to these, and A the area,

        u_g = sum_{k in g} w_k (E_k - A + sum_i w_i (e_k - E_i) / W_i) / W_M,

    the inner sum over all i with W_i >= W_k.

    Args:
        weights: (M,) w.
        answered: (M,) W.
        error: (M,) E.
        wrong: (M,) e.
        groups: (M,) numbers from 0.

    >>> weights, groups = np.ones(2), np.array([0, 1])
    >>> round(_area_error(weights, np.array([1.0, 2.0]), np.array([0.0, 0.5]), np.array([False, True]), groups), 3)
    0.354
    """
    area = (error * weights).sum() / answered[-1]
    starts = np.searchsorted(answered, answered)
    after = np.cumsum((weights / answered)[::-1])[::-1][starts]
    error_after = np.cumsum((weights * error / answered)[::-1])[::-1][starts]
    gains = np.bincount(groups, weights * (error - area + wrong * after - error_after) / answered[-1])
    return float(np.sqrt((gains**2).sum()))
