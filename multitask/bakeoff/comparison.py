"""What a bake-off's runs say: scores with their intervals, paired differences, and a sentence for each comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multitask.bakeoff.conclusions import axis_sentence, comparison_sentence, family_sentence
from multitask.bakeoff.runs import BakeoffRun
from multitask.bakeoff.settings import BakeoffSettings, Point
from multitask.errors import UserError
from multitask.evaluation.intervals import LEVEL
from multitask.evaluation.metrics import Scores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.repeated_runs import Gap, PassScore, aligned, gap, score_passes
from multitask.labels import MISSING
from multitask.training.loop import lookup


def passes_of(runs: Sequence[BakeoffRun], settings: BakeoffSettings) -> list[Predictions]:
    """A contender's answers at one point, a pass each: all folds of one round, or one seed's on the held-out people.

    Args:
        runs: in the order of their index.
        settings: the bake-off's.
    """
    size = len(runs) // settings.num_passes
    return [
        Predictions.concatenate([one.predictions() for one in runs[start : start + size]])
        for start in range(0, len(runs), size)
    ]


def compared(settings: BakeoffSettings, point: Point, runs: Mapping[str, Sequence[BakeoffRun]]) -> dict[str, Any]:
    """Everything that the report says of one point of the axis.

    Args:
        settings: the bake-off's.
        point: of the axis.
        runs: per contender, in the order of their index.

    Raises:
        UserError: the reference has no score; or files are gone or damaged.
    """
    reference, metric = settings.compared_with, settings.metric
    failures = {name: next((text for one in own if (text := one.failure())), None) for name, own in runs.items()}
    if failures[reference] is not None:
        raise UserError(
            f"contenders.{reference}: the reference failed, so nothing can be compared: {failures[reference]}"
        )
    names = [name for name in runs if failures[name] is None]
    passes = dict(zip(names, aligned(names, [passes_of(runs[name], settings) for name in names]), strict=True))
    decisive = {name: score_passes(passes[name], metric, settings.seed) for name in names}
    known = {name: score for name, score in decisive.items() if score is not None}
    if reference not in known:
        raise UserError(f"metric: {metric} cannot be had: no person who validates has such a label")
    # One interval of .95 for each comparison; and wider ones, which hold for all comparisons together (Bonferroni).
    together = 1 - (1 - LEVEL) / max(len(runs) - 1, 1)
    rows: dict[str, Any] = {}
    for name, own in runs.items():
        row: dict[str, Any] = {"failure": failures[name], "epochs": sorted({one.config.training.epochs for one in own})}
        if name in known:
            row |= _scores(own, passes[name], settings)
            if name != reference:
                found = {level: gap(known[name], known[reference], level) for level in (LEVEL, together)}
                row["difference"] = {**_gap(found[LEVEL]), "together": {**_gap(found[together]), "level": together}}
        rows[name] = {"difference": None, **row}
    return {
        "point": point,
        "num_groups": known[reference].num_groups,
        "num_images": known[reference].num_images,
        "contenders": rows,
        "matrix": {
            name: {other: None if other == name else _gap(gap(known[name], known[other])) for other in known}
            for name in known
        },
    }


def _gap(found: Gap) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "beyond_noise": found.beyond_noise}


def _figure(score: PassScore | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {"value": score.value, "ci": list(score.interval()), "passes": list(score.single)}


def _scores(runs: Sequence[BakeoffRun], passes: Sequence[Predictions], settings: BakeoffSettings) -> dict[str, Any]:
    space = passes[0].space
    reports = [one.folder.read_report() for one in runs]
    # Which classes were held out, the config says; the report of a run scores them on its own people alone.
    unseen = [name for name, held in zip(space.class_names, runs[0].config.unseen(), strict=True) if held]
    histories = [one.folder.read_history() for one in runs]
    speeds = [row["images_per_s"] for history in histories for row in history]
    # Of an epoch's images, which a history does not count: what its seconds and its speed make.
    seen = [sum(row["images_per_s"] * row["seconds"] for row in history) for history in histories]
    peaks = [peak for one in runs if (peak := one.peak_bytes()) is not None]
    return {
        "metric": _figure(score_passes(passes, settings.metric, settings.seed)),
        "joint": _figure(score_passes(passes, "joint.macro_f1", settings.seed)),
        "accuracy": _figure(score_passes(passes, "joint.accuracy", settings.seed)),
        "tasks": {
            task: _figure(score_passes(passes, f"tasks.{task}.macro_f1", settings.seed)) for task in space.task_names
        },
        "unseen": _figure(score_passes(passes, "joint.macro_f1", settings.seed, unseen)) if unseen else None,
        "class_f1": _class_f1(passes),
        "runs": [
            {
                "seed": one.config.seed,
                "score": lookup(report, settings.metric),
                "joint": report["joint"]["macro_f1"],
                "seconds": report["training"]["seconds"],
                "train_groups": report["class_distribution"]["train"]["num_groups"],
                "train_images": report["class_distribution"]["train"]["num_images"],
            }
            for one, report in zip(runs, reports, strict=True)
        ],
        "images_seen": round(float(np.mean(seen))),
        "seconds": float(np.mean([report["training"]["seconds"] for report in reports])),
        "train_images_per_s": float(np.median(speeds)),
        "num_parameters": reports[0]["training"]["num_parameters"],
        "cuda_peak_bytes": max(peaks, default=None),
    }


def _class_f1(passes: Sequence[Predictions]) -> dict[str, float]:
    """The F1 of every class that can occur, the mean of the passes."""
    space = passes[0].space
    known = passes[0].classes != MISSING
    f1 = np.mean([Scores(one.classes[known], one.predicted[known], space.possible).f1 for one in passes], axis=0)
    return {name: float(f1[place]) for place, name in enumerate(space.class_names) if space.possible[place]}


def sentences(settings: BakeoffSettings, points: Sequence[Mapping[str, Any]]) -> list[str]:
    """One for each comparison, at the last point of the axis; and what the axis says of where a lead is lost."""
    reference, last = settings.compared_with, points[-1]
    others = [name for name in last["contenders"] if name != reference]
    failed = [name for name in others if last["contenders"][name]["failure"] is not None]
    compared_ = [name for name in others if last["contenders"][name]["difference"] is not None]
    found = []
    if settings.sentence_if_none is not None and not failed:
        found += family_sentence(
            settings.sentence_if_none, reference, {name: last["contenders"][name]["difference"] for name in compared_}
        )
    for name in compared_:
        found.append(
            comparison_sentence(name, reference, last["contenders"][name]["difference"], settings.metric, len(others))
        )
    found += [f"{name} has no score: {last['contenders'][name]['failure']}." for name in failed]
    if len(points) > 1:
        for name in others:
            gaps = {row["point"]: row["contenders"][name]["difference"] for row in points}
            known = {_size(row, name): gaps[row["point"]] for row in points if gaps[row["point"]] is not None}
            if len(known) > 1:
                found.append(axis_sentence(name, reference, known))
    return found


def _size(row: Mapping[str, Any], name: str) -> int:
    """How many groups train at a point; where folds differ, about."""
    if row["point"] != "all":
        return int(row["point"])
    return round(float(np.mean([one["train_groups"] for one in row["contenders"][name]["runs"]])))
