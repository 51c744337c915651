"""The loop of a launch, with actors in the workers' place; those with real ones are in test_kills."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from multitask.errors import UserError
from multitask.progress import StudyProgress
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.interrupt import Interrupt
from multitask.study.messages import Done, Epoch, Failed, Job, Lost, Warned
from multitask.study.pruners import NoPrunerSettings
from multitask.study.search import Search
from multitask.study.settings import load_study
from multitask.study.storage import open_storage, open_study

Make = Callable[..., Any]

EARLY = {"interval_s": 1, "grace_s": 3}


def lr(config: dict[str, Any]) -> float:
    return float(config["training"]["lr"])


def quality(config: dict[str, Any]) -> list[float]:
    """Two epochs of a run that likes some learning rates more than others."""
    last = math.exp(-abs(math.log(lr(config) / 2e-3)))
    return [last / 2, last]


def settings_of(study: Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


# --- budget and order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_the_base_comes_first_and_the_budget_is_exact(
    search: Make, make_plan: Make, trained: Make, workers: int
) -> None:
    plan = make_plan(pruner="none", budget={"trials": 7})
    jobs = []

    def part(job: Job) -> Any:
        jobs.append(job)
        return trained(quality)(job)

    study = search(plan, part, workers=workers)
    assert [trial.number for trial in study.trials] == list(range(7))
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    base, *others = study.trials
    assert base.user_attrs[trial_attrs.ORIGIN] == "base"
    assert base.user_attrs[trial_attrs.CHANGES] == {}
    assert jobs[0].config == plan.base.model_dump(mode="json")
    for trial, job in zip(others, jobs[1:], strict=True):
        assert job.out.name == f"{trial.number:04d}"
        assert lr(job.config) == trial.params["training.lr"] == trial.user_attrs[trial_attrs.CHANGES]["training.lr"]
        assert trial.value == quality(job.config)[-1]
        assert trial.intermediate_values == dict(enumerate(quality(job.config)))


def test_the_same_seed_gives_the_same_trials(search: Make, make_plan: Make, trained: Make) -> None:
    plan = make_plan(sampler={"name": "tpe", "startup_trials": 4}, budget={"trials": 14}, seed=3)
    one, two = (search(plan, trained(quality), out=out) for out in ("one", "two"))
    assert settings_of(one) == settings_of(two)
    assert [trial.values for trial in one.trials] == [trial.values for trial in two.trials]
    other = search(make_plan(budget={"trials": 3}, seed=4), trained(quality), out="other")
    assert settings_of(other)[1:] != settings_of(one)[1:3]


def test_a_launch_goes_on_where_the_last_one_ended_and_draws_what_was_not_drawn(
    search: Make, make_plan: Make, trained: Make
) -> None:
    sampler = {"name": "tpe", "startup_trials": 6}
    whole = search(make_plan(sampler=sampler, budget={"trials": 12}), trained(quality), out="whole")
    for trials in (1, 4, 5, 5, 12):
        parts = search(make_plan(sampler=sampler, budget={"trials": trials}), trained(quality), out="parts")
        assert len(parts.trials) == trials
    assert settings_of(parts) == settings_of(whole)
    assert [trial.values for trial in parts.trials] == [trial.values for trial in whole.trials]


def test_a_smaller_budget_than_was_spent_is_no_error(search: Make, make_plan: Make, trained: Make) -> None:
    search(make_plan(budget={"trials": 4}), trained(quality))
    assert len(search(make_plan(budget={"trials": 2}), trained(quality)).trials) == 4


def test_when_the_hours_are_over_running_trials_end_and_none_begins(
    search: Make, make_plan: Make, trained: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead_s)
    monkeypatch.setattr("multitask.study.search.time", clock)
    began = []

    def part(job: Job) -> Generator[Epoch, bool, Done]:
        nonlocal ahead_s
        began.append(ahead_s)
        ahead_s += 1000.0
        return (yield from trained(quality)(job))

    study = search(make_plan(budget={"hours": 1}), part, workers=2)
    assert began == [0.0, 1000.0, 2000.0, 3000.0]  # the last of which ends after the hour
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    more = search(make_plan(budget={"hours": 1}), part)
    assert len(more.trials) == 8  # the hours are a launch's


# --- failures ----------------------------------------------------------------------------------------------------


def fails(*names: str, message: str = "no luck") -> Callable[[Job, int], Failed | None]:
    """These trials fail after an epoch."""
    return lambda job, epoch: Failed(message) if job.out.name in names else None


def test_a_failed_trial_says_why_and_the_study_goes_on(
    search: Make, make_plan: Make, trained: Make, watcher: Any
) -> None:
    part = trained(quality, fails("0002", "0003", message="heads.age: the loss is nan"))
    study = search(make_plan(budget={"trials": 6}, pruner="none"), part, progress=watcher)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    for trial in study.trials[2:4]:
        assert trial.user_attrs[trial_attrs.FAILURE] == "heads.age: the loss is nan"
        assert len(trial.user_attrs[trial_attrs.HISTORY]) == 1
        assert not trial_attrs.is_lost(trial)
    assert watcher.told("failed") == [f"trial {number}: failed: heads.age: the loss is nan" for number in (2, 3)]
    assert watcher.view.failed == 2


def test_a_warning_of_a_run_names_its_trial(search: Make, make_plan: Make, trained: Make, watcher: Any) -> None:
    def part(job: Job) -> Generator[Any, bool, Any]:
        yield Warned("tracking: mlflow failed")
        return (yield from trained(quality)(job))

    study = search(make_plan(budget={"trials": 2}, pruner="none"), part, progress=watcher)
    assert watcher.told("warned") == [f"trial {number}: tracking: mlflow failed" for number in (0, 1)]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_score_that_is_no_number_is_a_failure_and_never_pruned(
    search: Make, make_plan: Make, trained: Make, value: float | None
) -> None:
    def part(job: Job) -> Generator[Epoch, bool, Any]:
        done = yield from trained(quality)(job)
        return Done(dict.fromkeys(job.metrics, value), done.scores, 1.0) if job.out.name == "0001" else done

    study = search(make_plan(budget={"trials": 3}), part)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs[trial_attrs.FAILURE] == "joint.macro_f1 is no number"


def test_an_epochs_score_that_is_no_number_is_left_out(search: Make, make_plan: Make, trained: Make) -> None:
    study = search(make_plan(budget={"trials": 2}), trained(lambda config: [math.nan, 0.5, math.inf, 0.4]))
    assert study.trials[1].intermediate_values == {1: 0.5, 3: 0.4}
    assert study.trials[1].state == TrialState.COMPLETE


def test_the_study_stops_after_so_many_failures_in_a_row(search: Make, make_plan: Make, trained: Make) -> None:
    part = trained(quality, fails("0001", "0002", "0004", "0005", "0006"))
    plan = make_plan(stop_after_failures=3, budget={"trials": 20})
    with pytest.raises(UserError) as error:
        search(plan, part)
    line = "test: stopped, since the last 3 trials failed; the latest: no luck"
    assert str(error.value) == line
    # Once they are mended, the same line goes on.
    assert len(search(plan, trained(quality)).trials) == 20


def test_when_it_stops_what_still_runs_is_queued_again(
    search: Make, make_plan: Make, trained: Make, places: Make
) -> None:
    def long(config: dict[str, Any]) -> list[float]:
        return quality(config) * 100

    part = trained(long, lambda job, epoch: Failed("no luck") if job.out.name > "0000" else None)
    plan = make_plan(stop_after_failures=2, budget={"trials": 20}, pruner="none")
    with pytest.raises(UserError, match="the last 2 trials failed"):
        search(plan, part, workers=2)
    study = search(plan, trained(quality))
    assert study.trials[0].user_attrs[trial_attrs.FAILURE] == "the launch stopped"
    assert [trial.state.name for trial in places(study.trials)[0]] == ["FAIL", "COMPLETE"]


# --- lost workers ------------------------------------------------------------------------------------------------


KILLED = Lost("the worker was killed by SIGKILL")


@pytest.mark.parametrize("workers", [1, 3])
def test_a_lost_trial_is_run_again_with_the_same_settings(
    search: Make, make_plan: Make, trained: Make, watcher: Any, workers: int, places: Make
) -> None:
    lost = {"0000", "0003", "0004", "0007"}
    part = trained(quality, lambda job, epoch: KILLED if job.out.name in lost else None)
    study = search(make_plan(budget={"trials": 8}, pruner="none"), part, workers=workers, progress=watcher)
    assert len(places(study.trials)) == 8
    for trials in places(study.trials).values():
        assert [trial.state for trial in trials[:-1]] == [TrialState.FAIL] * (len(trials) - 1)
        assert trials[-1].state == TrialState.COMPLETE
        assert all(trial.params == trials[0].params for trial in trials)
        assert all(trial.user_attrs[trial_attrs.FAILURE] == "the worker was killed by SIGKILL" for trial in trials[:-1])
    retried = [trial for trial in study.trials if trial_attrs.is_lost(trial)]
    assert len(watcher.told("retried")) == len(retried) == watcher.view.retried == 4
    bases = [trial for trial in study.trials if trial.user_attrs.get(trial_attrs.ORIGIN) == "base"]
    assert bases[-1].state == TrialState.COMPLETE
    assert bases[-1].user_attrs[trial_attrs.CHANGES] == {}  # the base as it stands, not as a point of the space


def test_what_is_lost_again_and_again_is_given_up(
    search: Make, make_plan: Make, trained: Make, watcher: Any, places: Make
) -> None:
    # It needs more than the memory holds, say.
    part = trained(quality, lambda job, epoch: KILLED if lr(job.config) > 3e-3 else None)
    study = search(make_plan(budget={"trials": 10}, retries=2, pruner="none"), part, progress=watcher)
    given_up = [trials for trials in places(study.trials).values() if trials[-1].state == TrialState.FAIL]
    assert given_up
    assert all(len(trials) == 3 for trials in given_up)
    assert len(places(study.trials)) == 10
    assert watcher.view.failed == len(given_up)
    assert any(text.endswith("not queued again, since that was lost too often") for text in watcher.told("failed"))


# --- pruning -----------------------------------------------------------------------------------------------------


def test_a_pruned_trial_keeps_its_best_score_and_its_curves_and_the_base_is_never_pruned(
    search: Make, make_plan: Make, trained: Make, watcher: Any
) -> None:
    def curve(config: dict[str, Any]) -> list[float]:
        # The base is the worst of all by far.
        last = 0.01 if lr(config) == base_lr else quality(config)[-1]
        return [0.8 * last, 0.7 * last, 0.9 * last, last]

    pruner = {"name": "median", "startup_trials": 3}
    plan = make_plan(None, {"training.epochs": 4}, budget={"trials": 12}, pruner=pruner, sampler="random")
    base_lr = plan.base.training.lr
    study = search(plan, trained(curve), progress=watcher)
    base = study.trials[0]
    assert base.state == TrialState.COMPLETE
    assert len(base.intermediate_values) == 4
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    best = study.best_value
    for trial in pruned:
        assert trial.number > 3
        curves = trial.user_attrs[trial_attrs.HISTORY]
        assert len(curves) == 3
        assert [row["joint"] for row in curves] == list(trial.intermediate_values.values())
        assert set(curves[0]["tasks"]) == {"mask", "gender", "age"}
        assert trial.user_attrs[trial_attrs.BEST_SCORE] == max(row["joint"] for row in curves) < best
        assert trial.user_attrs[trial_attrs.SCORES]["joint"] == trial.user_attrs[trial_attrs.BEST_SCORE]
        assert trial.user_attrs[trial_attrs.NOTE] == f"below the median at epoch {len(curves)}"
        assert trial_attrs.FAILURE not in trial.user_attrs
    assert watcher.view.pruned == len(pruned) == len(watcher.told("pruned"))


def test_a_base_that_was_lost_is_not_pruned_either(search: Make, make_plan: Make, trained: Make) -> None:
    pruner = {"name": "median", "startup_trials": 1, "warmup_epochs": 0}
    plan = make_plan(None, {"training.epochs": 4}, budget={"trials": 6}, pruner=pruner)
    kinds = Counter[str]()

    def curve(config: dict[str, Any]) -> list[float]:
        return [0.01] * 4 if lr(config) == plan.base.training.lr else [0.5] * 4

    def kills(job: Job, epoch: int) -> Lost | None:
        kinds["base" if lr(job.config) == plan.base.training.lr else "other"] += 1
        return KILLED if lr(job.config) == plan.base.training.lr and kinds["base"] <= 5 else None

    study = search(plan, trained(curve, kills), workers=2)
    bases = [trial for trial in study.trials if trial.user_attrs.get(trial_attrs.ORIGIN) == "base"]
    assert [trial.state.name for trial in bases] == ["FAIL"] * 5 + ["COMPLETE"]


def test_with_several_objectives_what_is_dominated_in_every_head_is_pruned_and_it_says_so(
    search: Make, make_plan: Make, trained: Make, watcher: Any
) -> None:
    metrics = ["tasks.mask.macro_f1", "tasks.gender.macro_f1", "tasks.age.macro_f1"]
    heads = ["mask", "gender", "age"]

    def curve(config: dict[str, Any]) -> list[dict[str, float]]:
        # Most are better at one head than at the others, the rate's digits say at which, and some are better at all.
        digit, good = int(lr(config) * 1e7) % 4, quality(config)[-1]
        best = {head: 0.3 * (digit == index) + 0.5 * good for index, head in enumerate(heads)}
        return [{head: value * epoch / 4 for head, value in best.items()} for epoch in range(1, 5)]

    pruner = {"name": "dominated", "startup_trials": 2, "beaten_by": 3}
    plan = make_plan(
        None, {"training.epochs": 4}, budget={"trials": 20}, objective=metrics, pruner=pruner, sampler="random"
    )
    study = search(plan, trained(curve), progress=watcher)
    assert watcher.told("said")[0] == (
        "several objectives, which Optuna does not prune: a trial is stopped when 3 finished ones were each at least "
        "as good in every objective and head, and better in one, by the same epoch"
    )
    finished = {trial.number: trial for trial in study.trials if trial.state == TrialState.COMPLETE}
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        curves = trial.user_attrs[trial_attrs.HISTORY]
        assert len(curves) == 2
        assert trial.user_attrs[trial_attrs.SCORES]["tasks"] == curves[-1]["tasks"]
        numbers = [int(number) for number in re.findall(r"\d+", trial.user_attrs[trial_attrs.NOTE].split("were")[0])]
        assert len(set(numbers)) == 3
        for number in numbers:
            other = finished[number].user_attrs[trial_attrs.HISTORY][1]
            assert all(other["tasks"][head] >= curves[-1]["tasks"][head] for head in heads)
    # Nobody who leads in a head was stopped.
    best = {head: max(trial.user_attrs[trial_attrs.SCORES]["tasks"][head] for trial in study.trials) for head in heads}
    for head in heads:
        leaders = [trial for trial in study.trials if trial.user_attrs[trial_attrs.SCORES]["tasks"][head] == best[head]]
        assert leaders
        assert all(trial.state == TrialState.COMPLETE for trial in leaders)


def test_a_pruner_is_told_the_trials_own_epochs(
    search: Make, make_plan: Make, trained: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = set()

    def verdict(self: Any, trial: Trial, history: Any, others: Any, num_epochs: int) -> None:
        told.add((trial.params["training.epochs"], num_epochs))

    monkeypatch.setattr(NoPrunerSettings, "verdict", verdict)
    space = {"training.epochs": {"kind": "categorical", "choices": [3, 5]}}
    plan = make_plan(space, {"training.epochs": 4}, budget={"trials": 9}, pruner="none", sampler="random")
    search(plan, trained(lambda config: [0.5] * config["training"]["epochs"]))
    assert told == {(3, 3), (5, 5)}


OWN_STUDY_PARTS = """
from typing import Literal

from multitask.study import PRUNERS, SAMPLERS, PrunerSettings, SamplerSettings


class UniformSettings(SamplerSettings):
    name: Literal["uniform"] = "uniform"

    def build(self, seed):
        from optuna.samplers import RandomSampler

        return RandomSampler(seed)


class AheadSettings(PrunerSettings):
    name: Literal["ahead"] = "ahead"
    needs_scores = False

    def build(self, num_epochs):
        from optuna.pruners import NopPruner

        return NopPruner()

    def verdict(self, trial, history, others, num_epochs):
        ahead = [number for number, other in others.items() if other[0].joint > history[0].joint]
        return f"behind trial {min(ahead)} by epoch 1" if ahead else None


SAMPLERS["uniform"] = UniformSettings
PRUNERS["ahead"] = AheadSettings
"""


def test_it_draws_and_stops_by_rules_of_ones_own(search: Make, trained: Make, tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(OWN_STUDY_PARTS)
    base = {"extensions": ["parts.py"], **tiny().model_dump(mode="json")}
    (tmp_path / "base.yaml").write_text(dump_yaml(base))
    space = {"training.lr": {"low": 1e-4, "high": 1e-2, "log": True}}
    own = {"sampler": "uniform", "pruner": "ahead", "space": space, "budget": {"trials": 8}}
    (tmp_path / "study.yaml").write_text(dump_yaml({"name": "test", "base": "base.yaml", **own}))
    with temporary_extensions():
        plan = load_study(tmp_path / "study.yaml", allow_extensions=True)
        study = search(plan, trained(quality))
    assert [type(plan.settings.sampler).__name__, plan.settings.chosen_pruner.name] == ["UniformSettings", "ahead"]
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert all(trial.user_attrs[trial_attrs.NOTE].startswith("behind trial ") for trial in pruned)


# --- interrupts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupt_queues_what_runs_again_and_costs_no_retries(
    search: Make, make_plan: Make, trained: Make, workers: int, tmp_path: Path, places: Make
) -> None:
    plan = make_plan(budget={"trials": 9}, pruner="none", retries=1)
    for at in (0, 1, 0, 2, 0):
        interrupt = Interrupt()
        began = set()

        def asks(job: Job, epoch: int) -> None:
            began.add(job.out.name)  # noqa: B023
            interrupt.asked = len(began) > at  # noqa: B023

        part = trained(quality, asks)
        with pytest.raises(KeyboardInterrupt):
            search(plan, part, workers=workers, interrupt=interrupt)
    study = search(plan, trained(quality), workers=workers)
    assert len(places(study.trials)) == 9
    for trials in places(study.trials).values():
        assert trials[-1].state == TrialState.COMPLETE
        assert all(trial.user_attrs[trial_attrs.FAILURE] == "interrupted" for trial in trials[:-1])
        assert all(trial.params == trials[0].params for trial in trials)


def test_what_was_interrupted_leaves_no_run_folder_and_its_worker_is_gone_first(
    make_plan: Make, stage: Any, trained: Make, tmp_path: Path
) -> None:
    plan = make_plan(budget={"trials": 9})
    folder = StudyFolder(tmp_path)
    study = open_study(open_storage(f"sqlite:///{folder.database}", plan.settings.heartbeat), plan, {}, False)
    interrupt = Interrupt()

    def asks(job: Job, epoch: int) -> None:
        job.out.mkdir(parents=True)
        (job.out / "config.yaml").touch()
        interrupt.asked = True

    class Last(stage):  # type: ignore[misc]
        def close(self) -> None:
            assert folder.trial(0).exists()
            super().close()

    pool = Last(trained(quality, asks), 1)
    with pytest.raises(KeyboardInterrupt):
        Search(study, plan, folder, pool, StudyProgress(), alone=True).run(interrupt)
    assert pool.closed
    assert not folder.trial(0).exists()
