"""The cost of an engine and its precision: a run's scores with it beside those with the run's own network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from multitask.data.image_store import ImageStore
from multitask.errors import UserError
from multitask.evaluation.intervals import Difference
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import epoch_scores
from multitask.inference.engines import ENGINES, Engine, EngineSettings
from multitask.inference.engines.exported import ExportedSettings
from multitask.inference.export.cache import export_of
from multitask.progress import Progress, ValidationScores
from multitask.runs.classifier import Classifier
from multitask.runs.comparison import paired_differences
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members
from multitask.runs.evaluate import check_same_run, data_of, plain_batches, scored_samples
from multitask.runs.viewed import AsPixels
from multitask.utils.files import write_atomically
from multitask.utils.ranks import ranks
from multitask.utils.records import GapInterval, Moment, Number, Score, record_to_json
from multitask.utils.seeds import derive


@dataclass(frozen=True, kw_only=True)
class EngineScore:
    """A score with the run's own network and with the engine.

    Attributes:
        metric: as ``joint.macro_f1`` or ``tasks.age.macro_f1``.
        run: with the run's own network.
        engine: with the engine.
        difference: the latter less the former.
        difference_ci: its 95% interval over resampled groups, the same for both.
    """

    metric: str
    run: Score | None
    engine: Score | None
    difference: Number
    difference_ci: GapInterval


@dataclass(frozen=True, kw_only=True)
class EngineReport:
    """``report-SPLIT-ENGINE-PRECISION.json``.

    Attributes:
        run: the run's name.
        split: that was scored.
        engine: its row.
        precision: that it computed in.
        created: when.
        num_images: scored.
        num_groups: theirs.
        agreement: the share of images that get the same class.
        log_probs: per head, the largest difference of log-probabilities of labels that have at least a thousandth.
        scores: the classes' and each task's.
    """

    version: Literal[1] = 1
    run: str
    split: str
    engine: str
    precision: str
    created: Moment
    num_images: int
    num_groups: int
    agreement: Score
    log_probs: dict[str, Number]
    scores: tuple[EngineScore, ...]


def evaluate_engine(
    trained: TrainedRun, split: str, settings: EngineSettings, progress: Progress
) -> tuple[EngineReport, str]:
    """Scores a run with an engine and with its own network, on the same images and by the run's decode rule.

    Over several processes each answers some of the images with both.

    Args:
        trained: the run.
        split: as of ``runs.evaluate.evaluate``.
        settings: of the engine.
        progress: notified of every step of the work.

    Returns:
        The report, and what its file's name has in the place of the split. The run's own report stays as it is.

    Raises:
        UserError: as of ``evaluate``; the engine is not installed or cannot compute the run.
    """
    settings.require()
    if trained.folder.is_ensemble:
        raise UserError(
            f"{trained.folder.path}: is an ensemble of runs; `multitask export` checks its file against it, and an "
            f"engine is compared on one of them, as {trained.folder.member(0).path}"
        )
    precision = getattr(settings, "precision", None) or "fp32"
    base, found = _predictions(trained, split, settings, progress)

    def write() -> tuple[EngineReport, str]:
        differences = paired_differences(["run", settings.name], [base, found], derive(trained.config.seed, "resample"))
        report = EngineReport(
            run=trained.folder.name,
            split=split,
            engine=settings.name,
            precision=precision,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            num_images=len(base),
            num_groups=base.num_groups,
            agreement=float(np.mean(base.predicted == found.predicted)),
            log_probs={name: _gap(found.log_probs[name], values) for name, values in base.log_probs.items()},
            scores=tuple(_scores(differences, base, found)),
        )
        name = f"{split}-{settings.name}-{precision}"
        write_atomically(trained.folder.report(name), record_to_json(report))
        return report, name

    return ranks().from_main(write)


def _scores(differences: Sequence[Difference], base: Predictions, found: Predictions) -> list[EngineScore]:
    before, after = epoch_scores(base), epoch_scores(found)
    return [
        EngineScore(
            metric=row.metric,
            run=_score(before, row.metric),
            engine=_score(after, row.metric),
            difference=row.value,
            difference_ci=(row.low, row.high),
        )
        for row in differences
    ]


def _score(scores: ValidationScores, metric: str) -> float | None:
    place, _, key = metric.rpartition(".")
    found = scores.joint if place == "joint" else (scores.tasks or {}).get(place.removeprefix("tasks."))
    value: float | None = getattr(found, key)
    return value


def _gap(found: Tensor, base: Tensor) -> float:
    likely = (base.exp() >= 1e-3) | (found.exp() >= 1e-3)
    return float((found - base).abs()[likely].max())


def _predictions(
    trained: TrainedRun, split: str, settings: EngineSettings, progress: Progress
) -> tuple[Predictions, Predictions]:
    """With the run's own network, and with the engine; of a run in folds those of ``val`` are out of fold."""
    num_folds = trained.folder.num_folds
    if num_folds is None or split in ("eval", "test"):
        return _of_one(trained, split, settings, progress)
    if split != "val":
        raise UserError(f"--split {split}: in folds every group trains and validates; val is all of them, unseen")
    parts = []
    for index, member in enumerate(members(trained)):
        progress.fold(index, num_folds, False)
        parts.append(_of_one(member, split, settings, progress))
    return Predictions.concatenate([part[0] for part in parts]), Predictions.concatenate([part[1] for part in parts])


def _of_one(
    trained: TrainedRun, split: str, settings: EngineSettings, progress: Progress
) -> tuple[Predictions, Predictions]:
    here = ranks()
    engine = here.main_first(lambda: _open(trained, settings))  # which may export the run first
    own = ENGINES["torch"].model_validate({}).open(trained.folder.path, trained.config.device, True)
    data = data_of(trained)
    samples = scored_samples(trained, data, split, progress)
    check_same_run(trained, samples, here)
    store = ImageStore(trained.config.data, samples, data.preprocessing)
    batches = plain_batches(samples, store, engine.spec.batch_size, progress, here)
    evaluation = trained.config.evaluation()

    def answered(by: Engine) -> Predictions:
        def network(images: Tensor) -> dict[str, Tensor]:
            return {name: torch.from_numpy(values) for name, values in by.log_probs(images.numpy()).items()}

        return Classifier(network, AsPixels(), torch.device("cpu"), evaluation, by.spec.rule).predict(samples, batches)

    return answered(own), answered(engine)


def _open(trained: TrainedRun, settings: EngineSettings) -> Engine:
    if isinstance(settings, ExportedSettings):
        return settings.open_exported(export_of(trained, settings.file_precision or "fp32"))
    return settings.open(trained.folder.path, trained.config.device, True)  # what it may run, ran as it was read
