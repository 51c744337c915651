from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from multitask.errors import UserError
from multitask.reporting.study.report_schema import TrialEpoch, TrialScores
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.messages import Done
from multitask.study.trial_queue import give_up
from multitask.study.trial_results import Outcomes

Make = Callable[..., Any]

HISTORY = [
    TrialEpoch(1, 0.2, {"mask": 0.5, "age": None}),
    TrialEpoch(2, 0.4, {"mask": 0.3, "age": 0.6}),
    TrialEpoch(3, None, {"mask": 0.9, "age": 0.1}),
]
SCORES = TrialScores(0.4, {"mask": 0.3, "age": 0.6})
KEPT_HISTORY = [
    {"epoch": 1, "joint": 0.2, "tasks": {"mask": 0.5, "age": None}},
    {"epoch": 2, "joint": 0.4, "tasks": {"mask": 0.3, "age": 0.6}},
    {"epoch": 3, "joint": None, "tasks": {"mask": 0.9, "age": 0.1}},
]
KEPT_SCORES = {"joint": 0.4, "tasks": {"mask": 0.3, "age": 0.6}}
"""As the storage has them."""


class Told:
    """A study with outcomes, and what people were told of them."""

    def __init__(self, study: Study, plan: Any, folder: Path) -> None:
        self.study = study
        self.lines: list[tuple[str, str]] = []
        self.folder = StudyFolder(folder)
        self.outcomes = Outcomes(study, plan.settings, self.folder, lambda text, kind: self.lines.append((kind, text)))

    def ask(self) -> Trial:
        trial = self.study.ask()
        trial.suggest_float("training.lr", 1e-4, 1e-2, log=True)
        return trial

    def given_up(self) -> Trial:
        """A trial that another launch took for lost."""
        trial = self.ask()
        give_up(self.study, trial._trial_id, {trial_attrs.FAILURE: "no sign of life", trial_attrs.LOST: True})
        return trial


@pytest.fixture
def told(make_plan: Make, make_study: Make, tmp_path: Path) -> Callable[..., Told]:
    def make(**settings: Any) -> Told:
        plan = make_plan(**settings)
        return Told(make_study(plan), plan, tmp_path)

    return make


def done(value: float | None, metric: str = "joint.macro_f1") -> Done:
    return Done({metric: value}, SCORES, 2.5)


def test_a_finished_trial_keeps_values_scores_curves_and_time(told: Callable[..., Told]) -> None:
    there = told()
    for value in (0.4, 0.3, 0.5):
        there.outcomes.finished(there.ask(), HISTORY, done(value), 3.5)
    assert there.study.trials[0].state == TrialState.COMPLETE
    assert there.study.trials[0].values == [0.4]
    assert there.study.trials[0].user_attrs == {
        trial_attrs.HISTORY: KEPT_HISTORY, trial_attrs.SCORES: KEPT_SCORES, trial_attrs.BEST_SCORE: 0.4,
        trial_attrs.SECONDS: 3.5,
    }  # fmt: skip
    assert there.lines == [
        ("best", "trial 0: joint.macro_f1 0.4 after 3 epochs, best so far"),
        ("finished", "trial 1: joint.macro_f1 0.3 after 3 epochs"),
        ("best", "trial 2: joint.macro_f1 0.5 after 3 epochs, best so far"),
    ]


def test_less_is_better_where_the_study_says_so(told: Callable[..., Told]) -> None:
    there = told(objective="joint.ece", pruner="none")
    for value in (0.4, 0.3):
        there.outcomes.finished(there.ask(), HISTORY[:1], done(value, "joint.ece"), 1.0)
    assert [kind for kind, _ in there.lines] == ["best", "best"]


def test_with_several_objectives_none_is_called_the_best(told: Callable[..., Told]) -> None:
    there = told(objective=["joint.macro_f1", "joint.ece"])
    there.outcomes.finished(there.ask(), HISTORY, Done({"joint.ece": 0.1, "joint.macro_f1": 0.5}, SCORES, 1.0), 1.0)
    assert there.study.trials[0].values == [0.5, 0.1]  # in the objectives' order
    assert there.lines[0][0] == "finished"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_fails_and_is_not_pruned(told: Callable[..., Told], value: float | None) -> None:
    there = told()
    there.outcomes.finished(there.ask(), HISTORY, done(value), 1.0)
    trial = there.study.trials[0]
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs == {trial_attrs.FAILURE: "joint.macro_f1 is no number", trial_attrs.HISTORY: KEPT_HISTORY}
    assert there.lines == [("failed", "trial 0: failed: joint.macro_f1 is no number")]


@pytest.mark.parametrize(("direction", "best"), [("maximize", 0.4), ("minimize", 0.2)])
def test_a_pruned_trial_keeps_its_best_score_and_its_curves(
    told: Callable[..., Told], direction: str, best: float
) -> None:
    there = told(direction=direction)
    trial = there.ask()
    for step, value in enumerate((0.2, 0.4, 0.3)):
        trial.report(value, step)
    there.outcomes.pruned(trial, HISTORY, "below the median at epoch 3", 3.5)
    found = there.study.trials[0]
    assert found.state == TrialState.PRUNED
    assert found.user_attrs == {
        trial_attrs.NOTE: "below the median at epoch 3", trial_attrs.HISTORY: KEPT_HISTORY,
        trial_attrs.SCORES: KEPT_SCORES, trial_attrs.BEST_SCORE: best, trial_attrs.SECONDS: 3.5,
    }  # fmt: skip
    assert there.lines == [("pruned", "trial 0: pruned after 3 epochs, below the median at epoch 3")]


def test_a_pruned_trial_of_several_objectives_has_no_best_score(told: Callable[..., Told]) -> None:
    there = told(objective=["joint.macro_f1", "joint.ece"])
    there.outcomes.pruned(there.ask(), HISTORY[:1], "trial 0 was better in every head", 1.0)
    assert there.study.trials[0].user_attrs[trial_attrs.BEST_SCORE] is None
    assert there.study.trials[0].values is None
    assert there.lines[0][1].startswith("trial 0: pruned after 1 epoch, ")


def test_failures_in_a_row_end_the_study_and_others_between_them_do_not(told: Callable[..., Told]) -> None:
    there = told(stop_after_failures=2)
    for _ in range(3):
        there.outcomes.failed(there.ask(), "no luck")
        there.outcomes.lost(there.ask()._trial_id, "the worker was killed by SIGKILL")
        there.outcomes.finished(there.ask(), HISTORY, done(0.5), 1.0)
    there.outcomes.failed(there.ask(), "no luck")
    there.outcomes.lost(there.ask()._trial_id, "the worker was killed by SIGKILL")  # no fault of the settings
    with pytest.raises(UserError) as error:
        there.outcomes.failed(there.ask(), "no luck at all")
    assert str(error.value) == "test: stopped, since the last 2 trials failed; the latest: no luck at all"


def test_a_lost_trial_is_queued_again_and_its_folder_removed(told: Callable[..., Told]) -> None:
    there = told()
    trial = there.ask()
    there.folder.trial(0).mkdir(parents=True)
    there.outcomes.lost(trial._trial_id, "the worker was killed by SIGKILL")
    lost, again = there.study.trials
    assert lost.state == TrialState.FAIL
    assert lost.user_attrs == {trial_attrs.FAILURE: "the worker was killed by SIGKILL", trial_attrs.LOST: True}
    assert again.state == TrialState.WAITING
    assert again.params == lost.params
    assert again.user_attrs == {trial_attrs.ORIGIN: "sampled", trial_attrs.RETRY_OF: 0, trial_attrs.ATTEMPT: 1}
    assert not there.folder.trial(0).exists()
    assert there.lines == [("retried", "trial 0: lost, the worker was killed by SIGKILL; queued again")]


def test_what_was_lost_too_often_is_not_queued_again_but_an_interrupt_does_not_count(
    told: Callable[..., Told],
) -> None:
    there = told(retries=1)
    there.outcomes.lost(there.ask()._trial_id, "interrupted", interrupted=True)
    there.outcomes.lost(there.ask()._trial_id, "interrupted", interrupted=True)
    there.outcomes.lost(there.ask()._trial_id, "killed")
    there.outcomes.lost(there.ask()._trial_id, "interrupted", interrupted=True)
    there.outcomes.lost(there.ask()._trial_id, "killed")
    assert [trial.user_attrs.get(trial_attrs.ATTEMPT, 0) for trial in there.study.trials] == [0, 0, 0, 1, 1]
    assert [kind for kind, _ in there.lines] == ["retried"] * 4 + ["failed"]
    assert there.lines[-1][1] == "trial 4: lost, killed; not queued again, since that was lost too often"


@pytest.mark.parametrize("how", ["finished", "pruned", "failed", "no number", "lost"])
def test_what_another_launch_gave_up_stays_as_that_left_it(told: Callable[..., Told], how: str) -> None:
    there = told(stop_after_failures=1)
    trial = there.given_up()
    before = there.study.trials[0]
    if how == "finished":
        there.outcomes.finished(trial, HISTORY, done(0.5), 1.0)
    elif how == "no number":
        there.outcomes.finished(trial, HISTORY, done(None), 1.0)
    elif how == "pruned":
        there.outcomes.pruned(trial, HISTORY, "below the median", 1.0)
    elif how == "failed":
        there.outcomes.failed(trial, "too late")
    else:
        there.outcomes.lost(trial._trial_id, "too late")
    after = there.study.trials[0]
    assert (after.state, after.values, after.user_attrs) == (before.state, before.values, before.user_attrs)
    if how in ("finished", "pruned"):
        assert there.lines == [("retried", "trial 0: another launch had given it up; its result is dropped")]
    else:
        assert there.lines == []


def test_what_is_told_late_is_no_error_and_what_is_told_wrongly_is(told: Callable[..., Told]) -> None:
    there = told()
    assert not there.outcomes.told(lambda: there.study.tell(there.given_up(), 0.5))
    late = there.given_up()
    assert not there.outcomes.told(lambda: late.report(0.5, 0))
    trial = there.ask()
    with pytest.raises(ValueError, match="did not match"):
        there.outcomes.told(lambda: there.study.tell(trial, [0.5, 0.5], TrialState.COMPLETE))
    assert there.outcomes.told(lambda: there.study.tell(trial, 0.5))
