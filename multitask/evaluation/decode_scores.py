"""The scores of decode rules and of a joint term, as a report holds them.

Scores are between 0 and 1, and None where there was nothing to score. Every interval is of 95%, over resampled groups.
"""

from __future__ import annotations

from dataclasses import dataclass

from multitask.utils.records import Count, Gap, GapInterval, Interval, Number, Score


@dataclass(frozen=True, kw_only=True)
class RuleScores:
    """The joint macro-F1 by one decode rule.

    Attributes:
        name: the rule's.
        macro_f1: cross-fitted, where rules were fitted on these groups.
        macro_f1_ci: its interval.
        difference: less that of ``independent``; None for itself.
        difference_ci: its interval.
        beyond_noise: whether that excludes 0.
        in_sample: macro-F1 on the very groups of the fit; None where nothing was fitted here.
    """

    name: str
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    difference: Gap | None
    difference_ci: GapInterval | None
    beyond_noise: bool | None = None
    in_sample: Score | None


@dataclass(frozen=True)
class FittedOn:
    """On how many groups, and images of theirs, rules were fitted."""

    num_groups: Count
    num_images: Count


@dataclass(frozen=True, kw_only=True)
class DecodeComparison:
    """The decode rules side by side.

    Attributes:
        used: the rule that answered.
        picked: the rule that ``auto`` picks; None where nothing could be compared.
        sentence: why.
        note: what else should be known; empty if nothing.
        cross_fitted: whether the rules were fitted on these groups, and are scored cross-fitted.
        num_folds: of the cross-fitting; 0: there was none.
        fitted_on: for those still to come.
        temperatures: per head, what its log-probabilities are divided by to be as sure as right.
        rules: a row for each.
    """

    used: str
    picked: str | None
    sentence: str
    note: str
    cross_fitted: bool
    num_folds: Count
    fitted_on: FittedOn
    temperatures: dict[str, Number]
    rules: tuple[RuleScores, ...]


@dataclass(frozen=True, kw_only=True)
class JointTermScores:
    """The gain of a learned joint term: joint macro-F1 of the most probable class, without and with it.

    Attributes:
        heads_only: by the heads alone.
        heads_only_ci: its interval.
        with_term: with the joint term.
        with_term_ci: its interval.
        difference: ``with_term`` less ``heads_only``.
        difference_ci: its interval.
        beyond_noise: whether that excludes 0.
        sentence: whether the term is needed.
    """

    heads_only: Score | None
    heads_only_ci: Interval | None = None
    with_term: Score | None
    with_term_ci: Interval | None = None
    difference: Gap | None = None
    difference_ci: GapInterval | None = None
    beyond_noise: bool | None = None
    sentence: str
