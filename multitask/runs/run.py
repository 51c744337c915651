"""One run, from a config to its report: the only place where the parts meet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from multitask.config import Config
from multitask.data.data_facts import DataFacts
from multitask.data.loading import Batches
from multitask.errors import DivergedError
from multitask.evaluation.report_schema import RunReport
from multitask.model.network import Network
from multitask.progress import EpochRecord, Progress
from multitask.reporting.text import image_notes
from multitask.runs.build import build_network, build_trainer, built_on, load_weights_over_ranks
from multitask.runs.build_losses import number_centres
from multitask.runs.checks import check_accumulate, check_balancer, check_consistency, check_smallest_batch
from multitask.runs.classifier import Classifier
from multitask.runs.data_module import DataModule
from multitask.runs.environment import environment
from multitask.runs.fitted_on_folds import FoldsRun
from multitask.runs.folder import RunFolder
from multitask.runs.records import RunEnvironment
from multitask.runs.report import class_distribution, training_facts, write_report
from multitask.runs.resume import begin, check_best, check_frozen
from multitask.runs.several_processes import check_config, check_parts, check_same, check_sharded
from multitask.runs.start_from import start_from_run
from multitask.runs.validation import Validation
from multitask.tracking.trackers import Trackers
from multitask.training.device import make_deterministic, resolve_device
from multitask.training.distributed import broadcast_state
from multitask.training.loop import Trainer
from multitask.training.memory import keep_freed_memory
from multitask.utils.files import csv_text, write_atomically
from multitask.utils.ranks import ranks
from multitask.utils.records import record_to_json


@dataclass(frozen=True, eq=False)
class RunResult:
    """The folder, the report and the epochs of a run.

    Attributes:
        folder: its folder; gone if none was asked for.
        report: what ``report.json`` holds; None where nobody validates.
        history: the rows of ``metrics.jsonl``.
    """

    folder: RunFolder
    report: RunReport | None
    history: list[EpochRecord]


def run(
    config: Config,
    out: Path | None = None,
    *,
    resume: bool = False,
    resumable: bool = True,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: Progress | None = None,
    reuse: Path | None = None,
) -> RunResult:
    """Trains, picks the best epoch, and reports on the groups that validate.

    Args:
        config: everything.
        out: the run folder, which must not hold a run unless it is resumed; None: nothing is kept.
        resume: whether to go on from the last finished epoch of the run in ``out``, if there is one, or from the last
            checkpoint within an epoch. The outcome is that of a run which was never stopped.
        resumable: whether the state to go on from is written after every epoch, where ``out`` is kept.
        on_epoch: called with each epoch's record; what it raises ends the run.
        progress: notified of everything.
        reuse: a folder in which decoded images and, where nothing can change them, pooled features are kept for
            other runs; None: nothing is kept.

    Raises:
        UserError: the data, the weights or the folder are not as they must be, or a loss is no number any more.
    """
    progress = progress or Progress()
    here, resumable = ranks(), resumable and out is not None
    with ExitStack() as stack:
        if out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        folder = RunFolder(out)
        check_config(config, here)
        here.from_main(lambda: stack.enter_context(folder.claimed(resume)))
        device = resolve_device(config.device)
        check_sharded(config, device, here)
        make_deterministic(device)
        keep_freed_memory()
        tracking = config.tracking if here.is_main else ()
        for row in tracking:
            row.require()
        on_folds = None if config.final is None else FoldsRun.read(Path(config.final), config)
        data = DataModule(config, reuse)
        check_same(config, data.dataset, here)
        for note in data.samples.notes:
            progress.note(note)

        # A checkpoint to go on from does not hold what is frozen.
        backbone = config.model.backbone
        resumed, has_last = here.from_main(lambda: (folder.last.exists() or folder.step.exists(), folder.last.exists()))
        pretrained = backbone.freeze != "none" or not (resume and resumed)
        network = build_network(config, built_on(config, device, here), pretrained)
        start_from_run(network, config, data)
        if here.size > 1:
            broadcast_state(network)
        check_balancer(config.balancer, backbone, network)
        data.use_features(network.backbone, progress)
        train = data.batches("train", progress, device, train=True)
        check_accumulate(config.training, train.num_batches)
        check_parts(train.num_images, train.num_batches, config.training.batch_size, here)
        check_consistency(data.consistent_tasks, train)
        num_parts = 1 if config.model.batch_norm == "synchronised" else here.size
        check_smallest_batch(
            network, backbone.name, config.data.image_size, config.training.batch_size, train, num_parts
        )
        # Before the folder is made: what cannot be built leaves none that the corrected line would then refuse.
        trainer = build_trainer(config, data, network, train.num_batches, device)

        here.from_main(lambda: _begin(folder, config, data, network, device, on_folds, progress))
        if resumed:
            if has_last:
                trainer.resume(folder.last)
            trainer.resume_part(folder.step)
            here.from_main(lambda: _check_resumed(folder, trainer))

        epochs_before, told = len(trainer.history), config.model_dump(mode="json")
        trackers = stack.enter_context(Trackers(tracking, folder.path, told, epochs_before, progress))

        settings = config.evaluation()
        bound_of = config.training.monitor if config.training.keep_rule.name == "lower_bound" else None

        def scored(split: str) -> Validation | None:
            if not len(indices := data.dataset.indices(split)):
                return None
            classifier = Classifier(trainer.network, data.normaliser, device, settings)
            return Validation(classifier, data.samples.take(indices), data.batches(split, progress, device), bound_of)

        validation = scored(data.split.picks)
        progress.training(len(trainer.history) + 1, config.training.epochs, train.num_batches, data.space.task_names)
        told_of_epochs = [trackers.epoch, *([on_epoch] if on_epoch else [])]
        _fit(trainer, train, validation, folder, told_of_epochs, progress, resumable)
        report = None
        answers = validation if data.split.picks == "val" else scored("val")
        if answers is not None:
            predictions = answers.best
            if predictions is None:  # the best epoch was before the run was resumed, or others picked it
                load_weights_over_ranks(network, folder.best)
                with trainer.evaluating(trainer.network) as evaluated:  # the same, or what follows its frozen part
                    predictions = answers.predict(evaluated)
            if here.is_main:
                images = data.image_facts("val", progress)
                report = write_report(folder, "val", predictions, settings, data, trainer.history, images)
        elif on_folds is not None and here.is_main:
            facts = training_facts(folder, settings, trainer.history)
            report = on_folds.write_report(folder, facts, class_distribution(data))
        if report is not None:
            trackers.report(_scores(report), [folder.config, folder.report()])
        return RunResult(folder, report, trainer.history)


def _scores(report: RunReport) -> dict[str, Any]:
    """What trackers are told of a report."""
    parts = {"joint": report.joint, **{f"tasks.{name}": scores for name, scores in report.tasks.items()}}
    return {name: {"macro_f1": part.macro_f1, "accuracy": part.accuracy} for name, part in parts.items()}


def _begin(
    folder: RunFolder,
    config: Config,
    data: DataModule,
    network: Network,
    device: torch.device,
    on_folds: FoldsRun | None,
    progress: Progress,
) -> None:
    """Writes what a run begins with, or checks that the one in the folder began with the same."""
    # Where it is kept, no checkpoint to go on from holds it.
    is_kept = network.backbone.frozen or data.trained_stages is not None
    frozen = network.backbone.state_digest() if is_kept else None
    began = RunEnvironment(
        **vars(environment(config.seed, device)),
        num_parameters=sum(weight.numel() for weight in network.parameters()),
        frozen_backbone=frozen,
    )
    found = replace(data.facts(), centres=number_centres(data.dataset.training_samples()))
    begin(folder, config, found, began, progress)
    check_frozen(folder, frozen, config.model.backbone.weights)
    _write_data(folder, data, found, progress)
    if on_folds is not None:
        on_folds.write_rules(folder)


def _check_resumed(folder: RunFolder, trainer: Trainer) -> None:
    """Checks what is kept of the best epoch, and writes the history that goes on."""
    if not trainer.history:  # it stopped within the first epoch
        return
    check_best(folder, trainer.history)
    folder.write_history(trainer.history)


def _write_data(folder: RunFolder, data: DataModule, found: DataFacts, progress: Progress) -> None:
    """Writes what the data is and who trains, and tells what the network does not see of the images."""
    images = data.image_facts("all", progress)
    for note in image_notes(images):
        progress.note(note)
    side = data.split.names(len(data.samples), "unused")
    if (leak := data.same_files_note(np.where(side == "unused", "", side))) is not None:
        progress.note(leak)
    write_atomically(folder.data, record_to_json(found.with_images(images)))
    rows = zip(data.samples.images, data.samples.groups, side, strict=True)
    write_atomically(folder.split, csv_text(("image", "group", "split"), rows))


def _fit(
    trainer: Trainer,
    batches: Batches,
    validation: Validation | None,
    folder: RunFolder,
    on_epoch: Sequence[Callable[[EpochRecord], None]],
    progress: Progress,
    resumable: bool,
) -> None:
    """Trains, with the history in the folder after every epoch; where it diverges, the folder says why."""

    def after_epoch(record: EpochRecord) -> None:
        if validation is not None and record.is_kept:
            validation.keep()
        if ranks().is_main:
            folder.write_history(trainer.history)
        for tell in on_epoch:
            tell(record)

    try:
        trainer.fit(
            batches, validation, folder.checkpoints, on_epoch=after_epoch, progress=progress, resumable=resumable
        )
    except DivergedError as error:
        if ranks().is_main:
            folder.fail(str(error))
        raise
    if ranks().is_main:
        folder.failure.unlink(missing_ok=True)
