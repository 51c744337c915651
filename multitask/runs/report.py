"""What becomes of predictions: the decode rules fitted on them, a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.evaluation.decode import Priors
from multitask.evaluation.decode.prior import frequencies
from multitask.evaluation.decode_comparison import FittedRules, decide, decide_and_fit, joint_term
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.settings import EvaluationSettings
from multitask.evaluation.summary import distribution, summarise
from multitask.losses.objective import Objective
from multitask.runs.build_losses import prior_shifts
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder, read_record
from multitask.runs.records import Begun
from multitask.utils.files import plain, to_json, write_atomically
from multitask.utils.seeds import derive


def decode_priors(objective: Objective, samples: Samples) -> Priors:
    """The priors in the outputs of a network that was trained on these samples, and those of the samples."""
    natural = frequencies(Targets.of(samples, objective.learned, joint=False).labels, objective.learned)
    shifts = prior_shifts(objective, samples)
    return Priors({name: prior + shifts.get(name, 0.0) for name, prior in natural.items()}, natural)


def read_rules(folder: RunFolder, settings: EvaluationSettings) -> FittedRules | None:
    """The decode rules that were fitted when the run was scored; None where it was not and none is needed.

    Raises:
        UserError: the file is damaged, or is missing and the run's rule must be fitted.
    """
    if folder.decode.is_file():
        return FittedRules.read(folder.decode, settings.learned)
    if settings.decode.needs_validation:
        raise UserError(f"{folder.decode}: no such file; `multitask evaluate {folder.path}` writes it")
    return None


def write_report(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    settings: EvaluationSettings,
    material: DataModule,
    history: list[dict[str, Any]],
    seen: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the predictions and the report of one split, as ``write_figures``; returns the report.

    ``seen`` says what the network sees of its pictures: ``ImageStore.facts``.
    """
    samples = material.samples
    began = folder.read_environment("num_parameters", "device")
    facts = {
        "class_distribution": {
            name: distribution(samples.labels[indices], samples.groups[indices], material.space)
            for name, indices in material.split.parts().items()
            if len(indices)
        },
        "empty_cells": asdict(material.dataset.empty_cells),
        "training": {
            "best_epoch": max((row["epoch"] for row in history if row["best"]), default=None),
            "num_epochs": len(history),
            "monitor": settings.monitor,
            "seconds": math.fsum(row.get("seconds") or 0.0 for row in history),
            "seed": settings.seed,
            "backbone": settings.backbone,
            "sharing": settings.sharing,
            "num_parameters": began["num_parameters"],
            "device": began["device"],
        },
        **(seen or {}),
    }
    return write_figures(folder, split, predictions, settings, material.dataset.training_samples(), facts)


def write_figures(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    settings: EvaluationSettings,
    train: Samples,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the predictions of one split, and a report of their figures and of ``facts``; returns the report.

    On the people who validate, the decode rules are fitted and cross-fitted, and kept for whoever is answered next; on
    others, those that were kept decide.

    Args:
        folder: the run.
        split: of the predictions.
        predictions: as the network gave them.
        settings: the run's.
        train: the samples that trained.
        facts: to stand in the report too.
    """
    seed = derive(settings.seed, "resample")
    rules: dict[str, Any] | None = None
    if split == "val":
        priors = decode_priors(settings.objective, train)
        decided = decide_and_fit(predictions, settings.decode, priors, derive(settings.seed, "decode"), seed)
        write_atomically(folder.decode, decided.kept.to_json())
        predictions, rules = replace(predictions, predicted=decided.predicted), decided.section
    elif (kept := read_rules(folder, settings)) is not None:
        decided = decide(predictions, kept, seed)
        predictions, rules = replace(predictions, predicted=decided.predicted), decided.section
    report: dict[str, Any] = plain(
        {
            "run": folder.name,
            "split": split,
            "created": read_record(folder.environment, Begun)["created"],
            **summarise(
                predictions,
                settings.decode.model_dump(mode="json"),
                seed,
                settings.unseen,
                folder.read_data().get("centres"),
            ),
            "decode_rules": rules,
            "joint_term": joint_term(predictions, seed),
            **facts,
        }
    )
    write_atomically(folder.predictions(split), predictions.to_csv())
    write_atomically(folder.report(split), to_json(report))
    return report
