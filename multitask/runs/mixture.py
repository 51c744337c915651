"""The answers of several runs to the same images as one: weights, cross-fitted over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode.crossfit import deal, num_folds
from multitask.evaluation.metrics import IntArray
from multitask.evaluation.pool_weights import pool_weights
from multitask.evaluation.predictions import Predictions
from multitask.labels import JOINT
from multitask.model.opinion_pool import OutputForm, combine

Vote = Literal["soft", "hard"]
Weighting = Literal["fitted", "equal"]
Weights = Mapping[str, Sequence[float]]


def in_form(predictions: Predictions, form: OutputForm) -> Predictions:
    """A member's predictions with the outputs of its ensemble."""
    found = form.of(predictions.tables(), predictions.learned, predictions.joint is not None)
    joint = found.pop(JOINT, None) if form.joint else None
    return replace(predictions, learned=form.learned, log_probs=found, joint=joint)


def mixed(members: Sequence[Predictions], weights: Weights | None) -> Predictions:
    """The predictions of an ensemble, not yet decoded: its classes are those of the first member.

    Args:
        members: of the same images in the same order, all of one form.
        weights: as of ``combine``.
    """
    found = combine([part.tables() for part in members], weights)
    joint = None if members[0].joint is None else found.pop(JOINT)
    return replace(members[0], log_probs=found, joint=joint)


@dataclass(frozen=True, eq=False)
class Mixture:
    """The answers of K members to the same N images, none of which they trained on.

    Attributes:
        members: K predictions, in the ensemble's form.
        vote: ``soft``: a pool of probabilities; ``hard``: a vote for labels.
        weighting: of a pool: ``fitted`` by log-loss, or ``equal``.
        folds: (N,) of the cross-fitting, in which groups stay together; all 0 where there are too few.
    """

    members: Sequence[Predictions]
    vote: Vote
    weighting: Weighting
    folds: IntArray

    @classmethod
    def of(
        cls, answers: Sequence[Predictions], form: OutputForm, vote: Vote, weighting: Weighting, seed: int
    ) -> Mixture:
        """The mixture of predictions of any form.

        Args:
            answers: of the members, of the same images in the same order.
            form: of the ensemble.
            vote: as the attribute.
            weighting: likewise.
            seed: of the folds.

        Raises:
            UserError: weights are to be fitted, and there is no second group to cross-fit them on.
        """
        own = [in_form(part, form) for part in answers]
        known = own[0].known()
        whole = num_folds(known) > 1  # else heads are weighed by their own labels
        count = num_folds(known, whole=whole)
        if count < 2 and weighting == "fitted" and vote == "soft":
            raise UserError(
                f"--weights fitted: needs two groups with labels that no member trained on, found {count}; "
                "take --weights equal"
            )
        folds = deal(known, seed, whole=whole) if count > 1 else np.zeros(len(known), dtype=np.int64)
        return cls(own, vote, weighting, folds)

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs that have weights of their own: the heads', and ``joint``'s where there is one."""
        return tuple(self.members[0].tables())

    def weights(self, rows: IntArray | None = None) -> dict[str, tuple[float, ...]]:
        """Per output, the weights of the members, fitted on the images at ``rows``; None: on all."""
        num = len(self.members)
        if self.vote == "hard" or self.weighting == "equal":
            return dict.fromkeys(self.names, (1 / num,) * num)
        parts = self.members if rows is None else [part.take(rows) for part in self.members]
        found = {}
        for name in self.names:
            stacked = np.stack([part.tables()[name].numpy() for part in parts])
            found[name] = tuple(map(float, pool_weights(stacked, labels_of(parts[0], name))))
        return found

    def predictions(self) -> Predictions:
        """Those of the mixture, not yet decoded; weights that are fitted answer a group by a fit on other folds."""
        if self.vote == "hard":
            return mixed(self.members, None)
        if self.weighting == "equal":
            return mixed(self.members, self.weights())
        parts, rows = [], []
        for fold in np.unique(self.folds):
            here, others = np.flatnonzero(self.folds == fold), np.flatnonzero(self.folds != fold)
            parts.append(mixed([part.take(here) for part in self.members], self.weights(others)))
            rows.append(here)
        return Predictions.concatenate(parts).take(np.argsort(np.concatenate(rows)))


def labels_of(predictions: Predictions, name: str) -> IntArray:
    """(N,) the right labels of a head, or of ``joint`` the classes; ``MISSING`` where unknown."""
    known = predictions.known()
    if name == JOINT:
        return known.classes
    found: IntArray = known.labels[:, known.space.task_names.index(name)]
    return found
