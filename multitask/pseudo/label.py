"""Labels of unlabelled images, from the heads of a run that are sure of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from multitask.config import Config
from multitask.errors import UserError
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.predictor import Predictor
from multitask.labels import JOINT, MISSING
from multitask.progress import Progress
from multitask.pseudo.config import check_trains, is_config_of, sampler_note, with_pseudo_labels
from multitask.pseudo.labeller import Labeller, thresholds_at_any_prior
from multitask.pseudo.own_images import OwnImages
from multitask.pseudo.report_schema import PseudoReport, read_report, report_path
from multitask.pseudo.settings import PseudoSettings
from multitask.pseudo.table import PseudoLabels, columns_of, read_rounds, root_of, write_table
from multitask.pseudo.thresholds import LabelThreshold
from multitask.pseudo.unlabelled import answer_unlabelled
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.out_of_fold import read_out_of_fold
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json
from multitask.utils.seeds import derive


class NothingSureError(UserError):
    """No head is sure of any label; nothing is written."""


def label_images(
    run: Path,
    data: str | os.PathLike[str],
    out: Path,
    settings: PseudoSettings | None = None,
    *,
    options: InputOptions | None = None,
    config: Config | None = None,
    own: TrainedRun | None = None,
    number: int = 1,
    before: Path | None = None,
    fold: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    allow_extensions: bool = False,
) -> PseudoReport:
    """Labels images with the heads of a run that are sure, and writes them as a further, partial source.

    Three files: the table ``out``, which a ``table`` source reads; its report, ``.json`` beside; and a config,
    ``.yaml`` beside, which trains on the table too and can be run as it is.

    Args:
        run: a run's folder, in folds or with groups that validated.
        data: a folder of images; or a table, a list or a pattern of them, as of ``multitask predict``.
        out: the table, a ``.csv`` file.
        settings: what a head must be sure of; None: the defaults.
        options: how ``data`` is read, as to where groups are named; None: each image is on its own.
        config: what is to be trained with the labels; None: the run's own config.
        own: the run whose images, and groups, are left out of ``data``, as are those of ``config`` but for the table's
            of before; None: ``run``.
        number: of the round, from 1.
        before: the table of the round before; a label that is the same there keeps its round. None: there is none.
        fold: of a run in folds, the one whose network alone labels: it was trained on none of the fold's groups. What
            it must be sure of is found on the groups of the other folds, so that the labels may train a network that
            these groups validate. None: all networks label.
        device: where PyTorch computes; None: the run's own setting.
        progress: notified of everything.
        allow_extensions: whether code that the run's config names may run.

    Returns:
        What the report now holds.

    Raises:
        NothingSureError: no head is sure of any label; where none could be of any image, it is said before one is read.
        UserError: the run has no predictions of groups that it did not train on; there is no image, or none but the
            run's own; ``config`` cannot train on them, as of ``check_trains``; as of ``check_output``. Nothing is
            written then.
    """
    settings, progress = settings or PseudoSettings(), progress or Progress()
    inputs = NamedInputs([os.fspath(data)], options or InputOptions())
    check_output(out, inputs)
    trained = read_run(run, allow_extensions=allow_extensions)
    known = read_out_of_fold(trained, fold)
    wanted = config or trained.config
    tasks = {task.name: task.classes for task in known.space.tasks}
    check_trains(wanted, out, tasks, trained.folder.name)
    answering = run if fold is None else trained.folder.fold(fold).path
    seed, grouped = derive(trained.config.seed, "pseudo"), inputs.has_groups and known.grouped is not None
    alone = not (grouped and inputs.all_grouped)
    at_best = thresholds_at_any_prior(known, settings, seed, alone=alone, of_groups=grouped)
    _check_sure(answering, at_best, settings)
    own_images = OwnImages.of(own or trained, [] if config is None else [config], out)
    predictor = Predictor.load(answering, device=device, allow_extensions=allow_extensions)
    if inputs.has_groups and not grouped:
        progress.note("groups: no task of the run is per group, so that each image is judged by itself")
    images = answer_unlabelled(predictor, inputs, own_images, progress)
    heads = Labeller(known, images, settings, seed)
    labels, reports = heads.label()
    if (labels == MISSING).all():
        rows = [(head.task, row) for head in reports for row in (*head.labels, *head.group_labels)]
        _check_sure(answering, rows, settings)
        raise NothingSureError(
            f"{answering}: no head is sure of any of these images at a precision of {settings.precision:g}"
        )
    joint_prior, why = heads.prior(JOINT)
    found = PseudoLabels.of(known.space, images.paths, images.groups, labels, images.probs(known.space), number)
    if before is not None:
        found = found.since(read_rounds(before, known.space))
    report = PseudoReport(
        run=trained.folder.name,
        fold=fold,
        fingerprint=predictor.spec.fingerprint,
        round=number,
        tasks=tasks,
        given=found.tasks,
        columns=columns_of(known.space),
        root=root_of(out, found.paths),
        precision=settings.precision,
        certainty=settings.certainty,
        balance=settings.balance,
        weight=settings.weight,
        num_images=len(images),
        num_labelled=len(found),
        num_own=images.num_own,
        num_of_own_groups=images.num_of_own_groups,
        num_unreadable=images.num_unreadable,
        heads=reports,
        joint_prior=joint_prior,
        why_no_joint_prior=why,
    )
    trains = with_pseudo_labels(wanted, out, report)
    if note := sampler_note(wanted):
        progress.note(note)
    write_table(out, found, settings.weight, report.fingerprint)
    write_atomically(config_path(out), trains.to_yaml())
    write_atomically(report_path(out), record_to_json(report))
    return report


def config_path(table: Path) -> Path:
    """The config beside a table, which trains on it too."""
    return table.with_suffix(".yaml")


def check_output(out: Path, inputs: NamedInputs) -> None:
    """Refuses a table that cannot be written, or that would replace, itself or beside it, what is not one's own.

    Raises:
        UserError: it is no ``.csv`` file, its folder is not there or cannot be written to, or ``inputs`` are read from
            it; or a file beside it, where config and report go, is none of a table of labels.
    """
    if out.suffix.lower() != ".csv":
        raise UserError(f"{out}: the table of labels must end in .csv")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file that ends in .csv")
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"{out}: the folder {out.parent} cannot be written to")
    if out.exists() and any(os.path.exists(path) and os.path.samefile(out, path) for path in inputs.paths):
        raise UserError(f"{out}: is read, and so cannot be written to; name another file")
    for path, ours in ((config_path(out), is_config_of), (report_path(out), _is_report_of)):
        if path.exists() and not ours(path, out):
            raise UserError(f"{path}: exists and was not written beside {out.name}, where it would go; name another -o")


def _is_report_of(path: Path, table: Path) -> bool:
    try:
        read_report(table)
    except UserError:
        return False
    return True


def _check_sure(run: Path, found: Sequence[tuple[str, LabelThreshold]], settings: PseudoSettings) -> None:
    """Refuses a run of which no label, given with its task, has a threshold.

    Raises:
        NothingSureError: it is such a one.
    """
    if any(row.threshold is not None for _, row in found):
        return
    task, best = max(found, key=lambda item: item[1].precision_low or 0.0)
    low = best.precision_low
    nearest = f" (the nearest is {task} {best.label}, of which {low:.3f} is)" if low else ""
    raise NothingSureError(
        f"{run}: no head is sure enough: of no label a precision of {settings.precision:g} is proven{nearest}; ask for "
        "less with --precision, or train on more groups"
    )
