"""``report.json`` and ``confirmation.json`` of a study, typed; a field is a key of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from multitask.reporting.figures import IntervalGap, IntervalScore
from multitask.settings import Changes
from multitask.utils.records import ONLY_IF_KNOWN, Count, Interval, Moment, Number, Score

State = Literal["finished", "pruned", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Aim:
    """A metric of a run's report, and which way is better."""

    metric: str
    direction: Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Param:
    """The values of one parameter that trials may have: a range, logarithmic or in steps, or choices."""

    name: str
    kind: Literal["float", "int", "categorical"]
    low: int | Number | None
    high: int | Number | None
    log: bool
    step: int | Number | None
    choices: tuple[Any, ...] | None


@dataclass(frozen=True)
class TrialScores:
    """The joint macro-F1 and each task's; None where no image has such a label."""

    joint: Number | None
    tasks: dict[str, Number | None]

    @property
    def by_head(self) -> dict[str, float | None]:
        """The joint's and the tasks' under their names."""
        return {"joint": self.joint, **self.tasks}


@dataclass(frozen=True)
class TrialEpoch:
    """The scores after an epoch, counted from 1.

    Attributes:
        epoch: its number.
        joint: macro-F1 of the classes.
        tasks: each head's macro-F1.
        gains: each objective's figure, negated where less is better, None where epochs do not have it; left out where
            no pruner asks for it.
    """

    epoch: Count
    joint: Number | None
    tasks: dict[str, Number | None]
    gains: tuple[Number | None, ...] | None = field(default=None, metadata=ONLY_IF_KNOWN)


@dataclass(frozen=True)
class Trial:
    """A trial.

    Attributes:
        number: Optuna's, from 0.
        origin: ``base``, ``sampled`` or ``retry of 7``.
        state: how it ended, or that it has not.
        values: its scores in the objectives; None if it did not finish.
        best_score: the best score in the first objective that any of its epochs had.
        params: its place in the space; those that it does not have are left out.
        changes: what it changes of the base.
        weights: each head's; None where they were not looked for.
        scores: at its best epoch.
        history: its epochs.
        num_epochs: that it was to be trained.
        seconds: from start to end.
        started: when.
        finished: when.
        failure: why it failed.
        note: why it was pruned.
    """

    number: Count
    origin: str
    state: State
    values: tuple[Number | None, ...] | None
    best_score: Number | None
    params: Changes
    changes: Changes
    weights: dict[str, Number | None] | None
    scores: TrialScores | None
    history: tuple[TrialEpoch, ...]
    num_epochs: Count
    seconds: Number | None
    started: Moment | None
    finished: Moment | None
    failure: str | None
    note: str | None


@dataclass(frozen=True)
class TrialCounts:
    """Trials by how they ended; ``retried``: those whose worker was lost, and that were queued again."""

    finished: Count
    pruned: Count
    failed: Count
    running: Count
    waiting: Count
    retried: Count


@dataclass(frozen=True)
class ImportancesBasis:
    """Importances, with the evaluator and the trials that they rest on.

    Attributes:
        evaluator: its name.
        num_best: finished trials that count as the best.
        num_trials: finished trials.
        trials: per parameter, how many of these have it.
        conditional: the parameters that not all of them have.
        sentence: all this in words.
    """

    evaluator: str
    num_best: Count
    num_trials: Count
    trials: dict[str, Count]
    conditional: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class ConfirmedTrial:
    """A trial that was run again.

    Attributes:
        trial: its number.
        base: whether it is the base.
        study_score: what it had in the study, in the first objective.
        confirmed: the mean of its runs.
        runs: each run's score.
        luck: the study's score less the confirmed one.
        pooled: the joint macro-F1 of all its runs' answers together.
        pooled_ci: its 95% interval.
        tasks: likewise each task's.
        difference: to the base; None: it is the base.
    """

    trial: Count
    base: bool
    study_score: Number | None
    confirmed: Number | None
    runs: tuple[Number | None, ...]
    luck: Number | None
    pooled: Score | None
    pooled_ci: Interval | None
    tasks: dict[str, IntervalScore]
    difference: IntervalGap | None


@dataclass(frozen=True)
class ConfirmationReport:
    """The results of the confirming runs.

    Attributes:
        metric: the first objective.
        compared: the metric of the differences.
        num_seeds: runs of each trial.
        num_folds: into which the groups were dealt.
        num_groups: groups that were answered for.
        num_images: their images.
        level: of each difference's interval.
        winner: the number of the best trial beside the base; None: there is none.
        chosen: the winner's, or the base's if that is better.
        sentence: whether the winner beats the base.
        luck_sentence: how much of its score did not come back.
        rows: the base first.
    """

    metric: str
    compared: str
    num_seeds: Count
    num_folds: Count
    num_groups: Count
    num_images: Count
    level: Score
    winner: Count | None
    chosen: Count
    sentence: str
    luck_sentence: str
    rows: tuple[ConfirmedTrial, ...]
    version: int = 1


@dataclass(frozen=True)
class StudyReport:
    """All that a study found.

    Attributes:
        study: its name.
        created: when its first trial began.
        versions: of what it ran on.
        base: the config that trials change.
        objectives: what it looks for.
        sampler: its name.
        pruner: its name.
        seed: the study's.
        tasks: their names.
        params: of its space.
        outside: entries of the space that have no place for the base's value.
        counts: trials by how they ended.
        seconds: of all trials together.
        epochs: that were trained.
        epochs_full: that would have been without pruning.
        best: the best trial's number; None before there is one, or with several objectives.
        front: with several objectives, the trials that no other beats in all.
        trials: by number.
        importances: per parameter its share of 1; None where it is unknown.
        importances_missing: why it is.
        importances_about: what they rest on.
        confirmation: what the confirming runs say; None: there were none.
        sentences: the study in words.
    """

    study: str
    created: Moment
    versions: dict[str, str | None]
    base: str
    objectives: tuple[Aim, ...]
    sampler: str
    pruner: str
    seed: int
    tasks: tuple[str, ...]
    params: tuple[Param, ...]
    outside: tuple[str, ...]
    counts: TrialCounts
    seconds: Number
    epochs: Count
    epochs_full: Count
    best: Count | None
    front: tuple[Count, ...]
    trials: tuple[Trial, ...]
    importances: dict[str, Number | None] | None
    importances_missing: str | None
    importances_about: ImportancesBasis | None
    confirmation: ConfirmationReport | None
    sentences: tuple[str, ...]
    version: int = 1
