"""A run in folds: a network per fold, each validated on the groups that it alone did not train on.

Every group is then answered by a network that never saw it, and the networks are one ensemble for all others. The
run's folder is a run folder like any other; below it, in ``folds``, stands the run of every fold.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from multitask.config import Config
from multitask.data.data_facts import DataFacts
from multitask.data.image_facts import CropCounts, ImageFacts
from multitask.data.settings import DataSettings
from multitask.data.sources import SeveralSettings
from multitask.errors import UserError
from multitask.evaluation.networks_schema import FoldScores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport, TrainingFacts
from multitask.evaluation.summary import distribution
from multitask.progress import EpochRecord, Progress
from multitask.runs.build_losses import number_centres
from multitask.runs.config import TrainedRun, load_run_config
from multitask.runs.data_module import DataModule
from multitask.runs.dealt_folds import train_folds
from multitask.runs.ensemble_parts import ensemble_parts
from multitask.runs.environment import environment
from multitask.runs.folder import RunFolder
from multitask.runs.report import ReportFacts, write_scores
from multitask.runs.resume import begin
from multitask.runs.run import RunResult
from multitask.runs.several_processes import check_folds, check_same
from multitask.settings import MOST_FOLDS
from multitask.training.device import resolve_device
from multitask.utils.files import csv_text, write_atomically
from multitask.utils.ranks import ranks
from multitask.utils.records import record_to_json, require


def fold_configs(config: Config, num_folds: int) -> list[Config]:
    """The config of every fold's run: the whole run's, but for who validates.

    Raises:
        UserError: there are too few folds, or the config says itself who validates.
    """
    if num_folds < 2:
        raise UserError(f"--folds: must be at least 2, found {num_folds}")
    if num_folds > MOST_FOLDS:
        raise UserError(f"--folds: must be at most {MOST_FOLDS}, found {num_folds}")
    data, usual = config.data, DataSettings.model_fields["val_fraction"].default
    if data.folds is not None:
        raise UserError(f"data.folds: is {data.folds}, but --folds {num_folds} runs every fold; leave it out")
    if data.val_fraction != usual:
        raise UserError(
            f"data.val_fraction: {data.val_fraction:g} would be ignored beside --folds {num_folds}; leave it out, or "
            f"--set data.val_fraction={usual:g}"
        )
    return [config.with_changes({"data.folds": num_folds, "data.fold": index}) for index in range(num_folds)]


def run_folds(
    config: Config,
    num_folds: int,
    out: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: Progress | None = None,
    reuse: Path | None = None,
    of_folds: Sequence[Config] | None = None,
) -> RunResult:
    """Trains a run for every fold, and reports on all groups, each answered by its fold's network.

    A fold's run is that of the same config with ``data.folds`` and ``data.fold`` set, to the bit: in one process one
    after the other, over several each fold in one of them.

    Args:
        config: everything but the folds.
        num_folds: how many; at least 2.
        out: the run folder, which must not hold a run unless it is resumed.
        resume: whether to go on with the first fold that is not finished. The outcome is that of a run which was never
            stopped.
        on_epoch: called with the record of each epoch that this process trains; what it raises ends the run.
        progress: notified of everything that this process does.
        reuse: as in ``run``.
        of_folds: the config of each fold, but for who validates, where it trains on other images that never validate;
            None: it is ``config``.

    Returns:
        With no history, which each fold has of its own.

    Raises:
        UserError: as ``run``; the config says itself who validates; there are fewer groups than folds.
    """
    progress, here = progress or Progress(), ranks()
    configs = fold_configs(config, num_folds)
    if of_folds is not None:
        configs = [fold_configs(one, num_folds)[index] for index, one in enumerate(of_folds)]
    check_folds(config, here)
    folder = RunFolder(out)
    with ExitStack() as stack:
        here.from_main(lambda: stack.enter_context(folder.claimed(resume, num_folds)))
        device = resolve_device(config.device)
        # All of them now, by who writes the split: a mistake in the last is one before training.
        data = [DataModule(fold) for fold in (configs if here.is_main else configs[:1])]
        whole = data[0] if of_folds is None else DataModule(fold_configs(config, num_folds)[0])
        check_same(config, whole.dataset, here)
        found = replace(whole.facts(), centres=number_centres(whole.dataset.without_test()))
        begun = here.from_main(folder.exists)
        here.from_main(lambda: begin(folder, config, found, environment(config.seed, device), progress, num_folds))
        try:
            here.from_main(lambda: _write_data(folder, whole, found, _folds(whole, data), progress))
            train_folds(folder, configs, found, on_epoch=on_epoch, progress=progress, reuse=reuse)
        except BaseException:
            if here.is_main and not begun and not any(folder.fold(index).exists() for index in range(num_folds)):
                _undo(folder)
            raise
        return RunResult(folder, here.from_main(lambda: write_out_of_fold(TrainedRun(folder, config), whole)), [])


def _write_data(folder: RunFolder, whole: DataModule, found: DataFacts, folds: list[str], progress: Progress) -> None:
    """Writes what the data is and who validates where, and tells what is in two folds."""
    if (note := whole.same_files_note(np.array(folds, dtype=object))) is not None:
        progress.note(note)
    write_atomically(folder.data, record_to_json(found))
    rows = zip(whole.samples.images, whole.samples.groups, folds, strict=True)
    write_atomically(folder.split, csv_text(("image", "group", "fold"), rows))


def _folds(whole: DataModule, data: list[DataModule]) -> list[str]:
    """The fold that each image validates in, or ``test``; nothing where it does in none."""
    samples = whole.samples
    folds = [""] * len(samples)
    for index, fold in enumerate(data):
        for row in fold.split.val:
            assert fold.samples.images[row] == samples.images[row], (
                f"{samples.images[row]} is elsewhere in fold {index}"
            )
            assert not folds[row], f"{samples.images[row]} validates in two folds"
            folds[row] = str(index)
    for row in whole.split.test:
        assert not folds[row], f"{samples.images[row]} tests, and validates in a fold"
        folds[row] = "test"
    return folds


def _undo(folder: RunFolder) -> None:
    """Removes a folder in which no fold has begun: a mistake that is found before training leaves nothing behind."""
    for path in (folder.config, folder.environment, folder.data, folder.split):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder.folds)


def members(trained: TrainedRun) -> list[TrainedRun]:
    """The runs whose networks answer for a run: itself, its folds, or those of an ensemble's members.

    Raises:
        UserError: a fold is not finished.
    """
    folder, config = trained
    if folder.is_ensemble:
        return [member for part in ensemble_parts(trained) for member in members(part)]
    num_folds = folder.num_folds
    if num_folds is None:
        return [trained]
    found = [folder.fold(index) for index in range(num_folds)]
    for index, member in enumerate(found):
        if not member.report().is_file():
            raise UserError(
                f"{folder.path}: fold {index} of {num_folds} is not finished; go on with `multitask train "
                f"{folder.config} --folds {num_folds} --out {folder.path} --resume`"
            )
    configs = [
        _with_own_tables(fold, member) for fold, member in zip(fold_configs(config, num_folds), found, strict=True)
    ]
    return [TrainedRun(*pair) for pair in zip(found, configs, strict=True)]


def _with_own_tables(config: Config, member: RunFolder) -> Config:
    """A fold's config with the tables that it was trained on in the place of the whole's, as of pseudo-labels."""
    source = config.data.source
    if not isinstance(source, SeveralSettings):
        return config
    own = load_run_config(member).data.source
    parts = own.sources if isinstance(own, SeveralSettings) else {}
    others = {
        name: parts[name].model_dump(mode="json")
        for name, part in source.sources.items()
        if name in parts and getattr(parts[name].source, "file", None) != getattr(part.source, "file", None)
    }
    if not others:
        return config
    return config.with_changes({"data.source.sources": source.model_dump(mode="json")["sources"] | others})


def write_out_of_fold(trained: TrainedRun, data: DataModule, name: str = "val") -> RunReport:
    """Writes the report on all groups, from the tables of predictions that the folds left.

    Args:
        trained: a run in folds, all of them finished.
        data: the first fold's.
        name: of their reports and predictions; the whole's have the same.

    Returns:
        What ``report.json`` now holds: beside what every report does, ``folds``.

    Raises:
        UserError: a fold is not finished, or what it left is damaged.
    """
    folder, config = trained
    space, learned = config.space(), config.learned_space()
    runs = members(trained)
    predictions = Predictions.concatenate(
        [Predictions.from_csv(member.predictions(name), space, learned) for member, _ in runs]
    )
    reports = [member.read_report(name) for member, _ in runs]
    folds = tuple(_fold_scores(index, report) for index, report in enumerate(reports))
    found = folder.read_data().images if folder.data.is_file() else ImageFacts()
    images = replace(found, crop=_total([report.crop for report in reports if report.crop is not None]))
    return write_ensemble_report(trained, name, predictions, data, images, folds)


def _fold_scores(index: int, report: RunReport) -> FoldScores:
    return FoldScores(
        fold=index,
        num_groups=report.num_groups,
        num_images=report.num_images,
        macro_f1=report.joint.macro_f1,
        tasks={task: scores.macro_f1 for task, scores in report.tasks.items()},
        best_epoch=report.training.best_epoch,
        num_epochs=report.training.num_epochs,
    )


def _total(crops: Sequence[CropCounts]) -> CropCounts | None:
    """The counts of all folds together; None where none has any."""
    if not crops:
        return None
    return replace(crops[0], found=sum(crop.found for crop in crops), fallback=sum(crop.fallback for crop in crops))


def write_ensemble_report(
    trained: TrainedRun,
    split: str,
    predictions: Predictions,
    data: DataModule,
    images: ImageFacts,
    folds: tuple[FoldScores, ...] | None = None,
) -> RunReport:
    """Writes the predictions and the report of one split of a run in folds; returns the report.

    Args:
        trained: the run.
        split: ``val`` for all groups, each answered by the network that did not train on it; of others, which all
            networks answer together, its name.
        predictions: of that split.
        data: the first fold's.
        images: what the networks see of the split's images.
        folds: the scores of each fold, over all groups.
    """
    folder, settings = trained.folder, trained.config.evaluation()
    trainings = []
    for member, _ in members(trained):
        trainings.append(member.read_report().training)
        require(trainings[-1], member.report(), "num_parameters")
    samples = data.dataset.without_test()
    facts = ReportFacts(
        empty_cells=replace(data.dataset.empty_cells, untrained=()),  # who validates in one fold trains in others
        class_distribution={"all folds": distribution(samples.labels, samples.groups, samples.space)},
        training=TrainingFacts(
            num_folds=len(trainings),
            best_epoch=None,  # each fold has its own
            num_epochs=sum(training.num_epochs for training in trainings),
            monitor=settings.monitor,
            kept=settings.kept,
            seconds=math.fsum(training.seconds for training in trainings),
            seed=settings.seed,
            backbone=settings.backbone,
            sharing=settings.sharing,
            num_parameters=sum(training.num_parameters or 0 for training in trainings),
            device=folder.read_environment("device").device,
        ),
        images=images,
        folds=folds,
    )
    return write_scores(folder, split, predictions, settings, samples, facts)
