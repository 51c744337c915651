from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import TrialState
from rich.console import Console

from multitask.errors import UserError
from multitask.reporting import console
from multitask.reporting.study import console as study_console
from multitask.reporting.study.console import show_study
from multitask.reporting.study.page import render_study
from multitask.reporting.study.report_schema import (
    Aim,
    ConfirmationReport,
    Param,
    StudyReport,
    TrialCounts,
    TrialEpoch,
    TrialScores,
)
from multitask.study import trial_attrs
from multitask.study.report import summarise_study
from multitask.study.settings import Plan
from multitask.study.trial_queue import queue
from multitask.utils.records import parse_record, record_to_json

MakePlan = Callable[..., Plan]
MakeStudy = Callable[..., Study]

HEADS = ("mask", "gender", "age")
SPACE: dict[str, Any] = {
    "heads": "head_weights",
    "training.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "training.batch_size": {"kind": "int", "low": 8, "high": 32, "step": 8},
    "heads.age.loss.name": {"kind": "categorical", "choices": ["cross_entropy", "focal"]},
    "heads.age.loss.gamma": {"low": 0.0, "high": 3.0, "when": {"heads.age.loss.name": "focal"}},
}


def history(*scores: float) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "joint": score, "tasks": dict.fromkeys(HEADS, score)} for epoch, score in enumerate(scores, 1)
    ]


def begin(study: Study, plan: Plan) -> None:
    """Queues the base, as a launch does."""
    params, _ = plan.space.base_params()
    drawn = plan.space.distributions()
    queue(study, params, {name: drawn[name] for name in params}, {trial_attrs.ORIGIN: "base"})


def add(study: Study, plan: Plan, state: str, *values: float, **attributes: Any) -> int:
    """Runs the trial that is next and ends it like this, as a launch does; its number."""
    trial = study.ask()
    changes = {} if trial.user_attrs.get(trial_attrs.ORIGIN) == "base" else plan.space.suggest(trial)
    trial.set_user_attr(trial_attrs.CHANGES, changes)
    for key, value in attributes.items():
        trial.set_user_attr(key, value)
    if state in ("finished", "pruned"):
        epochs = history(*(values[0] * part for part in ((0.5, 1.0) if state == "finished" else (0.5,))))
        given = {
            trial_attrs.HISTORY: epochs,
            trial_attrs.SCORES: {"joint": values[0], "tasks": dict.fromkeys(HEADS, values[0])},
            trial_attrs.BEST_SCORE: values[0],
            trial_attrs.SECONDS: 2.0,
        }
        for key, value in {**given, **attributes}.items():
            trial.set_user_attr(key, value)
    if state == "finished":
        study.tell(trial, values)
    elif state == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    elif state != "running":
        study.tell(trial, state=TrialState.FAIL)
    return trial.number


def shown(report: StudyReport, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the console says of a report."""
    file = io.StringIO()
    made = Console(file=file, width=100)
    monkeypatch.setattr(study_console, "out", made)
    monkeypatch.setattr(console, "out", made)
    show_study(report)
    return file.getvalue()


def assert_whole(report: StudyReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is what its file holds, and the console and the page find all in it that they read."""
    assert parse_record(record_to_json(report), StudyReport, Path("report.json")) == report
    assert report.study in render_study(report)
    assert report.study in shown(report, monkeypatch)


@pytest.fixture
def plan(make_plan: MakePlan) -> Plan:
    return make_plan(SPACE)


@pytest.fixture
def mixed(plan: Plan, make_study: MakeStudy) -> Study:
    """Trials that ended in every way: 0 to 4 finished, 5 and 6 pruned, 7 failed, 8 and 10 lost, 11 surplus."""
    study = make_study(plan)
    begin(study, plan)
    for score in (0.5, 0.4, 0.7, 0.6, 0.55):
        add(study, plan, "finished", score)
    for score in (0.2, 0.1):
        add(study, plan, "pruned", score, **{trial_attrs.NOTE: "below the median at epoch 1"})
    add(study, plan, "failed", **{trial_attrs.FAILURE: "heads.age: the loss is nan", trial_attrs.HISTORY: history(0.3)})
    lost = {trial_attrs.FAILURE: "the worker was killed by SIGKILL", trial_attrs.LOST: True}
    add(study, plan, "lost", **lost)
    add(study, plan, "finished", 0.65, **{trial_attrs.RETRY_OF: 8, trial_attrs.ATTEMPT: 1})
    add(study, plan, "lost", **lost, **{trial_attrs.ATTEMPT: 5})
    add(study, plan, "surplus", **{trial_attrs.FAILURE: "its place was taken", trial_attrs.SURPLUS: True})
    add(study, plan, "running")
    return study


def test_a_study_is_told_whole(mixed: Study, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    report = summarise_study(mixed, plan, None)
    assert report.counts == TrialCounts(finished=6, pruned=2, failed=2, running=1, waiting=0, retried=1)
    assert [row.number for row in report.trials] == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12]
    assert (report.best, report.front) == (2, ())
    assert report.objectives == (Aim("joint.macro_f1", "maximize"),)
    assert (report.study, report.base, report.seed) == ("test", "/base.yaml", 0)
    assert (report.sampler, report.pruner, report.tasks) == ("tpe", "median", HEADS)
    assert report.seconds == 16.0
    # Six whole trials of two epochs, two that were stopped after the first of two, one that failed after one.
    assert (report.epochs, report.epochs_full) == (15, 17)
    assert report.confirmation is None
    assert_whole(report, monkeypatch)


def test_a_row_says_how_its_trial_ended(mixed: Study, plan: Plan) -> None:
    rows = {row.number: row for row in summarise_study(mixed, plan, None).trials}
    finished, pruned, failed, running = rows[2], rows[5], rows[7], rows[12]
    assert (finished.state, finished.values, finished.best_score) == ("finished", (0.7,), 0.7)
    assert finished.scores == TrialScores(0.7, dict.fromkeys(HEADS, 0.7))
    assert [epoch.joint for epoch in finished.history] == [0.35, 0.7]
    assert (finished.failure, finished.note, finished.seconds, finished.num_epochs) == (None, None, 2.0, 2)
    assert datetime.fromisoformat(finished.started) <= datetime.fromisoformat(finished.finished)
    assert datetime.fromisoformat(finished.started).tzinfo is not None
    assert (pruned.state, pruned.values, pruned.best_score) == ("pruned", None, 0.2)
    assert (pruned.note, len(pruned.history)) == ("below the median at epoch 1", 1)
    assert (failed.state, failed.values, failed.failure) == ("failed", None, "heads.age: the loss is nan")
    assert len(failed.history) == 1
    assert (running.state, running.finished, running.history) == ("running", None, ())
    assert rows[10].failure == "the worker was killed by SIGKILL"
    assert rows[9].origin == "retry of 8"
    assert {row.origin for number, row in rows.items() if number not in (0, 9)} == {"sampled"}


def test_a_row_says_what_its_trial_tried(mixed: Study, plan: Plan) -> None:
    rows = {row.number: row for row in summarise_study(mixed, plan, None).trials}
    for number in (1, 2, 3, 4, 5, 7, 12):
        row = rows[number]
        assert row.params == mixed.trials[number].params
        assert row.weights == {head: row.changes[f"heads.{head}.weight"] for head in HEADS}
        assert math.fsum(row.weights.values()) == pytest.approx(3)
        assert row.changes["training.lr"] == row.params["training.lr"]
    assert rows[0].changes == {}
    assert rows[0].params["weight_ratio.age"] == 1.0


def test_the_base_has_its_own_weights_and_a_trial_without_weights_none(
    make_plan: MakePlan, make_study: MakeStudy
) -> None:
    for space, weights in (
        ({"heads": "head_weights"}, {"mask": 1.0, "gender": 1.0, "age": 2.0}),
        ({"heads.age.weight": {"low": 0.5, "high": 3.0}}, None),
    ):
        plan = make_plan(space, {"heads.age.weight": 2.0})
        study = make_study(plan)
        begin(study, plan)
        add(study, plan, "finished", 0.5)
        add(study, plan, "finished", 0.6)
        report = summarise_study(study, plan, None)
        assert report.trials[0].weights == weights
        assert (report.trials[1].weights is None) == (weights is None)


def test_a_base_that_was_lost_and_run_again_is_the_base(
    plan: Plan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(plan)
    begin(study, plan)
    add(study, plan, "lost", **{trial_attrs.FAILURE: "killed", trial_attrs.LOST: True})
    add(study, plan, "finished", 0.6)
    params, _ = plan.space.base_params()
    drawn = {name: plan.space.distributions()[name] for name in params}
    queue(study, params, drawn, {trial_attrs.ORIGIN: "base", trial_attrs.RETRY_OF: 0, trial_attrs.ATTEMPT: 1})
    add(study, plan, "finished", 0.5)
    report = summarise_study(study, plan, None)
    assert [(row.number, row.origin) for row in report.trials] == [(1, "sampled"), (2, "base")]
    assert report.counts.retried == 1
    assert report.sentences[0] == "Trial 1 is the best of 2 finished: joint.macro_f1 .600; the base has .500."
    assert "2 base" in shown(report, monkeypatch)


def test_every_parameter_is_told_with_its_range(mixed: Study, plan: Plan) -> None:
    report = summarise_study(mixed, plan, None)
    assert report.params == (
        Param("weight_ratio.gender", "float", 0.2, 5.0, log=True, step=None, choices=None),
        Param("weight_ratio.age", "float", 0.2, 5.0, log=True, step=None, choices=None),
        Param("training.lr", "float", 1e-4, 1e-2, log=True, step=None, choices=None),
        Param("training.batch_size", "int", 8, 32, log=False, step=8, choices=None),
        Param("heads.age.loss.name", "categorical", None, None, False, None, ("cross_entropy", "focal")),
        Param("heads.age.loss.gamma", "float", 0.0, 3.0, log=False, step=None, choices=None),
    )
    assert set().union(*(row.params for row in report.trials)) <= {param.name for param in report.params}


def test_entries_that_the_base_is_outside_of_are_named(make_plan: MakePlan, make_study: MakeStudy) -> None:
    plan = make_plan({"augment.strength": {"low": 0.4, "high": 0.8}})
    assert summarise_study(make_study(plan), plan, None).outside == ("augment.strength",)


def test_a_trial_that_tries_another_number_of_epochs_is_counted_by_it(
    make_plan: MakePlan, make_study: MakeStudy
) -> None:
    plan = make_plan({"training.epochs": {"kind": "categorical", "choices": [5]}})
    study = make_study(plan)
    add(study, plan, "pruned", 0.2)
    report = summarise_study(study, plan, None)
    assert report.trials[0].num_epochs == 5
    assert (report.epochs, report.epochs_full) == (1, 5)


# --- before anything is known -----------------------------------------------------------------------------------


def test_a_study_without_trials(plan: Plan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    report = summarise_study(make_study(plan), plan, None)
    assert report.sentences == ("No trial has a score yet: 0 ended, 0 of them in an error.",)
    assert (report.best, report.front, report.trials) == (None, (), ())
    assert (report.seconds, report.epochs, report.epochs_full) == (0.0, 0, 0)
    assert_whole(report, monkeypatch)


def test_a_study_in_which_no_trial_finished(plan: Plan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(plan)
    begin(study, plan)
    add(study, plan, "failed", **{trial_attrs.FAILURE: "data: is gone"})
    add(study, plan, "pruned", 0.3)
    add(study, plan, "running")
    report = summarise_study(study, plan, None)
    assert report.sentences == ("No trial has a score yet: 2 ended, 1 of them in an error.",)
    assert report.best is None
    assert report.importances is None
    assert_whole(report, monkeypatch)


def test_scores_that_are_no_number_are_none(plan: Plan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(plan)
    begin(study, plan)
    odd = {"joint": math.nan, "tasks": {"mask": None, "gender": math.nan, "age": 0.5}}
    add(study, plan, "finished", 0.5, **{trial_attrs.SCORES: odd, trial_attrs.HISTORY: [{"epoch": 1, **odd}]})
    add(study, plan, "finished", 0.6)
    report = summarise_study(study, plan, None)
    tasks = {"mask": None, "gender": None, "age": 0.5}
    assert report.trials[0].scores == TrialScores(None, tasks)
    assert report.trials[0].history == (TrialEpoch(1, None, tasks),)
    assert_whole(report, monkeypatch)


def test_what_is_damaged_of_a_trial_is_named(plan: Plan, make_study: MakeStudy) -> None:
    study = make_study(plan)
    begin(study, plan)
    add(study, plan, "finished", 0.5, **{trial_attrs.HISTORY: [{"epoch": 1, "joint": "x", "tasks": {}}]})
    with pytest.raises(UserError) as caught:
        summarise_study(study, plan, None, "study.db")
    assert str(caught.value) == (
        "study.db, trial 0: is damaged: history.0.joint: input should be a valid number, found 'x'"
    )


# --- sentences --------------------------------------------------------------------------------------------------

LUCK = "The best score is partly luck, since many trials were judged on the same groups; --confirm tells how much."


def test_the_best_is_told_beside_the_base(mixed: Study, plan: Plan) -> None:
    assert summarise_study(mixed, plan, None).sentences == (
        "Trial 2 is the best of 6 finished: joint.macro_f1 .700; the base has .500.",
        "2 trials were stopped early, which saved 12% of the epochs.",
        LUCK,
    )


def test_the_base_can_be_the_best(plan: Plan, make_study: MakeStudy) -> None:
    study = make_study(plan)
    begin(study, plan)
    for score in (0.5, 0.4):
        add(study, plan, "finished", score)
    assert summarise_study(study, plan, None).sentences == (
        "Trial 0 is the best of 2 finished: joint.macro_f1 .500, and it is the base.",
        LUCK,
    )


def test_a_study_that_goes_down_has_its_lowest_for_its_best(make_plan: MakePlan, make_study: MakeStudy) -> None:
    plan = make_plan(SPACE, objective="joint.ece", pruner="none")
    study = make_study(plan)
    begin(study, plan)
    for value in (0.2, 0.1, 0.3):
        add(study, plan, "finished", value)
    report = summarise_study(study, plan, None)
    assert report.best == 1
    assert report.sentences[0] == "Trial 1 is the best of 3 finished: joint.ece .100; the base has .200."


def test_one_trial_was_and_several_were_stopped_early(plan: Plan, make_study: MakeStudy) -> None:
    study = make_study(plan)
    begin(study, plan)
    add(study, plan, "finished", 0.5)
    add(study, plan, "pruned", 0.2)
    assert "1 trial was stopped early, which saved 25% of the epochs." in summarise_study(study, plan, None).sentences


def test_a_confirmation_has_the_last_word(mixed: Study, plan: Plan) -> None:
    confirmation = ConfirmationReport(
        metric="joint.macro_f1", compared="joint.macro_f1", num_seeds=1, num_folds=5, num_groups=9, num_images=63,
        level=0.95, winner=2, chosen=2, sentence="Trial 2 beats the base.", luck_sentence="Luck: little.", rows=(),
    )  # fmt: skip
    report = summarise_study(mixed, plan, confirmation)
    assert report.confirmation == confirmation
    assert report.sentences[2:] == ("Trial 2 beats the base.", "Luck: little.")


# --- several objectives -----------------------------------------------------------------------------------------


def test_several_objectives_have_a_front(
    make_plan: MakePlan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(SPACE, objective=["tasks.age.macro_f1", "joint.ece"])
    study = make_study(plan)
    begin(study, plan)
    for values in ((0.5, 0.2), (0.6, 0.3), (0.4, 0.1), (0.4, 0.3)):
        add(study, plan, "finished", *values)
    add(study, plan, "pruned", 0.1, **{trial_attrs.NOTE: "trial 1 was at least as good in every head by epoch 1"})
    report = summarise_study(study, plan, None)
    assert report.objectives == (Aim("tasks.age.macro_f1", "maximize"), Aim("joint.ece", "minimize"))
    assert (report.best, report.front) == (None, (0, 1, 2))
    assert report.trials[1].values == (0.6, 0.3)
    assert report.pruner == "dominated"
    assert (report.importances, report.importances_missing) == (None, "there are several objectives")
    assert report.sentences[0] == (
        "3 of 4 finished trials are beaten by no other in all of tasks.age.macro_f1, joint.ece."
    )
    assert_whole(report, monkeypatch)
    add(study, plan, "finished", 0.7, 0.05)
    assert summarise_study(study, plan, None).sentences[0].startswith("1 of 5 finished trials is beaten by no other")


def test_several_objectives_before_anything_finished(
    make_plan: MakePlan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(SPACE, objective=["tasks.age.macro_f1", "joint.ece"])
    report = summarise_study(make_study(plan), plan, None)
    assert (report.best, report.front) == (None, ())
    assert_whole(report, monkeypatch)


# --- what matters -----------------------------------------------------------------------------------------------


def filled(plan: Plan, study: Study, score: Callable[[dict[str, Any]], float], trials: int) -> dict[str, Any]:
    """The report of a study whose scores follow from the parameters."""
    begin(study, plan)
    for _ in range(trials):
        trial = study.ask()
        changes = {} if trial.user_attrs.get(trial_attrs.ORIGIN) == "base" else plan.space.suggest(trial)
        trial.set_user_attr(trial_attrs.CHANGES, changes)
        study.tell(trial, score(trial.params))
    return summarise_study(study, plan, None)


def test_the_setting_that_decides_has_the_largest_share(
    make_plan: MakePlan, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(SPACE, sampler="random")
    report = filled(plan, make_study(plan), lambda params: -abs(math.log(params["training.lr"] / 1e-3)), 30)
    shares = report.importances
    assert report.importances_missing is None
    assert max(shares, key=shares.get) == "training.lr"
    assert math.fsum(shares.values()) == pytest.approx(1)
    assert set(shares) <= {param.name for param in report.params}
    assert "what the score depends on" in shown(report, monkeypatch)


def test_importances_say_what_they_are_and_on_how_many_trials_they_stand(
    make_plan: MakePlan, make_study: MakeStudy
) -> None:
    plan = make_plan(SPACE, sampler="random")
    report = filled(plan, make_study(plan), lambda params: -abs(math.log(params["training.lr"] / 1e-3)), 30)
    about = report.importances_about
    assert about is not None
    assert (about.evaluator, about.num_trials, about.num_best) == ("PED-ANOVA", 30, 5)
    assert "among the best 5 of 30 finished ones by joint.macro_f1" in about.sentence
    assert set(about.trials.values()) <= set(range(31))
    assert about.conditional == tuple(name for name, num in about.trials.items() if num < 30)


def test_a_base_outside_of_an_entry_leaves_the_entry_its_share(make_plan: MakePlan, make_study: MakeStudy) -> None:
    space = {"augment.strength": {"low": 0.4, "high": 0.8}, "training.lr": {"low": 1e-4, "high": 1e-2, "log": True}}
    plan = make_plan(space, sampler="random")
    report = filled(plan, make_study(plan), lambda params: params.get("augment.strength", 0.3), 20)
    shares = report.importances
    assert shares["augment.strength"] > shares["training.lr"]


@pytest.mark.parametrize(
    ("trials", "score", "reason"),
    [
        (7, lambda params: params["training.lr"], "7 finished trials are too few; 8 are needed"),
        (9, lambda params: 0.5, "all finished trials have the same score"),
    ],
)
def test_importances_that_nobody_knows_have_a_reason(
    trials: int,
    score: Callable[[dict[str, Any]], float],
    reason: str,
    plan: Plan,
    make_study: MakeStudy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = filled(plan, make_study(plan), score, trials)
    assert (report.importances, report.importances_missing) == (None, reason)
    assert reason in shown(report, monkeypatch)
