"""The label prior of images on which a run is scored, estimated without their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.prior_shift import LabelPrior
from multitask.evaluation.report_schema import RunReport
from multitask.labels import JOINT
from multitask.runs.config import TrainedRun
from multitask.runs.out_of_fold import prior_of, read_out_of_fold
from multitask.runs.report import read_rules
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json


def with_label_prior(trained: TrainedRun, report: RunReport) -> RunReport:
    """A report with the label prior of its images, written; the same where the run has nothing to estimate it by.

    Args:
        trained: the run.
        report: of images that none of its networks trained on, as it is written already.
    """
    folder, config = trained
    try:
        known = read_out_of_fold(trained)
        kept = read_rules(folder, config.evaluation())
    except UserError:
        return report
    found = Predictions.from_csv(folder.predictions(report.split), config.space(), config.learned_space())
    temperatures = {} if kept is None else dict(kept.temperatures)
    shifts = {} if kept is None else {name: np.array(values) for name, values in kept.shifts.items()}
    class_probs = posteriors(found.outputs(), temperatures, shifts).T
    priors, unknown = {}, {}
    for name in (*known.space.task_names, JOINT):
        prior, why = prior_of(known, name, class_probs, found.group_indices(), config.seed)
        if prior is None:
            unknown[name] = why
        else:
            priors[name] = prior
    report = replace(report, label_prior=LabelPrior(priors=priors, unknown=unknown))
    write_atomically(folder.report(report.split), record_to_json(report))
    return report
