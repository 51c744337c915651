from __future__ import annotations

from typing import Any

import optuna
import pytest

from multitask.reporting.study.report_schema import Trial
from multitask.study.importances import parameter_importances
from tests.reporting.study.reports import study_report


def random_study(num: int, objective: Any) -> tuple[optuna.Study, list[Trial]]:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=num)
    trials = [
        {
            "number": trial.number,
            "origin": "sampled",
            "state": "finished",
            "values": trial.values,
            "params": trial.params,
        }
        for trial in study.trials
    ]
    return study, list(
        study_report({"tasks": [], "best": None, "front": [], "importances": None, "trials": trials}).trials
    )


def test_a_setting_that_only_some_trials_have_is_told_apart() -> None:
    """As the own parameter of one of several losses is."""

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("lr", 0, 1)
        focal = trial.suggest_categorical("loss", ["ce", "focal"]) == "focal"
        return trial.suggest_float("gamma", 0, 1) if focal else 0.0

    study, rows = random_study(40, objective)
    found = parameter_importances(study, rows, "score")
    assert found.shares is not None
    assert found.about is not None
    num_focal = sum("gamma" in row.params for row in rows)
    assert 0 < num_focal < 40
    assert found.about.trials == {"lr": 40, "loss": 40, "gamma": num_focal}
    assert found.about.conditional == ("gamma",)
    lr, gamma = found.shares["lr"], found.shares["gamma"]
    assert lr is not None
    assert gamma is not None
    assert lr < gamma


@pytest.mark.parametrize(("num", "best"), [(8, 4), (10, 5), (30, 5), (49, 5), (50, 5), (51, 6), (100, 10)])
def test_the_best_are_a_tenth_but_at_least_five_and_at_most_half(
    num: int, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, rows = random_study(num, lambda trial: trial.suggest_float("lr", 0, 1))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator
    real, counted = evaluator._get_top_quantile_trials, []

    def count(self: Any, study: Any, trials: Any, quantile: float, target: Any) -> Any:
        found = real(self, study, trials, quantile, target)
        counted.append(len(found))
        return found

    monkeypatch.setattr(evaluator, "_get_top_quantile_trials", count)
    about = parameter_importances(study, rows, "score").about
    assert about is not None
    assert about.num_best == best
    assert counted == [best, num]
