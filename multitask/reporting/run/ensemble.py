"""The members of an ensemble of runs as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.evaluation.networks_schema import EnsembleScores
from multitask.labels import JOINT
from multitask.reporting.text import score_text


@dataclass(frozen=True)
class EnsembleView:
    """An ensemble and its members.

    Attributes:
        sentence: whether it is ahead of them.
        mixing: how they are mixed.
        outputs: that have weights.
        rows: per member its name, its weights, and its own log-loss, macro-F1 and what the ensemble adds to it; then
            the ensemble's own, and that of equal weights.
    """

    sentence: str
    mixing: str
    outputs: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def ensemble_view(found: EnsembleScores | None, macro_f1: float | None) -> EnsembleView | None:
    """An ensemble and its members; None where the run is none.

    Args:
        found: its part of the report.
        macro_f1: the ensemble's, joint.
    """
    if found is None:
        return None
    outputs = tuple(found.members[0].weights)
    blank = ("",) * len(outputs)
    rows = [
        (
            row.name,
            *(score_text(row.weights[name]) for name in outputs),
            _loss(row.log_loss[JOINT]),
            score_text(row.macro_f1),
            _gain(row.macro_f1_difference, row.macro_f1_difference_ci),
        )
        for row in found.members
    ]
    rows.append(("ensemble", *blank, _loss(found.log_loss[JOINT]), score_text(macro_f1), ""))
    if found.vote == "soft" and found.weighting == "fitted":
        rows.append(("equal weights", *blank, _loss(found.equal_log_loss[JOINT]), "", ""))
    return EnsembleView(f"{found.sentence}.", _mixing(found), outputs, tuple(rows))


def _mixing(found: EnsembleScores) -> str:
    if found.vote == "hard":
        return "Each member votes for its most probable label; a tie is broken per head by the mean probability."
    if found.weighting == "equal":
        return "The members' probabilities are pooled (geometric mean), each counting the same."
    return (
        "The members' probabilities are pooled (geometric mean), each with a weight per head that was fitted by the "
        "log-loss of what all of them answered unseen. The scores are cross-fitted: a group is answered by weights of "
        "other groups."
    )


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _gain(value: float | None, ci: tuple[float, float] | None) -> str:
    return "–" if value is None or ci is None else f"{value:+.3f} ({ci[0]:+.3f} to {ci[1]:+.3f})"
