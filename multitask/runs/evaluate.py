"""Scores of a trained run on its own images, or on others with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from multitask.data.image_store import ImageStore
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.views import Views
from multitask.model.ensemble import Ensemble
from multitask.progress import Progress
from multitask.runs.build import build_network, load_weights
from multitask.runs.classifier import Classifier
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import fold_configs, members, write_ensemble_report, write_out_of_fold
from multitask.runs.data_module import DataModule
from multitask.runs.report import read_rules, write_report
from multitask.runs.viewed import AsPixels, ViewedNetwork
from multitask.training.device import resolve_device, resolve_precision
from multitask.training.memory import keep_freed_memory


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A run's network, or those of its folds as an ensemble, in evaluation mode.

    Attributes:
        network: (B, 3, H, W) to {head: (B, C_t) log-probabilities}.
        device: that it is on.
        dtype: that it computes in.
    """

    network: nn.Module
    device: torch.device
    dtype: torch.dtype

    @contextmanager
    def computing(self) -> Iterator[None]:
        """For the calling thread: no gradients, and the run's precision."""
        mixed = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, dtype=self.dtype, enabled=mixed):
            yield


def load_network(trained: TrainedRun) -> LoadedNetwork:
    """The network of a run, from its checkpoints.

    Raises:
        UserError: a fold is not finished; a checkpoint is missing or damaged.
    """
    device = resolve_device(trained.config.device)
    keep_freed_memory()
    networks = []
    for member in members(trained):
        network = build_network(member.config, device, pretrained=False)
        load_weights(network, member.folder.best)
        networks.append(network.eval())
    whole = networks[0] if trained.folder.num_folds is None else Ensemble(networks)
    return LoadedNetwork(whole, device, resolve_precision(trained.config.training.precision, device))


@contextmanager
def loaded(trained: TrainedRun) -> Iterator[tuple[nn.Module, torch.device]]:
    """The network of a run and its device, for the calling thread to compute with; errors as ``load_network``."""
    found = load_network(trained)
    with found.computing():
        yield found.network, found.device


def data_of(trained: TrainedRun) -> DataModule:
    """A run's data; of a run in folds, the first fold's."""
    folder, config = trained
    return DataModule(config if folder.num_folds is None else fold_configs(config, folder.num_folds)[0])


def evaluate(trained: TrainedRun, split: str, progress: Progress, views: Views | None = None) -> RunReport:
    """Scores a run on one of its splits, or on images with known answers, and writes report and predictions.

    Args:
        trained: the run.
        split: ``val``, ``train``, ``test``, ``all``, or ``eval``: the images of the source's queries, where an answer
            file stands beside them. Of a run in folds ``val`` is all groups, each answered by the fold's network;
            ``test`` and ``eval`` are answered by all of them together.
        progress: notified of every step of the work.
        views: that are averaged. Report and predictions are then named ``<split>-<views>``, and the decode rules that
            the run keeps stay.

    Returns:
        What ``report.json`` (``report-<split>.json``) now holds.

    Raises:
        UserError: the split is empty; the checkpoint is missing or damaged; data is missing;
            another process is writing the run.
    """
    with trained.folder.locked():
        if trained.folder.num_folds is not None and split not in ("eval", "test"):
            return _evaluate_folds(trained, split, progress, views)
        return _evaluate(trained, split, progress, views)


def _evaluate(trained: TrainedRun, split: str, progress: Progress, views: Views | None) -> RunReport:
    """Scores a run, or a run in folds as an ensemble."""
    folder, config = trained
    settings = config.evaluation()
    if split != "val":
        read_rules(folder, settings)  # what is wrong with them is said before any image is read
    data = data_of(trained)
    samples = scored_samples(trained, data, split, progress)
    with loaded(trained) as (network, device):
        if split != "eval" and data.store.cache == "disk":  # which holds the run's images, whole
            batches = data.batches(split, progress, device)
            images = data.image_facts(split, progress)
        else:
            store = ImageStore(config.data, samples, data.preprocessing)
            batches = plain_batches(samples, store, config.training.batch_size, progress)
            images = store.facts(np.arange(len(samples)), progress)
        if views is None:
            classifier = Classifier(network, data.preprocessing, device, settings)
        else:
            viewed = ViewedNetwork(network, data.preprocessing, views, data.space)
            classifier = Classifier(viewed, AsPixels(), device, settings)
        predictions = classifier.predict(samples, batches)
    name = _named(split, views)
    if folder.num_folds is not None:
        return write_ensemble_report(trained, name, predictions, data, images)
    return write_report(folder, name, predictions, settings, data, folder.read_history(), images)


def scored_samples(trained: TrainedRun, data: DataModule, split: str, progress: Progress) -> Samples:
    """The samples of a split, or, of ``eval``, the images of the source's queries with their answers.

    Raises:
        UserError: there are none.
    """
    settings = trained.config.data
    if split != "eval":
        if split == "val" and trained.config.final is not None:
            raise UserError(
                f"--split val: all groups train {trained.folder.path}; its report shows {trained.config.final}"
            )
        return samples_of(data, split, settings.val_fraction)
    samples = settings.source.answered(Path(settings.root), data.space)
    for note in samples.notes:
        progress.note(note)
    return samples


def samples_of(data: DataModule, split: str, val_fraction: float) -> Samples:
    """The samples of a split.

    Raises:
        UserError: nobody is in it.
    """
    indices = data.dataset.indices(split)
    if not len(indices):
        why = f"data.val_fraction is {val_fraction:g}"
        if split == "test":
            why = "the source must say which images test, by a table's split column or {split} in a pattern of folders"
        raise UserError(f"--split {split}: no image is in it ({why})")
    return data.samples.take(indices)


def _named(split: str, views: Views | None) -> str:
    return split if views is None else f"{split}-{views.name}"


def _evaluate_folds(trained: TrainedRun, split: str, progress: Progress, views: Views | None) -> RunReport:
    """Scores every fold's run again, and from what they answered the whole."""
    if split != "val":
        raise UserError(f"--split {split}: in folds every group trains and validates; val is all of them, unseen")
    for index, member in enumerate(members(trained)):
        progress.fold(index, trained.folder.num_folds or 0, False)
        evaluate(member, split, progress, views)
    return write_out_of_fold(trained, data_of(trained), _named(split, views))


def plain_batches(samples: Samples, store: ImageStore, batch_size: int, progress: Progress) -> Batches:
    """Batches of all samples, in their order, to be answered rather than learned."""
    targets = Targets(samples.labels, samples.numbers.astype(np.float32))
    return Batches(samples, targets, store.images(progress), np.arange(len(samples)), batch_size)
