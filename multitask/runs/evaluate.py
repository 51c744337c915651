"""Scores of a trained run on its own images, or on others with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from multitask.data.image_store import ImageStore
from multitask.data.images import Preprocessing
from multitask.data.loading import Batches, in_batches
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.evaluation.decode import DecodeRule
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.views import Views, report_name
from multitask.progress import Progress
from multitask.runs.classifier import Classifier
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import fold_configs, members, write_ensemble_report, write_out_of_fold
from multitask.runs.data_module import DataModule
from multitask.runs.ensemble_parts import ensemble_form, ensemble_parts, read_ensemble
from multitask.runs.ensemble_report import write_answers_report, write_mixed_report
from multitask.runs.label_prior import with_label_prior
from multitask.runs.mixture import in_form, mixed
from multitask.runs.networks import loaded
from multitask.runs.report import read_rules, write_report
from multitask.runs.several_processes import DATA, SETTINGS, check_alike, of_samples
from multitask.runs.viewed import AsPixels, ViewedNetwork
from multitask.utils.files import content_digest
from multitask.utils.ranks import Ranks, ranks


def data_of(trained: TrainedRun) -> DataModule:
    """A run's data; of a run in folds, the first fold's."""
    folder, config = trained
    config = config if folder.num_folds is None else fold_configs(config, folder.num_folds)[0]
    return DataModule(config, trains=not folder.is_ensemble)


def evaluate(trained: TrainedRun, split: str, progress: Progress, views: Views | None = None) -> RunReport:
    """Scores a run on one of its splits, or on images with known answers, and writes report and predictions.

    Over several processes each answers some of the images; rank 0 scores and writes, and all return the same.

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
    here = ranks()
    with ExitStack() as stack:
        here.from_main(lambda: stack.enter_context(trained.folder.locked()))
        unseen = split in ("eval", "test")
        if trained.folder.is_ensemble:
            report = _evaluate_ensemble(trained, split, progress, views)
        elif trained.folder.num_folds is not None and not unseen:
            report = _evaluate_folds(trained, split, progress, views)
        else:
            report = _evaluate(trained, split, progress, views)
        # Of views nothing says how sure they are.
        return here.from_main(lambda: with_label_prior(trained, report) if unseen and views is None else report)


def _evaluate(trained: TrainedRun, split: str, progress: Progress, views: Views | None) -> RunReport:
    """Scores a run, or a run in folds as an ensemble."""
    folder, config = trained
    here, settings = ranks(), config.evaluation()
    if split != "val":
        read_rules(folder, settings)  # what is wrong with them is said before any image is read
    data = data_of(trained)
    samples = scored_samples(trained, data, split, progress)
    if split != "eval" and here.from_main(lambda: data.store.cache == "disk"):  # which holds the run's images, whole
        check_same_run(trained, samples, here)
        data.store.boxes(progress, here)  # by all, before rank 0 needs them
        images = here.from_main(lambda: data.image_facts(split, progress))
        with loaded(trained) as (network, device):
            batches = data.batches(split, progress, device)
            predictions = _classifier(trained, network, device, data.preprocessing, views).predict(samples, batches)
    else:
        store = ImageStore(config.data, samples, data.preprocessing)
        predictions = answers(trained, samples, store, progress, views)
        images = here.from_main(lambda: store.facts(np.arange(len(samples)), progress))
    name = report_name(split, views)
    if folder.num_folds is not None:
        return here.from_main(lambda: write_ensemble_report(trained, name, predictions, data, images))
    history = folder.read_history()
    return here.from_main(lambda: write_report(folder, name, predictions, settings, data, history, images))


def answers(
    trained: TrainedRun,
    samples: Samples,
    store: ImageStore,
    progress: Progress,
    views: Views | None = None,
    rule: DecodeRule | None = None,
) -> Predictions:
    """The predictions of a run for any samples.

    Args:
        trained: the run, and no ensemble of several.
        samples: any.
        store: their images, as the run sees them.
        progress: notified of every step of the work.
        views: that are averaged.
        rule: as of ``Classifier``.
    """
    with _answering(trained, samples, store, progress, views, rule) as (classifier, batches):
        return classifier.predict(samples, batches)


def answered_classes(
    trained: TrainedRun, samples: Samples, store: ImageStore, progress: Progress, rule: DecodeRule | None = None
) -> NDArray[np.int64]:
    """(N,) the classes of ``answers``; of millions of samples nothing else is kept. Arguments as of ``answers``."""
    with _answering(trained, samples, store, progress, None, rule) as (classifier, batches):
        return classifier.classes(batches)


@contextmanager
def _answering(
    trained: TrainedRun,
    samples: Samples,
    store: ImageStore,
    progress: Progress,
    views: Views | None,
    rule: DecodeRule | None,
) -> Iterator[tuple[Classifier, Batches]]:
    here = ranks()
    check_same_run(trained, samples, here)
    with loaded(trained) as (network, device):
        batches = plain_batches(samples, store, trained.config.training.batch_size, progress, here)
        yield _classifier(trained, network, device, store.preprocessing, views, rule), batches


def _classifier(
    trained: TrainedRun,
    network: nn.Module,
    device: torch.device,
    preprocessing: Preprocessing,
    views: Views | None,
    rule: DecodeRule | None = None,
) -> Classifier:
    settings = trained.config.evaluation()
    if views is None:
        return Classifier(network, preprocessing, device, settings, rule)
    viewed = ViewedNetwork(network, preprocessing, views, trained.config.space())
    return Classifier(viewed, AsPixels(), device, settings, rule)


def ensemble_answers(
    trained: TrainedRun,
    samples: Samples,
    progress: Progress,
    views: Views | None = None,
    rule: DecodeRule | None = None,
) -> Predictions:
    """The predictions of an ensemble of runs for any samples, its members one after the other; as of ``answers``."""
    found = []
    for part in ensemble_parts(trained):
        data = part.config.data
        store = ImageStore(data, samples, data.preprocessing(part.config.model.backbone.normalisation()))
        found.append(in_form(answers(part, samples, store, progress, views), ensemble_form(trained.config)))
    predictions = mixed(found, read_ensemble(trained.folder).mixing)
    rule = rule or trained.config.decode.unfitted()
    return replace(predictions, predicted=rule.decode(predictions.outputs()))


def _evaluate_ensemble(trained: TrainedRun, split: str, progress: Progress, views: Views | None) -> RunReport:
    """Scores an ensemble of runs: of ``val`` each of its members again, and from what they answered the whole."""
    if split not in ("val", "test", "eval"):
        raise UserError(
            f"--split {split}: what trains one member of an ensemble is unseen by another; take val or test"
        )
    if split == "val":
        for part in ensemble_parts(trained):
            evaluate(part, split, progress, views)
        return ranks().from_main(lambda: write_mixed_report(trained, report_name(split, views)))
    read_rules(trained.folder, trained.config.evaluation())
    samples = scored_samples(trained, data_of(trained), split, progress)
    predictions = ensemble_answers(trained, samples, progress, views)
    return ranks().from_main(lambda: write_answers_report(trained, report_name(split, views), predictions))


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


def _evaluate_folds(trained: TrainedRun, split: str, progress: Progress, views: Views | None) -> RunReport:
    """Scores every fold's run again, and from what they answered the whole."""
    if split != "val":
        raise UserError(f"--split {split}: in folds every group trains and validates; val is all of them, unseen")
    for index, member in enumerate(members(trained)):
        progress.fold(index, trained.folder.num_folds or 0, False)
        evaluate(member, split, progress, views)
    return ranks().from_main(lambda: write_out_of_fold(trained, data_of(trained), report_name(split, views)))


def check_same_run(trained: TrainedRun, samples: Samples, here: Ranks) -> None:
    """Checks that all processes have the same run, single or in folds, and the same images to answer.

    Raises:
        UserError: one does not; it names the rank.
    """
    if here.size == 1:
        return
    files = [member.folder.best for member in members(trained)]
    weights = [content_digest(path).hex() for path in files if path.is_file()]
    check_alike({SETTINGS: trained.config.to_yaml(), "weights": repr(weights), DATA: of_samples(samples)}, here)


def plain_batches(
    samples: Samples, store: ImageStore, batch_size: int, progress: Progress, here: Ranks | None = None
) -> Batches:
    """Batches of all samples, in their order, to be answered rather than learned; of several processes each has some.

    Args:
        samples: any.
        store: their images.
        batch_size: at most so many in a batch.
        progress: notified of every step of the work.
        here: the place of this process; None: the only one.
    """
    here = here or Ranks()
    targets = Targets(samples.labels, samples.numbers.astype(np.float32))
    indices = np.arange(len(samples))
    images = store.own_images(in_batches(indices, batch_size), here, progress)
    return Batches(samples, targets, images, indices, batch_size, ranks=here)
