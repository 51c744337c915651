"""The inference specification of a run, from its folder."""

from __future__ import annotations

import hashlib

import numpy as np

from multitask.data.images import Preprocessing
from multitask.data.tiled_images import TiledPreprocessing
from multitask.data.tiles import TileSettings
from multitask.errors import UserError
from multitask.evaluation.calibration import sizes_of
from multitask.evaluation.decode import MeanPooling
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.inference.spec import GroupingSpec, InferenceSpec, task_specs
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members
from multitask.runs.ensemble_parts import distinct_tiles, ensemble_parts
from multitask.runs.environment import library_versions
from multitask.runs.report import read_rules
from multitask.utils.files import content_digest


def run_spec(trained: TrainedRun) -> InferenceSpec:
    """The specification of a run, or of a run in folds.

    Raises:
        UserError: its decode rules are missing or damaged; a fold is not finished.
    """
    folder, config = trained
    kept: FittedRules | None = read_rules(folder, config.evaluation())
    space, learned = config.space(), config.learned_space()
    calibration = kept.calibration if kept else None
    if calibration is not None:
        try:
            calibration.check(sizes_of(space))
        except UserError as error:
            raise UserError(f"{folder.decode}: is damaged: calibration.{error}") from None
    tiles, preprocessing = _preprocessing(trained)
    return InferenceSpec(
        run=folder.name,
        fingerprint=_fingerprint(trained),
        versions=library_versions(),
        tasks=task_specs(space),
        impossible=tuple(np.flatnonzero(~space.possible).tolist()),
        heads=task_specs(learned),
        joint_term=config.evaluation().joint_term,
        image_size=preprocessing.size,
        crop=preprocessing.crop,
        fit=preprocessing.fit,
        background=preprocessing.decoding.background,
        value_range=preprocessing.decoding.value_range,
        mean=preprocessing.mean,
        std=preprocessing.std,
        rule=kept.rule() if kept else config.decode.unfitted(),
        temperatures=kept.temperatures if kept else {},
        shifts=kept.shifts if kept else {},
        calibration=calibration,
        flip=all(bool(member.config.augment.flip) for member in members(trained)),
        batch_size=config.training.batch_size,
        grouping=_grouping(trained, kept),
        tiles=tiles,
    )


def _preprocessing(trained: TrainedRun) -> tuple[tuple[TileSettings, ...] | None, Preprocessing]:
    """The tiles of an ensemble of runs, where there are several, and how an image becomes pixels."""
    config = trained.config
    if not trained.folder.is_ensemble:
        return None, config.data.preprocessing(config.model.backbone.normalisation())
    tiles, _ = distinct_tiles(ensemble_parts(trained))
    if len(tiles) == 1:
        return None, tiles[0].preprocessing()
    return tuple(tiles), TiledPreprocessing(tiles)


def _grouping(trained: TrainedRun, kept: FittedRules | None) -> GroupingSpec | None:
    """How groups are answered: as was fitted; where nobody validated, by the mean."""
    folder, config = trained
    if kept is None:
        tasks = folder.read_data().per_group if folder.data.is_file() else None
        if not tasks:
            return None
        return GroupingSpec(
            tasks=tasks, pooling=MeanPooling(), rule=config.decode.unfitted(), temperatures={}, shifts={}
        )
    found = kept.grouped
    if found is None:
        return None
    return GroupingSpec(
        tasks=found.tasks,
        pooling=found.pooling,
        rule=found.rule(),
        temperatures=found.temperatures,
        shifts=found.shifts,
        calibration=found.calibration,
    )


def _fingerprint(trained: TrainedRun) -> str:
    """A digest of what decides the answers: config, weights and decode rules."""
    digest = hashlib.blake2b(digest_size=16)
    folder = trained.folder
    files = [
        folder.config,
        folder.decode,
        *([folder.ensemble] if folder.is_ensemble else []),
        *(member.folder.best for member in members(trained)),
    ]
    for path in files:
        digest.update(content_digest(path) if path.is_file() else b"-")
    return digest.hexdigest()
