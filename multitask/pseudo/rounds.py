"""Rounds of pseudo-labels: train on those of the round before, label anew, perhaps at a lower precision."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from multitask.config import Config, load_config
from multitask.errors import UserError
from multitask.evaluation.intervals import Difference
from multitask.evaluation.predictions import Predictions
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.run_spec import run_spec
from multitask.progress import Progress
from multitask.pseudo.label import NothingSureError, config_path, label_images
from multitask.pseudo.report_schema import read_report, report_path
from multitask.pseudo.rounds_folder import RoundsFolder
from multitask.pseudo.rounds_schema import RoundReport, RoundsBegun, RoundsReport
from multitask.pseudo.settings import RoundsSettings
from multitask.runs.comparison import paired_differences
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.folder import RunFolder
from multitask.runs.out_of_fold import read_out_of_fold
from multitask.runs.run import run as train
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json

_IN_FOLDS = (
    "the networks of all folds labelled together, all but one of which were trained on the groups that validate each "
    "network here, so that a little of the scores may be what they knew of these"
)


def pseudo_rounds(
    run: Path,
    data: str | os.PathLike[str],
    out: Path,
    settings: RoundsSettings,
    *,
    options: InputOptions | None = None,
    config: Config | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    allow_extensions: bool = False,
) -> RoundsReport:
    """Labels images and trains on them, several times; what was interrupted goes on where it stopped.

    Each round labels all images anew with the run of the round before, the first with ``run``, and trains from the
    beginning on the given labels and on these. A run in folds is trained in as many folds, and labels with the networks
    of all of them, already in the first round: all but one were trained on the groups that validate a student, which
    therefore learns from labels in which they had a say. A little of its score may be that, which the report says; the
    scores of a run with one split have none of it.

    Args:
        run: as of ``label_images``.
        data: likewise.
        out: the folder, which is made; as of ``RoundsFolder``.
        settings: what a head must be sure of in each round.
        options: as of ``label_images``.
        config: what is trained; None: the run's own config.
        device: where PyTorch computes the labels; None: the run's own setting.
        progress: notified of everything.
        allow_extensions: whether code that the run's config names may run.

    Returns:
        What ``report.json`` now holds. There are fewer rounds than asked for where no head is sure any more.

    Raises:
        UserError: as ``label_images`` and ``run``; the folder holds something else, or rounds that began otherwise.
    """
    progress, options = progress or Progress(), options or InputOptions()
    trained = read_run(run, allow_extensions=allow_extensions)
    read_out_of_fold(trained)
    wanted = config or trained.config
    folder = RoundsFolder(out)
    begun = RoundsBegun(
        run=str(run.resolve()),
        fingerprint=run_spec(trained).fingerprint,
        images=_digest(NamedInputs([os.fspath(data)], options)),
        config=hashlib.blake2b(wanted.to_yaml().encode(), digest_size=16).hexdigest(),
        settings=settings.model_dump(mode="json"),
    )
    with folder.begun(begun):
        rounds: list[RoundReport] = []
        teacher, before = run, None
        for number in range(1, settings.rounds + 1):
            table = folder.table(number)
            table.parent.mkdir(exist_ok=True)
            if not report_path(table).is_file():
                try:
                    label_images(
                        teacher,
                        data,
                        table,
                        settings.of_round(number),
                        options=options,
                        config=wanted,
                        own=trained,
                        number=number,
                        before=before,
                        device=device,
                        progress=progress,
                        allow_extensions=allow_extensions,
                    )
                except NothingSureError as error:
                    if number == 1:
                        raise
                    progress.note(f"round {number}: {error}; the rounds end here")
                    table.parent.rmdir()
                    break
            progress.note(f"round {number} of {settings.rounds}: training on {table}")
            student = _train(folder, number, trained.folder.num_folds, progress, allow_extensions)
            rounds.append(_scored(trained, student, table, number))
            teacher, before = student.folder.path, table
        report = RoundsReport(
            run=trained.folder.name, rounds=tuple(rounds), caveat=_IN_FOLDS if trained.folder.num_folds else ""
        )
        write_atomically(folder.report, record_to_json(report))
        return read_record(folder.report, RoundsReport)


def _train(
    folder: RoundsFolder, number: int, num_folds: int | None, progress: Progress, allow_extensions: bool
) -> TrainedRun:
    """Trains the run of a round, or goes on with it; in folds where ``num_folds`` says so."""
    path = folder.run(number)
    if not RunFolder(path).report().is_file():
        config = load_config(config_path(folder.table(number)), allow_extensions=allow_extensions)
        if num_folds is None:
            train(config, path, resume=True, progress=progress)
        else:
            run_folds(config, num_folds, path, resume=True, progress=progress)
    return read_run(path, allow_extensions=allow_extensions)


def _scored(first: TrainedRun, student: TrainedRun, table: Path, number: int) -> RoundReport:
    labels, scores = read_report(table), student.folder.read_report()
    return RoundReport(
        number=number,
        precision=labels.precision,
        num_images=labels.num_images,
        num_labelled=labels.num_labelled,
        given={head.task: head.num_given for head in labels.heads},
        macro_f1=scores.joint.macro_f1,
        macro_f1_ci=scores.joint.macro_f1_ci,
        differences=tuple(_differences(first, student)),
    )


def _differences(first: TrainedRun, student: TrainedRun) -> list[Difference]:
    """The student's scores against the first run's on the groups that both answered unseen; none where there are none.

    What was one source is one of several in the student's, so its images have other names there.
    """
    answers = []
    for folder, config in (first, student):
        own = Predictions.from_csv(folder.predictions(), config.space(), config.learned_space())
        images = np.array(config.data.source.own_names(own.images.tolist()), dtype=object)
        answers.append(replace(own, images=images))
    try:
        return paired_differences(("before", "after"), answers, first.config.seed)
    except UserError:  # another config, with a split of its own
        return []


def _digest(inputs: NamedInputs) -> str:
    """A digest of the images' paths and sizes.

    Raises:
        UserError: they come from standard input, which can be read once.
    """
    if "-" in inputs.paths:
        raise UserError("-: rounds read the images several times, and standard input can be read once; name a file")
    digest = hashlib.blake2b(digest_size=16)
    for item in inputs:
        assert isinstance(item.image, Path)
        size = item.image.stat().st_size if item.image.is_file() else -1
        digest.update(f"{item.image}\t{item.group}\t{size}\n".encode())
    return digest.hexdigest()
