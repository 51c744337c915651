"""The page of one run: what its report holds, put into the order and the words that the template prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from multitask.evaluation.metrics import MATRIX_CLASSES
from multitask.evaluation.report_schema import ClassDistribution, RunReport, TrainingFacts
from multitask.evaluation.scores import LabellingScores
from multitask.progress import EpochRecord
from multitask.reporting.html import CaptionedImage, EmbeddedImage, Mistake, embedded, render
from multitask.reporting.run import plots
from multitask.reporting.run.balance import balance_view
from multitask.reporting.run.class_scores import LISTED_CLASSES, LONG_CLASSES, absent_in_words, class_scores
from multitask.reporting.run.decode_rules import rules_view
from multitask.reporting.run.empty_cells import impossible_yaml, never_in_words
from multitask.reporting.run.ensemble import ensemble_view
from multitask.reporting.run.groups import groups_view
from multitask.reporting.run.label_prior import prior_view
from multitask.reporting.run.learning import best_epoch_of, learning_view
from multitask.reporting.run.promises import promises_view
from multitask.reporting.run.sections import fold_scores, unseen_scores
from multitask.reporting.text import (
    count_text,
    crop_text,
    duration_text,
    error_text,
    image_notes,
    interval_text,
    moment_text,
    plural,
    score_text,
)
from multitask.reporting.views import DistributionView

_TRAINING_FACTS = {
    "backbone": "Backbone",
    "num_parameters": "Parameters",
    "sharing": "Sharing",
    "num_folds": "Folds",
    "device": "Device",
    "seed": "Seed",
    "num_epochs": "Epochs",
    "best_epoch": "Best epoch",
    "monitor": "Best by",
    "kept": "Kept",
    "seconds": "Time",
}


@dataclass(frozen=True)
class ScoreRow:
    """The joint classes' row or a task's, with macro-F1's place on a scale that all rows have in common.

    Attributes:
        name: the task, or ``joint``.
        scores: its part of the report.
        perfect: the joint macro-F1 if this task alone were always answered right.
        lost: its share of what the joint macro-F1 lacks to 1.
        floor: macro-F1 at the scale's left end; at its right end it is 1.
        error: of the number that the answer amounts to, in words.
        bar: the interval's left end and its width, in percent of the scale.
        dot: macro-F1's place, in percent of the scale.
    """

    name: str
    scores: LabellingScores
    perfect: float | None
    lost: float | None
    floor: float
    error: str
    bar: tuple[float, float] | None
    dot: float | None


@dataclass(frozen=True)
class ShownImage:
    """An image with the words under it."""

    caption: str
    image: EmbeddedImage


@dataclass(frozen=True)
class ShownMistake:
    """A mistake, both its class names in parts, each with whether its task is wrong."""

    mistake: Mistake
    image: EmbeddedImage
    given: tuple[tuple[str, bool], ...]
    predicted: tuple[tuple[str, bool], ...]


def render_report(
    report: RunReport,
    history: Sequence[EpochRecord],
    *,
    augmented: Sequence[CaptionedImage] = (),
    mistakes: Sequence[Mistake] = (),
    fold_histories: Sequence[Sequence[EpochRecord]] = (),
    images_missing: str | None = None,
) -> str:
    """One run's report as a complete HTML page that needs no other file.

    Args:
        report: any score in it can be None.
        history: the rows of RUN/metrics.jsonl, one per epoch; empty for a run that was only evaluated, or in folds.
        augmented: training images as the network sees them.
        mistakes: wrongly predicted images; shown by falling confidence.
        fold_histories: each fold's history, of a run in folds.
        images_missing: why no image can be shown, in a line; None where they can.

    Returns:
        The page. The same arguments give the same characters.
    """
    tasks = [class_scores(name, f"task-{place}", scores) for place, (name, scores) in enumerate(report.tasks.items())]
    joint = class_scores("joint", "joint", report.joint)
    return render(
        "report.html",
        title=f"{report.run} · {report.split}",
        groups=plural(report.num_groups, "group", "groups"),
        report=report,
        created=moment_text(report.created),
        reading=_reading(report),
        facts=_facts(report.training),
        joint=joint,
        tasks=tasks,
        rows=_rows(report),
        attribution=_attribution(report),
        rules=rules_view(report.decode_rules),
        term=report.joint_term,
        grouped=groups_view(report.grouped),
        promises=promises_view(report),
        label_prior=prior_view(report.label_prior),
        lost=_lost(report),
        unseen=unseen_scores(report.unseen),
        ensemble=ensemble_view(report.ensemble, report.joint.macro_f1),
        folds=fold_scores(report.folds, fold_histories),
        learning=learning_view(tuple(report.tasks), history, best_epoch_of(report.training, history)),
        balance=balance_view(history, {name: place for place, name in enumerate(report.tasks)}),
        distributions=_distributions(report),
        splits=_splits(report.class_distribution or {}),
        never=never_in_words(report.empty_cells.never, len(report.joint.classes)) if report.empty_cells else "",
        impossible=impossible_yaml(report.empty_cells.impossible) if report.empty_cells else "",
        images_missing=images_missing,
        augmented=[ShownImage(shown.caption, embedded(shown.pixels)) for shown in augmented],
        mistakes=[
            ShownMistake(mistake, embedded(mistake.pixels), *_wrong_parts(mistake, tuple(report.tasks)))
            for mistake in sorted(mistakes, key=lambda mistake: -mistake.confidence)
        ],
    )


def _reading(report: RunReport) -> list[str]:
    """The report in two or three plain sentences."""
    return [*([report.origin] if report.origin else []), *_scores_in_words(report)]


def _scores_in_words(report: RunReport) -> list[str]:
    joint, attribution = report.joint, report.attribution
    macro_f1 = joint.macro_f1
    where = f"on {plural(report.num_images, 'image', 'images')}"
    where += f" of {plural(report.num_groups, 'group', 'groups')}"
    if macro_f1 is None:
        return [f"Joint macro-F1 is unknown {where}: none of them has all its labels."]
    interval = interval_text(joint.macro_f1_ci)
    sentences = [f"Joint macro-F1 {score_text(macro_f1)}{f' (95% {interval})' if interval else ''} {where}."]
    lost = {name: value for name, value in (attribution.lost or {}).items() if value is not None}
    if lost:
        order = sorted(lost, key=lambda name: -lost[name])
        shares = [
            f"{name} {'for' if place else 'accounts for'} {score_text(lost[name])}" for place, name in enumerate(order)
        ]
        if attribution.absent:
            shares.append(f"classes without an image for {score_text(attribution.absent)}")
        sentences.append(f"Of the {score_text(1 - macro_f1)} that it lacks to 1, {', '.join(shares)}.")
    if report.crop:
        sentences.append(crop_text(report.crop))
    sentences += [f"{note}." for note in image_notes(report.images)]
    if joint.absent_classes:
        sentences.append(absent_in_words(joint.absent_classes, joint.ceiling))
    return sentences


def _lost(report: RunReport) -> float | None:
    macro_f1 = report.joint.macro_f1
    return None if macro_f1 is None else 1 - macro_f1


def _rows(report: RunReport) -> list[ScoreRow]:
    """A row for the joint classes and one per task, with each interval's place on one common scale."""
    perfect, lost = report.attribution.perfect, report.attribution.lost or {}
    measured: list[tuple[str, LabellingScores, float | None, float | None]]
    measured = [("joint", report.joint, None, _lost(report) if lost else None)]
    measured += [(name, scores, perfect.get(name), lost.get(name)) for name, scores in report.tasks.items()]
    shown = [value for _, row, *_ in measured for value in (row.macro_f1, *(row.macro_f1_ci or ()))]
    floor = min(0.9, int(min((value for value in shown if value is not None), default=0.9) * 10) / 10)

    def percent(value: float) -> float:
        return round(100 * min(max(value - floor, 0) / (1 - floor), 1), 1)

    rows = []
    for name, scores, if_perfect, share in measured:
        bar = None
        if scores.macro_f1_ci is not None:
            low, high = map(percent, scores.macro_f1_ci)
            bar = (low, round(high - low, 1))
        dot = None if scores.macro_f1 is None else percent(scores.macro_f1)
        rows.append(ScoreRow(name, scores, if_perfect, share, floor, error_text(scores.number), bar, dot))
    return rows


def _attribution(report: RunReport) -> Markup | None:
    found, macro_f1 = report.attribution, report.joint.macro_f1
    lost = {name: (found.lost or {}).get(name) for name in report.tasks}
    if macro_f1 is None or all(value is None for value in lost.values()):
        return None
    perfect = {name: found.perfect.get(name) for name in lost}
    gains = {name: None if value is None else value - macro_f1 for name, value in perfect.items()}
    words = "; ".join(f"{name} {score_text(value)}" for name, value in lost.items())
    return Markup(
        plots.attribution(
            lost,
            gains,
            absent=found.absent,
            key="lost",
            label=f"Joint macro-F1 lost by each task: {words}",
        )
    )


def _distributions(report: RunReport) -> list[DistributionView]:
    """A plot per task and one of the joint classes, each over all splits."""
    splits = report.class_distribution or {}
    if not splits:
        return []
    found = []
    for place, (name, scores) in enumerate([*report.tasks.items(), ("joint", report.joint)]):
        last = place == len(report.tasks)
        names = [row.name for row in scores.classes]
        counts: dict[str, Sequence[int]] = {
            split: part.joint if last else part.tasks[name] for split, part in splits.items()
        }
        title = name
        if len(names) > MATRIX_CLASSES:
            title = f"{name}: the {LISTED_CLASSES} commonest of {len(names):,} classes"
            names, counts = _commonest(names, counts, LISTED_CLASSES)
        plot = plots.distribution(
            names,
            counts,
            key=f"distribution-{place}",
            label=f"{title}: share of each class in {', '.join(splits)}",
        )
        found.append(DistributionView(title, Markup(plot), len(names) > LONG_CLASSES))
    return found


def _commonest(
    names: Sequence[str], counts: Mapping[str, Sequence[int]], most: int
) -> tuple[list[str], dict[str, Sequence[int]]]:
    """Of so many classes those with the most images in all splits together, and their counts."""
    chosen = np.argsort(-np.sum(list(counts.values()), axis=0), kind="stable")[:most]
    return [names[place] for place in chosen], {
        split: [row[place] for place in chosen] for split, row in counts.items()
    }


def _splits(splits: Mapping[str, ClassDistribution]) -> str:
    sizes = (
        f"{name}: {plural(split.num_images, 'image', 'images')} of {plural(split.num_groups, 'group', 'groups')}"
        for name, split in splits.items()
    )
    return "; ".join(sizes) + "."


def _wrong_parts(mistake: Mistake, tasks: Sequence[str]) -> tuple[tuple[tuple[str, bool], ...], ...]:
    """Both class names in parts, each with whether its task is wrong; one part where a name does not split by task."""
    sides = [name.split("/") for name in (mistake.given, mistake.predicted)]
    if any(len(parts) != len(tasks) for parts in sides):
        return ((mistake.given, False),), ((mistake.predicted, False),)
    wrong = [task in mistake.wrong_tasks for task in tasks]
    return tuple(tuple(zip(parts, wrong, strict=True)) for parts in sides)


def _facts(training: TrainingFacts) -> list[tuple[str, str]]:
    """The facts on the training, and whether there is no best epoch."""
    facts = []
    for key, name in _TRAINING_FACTS.items():
        value = getattr(training, key)
        if value is None and key != "best_epoch":
            continue
        if key == "seconds":
            text = duration_text(value)
        elif isinstance(value, int) and key != "seed":
            text = count_text(value)
        else:
            text = "–" if value is None else value if isinstance(value, str) else str(value)
        facts.append((name, text))
    return facts
