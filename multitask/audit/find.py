"""The suspects of a run in folds, written as a page and as corrections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.audit.folder import AuditFolder
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.evaluation.confident_learning import Rank
from multitask.evaluation.label_issues import find_suspects
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.suspects import Audit, Suspect
from multitask.progress import Progress
from multitask.reporting.audit.page import render_audit
from multitask.reporting.audit.report_schema import AuditReport
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.data_module import DataModule
from multitask.settings.yaml_text import dump_yaml
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json

MOST = 300
"""Suspects on the page, if not said otherwise."""


def read_folds(path: Path, data: Path | None = None) -> tuple[TrainedRun, Predictions]:
    """A run in folds with the predictions of its networks on the groups that they did not train on.

    Raises:
        UserError: there is no run, it is not in folds, or it is not finished.
    """
    trained = folder, config = read_run(path, data)
    if folder.num_folds is None:
        raise UserError(
            f"{path}: an audit needs answers by networks that did not train on the images; train with "
            f"`{trained.folds_command}`"
        )
    folder.read_report()
    predictions = Predictions.from_csv(folder.predictions(), config.space(), config.learned_space())
    return trained, predictions


def audit_run(
    path: Path,
    out: AuditFolder,
    *,
    data: Path | None = None,
    constant: Collection[str] | None = None,
    rank: Rank = "self_confidence",
    most: int = MOST,
    progress: Progress | None = None,
) -> Audit:
    """Finds the suspects of a run in folds and writes them down.

    Args:
        path: the run.
        out: where to.
        data: the data root, where it is not where the run was trained.
        constant: the tasks that are alike in all images of a group; None: those that are in the given labels.
        rank: what suspects are ranked by.
        most: so many are shown on the page.
        progress: notified while images are read.

    Raises:
        UserError: as ``read_folds``; the data is gone, or not that of the run; an image cannot be read.
    """
    trained, predictions = read_folds(path, data)
    folder, config = trained
    samples, settled = samples_of(trained, predictions)
    audit = find_suspects(predictions, constant=constant, rank=rank, settled=settled)
    shown = audit.suspects[:most]
    sure = [suspect for suspect in audit.suspects if suspect.is_sure]
    height, width = config.data.image_size
    page = render_audit(
        folder.name, audit, shown, samples, width / height, progress or Progress(), config.data.decoding()
    )
    out.path.mkdir(parents=True, exist_ok=True)
    write_atomically(out.figures, record_to_json(AuditReport.of(folder.name, audit, len(shown))))
    write_atomically(out.suspects, _corrections(folder.name, sure))
    write_atomically(out.page, page)
    return audit


def samples_of(trained: TrainedRun, predictions: Predictions) -> tuple[Samples, NDArray[np.bool_]]:
    """The samples in the order of the predictions, and (N, T) whether a correction decided on the label.

    Raises:
        UserError: the data is gone, or not that of the run.
    """
    folder, config = trained
    config.data.check_roots("; name the data root with --data")
    data = DataModule(config)
    places = {image: row for row, image in enumerate(data.samples.images)}
    rows = np.array([places.get(image, -1) for image in predictions.images], dtype=np.int64)
    validates = config.data.source.validates(data.samples)
    answered = np.ones(len(places), dtype=bool) if validates is None else validates.copy()
    answered[data.split.test] = False
    same = answered.sum() == len(rows) and (rows >= 0).all()
    if not same or (data.samples.labels[rows] != predictions.labels).any():
        where = config.data.root or "data.source"
        raise UserError(f"{where}: is not the data that the run in {folder.path} began with")
    return data.samples.take(rows), data.dataset.corrected[rows]


def _corrections(run: str, suspects: Sequence[Suspect]) -> str:
    """Suspects as a corrections file, each label once."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for suspect in sorted(suspects, key=lambda suspect: suspect.head == "joint"):  # a task's own word goes first
        for change in suspect.changes:
            rows.setdefault(
                (change.path, change.task, change.given),
                {
                    "path": change.path,
                    "field": change.task,
                    "from": change.given,
                    "to": change.suggested,
                    "reason": suspect.reason,
                    "source": f"multitask audit of {run}, not reviewed",
                    "tier": "weak",
                },
            )
    return dump_yaml({"corrections": list(rows.values())})
