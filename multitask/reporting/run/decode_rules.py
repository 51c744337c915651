"""The decode rules and the joint term on a run's page."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.evaluation.decode_scores import DecodeComparison, RuleScores
from multitask.reporting.text import score_text
from multitask.utils.spelling import plural

_RULES = {
    "independent": "each head’s most probable label",
    "joint": "the most probable class",
    "expected_f1": "promises the best macro-F1",
    "prior_correction": "one tuned strength",
    "head_bias": "a tuned bias for each label",
    "class_bias": "a tuned bias for each class",
    "auto": "picked anew in every fold",
}


@dataclass(frozen=True)
class RuleRow:
    """A rule's row: what it does in ``words``, its marks, the difference to independent answers as text."""

    scores: RuleScores
    words: str
    used: bool
    marks: str
    gap: str
    gap_interval: str


@dataclass(frozen=True)
class TemperatureRow:
    """A head's temperature, and what it says of the head."""

    name: str
    value: str
    words: str


@dataclass(frozen=True)
class RulesView:
    """The decode rules, no rows where none is scored; ``how`` they were fitted, whether any is scored ``in_sample``."""

    how: str
    rows: tuple[RuleRow, ...]
    in_sample: bool
    sentences: tuple[str, ...]
    temperatures: tuple[TemperatureRow, ...]


def signed(value: float | None) -> str:
    """``+.021``; a dash for none."""
    return score_text(value) if value is None or value < 0 else f"+{score_text(value)}"


def rule_marks(found: DecodeComparison, rule: str) -> list[str]:
    """Whether a rule is ``used``, and ``picked``."""
    return [mark for mark, name in (("used", found.used), ("picked", found.picked)) if name == rule]


def none_fitted(found: DecodeComparison) -> bool:
    """Whether no rule of a report has parameters that were fitted, for want of groups or of rules that have some."""
    return not found.num_folds or (found.cross_fitted and all(row.in_sample is None for row in found.rules))


def scores_known(found: DecodeComparison) -> bool:
    """Whether any rule has a score, for which an image must have all its labels."""
    return any(row.macro_f1 is not None for row in found.rules)


def rules_view(found: DecodeComparison | None, *, partial: bool = False) -> RulesView | None:
    """The decode rules as the page shows them; None where the report says nothing of them.

    Args:
        found: of the report.
        partial: whether some of the images lack a label, and so are not scored.
    """
    if not found:
        return None
    fitted = found.fitted_on
    where = f"{plural(fitted.num_groups, 'group', 'groups')} ({plural(fitted.num_images, 'image', 'images')})"
    which = "those of them that have all labels," if partial else "the same"
    known = scores_known(found)
    if not known:
        how = f"The decode rule is {found.used}; no image has all its labels, so that none is scored."
    elif none_fitted(found):
        how = "None of these rules has parameters that were fitted."
    elif found.cross_fitted:
        how = (
            f"Each rule was fitted on the validating {where}, and is scored on {which} cross-fitted: what is said of "
            f"a group comes from a fit on other groups, {found.num_folds} folds of them. “In sample” is the score "
            "on the very groups of the fit, and shows how far the rule over-fits."
        )
    else:
        how = f"The rules’ parameters were fitted on the run’s validating {where}, and are scored here as they stand."
    return RulesView(
        how=how,
        rows=tuple(_rule_row(found, row) for row in found.rules) if known else (),
        in_sample=any(row.in_sample is not None for row in found.rules),
        sentences=tuple(f"{text.removesuffix('.')}." for text in (found.sentence, found.note) if text),
        temperatures=tuple(
            TemperatureRow(name, f"{value:.2f}", _sureness(value)) for name, value in found.temperatures.items()
        ),
    )


def _rule_row(found: DecodeComparison, row: RuleScores) -> RuleRow:
    low, high = row.difference_ci or (None, None)
    return RuleRow(
        scores=row,
        words=_RULES.get(row.name, ""),
        used=row.name == found.used,
        marks=", ".join(rule_marks(found, row.name)),
        gap=signed(row.difference),
        gap_interval="" if low is None else f"{signed(low)} to {signed(high)}",
    )


def _sureness(temperature: float) -> str:
    if temperature == 1:  # no label was known to fit it on
        return "unknown"
    if 0.9 <= temperature <= 1.1:
        return "as sure as right"
    return "too sure" if temperature > 1 else "not sure enough"
