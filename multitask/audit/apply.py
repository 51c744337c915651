"""The effect of corrections: the run again on corrected labels, and its scores beside those before."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from multitask.audit.find import read_folds, samples_of
from multitask.audit.folder import AuditFolder
from multitask.data.corrections import DROP, TIERS, CorrectionsSettings, read_corrections
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import summarise
from multitask.progress import Progress
from multitask.reporting.audit.report_schema import BeforeAfter, CorrectionsReport, LabellingReport
from multitask.reporting.figures import IntervalScore
from multitask.runs.comparison import paired_differences
from multitask.runs.cross_validation import run_folds
from multitask.runs.data_module import DataModule
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json


def apply_corrections(
    path: Path, out: AuditFolder, file: Path, *, data: Path | None = None, progress: Progress | None = None
) -> CorrectionsReport:
    """Trains a run in folds again with corrections, and scores both on the same groups.

    Folds, seeds and all settings but the corrections are those of the run. What was interrupted goes on where it
    stopped, and what is finished is only reported again.

    Args:
        path: the run in folds.
        out: the audit's folder; the outcome is in its ``applied``.
        file: the corrections.
        data: the data root, where it is not where the run was trained.
        progress: notified of everything.

    Returns:
        What ``applied/report.json`` now holds.

    Raises:
        UserError: as ``read_folds``; the file is malformed, does not fit the data, or holds nothing to apply; other
            corrections were applied here.
    """
    trained, before = read_folds(path, data)
    folder, config = trained
    samples_of(trained, before)
    copy = out.applied / f"corrections{file.suffix.lower()}"
    own = config.data.corrections
    DataModule(
        config.with_changes({"data.corrections": _with_file(own, file, file)})
    )  # what does not fit the data is said before anything is written
    content = file.read_bytes()
    if copy.exists():
        if copy.read_bytes() != content:
            raise UserError(f"{out.applied}: holds what came of other corrections than {file}; name another --out")
    else:
        if out.applied.exists() and any(out.applied.iterdir()):
            raise UserError(f"{out.applied}: exists and holds no corrections; name another --out")
        out.applied.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, content)
    new = config.with_changes({"data.corrections": _with_file(own, copy, file)})
    kept = out.applied / "kept"
    assert folder.num_folds is not None
    if config.model.backbone.freeze == "all" and not any(
        augment.changes_images for augment in config.data.augmentations(config.augment).values()
    ):
        kept.mkdir(exist_ok=True)  # what a frozen backbone makes of the images is the same in every fold
    run_folds(
        new,
        folder.num_folds,
        out.applied / "run",
        resume=True,
        progress=progress,
        reuse=kept if kept.is_dir() else None,
    )
    shutil.rmtree(kept, ignore_errors=True)
    _, after = read_folds(out.applied / "run")
    corrected, given = before_and_after(before, after, config.seed)
    report = CorrectionsReport(folder.name, str(file), _num_changed(before, after), corrected, given)
    write_atomically(out.report, record_to_json(report))
    return read_record(out.report, CorrectionsReport)  # the same now as whenever it is read


def _with_file(own: CorrectionsSettings | None, copy: Path, file: Path) -> dict[str, object]:
    """The ``data.corrections`` section with one more file.

    Where there is none yet, all that the file holds is applied but what is contested; else the tier stays.

    Args:
        own: the run's section.
        copy: the file's path in the section.
        file: the same, as the user named it.

    Raises:
        UserError: the file is malformed, or holds nothing to apply.
    """
    tiers = [row.tier for _, row in read_corrections(file)]
    if own is None:
        wanted = [tier for tier in tiers if tier != "contested"]
        if not wanted:
            what = "only contested corrections" if tiers else "no corrections"
            raise UserError(f"{file}: holds {what}; there is nothing to apply")
        return {"files": [str(copy.resolve())], "tier": max(wanted, key=TIERS.index)}
    lower = sum(TIERS.index(tier) > TIERS.index(own.tier) for tier in tiers)
    if lower == len(tiers):
        raise UserError(
            f"{file}: holds nothing to apply: all {len(tiers):,} corrections are of a lower tier than {own.tier}, "
            "the run's data.corrections.tier"
        )
    return {**own.model_dump(mode="json"), "files": [*map(str, own.files), str(copy.resolve())]}


def _num_changed(before: Predictions, after: Predictions) -> dict[str, int]:
    """The number of images that got another label, per task, and of those that were dropped."""
    places = {image: row for row, image in enumerate(before.images)}
    old = before.labels[[places[image] for image in after.images]]
    changed = (old != after.labels).sum(axis=0)
    return {
        **{task: int(number) for task, number in zip(before.space.task_names, changed, strict=True)},
        DROP: len(before) - len(after),
    }


def before_and_after(before: Predictions, after: Predictions, seed: int) -> tuple[LabellingReport, LabellingReport]:
    """Scores of a run and of the one with corrections, on the images that both answered.

    Args:
        before: out of fold, with the labels as they were given.
        after: likewise, with the corrected labels.
        seed: of the resampling.

    Returns:
        By the corrected labels, and by the given ones.
    """
    places = {image: row for row, image in enumerate(before.images)}
    before = before.take(np.array([places[image] for image in after.images], dtype=np.int64))
    corrected, given = (
        _scored_by([replace(predictions, labels=labels) for predictions in (before, after)], seed)
        for labels in (after.labels, before.labels)
    )
    return corrected, given


def _scored_by(pair: Sequence[Predictions], seed: int) -> LabellingReport:
    """Both runs by the labels that they are given."""
    before, after = (_scores(predictions, seed) for predictions in pair)
    return LabellingReport(
        num_images=len(pair[1]),
        num_groups=pair[1].num_groups,
        scores={metric: BeforeAfter(before[metric], after[metric]) for metric in before},
        differences=tuple(paired_differences(("before", "after"), pair, seed)),
    )


def _scores(predictions: Predictions, seed: int) -> dict[str, IntervalScore]:
    """By metric."""
    summary = summarise(predictions, {}, seed)
    named = {"joint": summary.joint, **{f"tasks.{task}": scores for task, scores in summary.tasks.items()}}
    return {f"{name}.macro_f1": IntervalScore(scores.macro_f1, scores.macro_f1_ci) for name, scores in named.items()}
