"""The page of one run: what its report holds, put into the order and the words that the template prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from multitask.evaluation.report_schema import RunReport, TrainingFacts
from multitask.progress import EpochRecord
from multitask.reporting.html import UNKNOWN, CaptionedImage, EmbeddedImage, Mistake, embedded, render
from multitask.reporting.run import plots
from multitask.reporting.run.balance import balance_view
from multitask.reporting.run.class_scores import absent_in_words, class_scores
from multitask.reporting.run.decode_rules import rules_view
from multitask.reporting.run.distributions import distribution_views, split_sizes
from multitask.reporting.run.empty_cells import impossible_yaml, never_in_words
from multitask.reporting.run.ensemble import ensemble_view
from multitask.reporting.run.groups import groups_view
from multitask.reporting.run.label_prior import prior_view
from multitask.reporting.run.learning import best_epoch_of, learning_view
from multitask.reporting.run.promises import promises_view
from multitask.reporting.run.score_rows import joint_lost, labelled_whole, score_rows
from multitask.reporting.run.sections import fold_scores, unseen_scores
from multitask.reporting.text import (
    count_text,
    crop_text,
    duration_text,
    image_notes,
    interval_text,
    moment_text,
    score_text,
)
from multitask.utils.spelling import plural

_TRAINING_FACTS = {
    "backbone": "Backbone",
    "num_parameters": "Parameters",
    "sharing": "Sharing",
    "num_folds": "Folds",
    "device": "Device",
    "seed": "Seed",
    "num_epochs": "Epochs",
    "best_epoch": "Epoch kept",
    "monitor": "Best by",
    "kept": "Kept",
    "seconds": "Time",
}

_OPTIONAL = {
    "rules": "Decode rules",
    "groups": "Groups",
    "promises": "Sets",
    "label-prior": "Label prior",
    "members": "Members",
    "folds": "Folds",
    "unseen": "Unseen classes",
}
"""The sections that not every report has: their anchors and names."""


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
    tasks = [
        class_scores(name, f"task-{place}", scores)
        for place, (name, scores) in enumerate(report.tasks.items())
        if scores.num_images
    ]
    joint = class_scores("joint", "joint", report.joint) if report.joint.num_images else None
    optional = {
        "rules": rules_view(report.decode_rules, partial=report.joint.num_images < report.num_images),
        "groups": groups_view(report.grouped),
        "promises": promises_view(report),
        "label-prior": prior_view(report.label_prior),
        "members": ensemble_view(report.ensemble, report.joint.macro_f1),
        "folds": fold_scores(report.folds, fold_histories),
        "unseen": unseen_scores(report.unseen),
    }
    titles = {
        "tasks": "Tasks",
        **({"attribution": "What was lost"} if joint else {}),
        **{anchor: name for anchor, name in _OPTIONAL.items() if optional[anchor]},
        "learning": "Learning",
        **{view.anchor: view.name for view in tasks},
        **({"joint": "Joint classes"} if joint else {}),
        "distribution": "Distribution",
        **({"images": "Images"} if images_missing else {"augmented": "Augmented", "mistakes": "Mistakes"}),
        "training": "Training",
    }
    return render(
        "report.html",
        title=f"{report.run} · {report.split}",
        sections=titles,
        groups=plural(report.num_groups, "group", "groups"),
        report=report,
        created=moment_text(report.created),
        reading=_reading(report),
        facts=_facts(report.training),
        joint=joint,
        tasks=tasks,
        rows=score_rows(report),
        attribution=_attribution(report),
        rules=optional["rules"],
        term=report.joint_term,
        grouped=optional["groups"],
        promises=optional["promises"],
        label_prior=optional["label-prior"],
        lost=joint_lost(report),
        unseen=optional["unseen"],
        ensemble=optional["members"],
        folds=optional["folds"],
        learning=learning_view(tuple(report.tasks), history, best_epoch_of(report.training, history)),
        balance=balance_view(history, {name: place for place, name in enumerate(report.tasks)}),
        distributions=distribution_views(report),
        splits=split_sizes(report.class_distribution or {}),
        never=never_in_words(report.empty_cells, len(report.joint.classes)) if report.empty_cells else "",
        impossible=impossible_yaml(report.empty_cells) if report.empty_cells else "",
        images_missing=images_missing,
        all_right=all(scores.accuracy in (1, None) for scores in report.tasks.values()) and report.num_images > 0,
        dashes=any(UNKNOWN in mistake.given.split("/") for mistake in mistakes),
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
    where = f"on {plural(report.num_images, 'image', 'images')} of {plural(report.num_groups, 'group', 'groups')}"
    if macro_f1 is not None and joint.num_images < report.num_images:
        where = f"on the {labelled_whole(joint)}"
    interval = interval_text(joint.macro_f1_ci)
    if macro_f1 is None:
        sentences = [f"Joint macro-F1 is unknown {where}: none of them has all its labels."]
    else:
        sentences = [f"Joint macro-F1 {score_text(macro_f1)}{f' (95% {interval})' if interval else ''} {where}."]
    lost = {name: value for name, value in (attribution.lost or {}).items() if value is not None}
    if macro_f1 is not None and round(1 - macro_f1, 3) and (len(lost) > 1 or (lost and attribution.absent)):
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
    if joint.absent_classes and macro_f1 is not None:
        sentences.append(absent_in_words(joint.absent_classes, joint.ceiling))
    return sentences


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


def _wrong_parts(mistake: Mistake, tasks: Sequence[str]) -> tuple[tuple[tuple[str, bool], ...], ...]:
    """Both class names in parts, each with whether its task is wrong; one part where a name does not split by task."""
    sides = [name.split("/") for name in (mistake.given, mistake.predicted)]
    if any(len(parts) != len(tasks) for parts in sides):
        return ((mistake.given, False),), ((mistake.predicted, False),)
    wrong = [task in mistake.wrong_tasks for task in tasks]
    return tuple(tuple(zip(parts, wrong, strict=True)) for parts in sides)


def _facts(training: TrainingFacts) -> list[tuple[str, str]]:
    """The facts on the training, and whether no epoch was kept."""
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
