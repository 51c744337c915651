"""Records of a run report on several networks: folds, the members of an ensemble, a soup, a final run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from multitask.utils.records import Count, Gap, GapInterval, Number, Score


@dataclass(frozen=True, kw_only=True)
class FoldScores:
    """One fold's scores on its own groups.

    Attributes:
        fold: its number, from 0.
        num_groups: that validate in it.
        num_images: theirs.
        macro_f1: joint.
        tasks: per task, its macro-F1.
        best_epoch: of its run.
        num_epochs: of its run.
    """

    fold: Count
    num_groups: Count
    num_images: Count
    macro_f1: Score | None
    tasks: dict[str, Score | None]
    best_epoch: Count | None
    num_epochs: Count


@dataclass(frozen=True, kw_only=True)
class MemberScores:
    """One member of an ensemble beside the whole, on the same images.

    Attributes:
        name: its run's.
        weights: per output of the ensemble, its weight; with votes for labels all are equal.
        log_loss: per output, and for ``joint``, its own.
        macro_f1: joint, of its own decoded classes.
        macro_f1_difference: the ensemble's less it.
        macro_f1_difference_ci: its interval.
        log_loss_difference: of the classes, likewise; None where no image has all its labels.
        log_loss_difference_ci: its interval.
    """

    name: str
    weights: dict[str, Score]
    log_loss: dict[str, Number | None]
    macro_f1: Score | None
    macro_f1_difference: Gap | None = None
    macro_f1_difference_ci: GapInterval | None = None
    log_loss_difference: Number | None = None
    log_loss_difference_ci: tuple[Number, Number] | None = None


@dataclass(frozen=True, kw_only=True)
class EnsembleScores:
    """How the members of an ensemble are mixed, and whether that is ahead of them.

    The mixture's scores are cross-fitted: the weights that answer a group were fitted on others.

    Attributes:
        vote: ``soft``: a pool of probabilities; ``hard``: a vote for labels.
        weighting: of a pool: ``fitted`` by log-loss, or ``equal``.
        log_loss: per output, and for ``joint``, the mixture's.
        equal_log_loss: likewise, with equal weights.
        best: the member of the highest joint macro-F1.
        members: a row for each.
    """

    vote: str
    weighting: str
    log_loss: dict[str, Number | None]
    equal_log_loss: dict[str, Number | None]
    best: str
    members: Annotated[tuple[MemberScores, ...], Field(min_length=2)]

    @property
    def best_member(self) -> MemberScores:
        """The row of ``best``."""
        return next(row for row in self.members if row.name == self.best)

    @property
    def sentence(self) -> str:
        """Whether the ensemble is ahead of its best member beyond noise."""
        row = self.best_member
        if row.macro_f1_difference is None or row.macro_f1_difference_ci is None:
            return "Whether the ensemble is ahead of its members is unknown: no image has all its labels"
        (low, high), loss = row.macro_f1_difference_ci, ""
        if row.log_loss_difference is not None and row.log_loss_difference_ci is not None:
            bounds = "{:+.3f} to {:+.3f}".format(*row.log_loss_difference_ci)
            loss = f", log-loss {row.log_loss_difference:+.3f}, 95% {bounds}"
        verdict = "is ahead of" if low > 0 else "is behind" if high < 0 else "is not shown to be ahead of"
        return (
            f"The ensemble {verdict} its best member, {row.name}: joint macro-F1 {row.macro_f1_difference:+.3f}, "
            f"95% {low:+.3f} to {high:+.3f}{loss}"
        )


@dataclass(frozen=True, kw_only=True)
class SoupFacts:
    """``soup.json``: of which runs' weights a run's are the mean.

    Attributes:
        rule: ``greedy`` or ``uniform``.
        batch_norm: whether running statistics are the ``average`` or an ``estimate``; None: there are none.
        members: the runs that were named.
        kept: those that are in it.
        losses: of a greedy soup, per run the log-loss of the soup in which it was tried; None of others.
        num_epochs: of those that are in it, together.
        seconds: of their training.
    """

    version: int = 1
    rule: str
    batch_norm: str | None
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    kept: Annotated[tuple[str, ...], Field(min_length=1)]
    losses: dict[str, Number] | None
    num_epochs: Count
    seconds: Number

    @property
    def sentence(self) -> str:
        """Whose weights these are, and what that means for the scores."""
        which = f"{len(self.kept)} of {len(self.members)} runs: {', '.join(self.kept)}"
        if self.rule == "uniform":
            return f"The weights are the mean of {which}"
        return (
            f"The weights are the mean of {which}; they were picked by the log-loss of the images that are scored "
            "here, which flatters"
        )


@dataclass(frozen=True, kw_only=True)
class FinalFacts:
    """Why the scores in a report are not those of its run: all groups trained it.

    Attributes:
        folds_run: the run in folds whose scores they are.
        kept_epochs: the epoch that each of its folds kept.
        num_epochs: of the run itself: their median.
    """

    folds_run: str
    kept_epochs: Annotated[tuple[Count, ...], Field(min_length=1)]
    num_epochs: Count

    @property
    def sentence(self) -> str:
        """Whose scores these are."""
        kept = ", ".join(map(str, self.kept_epochs))
        epochs = "1 epoch" if self.num_epochs == 1 else f"{self.num_epochs} epochs"
        return (
            f"All groups trained this run, so it has no scores of its own: these are the out-of-fold ones of "
            f"{self.folds_run}, from which it has its {epochs} (the median of {kept}), decode rule, "
            "temperatures and prediction sets"
        )
