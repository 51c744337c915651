"""The audit of a run in folds: its suspects as a page and as corrections, and what corrections bring.

The folder of an audit holds ``audit.json``, ``audit.html`` and ``suspects.yaml``, a corrections file of those that are
more probably wrong than right, unreviewed; where corrections were applied, ``applied/`` with them, the run that was
trained on them, and ``report.json``, the scores before and after.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.augment import changes_pictures
from multitask.data.corrections import DROP, TIERS, read_corrections
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.evaluation.label_issues import Audit, Rank, Suspect, find_suspects
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import summarise
from multitask.progress import Progress
from multitask.reporting.audit.page import render_audit
from multitask.reporting.audit.text import audit_sentences
from multitask.runs.comparison import Difference, paired_differences
from multitask.runs.config import read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.data_module import Material, decoding
from multitask.runs.folder import RunFolder
from multitask.settings.schema import override, validate
from multitask.settings.yaml_text import dump_yaml
from multitask.utils.files import plain, to_json, write_atomically

MOST = 300
"""Suspects on the page, if not said otherwise."""


@dataclass(frozen=True)
class AuditFolder:
    """The files of an audit."""

    path: Path

    @property
    def page(self) -> Path:
        """Where suspects are reviewed."""
        return self.path / "audit.html"

    @property
    def figures(self) -> Path:
        """What was found."""
        return self.path / "audit.json"

    @property
    def suspects(self) -> Path:
        """The surest suspects as corrections."""
        return self.path / "suspects.yaml"

    @property
    def accepted(self) -> Path:
        """Where the page's export is looked for, if no file is named."""
        return self.path / "corrections.yaml"

    @property
    def applied(self) -> Path:
        """What came of corrections."""
        return self.path / "applied"


def read_folds(path: Path, data: Path | None = None) -> tuple[RunFolder, Config, Predictions]:
    """A run in folds with what its networks say of the people that they did not train on.

    Raises:
        UserError: there is no run, it is not in folds, or it is not finished.
    """
    folder, config = read_run(path, data)
    if folder.num_folds is None:
        raise UserError(
            f"{path}: an audit needs answers by networks that did not train on the pictures; train with "
            f"`multitask train {folder.config} --folds 5 --out DIR`"
        )
    folder.read_report()
    predictions = Predictions.from_csv(folder.predictions(), config.space(), config.learned_space())
    return folder, config, predictions


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
        constant: the tasks that are alike in all pictures of a group; None: those that are in the given labels.
        rank: what suspects are ranked by.
        most: so many are shown on the page.
        progress: hears of the reading of pictures.

    Raises:
        UserError: as ``read_folds``; the data is gone, or not that of the run; a picture cannot be read.
    """
    folder, config, predictions = read_folds(path, data)
    samples, settled = _labels(folder, config, predictions)
    audit = find_suspects(predictions, constant=constant, rank=rank, settled=settled)
    shown = audit.suspects[:most]
    sure = [suspect for suspect in audit.suspects if suspect.is_sure]
    height, width = config.data.image_size
    page = render_audit(folder.name, audit, shown, samples, width / height, progress or Progress(), decoding(config))
    out.path.mkdir(parents=True, exist_ok=True)
    write_atomically(out.figures, to_json(_figures(folder, audit, len(shown), len(sure))))
    write_atomically(out.suspects, _corrections(folder.name, sure))
    write_atomically(out.page, page)
    return audit


def _labels(folder: RunFolder, config: Config, predictions: Predictions) -> tuple[Samples, NDArray[np.bool_]]:
    """The samples in the order of the predictions, and (N, T) whether a correction decided on the label."""
    for root in config.data.roots:
        if not root.is_dir():  # a synthetic source would draw it
            raise UserError(f"{root}: no such folder; name the data root with --data")
    material = Material(config)
    places = {image: row for row, image in enumerate(material.samples.images)}
    rows = np.array([places.get(image, -1) for image in predictions.images], dtype=np.int64)
    same = len(places) - len(material.split.test) == len(rows) and (rows >= 0).all()
    if not same or (material.samples.labels[rows] != predictions.labels).any():
        where = config.data.root or "data.source"
        raise UserError(f"{where}: is not the data that the run in {folder.path} began with")
    return material.samples.take(rows), material.corrected[rows]


def _corrections(run: str, suspects: Sequence[Suspect]) -> str:
    """Suspects as a corrections file, each label once."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
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


def _figures(folder: RunFolder, audit: Audit, num_shown: int, num_sure: int) -> dict[str, Any]:
    heads = []
    for row in audit.heads:
        pooling = row.pooling
        heads.append(
            {
                "head": row.head,
                "unit": row.unit,
                "num_units": row.num_units,
                "num_suspects": row.num_suspects,
                "num_listed": row.num_listed,
                "num_sure": row.num_sure,
                "accuracy": row.accuracy,
                "commonest": row.commonest,
                "beats_commonest": row.beats_commonest,
                "temperature": pooling.temperature,
                "correlation": pooling.correlation,
                "noise": pooling.noise,
            }
        )
    return {
        "run": folder.name,
        "constant": list(audit.constant),
        "nearly_constant": audit.nearly,
        "heads": heads,
        "num_suspects": len(audit.suspects),
        "num_shown": num_shown,
        "num_sure": num_sure,
        "sentences": audit_sentences(audit),
        "suspects": [asdict(suspect) for suspect in audit.suspects],
    }


# --- what corrections bring -------------------------------------------------------------------------------------------


def apply_corrections(
    path: Path, out: AuditFolder, file: Path, *, data: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Trains a run in folds again with corrections, and scores both on the same people.

    Folds, seeds and all settings but the corrections are those of the run. What was interrupted goes on where it
    stopped, and what is finished is only reported again.

    Args:
        path: the run in folds.
        out: the audit's folder; the outcome is in its ``applied``.
        file: the corrections.
        data: the data root, where it is not where the run was trained.
        progress: hears of everything.

    Returns:
        What ``applied/report.json`` now holds.

    Raises:
        UserError: as ``read_folds``; the file is malformed, does not fit the data, or holds nothing to apply; other
            corrections were applied here.
    """
    folder, config, before = read_folds(path, data)
    _labels(folder, config, before)
    copy = out.applied / f"corrections{file.suffix.lower()}"
    new = _corrected_config(config, file, file)
    Material(new)  # what does not fit the data is said before anything is written
    content = file.read_bytes()
    if copy.exists():
        if copy.read_bytes() != content:
            raise UserError(f"{out.applied}: holds what came of other corrections than {file}; name another --out")
    else:
        if out.applied.exists() and any(out.applied.iterdir()):
            raise UserError(f"{out.applied}: exists and holds no corrections; name another --out")
        out.applied.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, content)
    new = _corrected_config(config, copy, file)
    kept = out.applied / "kept"
    assert folder.num_folds is not None
    if config.model.backbone.freeze == "all" and not changes_pictures(config.augment):
        kept.mkdir(exist_ok=True)  # what a frozen backbone makes of the pictures is the same in every fold
    run_folds(
        new,
        folder.num_folds,
        out.applied / "run",
        resume=True,
        progress=progress,
        reuse=kept if kept.is_dir() else None,
    )
    shutil.rmtree(kept, ignore_errors=True)
    _, _, after = read_folds(out.applied / "run")
    report = {
        "run": folder.name,
        "corrections": str(file),
        "num_changed": _num_changed(before, after),
        **before_and_after(before, after, config.seed),
    }
    write_atomically(out.applied / "report.json", to_json(report))
    return plain(report)


def _corrected_config(config: Config, copy: Path, file: Path) -> Config:
    """The config with one more file of corrections.

    Where it names none itself, all that the file holds is applied but what is contested; else the tier is the config's.
    """
    tiers = [row.tier for _, row in read_corrections(file)]
    own = config.data.corrections
    if own is None:
        wanted = [tier for tier in tiers if tier != "contested"]
        if not wanted:
            what = "only contested corrections" if tiers else "no corrections"
            raise UserError(f"{file}: holds {what}; there is nothing to apply")
        section: dict[str, Any] = {"files": [str(copy.resolve())], "tier": max(wanted, key=TIERS.index)}
    else:
        lower = sum(TIERS.index(tier) > TIERS.index(own.tier) for tier in tiers)
        if lower == len(tiers):
            raise UserError(
                f"{file}: holds nothing to apply: all {len(tiers)} corrections are of a lower tier than {own.tier}, "
                "the run's data.corrections.tier"
            )
        section = {**own.model_dump(mode="json"), "files": [*map(str, own.files), str(copy.resolve())]}
    changed = override(Config, config.model_dump(mode="json"), {"data.corrections": section})
    return validate(Config, changed)


def _num_changed(before: Predictions, after: Predictions) -> dict[str, int]:
    """How many pictures got another label, per task, and how many were dropped."""
    places = {image: row for row, image in enumerate(before.images)}
    old = before.labels[[places[image] for image in after.images]]
    changed = (old != after.labels).sum(axis=0)
    return {
        **{task: int(number) for task, number in zip(before.space.task_names, changed, strict=True)},
        DROP: len(before) - len(after),
    }


def before_and_after(before: Predictions, after: Predictions, seed: int) -> dict[str, Any]:
    """Scores of a run and of the one with corrections, on the pictures that both answered.

    Args:
        before: out of fold, with the labels as they were given.
        after: likewise, with the corrected labels.
        seed: of the resampling.

    Returns:
        Per labelling, ``corrected`` and ``given``: ``num_images``, ``num_groups``; ``scores``, metric -> ``before`` and
        ``after``, each a value with its interval; ``differences``, the paired ones.
    """
    places = {image: row for row, image in enumerate(before.images)}
    before = before.take(np.array([places[image] for image in after.images], dtype=np.int64))
    report = {}
    for name, labels in (("corrected", after.labels), ("given", before.labels)):
        pair = [replace(predictions, labels=labels) for predictions in (before, after)]
        differences = paired_differences(("before", "after"), pair, seed)
        figures = [_scores(summarise(predictions, {}, seed)) for predictions in pair]
        report[name] = {
            "num_images": len(after),
            "num_groups": after.num_groups,
            "scores": {metric: {"before": figures[0][metric], "after": figures[1][metric]} for metric in figures[0]},
            "differences": [asdict(difference) for difference in differences],
        }
    return report


def _scores(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Metric -> its value and interval."""
    named = {"joint": summary["joint"], **{f"tasks.{task}": figures for task, figures in summary["tasks"].items()}}
    return {
        f"{name}.macro_f1": {"value": figures["macro_f1"], "ci": figures["macro_f1_ci"]}
        for name, figures in named.items()
    }


def differences_of(report: Mapping[str, Any]) -> list[Difference]:
    """The differences that a labelling's part of the report holds."""
    return [Difference(**row) for row in report["differences"]]
