"""The contract of a study's pruners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import TrialState

from multitask.reporting.study.report_schema import TrialEpoch
from multitask.settings import validate
from multitask.study import PrunerSettings
from multitask.study.per_trial import quieten
from multitask.study.pruners import History
from multitask.testing.expect import expect

Direction = Literal["minimize", "maximize"]

EPOCHS = 9
"""Of a trial."""


def history(*epochs: Sequence[float | None]) -> History:
    """Epochs by the scores of their heads."""
    return [
        TrialEpoch(index + 1, scores[0], {f"task{head}": score for head, score in enumerate(scores)})
        for index, scores in enumerate(epochs)
    ]


def study_of(settings: PrunerSettings, num_epochs: int = EPOCHS, *directions: Direction) -> Study:
    """A study that has the pruner, for trials of so many epochs, by default of one objective to maximise."""
    quieten()
    return optuna.create_study(
        directions=directions or ("maximize",),
        pruner=settings.build(num_epochs),
        sampler=RandomSampler(0),
        study_name="test",
    )


def train(
    study: Study,
    settings: PrunerSettings,
    scores: Sequence[float | None],
    others: dict[int, History],
    reported: bool = True,
) -> str:
    """A trial with these scores after its epochs, as a launch runs it; why it was stopped, or nothing.

    Args:
        study: that asks for the trial.
        settings: the pruner.
        scores: of each epoch; with several objectives, of each of them alike.
        others: the finished trials by number; the trial joins them where it is not stopped.
        reported: whether Optuna is told the scores, as it is of one objective that every epoch has.
    """
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    several = len(study.directions)
    rows = history(*((score,) * several for score in scores))
    for epoch, score in enumerate(scores):
        if score is not None and several == 1 and reported:
            trial.report(score, epoch)
        last = epoch + 1 == len(scores)
        reason = None if last else settings.verdict(trial, rows[: epoch + 1], others, len(scores))
        if reason is not None:
            right = isinstance(reason, str) and reason.strip() and "\n" not in reason
            expect(right, settings, f"say in a line why a trial is stopped, or None where it is not; not {reason!r}")
            study.tell(trial, state=TrialState.PRUNED)
            return reason
    study.tell(trial, [max(score for score in scores if score is not None)] * several)
    others[trial.number] = rows
    return ""


def builds_one_of_optunas_and_reads_back(settings: PrunerSettings) -> None:
    """For trials that are long enough for it; a study keeps its settings."""
    settings.check(EPOCHS)
    built = settings.build(EPOCHS)
    expect(isinstance(built, BasePruner), settings, f"build a pruner of Optuna, not a {type(built).__name__}")
    again = validate(type(settings), settings.model_dump(mode="json"))
    expect(again == settings, settings, f"read back as it was written, not as {again!r}")


def best_so_far_is_never_stopped(settings: PrunerSettings) -> None:
    """The first trial of all, and each that is ahead of all others at every epoch and still rises."""
    study, others = study_of(settings), dict[int, History]()
    for level in range(12):
        scores = [level / 20 + epoch / 100 for epoch in range(EPOCHS)]
        reason = train(study, settings, scores, others)
        expect(not reason, settings, f"never stop the best trial so far, as trial {level}: {reason}")


def scores_that_are_missing_are_no_error(settings: PrunerSettings) -> None:
    """Of an epoch whose score is not defined nothing is reported."""
    study, others = study_of(settings), dict[int, History]()
    whole: list[float | None] = [0.5] * EPOCHS
    for scores in (whole, [None, 0.5, None, *whole[3:]], [*[None] * (EPOCHS - 1), 0.5]) * 4:
        train(study, settings, scores, others)
    expect(len(study.trials) == 12, settings, "leave each trial finished or stopped")


def stops_in_a_line(settings: PrunerSettings) -> None:
    """Where it stops any: each says why."""
    study, others = study_of(settings), dict[int, History]()
    for score in (0.5,) * 12 + (0.1,) * 8:
        train(study, settings, [score] * EPOCHS, others)


def judges_several_objectives_where_it_says_so(settings: PrunerSettings) -> None:
    """``several_objectives``: then it reads the histories alone, since Optuna's own pruners are for one objective."""
    if not settings.several_objectives:
        return
    study, others = study_of(settings, EPOCHS, "maximize", "maximize"), dict[int, History]()
    for score in (0.5,) * 12 + (0.1,) * 8:
        try:
            train(study, settings, [score] * EPOCHS, others)
        except NotImplementedError:
            rule = "judge several objectives by the histories, without trial.should_prune; or leave several_objectives"
            expect(False, settings, rule)


def judges_by_histories_where_it_needs_no_scores(settings: PrunerSettings) -> None:
    """``needs_scores``: else it must not matter whether the objective's value was reported."""
    if settings.needs_scores:
        return
    found = []
    for reported in (True, False):
        study, others = study_of(settings), dict[int, History]()
        scores = (0.5,) * 12 + (0.1,) * 8
        found.append([train(study, settings, [score] * EPOCHS, others, reported) for score in scores])
    expect(found[0] == found[1], settings, "judge alike without a reported score; or leave needs_scores True")


PRUNER_CHECKS = (
    builds_one_of_optunas_and_reads_back,
    best_so_far_is_never_stopped,
    scores_that_are_missing_are_no_error,
    stops_in_a_line,
    judges_several_objectives_where_it_says_so,
    judges_by_histories_where_it_needs_no_scores,
)
"""What is checked of a study's pruner, each alone."""


def check_pruner(settings: PrunerSettings) -> None:
    """The contract of a study's pruners, whole, over one of them.

    >>> from multitask.study import PRUNERS
    >>> check_pruner(PRUNERS["median"](startup_trials=3))

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in PRUNER_CHECKS:
        check(settings)
