"""The answers of an ensemble of judged runs, from the tables that they left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from multitask.evaluation.decode_comparison import decide, decide_and_fit
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.views import Views, report_name
from multitask.runs.config import TrainedRun
from multitask.runs.data_module import DataModule
from multitask.runs.ensemble_parts import ensemble_form
from multitask.runs.ensemble_priors import ensemble_priors
from multitask.runs.ensemble_report import common_answers
from multitask.runs.mixture import Mixture, Weighting, in_form, mixed
from multitask.utils.seeds import derive


def pooled_answers(runs: Sequence[TrainedRun], weighting: Weighting, views: Views | None = None) -> Predictions:
    """What an ensemble of runs, as of ``make_ensemble``, answers to the images that test all of them.

    Weights and decode rules are fitted on the groups that validate all of them. No network is needed.

    Args:
        runs: of one config but for the seed, scored on those who validate and those who test.
        weighting: ``fitted`` by log-loss, or ``equal``.
        views: of each image, by which all of them have answered those who test; None: as they are.

    Raises:
        UserError: fewer than two groups validate, on which to fit weights; a run's files are damaged.
    """
    config = runs[0].config
    settings, form, seed = config.evaluation(), ensemble_form(config), derive(config.seed, "decode")
    mixture = Mixture.of(common_answers(runs, 0), form, "soft", weighting, seed)
    weights, resample = mixture.weights(), derive(config.seed, "resample")
    priors = ensemble_priors(runs[0], runs, weights, DataModule(config).dataset.without_test())
    rules = decide_and_fit(mixture.predictions(), settings.decode, priors, seed, resample).kept
    whole = mixed([in_form(answers, form) for answers in common_answers(runs, 0, report_name("test", views))], weights)
    return replace(whole, predicted=decide(whole, rules, resample).predicted)
