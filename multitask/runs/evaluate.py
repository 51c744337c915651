"""Scores of a trained run on its own pictures, or on others with known answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multitask.config import Config
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.model.ensemble import Ensemble
from multitask.progress import Progress
from multitask.runs.build import build_network, load_weights
from multitask.runs.classifier import Classifier
from multitask.runs.cross_validation import fold_configs, members, write_ensemble_report, write_out_of_fold
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.runs.image_store import ImageStore
from multitask.runs.report import read_rules, write_report
from multitask.training.device import resolve_device, resolve_precision
from multitask.training.memory import keep_freed_memory


@contextmanager
def loaded(
    folder: RunFolder, config: Config
) -> Iterator[tuple[Callable[[Tensor], Mapping[str, Tensor]], torch.device]]:
    """What a run answers pictures with, and the device it is on: its network, or those of its folds as an ensemble.

    Raises:
        UserError: a fold is not finished; a checkpoint is missing or damaged.
    """
    device = resolve_device(config.device)
    keep_freed_memory()
    networks = []
    for member, own_config in members(folder, config):
        network = build_network(own_config, device, pretrained=False)
        load_weights(network, member.best)
        networks.append(network.eval())
    dtype = resolve_precision(config.training.precision, device)
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        yield networks[0] if folder.num_folds is None else Ensemble(networks), device


def data_of(folder: RunFolder, config: Config) -> DataModule:
    """A run's material; of a run in folds, the first fold's."""
    return DataModule(config if folder.num_folds is None else fold_configs(config, folder.num_folds)[0])


def evaluate(folder: RunFolder, config: Config, split: str, progress: Progress) -> dict[str, Any]:
    """Scores a run on one of its splits, or on pictures with known answers, and writes report and predictions.

    Args:
        folder: the run.
        config: its config.
        split: ``val``, ``train``, ``test``, ``all``, or ``eval``: the pictures of the source's queries, where an
            answer file stands beside them. Of a run in folds ``val`` is everybody, each answered by the fold's network;
            ``test`` and ``eval`` are answered by all of them together.
        progress: hears how it goes.

    Returns:
        What ``report.json`` (``report-<split>.json``) now holds.

    Raises:
        UserError: nobody is in the split; the checkpoint is missing or damaged; data is missing;
            another process is writing the run.
    """
    with folder.locked():
        return _evaluate(folder, config, split, progress)


def _evaluate(folder: RunFolder, config: Config, split: str, progress: Progress) -> dict[str, Any]:
    """As ``evaluate``, by the folder's only writer."""
    settings = config.evaluation()
    if folder.num_folds is not None and split not in ("eval", "test"):
        return _evaluate_folds(folder, config, split, progress)
    if split != "val":
        read_rules(folder, settings)  # what is wrong with them is said before any picture is read
    material = data_of(folder, config)
    if split == "eval":
        samples = config.data.source.answered(Path(config.data.root), material.space)
        for note in samples.notes:
            progress.note(note)
        indices = np.arange(len(samples))
    else:
        indices = material.indices(split)
        if not len(indices):
            why = f"data.val_fraction is {config.data.val_fraction:g}"
            if split == "test":
                why = "the source must say who tests, by a table's split column or {split} in a pattern of folders"
            raise UserError(f"--split {split}: nobody is in it ({why})")
        samples = material.samples.take(indices)
    with loaded(folder, config) as (network, device):
        if split != "eval" and material.gallery.cache == "disk":  # which holds the run's pictures, whole
            batches = material.batches(split, progress, device)
            seen = material.picture_facts(split, progress)
        else:
            gallery = ImageStore(config, samples, material.preprocessing)
            batches = batches_of(samples, config, gallery, progress)
            seen = gallery.facts(np.arange(len(samples)), progress)
        predictions = Classifier(network, material.preprocessing, device, settings).predict(samples, batches)
    if folder.num_folds is not None:
        return write_ensemble_report(folder, split, predictions, config, material, seen)
    return write_report(folder, split, predictions, settings, material, folder.read_history(), seen)


def _evaluate_folds(folder: RunFolder, config: Config, split: str, progress: Progress) -> dict[str, Any]:
    """Scores every fold's run again, and from what they answered the whole."""
    if split != "val":
        raise UserError(f"--split {split}: in folds everybody trains and validates; val is everybody, unseen")
    for index, (member, own_config) in enumerate(members(folder, config)):
        progress.fold(index, folder.num_folds or 0, False)
        evaluate(member, own_config, split, progress)
    return write_out_of_fold(folder, config, data_of(folder, config))


def batches_of(samples: Samples, config: Config, gallery: ImageStore, progress: Progress) -> Batches:
    """Batches of all samples, in their order; nobody keeps their pictures for other runs."""
    targets = Targets.of(samples, config.learned_space(), config.joint is not None)
    return Batches(samples, targets, gallery.pictures(progress), np.arange(len(samples)), config.training.batch_size)
