"""Rounds of pseudo-labels: train on those of the round before, label anew, perhaps at a lower precision."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multitask.config import Config, load_config
from multitask.errors import UserError
from multitask.evaluation.intervals import Difference
from multitask.evaluation.predictions import Predictions
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.run_spec import run_spec
from multitask.progress import Progress
from multitask.pseudo.folds import caveat, fold_training_configs, seen_folds
from multitask.pseudo.label import NothingSureError, config_path, label_images
from multitask.pseudo.report_schema import read_report, report_path
from multitask.pseudo.rounds_folder import RoundsFolder
from multitask.pseudo.rounds_schema import RoundReport, RoundsBegun, RoundsReport
from multitask.pseudo.settings import PseudoSettings, RoundsSettings
from multitask.runs.comparison import paired_differences
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.folder import RunFolder
from multitask.runs.out_of_fold import read_out_of_fold
from multitask.runs.run import run as train
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json


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
    beginning on the given labels and on these. A run in folds is trained in as many folds: each learns from labels of
    the one network of the round before that was not trained on the groups that validate it, which owe them no more
    than the temperatures of that network; where there is none that is sure, the report says so. The table that is left
    for use has the labels of all networks.

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
        labelling = _Labelling(data, wanted, trained, options, device, progress, allow_extensions)
        tainted = seen_folds(trained, wanted)
        teacher, before = run, None
        for number in range(1, settings.rounds + 1):
            table = folder.table(number)
            table.parent.mkdir(exist_ok=True)
            asked = settings.of_round(number)
            try:
                labelling.label(teacher, table, asked, number, before)
            except NothingSureError as error:
                if number == 1:
                    raise
                progress.warn(f"round {number}: {error}; the rounds end here")
                table.parent.rmdir()
                break
            tainted |= labelling.label_for_folds(teacher, folder, asked, number, tainted)
            of_folds = [
                table if fold in tainted else folder.fold_table(number, fold)
                for fold in range(trained.folder.num_folds or 0)
            ]
            shown = f"round {number} of {settings.rounds}"
            student = _train(folder.run(number), table, of_folds, shown, progress, allow_extensions)
            rounds.append(_scored(trained, student, table, number))
            teacher, before = student.folder.path, table
        report = RoundsReport(run=trained.folder.name, rounds=tuple(rounds), caveat=caveat(tainted))
        write_atomically(folder.report, record_to_json(report))
        return read_record(folder.report, RoundsReport)


@dataclass(frozen=True, eq=False)
class _Labelling:
    """What is the same whenever images are labelled; attributes as of ``label_images``.

    Attributes:
        first: the run that labels first.
    """

    data: str | os.PathLike[str]
    config: Config
    first: TrainedRun
    options: InputOptions
    device: str | None
    progress: Progress
    allow_extensions: bool

    def label(
        self,
        run: Path,
        table: Path,
        settings: PseudoSettings,
        number: int,
        before: Path | None,
        fold: int | None = None,
    ) -> None:
        """Labels images with a run, or the network of one of its folds, unless an earlier launch has done so."""
        if report_path(table).is_file():
            return
        label_images(
            run,
            self.data,
            table,
            settings,
            options=self.options,
            config=self.config,
            own=self.first,
            number=number,
            before=before,
            fold=fold,
            device=self.device,
            progress=self.progress,
            allow_extensions=self.allow_extensions,
        )

    def label_for_folds(
        self, run: Path, folder: RoundsFolder, settings: PseudoSettings, number: int, but: AbstractSet[int]
    ) -> set[int]:
        """Labels images for each fold of a round, but for some.

        Returns:
            The folds for which nothing is sure, or that an earlier launch began to train without labels of their own.
        """
        unsure = set()
        for fold in set(range(self.first.folder.num_folds or 0)) - but:
            table, before = folder.fold_table(number, fold), folder.fold_table(number - 1, fold)
            if RunFolder(folder.run(number)).exists() and not report_path(table).is_file():
                unsure.add(fold)
                continue
            try:
                self.label(run, table, settings, number, before if number > 1 else None, fold)
            except NothingSureError as error:
                self.progress.warn(f"round {number}: {error}; fold {fold} learns from the labels of all networks")
                unsure.add(fold)
        return unsure


def _train(
    path: Path, table: Path, of_folds: Sequence[Path], shown: str, progress: Progress, allow_extensions: bool
) -> TrainedRun:
    """Trains the run of a round, or goes on with it; one that is finished is only read.

    Args:
        path: its folder.
        table: the labels that it trains on.
        of_folds: those of each fold, where it is in folds; empty: it is not.
        shown: what the round is called.
        progress: notified of everything.
        allow_extensions: as of ``pseudo_rounds``.
    """
    if not RunFolder(path).report().is_file():
        progress.note(f"{shown}: training on {table}")
        config = load_config(config_path(table), allow_extensions=allow_extensions)
        if of_folds:
            configs = fold_training_configs(config, table, of_folds)
            run_folds(config, len(configs), path, resume=True, progress=progress, of_folds=configs)
        else:
            train(config, path, resume=True, progress=progress)
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
        tasks={name: task.macro_f1 for name, task in scores.tasks.items()},
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
