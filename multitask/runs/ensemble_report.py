"""The report of an ensemble of runs, on what all of its members answered unseen, or on other images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from multitask.data.image_facts import ImageFacts
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport, TrainingFacts
from multitask.evaluation.summary import distribution
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members
from multitask.runs.data_module import DataModule
from multitask.runs.ensemble_parts import ensemble_form, ensemble_parts, read_ensemble
from multitask.runs.ensemble_priors import ensemble_priors
from multitask.runs.folder import RunFolder
from multitask.runs.mixture import Mixture
from multitask.runs.mixture_scores import ensemble_scores
from multitask.runs.names import distinct_names
from multitask.runs.report import ReportFacts, write_scores
from multitask.utils.seeds import derive
from multitask.utils.spelling import plural


def common_answers(parts: Sequence[TrainedRun], base: int, name: str = "val") -> list[Predictions]:
    """The predictions of the images that every member answered and none trained on, of each, in the same order.

    A single run answers its validation groups unseen, a run in folds all groups. Images are the same where their paths
    below the data root are, or below that of the source whose images are to be answered.

    Args:
        parts: the members.
        base: the one whose names the images have.
        name: of the predictions.

    Raises:
        UserError: there are no such images, or two members have other labels of one.
    """
    found = [
        Predictions.from_csv(folder.predictions(name), config.space(), config.learned_space())
        for folder, config in parts
    ]
    places = [_places(answers, part) for answers, part in zip(found, parts, strict=True)]
    shared = [key for key in places[base] if all(key in rows for rows in places)]
    if not shared:
        who = ", ".join(f"{part.folder.path} {_unseen(part, own)}" for part, own in zip(parts, found, strict=True))
        raise UserError(
            f"ensemble: no image was unseen by all members ({who}), and weights fitted on training images flatter; "
            "train them in folds, or with one data.split_seed"
        )
    taken = [answers.take(np.array([rows[key] for key in shared])) for answers, rows in zip(found, places, strict=True)]
    first = taken[base]
    for answers, part in zip(taken, parts, strict=True):
        wrong = np.flatnonzero((answers.labels != first.labels).any(axis=1))
        if len(wrong):
            raise UserError(
                f"{part.folder.path}: has other labels than {parts[base].folder.path}, as of {first.images[wrong[0]]}"
            )
    return [replace(answers, images=first.images, groups=first.groups, numbers=first.numbers) for answers in taken]


def _places(answers: Predictions, part: TrainedRun) -> dict[str, int]:
    """The row of each image, by its path."""
    return {image: row for row, image in enumerate(part.config.data.source.own_names(answers.images.tolist()))}


def _unseen(part: TrainedRun, answers: Predictions) -> str:
    how = "validated on" if part.folder.num_folds is None else "dealt into folds"
    return f"{how} {plural(answers.num_groups, 'group', 'groups')}"


def write_mixed_report(trained: TrainedRun, name: str = "val") -> RunReport:
    """Writes the report of an ensemble on the images that all of its members answered unseen.

    Decode rules are fitted on the mixture with cross-fitted weights. In a rule's own cross-fitting the weights, one
    number for each member and head, have seen the group that it leaves out; nothing else has.

    Args:
        trained: the ensemble; its members have predictions of that name.
        name: of the report and the predictions.

    Raises:
        UserError: as of ``common_answers`` and ``Mixture.of``.
    """
    record, parts = read_ensemble(trained.folder), ensemble_parts(trained)
    answers = common_answers(parts, record.base, name)
    seed = derive(trained.config.seed, "decode")
    mixture = Mixture.of(answers, ensemble_form(trained.config), record.vote, record.weighting, seed)
    names = distinct_names([RunFolder(Path(path)) for path in record.members])
    resample = derive(trained.config.seed, "resample")
    data = DataModule(trained.config, trains=False)
    facts = ReportFacts(
        **_facts(trained, data),
        ensemble=lambda decided: ensemble_scores(mixture, names, answers, decided, record.weights, resample),
    )
    samples = data.dataset.without_test()
    priors = ensemble_priors(trained, parts, record.weights, samples)
    settings = trained.config.evaluation()
    return write_scores(trained.folder, name, mixture.predictions(), settings, samples, facts, priors)


def write_answers_report(trained: TrainedRun, name: str, predictions: Predictions) -> RunReport:
    """Writes the report of an ensemble on images that were answered by its kept weights and decode rules."""
    data = DataModule(trained.config, trains=False)
    settings, samples = trained.config.evaluation(), data.dataset.without_test()
    return write_scores(
        trained.folder, name, predictions, settings, samples, ReportFacts(**_facts(trained, data), ensemble=None)
    )


def _facts(trained: TrainedRun, data: DataModule) -> dict[str, Any]:
    """The facts in a report of an ensemble beside its scores."""
    leaves = members(trained)
    trainings = [member.read_report().training for member, _ in leaves]
    settings = trained.config.evaluation()
    samples = data.dataset.without_test()
    return {
        "class_distribution": {"all members": distribution(samples.labels, samples.groups, samples.space)},
        "empty_cells": replace(data.dataset.empty_cells, untrained=()),  # who validates one member trains another
        "training": TrainingFacts(
            best_epoch=None,  # each member has its own
            num_epochs=sum(training.num_epochs for training in trainings),
            seconds=math.fsum(training.seconds for training in trainings),
            seed=settings.seed,
            backbone=" + ".join(dict.fromkeys(config.model.backbone.name for _, config in leaves)),
            sharing=" + ".join(dict.fromkeys(config.model.sharing.name for _, config in leaves)),
            num_parameters=sum(training.num_parameters or 0 for training in trainings),
            device=trained.folder.read_environment("device").device,
        ),
        "images": ImageFacts(),  # each member sees them in its own way
    }
