"""An ensemble beside each of its members: log-losses, macro-F1, and whether it is ahead beyond noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multitask.evaluation.intervals import interval, resample, resample_mean
from multitask.evaluation.metrics import FloatArray, Scores
from multitask.evaluation.networks_schema import EnsembleScores, MemberScores
from multitask.evaluation.pool_weights import log_losses
from multitask.evaluation.predictions import Predictions
from multitask.labels import JOINT, MISSING
from multitask.runs.mixture import Mixture, Weights, labels_of, mixed


def ensemble_scores(
    mixture: Mixture,
    names: Sequence[str],
    decided: Sequence[Predictions],
    whole: Predictions,
    weights: Weights,
    seed: int,
) -> EnsembleScores:
    """The scores of an ensemble beside its members'.

    Args:
        mixture: of the members.
        names: theirs.
        decided: their own predictions, with the classes that their own decode rules decided.
        whole: the ensemble's, decoded.
        weights: the ensemble's.
        seed: of the resampled groups.
    """
    rows = tuple(
        _member(name, own, part, whole, {output: values[place] for output, values in weights.items()}, seed)
        for place, (name, own, part) in enumerate(zip(names, decided, mixture.members, strict=True))
    )
    num = len(rows)
    equal = mixed(mixture.members, dict.fromkeys(mixture.names, (1 / num,) * num))
    best = max(rows, key=lambda row: -1.0 if row.macro_f1 is None else row.macro_f1)
    return EnsembleScores(
        vote=mixture.vote,
        weighting=mixture.weighting,
        log_loss=_losses(whole),
        equal_log_loss=_losses(equal),
        best=best.name,
        members=rows,
    )


def _losses(predictions: Predictions) -> dict[str, float | None]:
    """Per head, and for ``joint``, the mean log-loss; None where no label is known."""
    found = {}
    for name in dict.fromkeys((*predictions.learned.task_names, JOINT)):
        losses, rows = _losses_of(predictions, name), np.flatnonzero(labels_of(predictions, name) != MISSING)
        found[name] = float(losses.mean()) if len(rows) else None
    return found


def _losses_of(predictions: Predictions, name: str) -> FloatArray:
    """(M,) the log-losses of those M images whose label is known."""
    labels = labels_of(predictions, name)
    table = predictions.joint_log_probs() if name == JOINT else predictions.log_probs[name]
    rows = np.flatnonzero(labels != MISSING)
    return log_losses(table.numpy()[rows], labels[rows])


def _member(
    name: str, own: Predictions, part: Predictions, whole: Predictions, weights: dict[str, float], seed: int
) -> MemberScores:
    rows = np.flatnonzero(whole.classes != MISSING)
    if not len(rows):
        return MemberScores(name=name, weights=weights, log_loss=_losses(part), macro_f1=None)
    given, groups = whole.classes[rows], np.unique(whole.groups[rows].astype(str), return_inverse=True)[1]
    possible = whole.space.possible

    def scored(predictions: Predictions) -> tuple[float, FloatArray]:
        guess = predictions.predicted[rows]
        return (
            float(Scores(given, guess, possible).macro_f1),
            resample(given, guess, groups, possible, seed).macro_f1,
        )

    (score, draws), (before, base) = scored(whole), scored(own)
    gains = _losses_of(whole, JOINT) - _losses_of(part, JOINT)
    return MemberScores(
        name=name,
        weights=weights,
        log_loss=_losses(part),
        macro_f1=before,
        macro_f1_difference=score - before,
        macro_f1_difference_ci=interval(draws - base),
        log_loss_difference=float(gains.mean()),
        log_loss_difference_ci=interval(resample_mean(gains, groups, seed)),
    )
