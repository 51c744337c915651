"""The status of trials in user attributes: which count, which were lost and are run again, which are surplus.

Optuna knows states; why a trial failed, and whether another took its place, stands in user attributes, so that any
process that opens the storage can tell, and a crash between two steps leaves nothing that the next look does not mend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

ORIGIN = "origin"
"""``base``, or ``sampled``."""
RETRY_OF = "retry_of"
"""The number of the trial whose settings this one runs again."""
ATTEMPT = "attempt"
"""The number of earlier trials with these settings that were lost."""
FAILURE = "failure"
"""Why the trial failed, in a line."""
LOST = "lost"
"""True where it was no fault of the settings: a killed worker, an interrupt. Such a trial is queued again."""
INTERRUPTED = "interrupted"
"""True where a lost trial's launch was stopped on purpose, which may happen any number of times."""
SURPLUS = "surplus"
"""True where another machine had taken the last place, or queued the same trial a moment earlier."""
WORKER = "worker"
"""The host and the process that run it."""
CHANGES = "changes"
"""The settings that it changes: config key -> value."""
HISTORY = "history"
"""Its epochs: ``epoch``, ``joint`` and ``tasks``, the macro-F1 on validation."""
SCORES = "scores"
"""Joint and per-task macro-F1 at its best epoch."""
BEST_SCORE = "best_score"
"""The best of the scores that were reported after its epochs."""
NOTE = "note"
"""Why it was pruned."""
SECONDS = "seconds"
"""From start to end."""


def slot(trial: FrozenTrial) -> str:
    """The place that a trial fills: of all trials with the same, only the first one is run."""
    if RETRY_OF in trial.user_attrs:
        return f"retry of {trial.user_attrs[RETRY_OF]}"
    return "base" if trial.user_attrs.get(ORIGIN) == "base" else f"trial {trial.number}"


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial ended without an outcome, by no fault of its settings."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(LOST))


def is_surplus(trial: FrozenTrial) -> bool:
    """Whether a trial was dropped because its place was taken."""
    return trial.state == TrialState.FAIL and bool(trial.user_attrs.get(SURPLUS))


def is_run_again(trial: FrozenTrial, retries: int) -> bool:
    """Whether a lost trial's settings are run again: they were not lost too often."""
    often = trial.user_attrs.get(ATTEMPT, 0) >= retries and not trial.user_attrs.get(INTERRUPTED)
    return is_lost(trial) and not often


def counted(trials: Iterable[FrozenTrial], retries: int) -> list[FrozenTrial]:
    """The trials that fill the budget: neither surplus, nor lost with a successor that is queued or will be."""
    return [trial for trial in trials if not is_surplus(trial) and not is_run_again(trial, retries)]


def takes_a_taken_place(trial: FrozenTrial, trials: Iterable[FrozenTrial], total: int | None, retries: int) -> bool:
    """Whether another launch was quicker to fill the place that a trial was asked for.

    Args:
        trial: just asked for.
        trials: all, in which only those with a lower number came before it.
        total: the budget; None: there is none.
        retries: how often a lost trial is queued again.
    """
    earlier = [other for other in trials if other.number < trial.number]
    if any(slot(other) == slot(trial) for other in earlier):
        return True
    if RETRY_OF in trial.user_attrs or total is None:
        return False
    # A lost trial keeps its place until its successor, which comes later, takes it.
    return len(counted(earlier, retries)) + len(without_successor(earlier, retries)) >= total


def without_successor(trials: Sequence[FrozenTrial], retries: int) -> list[FrozenTrial]:
    """Lost trials that are not queued again yet, and that were not lost too often."""
    followed = {trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs}
    return [trial for trial in trials if is_run_again(trial, retries) and trial.number not in followed]


def failures_in_a_row(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The latest trials to end, back to the last one that had an outcome."""
    ended = [trial for trial in trials if trial.state.is_finished() and not is_lost(trial) and not is_surplus(trial)]
    ended.sort(key=lambda trial: (trial.datetime_complete is not None, trial.datetime_complete), reverse=True)
    row = []
    for trial in ended:
        if trial.state != TrialState.FAIL:
            break
        row.append(trial)
    return row
