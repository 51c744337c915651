"""The calibration of answers that are averaged over test-time views, so that they too keep promises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.calibration import Calibration
from multitask.evaluation.decode.crossfit import cross_fit, cross_fit_posteriors, deal_known, num_folds
from multitask.evaluation.grouped import calibrate_groups
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.views import Views, report_name
from multitask.runs.config import TrainedRun
from multitask.runs.out_of_fold import kept_priors
from multitask.runs.report import read_rules
from multitask.utils.seeds import derive


@dataclass(frozen=True)
class ViewedCalibration:
    """As the run's calibrations, of images that were answered with views.

    Attributes:
        single: of images by themselves; None where fewer than two groups validated the run.
        grouped: of images as members of their groups; None too where no task is per group.
    """

    single: Calibration | None = None
    grouped: Calibration | None = None


def read_viewed_calibration(trained: TrainedRun, views: Views) -> ViewedCalibration:
    """The calibration of a run's answers with views, by what ``evaluate`` left of the groups that validated it.

    New images are answered with views by temperatures and decode rules that were fitted without. So these are fitted
    without here, on other groups, and the answers with views are what they are applied to.

    Raises:
        UserError: the run was not evaluated with these views, or what was left is damaged or of other images.
    """
    folder, config = trained
    if folder.is_ensemble or config.final is not None:
        what = "is an ensemble, whose weights" if folder.is_ensemble else "was trained on all groups, and its rules"
        raise UserError(
            f"views: {folder.path} {what} were fitted on images as they are; leave out the views, or the coverage and "
            "the risk"
        )
    settings = config.evaluation()
    kept = read_rules(folder, settings)
    if kept is None or kept.calibration is None:
        return ViewedCalibration()
    plain, viewed = _read_answers(trained, views)
    seed, priors = derive(settings.seed, "decode"), kept_priors(kept.shifts)
    known, answered = plain.known(), viewed.known().outputs
    folds = deal_known(known, seed)
    assert folds is not None, "the run has a calibration"
    if num_folds(known) > 1:
        predicted = cross_fit(settings.decode, known, priors, folds, seed, answered)
    else:  # no rule was fitted that needs classes
        predicted = kept.rule().decode(answered)
    single = Calibration.of(
        plain.space,
        cross_fit_posteriors(known, priors, folds, answered),
        plain.labels,
        predicted,
        plain.group_indices(),
    )
    grouped = None
    if kept.grouped is not None and kept.grouped.calibration is not None:
        of_groups = kept_priors(kept.grouped.shifts)
        grouped = calibrate_groups(plain, viewed, kept.grouped, settings.decode, of_groups, seed)
    return ViewedCalibration(single, grouped)


def _read_answers(trained: TrainedRun, views: Views) -> tuple[Predictions, Predictions]:
    """The answers to the images that validated, without views and with them, in the same order."""
    folder, config = trained
    space, learned = config.space(), config.learned_space()
    path = folder.predictions(report_name("val", views))
    how = f"`multitask evaluate {folder.path} {views.as_options}`"
    if not path.is_file():
        raise UserError(
            f"views: sets and risks are calibrated on images that were answered with them, and there is no {path}; "
            f"{how} writes it"
        )
    plain, viewed = (Predictions.from_csv(each, space, learned) for each in (folder.predictions(), path))
    places = {image: row for row, image in enumerate(viewed.images)}
    if len(plain) == len(viewed) == len(places) and all(image in places for image in plain.images):
        viewed = viewed.take(np.array([places[image] for image in plain.images], dtype=np.int64))
        if (viewed.labels == plain.labels).all():
            return plain, viewed
    raise UserError(f"{path}: is of other images or labels than {folder.predictions()}; {how} writes it anew")
