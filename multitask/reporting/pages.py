"""The HTML pages: what a report holds, put into the order and the words that the templates print.

A page is one file that opens from disk, without a script and without any address outside itself. The templates compute
nothing: every figure they print is prepared here, every plot comes from `multitask.reporting.plots`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from multitask.reporting import plots
from multitask.reporting.plots import JOINT, Line, score_text

NUMBERED_CLASSES = 60  # a matrix beyond this many classes is drawn without numbers
_WIDE_CLASSES = 6  # a matrix beyond this many classes takes the page's whole width
_LONG_CLASSES = 24  # a list beyond this many classes scrolls by itself
_LONG_PART = 20  # characters that stay on one line
_NAMED_ABSENT = 12
_TRAINING_FACTS = {
    "backbone": "Backbone",
    "num_parameters": "Parameters",
    "sharing": "Sharing",
    "device": "Device",
    "seed": "Seed",
    "num_epochs": "Epochs",
    "best_epoch": "Best epoch",
    "monitor": "Best by",
    "seconds": "Time",
}


@dataclass(frozen=True)
class Picture:
    """A picture to show: (H, W, 3) uint8 pixels and the words under it."""

    pixels: np.ndarray
    caption: str


@dataclass(frozen=True)
class Mistake:
    """A picture whose class was predicted wrongly: (H, W, 3) uint8 pixels; ``confidence`` is the wrong class's."""

    pixels: np.ndarray
    image: str
    group: str
    given: str
    predicted: str
    confidence: float
    wrong_tasks: tuple[str, ...]


def render_report(
    report: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    *,
    augmented: Sequence[Picture] = (),
    mistakes: Sequence[Mistake] = (),
) -> str:
    """One run's report as a complete HTML page that needs no other file.

    Args:
        report: what RUN/report.json holds; any metric in it can be None.
        history: the rows of RUN/metrics.jsonl, one per epoch; empty for a run that was only evaluated.
        augmented: training pictures as the network sees them.
        mistakes: wrongly predicted pictures; shown by falling confidence.

    Returns:
        The page. The same arguments give the same characters.
    """
    training = report.get("training") or {}
    tasks = [_measured(name, f"task-{place}", scores) for place, (name, scores) in enumerate(report["tasks"].items())]
    joint = _measured("joint", "joint", report["joint"])
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=f"{report['run']} · {report['split']}",
            groups=_plural(report["num_groups"], "group", "groups"),
            report=report,
            created=_moment(report["created"]),
            reading=_reading(report),
            training=training,
            facts=_facts(training),
            joint=joint,
            tasks=tasks,
            heads=_heads(report),
            attribution=_attribution(report),
            lost=None if report["joint"]["macro_f1"] is None else 1 - report["joint"]["macro_f1"],
            learning=_learning(report, history, training.get("best_epoch")),
            distributions=_distributions(report),
            splits=_splits(report.get("class_distribution") or {}),
            augmented=[{"picture": picture, **_shown(picture.pixels)} for picture in augmented],
            mistakes=[
                {"mistake": mistake, **_shown(mistake.pixels), **_wrong_parts(mistake, tuple(report["tasks"]))}
                for mistake in sorted(mistakes, key=lambda mistake: -mistake.confidence)
            ],
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("multitask.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": score_text, "count": _count, "interval": _interval, "breaks": _breaks}
    return environment


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _interval(interval: Sequence[float | None] | None) -> str:
    """``.800 to .920``; nothing where there is no interval."""
    if interval is None or None in interval:
        return ""
    return f"{score_text(interval[0])} to {score_text(interval[1])}"


def _breaks(name: str) -> Markup:
    """A class name that breaks between its parts, and inside one only where the part itself is long."""
    parts = [part + "/" for part in name.split("/")]
    parts[-1] = parts[-1][:-1]
    kept = Markup("<span class=part>{}</span>")
    return Markup("<wbr>").join(part if len(part) > _LONG_PART else kept.format(part) for part in parts)


def _plural(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{moment.day} {moment:%B %Y, %H:%M}" + (" UTC" if moment.tzinfo else "")


def _reading(report: Mapping[str, Any]) -> list[str]:
    """The report in two or three plain sentences."""
    joint, attribution = report["joint"], report.get("attribution") or {}
    macro_f1 = joint["macro_f1"]
    where = f"on {_plural(report['num_images'], 'picture', 'pictures')}"
    where += f" of {_plural(report['num_groups'], 'group', 'groups')}"
    if macro_f1 is None:
        return [f"Joint macro-F1 could not be computed {where}."]
    interval = _interval(joint["macro_f1_ci"])
    sentences = [f"Joint macro-F1 {score_text(macro_f1)}{f' (95% {interval})' if interval else ''} {where}."]
    lost = {name: value for name, value in (attribution.get("lost") or {}).items() if value is not None}
    if lost:
        order = sorted(lost, key=lambda name: -lost[name])
        shares = [f"{name}{'' if place else ' loses'} {score_text(lost[name])}" for place, name in enumerate(order)]
        if attribution.get("absent"):
            shares.append(f"classes without a picture {score_text(attribution['absent'])}")
        sentences.append(f"Of the {score_text(1 - macro_f1)} lost, {', '.join(shares)}.")
    if joint["absent_classes"]:
        sentences.append(_absent(joint["absent_classes"]))
    return sentences


def _absent(names: Sequence[str]) -> str:
    """The classes that no picture of the split has, in words; empty where there are none."""
    if not names:
        return ""
    listed = ", ".join(names[:_NAMED_ABSENT])
    more = f" and {len(names) - _NAMED_ABSENT:,} more" if len(names) > _NAMED_ABSENT else ""
    if len(names) == 1:
        return f"One declared class has no picture in this split and counts as F1 0: {listed}."
    return f"{len(names):,} declared classes have no picture in this split and count as F1 0: {listed}{more}."


def _scores_in_words(scores: Mapping[str, Any]) -> str:
    words = (
        f"{_plural(len(scores['classes']), 'class', 'classes')}, {_plural(scores['num_images'], 'picture', 'pictures')}"
    )
    for name, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1")):
        interval = _interval(scores[f"{key}_ci"])
        words += f"; {name} {score_text(scores[key])}" + (f" (95% {interval})" if interval else "")
    return words + "."


def _measured(name: str, anchor: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of the joint classes or of one task's."""
    classes, matrix = scores["classes"], scores["confusion"]
    large = len(classes) > NUMBERED_CLASSES
    names = [row["name"] for row in classes]
    words = f"{name}: confusion matrix of {len(names)} classes, given by predicted"
    return {
        "name": name,
        "anchor": anchor,
        "scores": scores,
        "names": names,
        "interval": _interval(scores["macro_f1_ci"]),
        "accuracy_interval": _interval(scores["accuracy_ci"]),
        "words": _scores_in_words(scores),
        "absent": _absent(scores["absent_classes"]),
        "wide": len(classes) > _WIDE_CLASSES,
        "long": len(classes) > _LONG_CLASSES,
        "large": large,
        "matrix": [] if large else _matrix(names, matrix),
        "image": Markup(plots.confusion(matrix, key=f"confusion-{anchor}", label=words)) if large else None,
        "confused": _confused(names, matrix) if large else [],
        "reliability": Markup(
            plots.reliability(
                scores["reliability"],
                key=f"reliability-{anchor}",
                label=f"{name}: accuracy against confidence; expected calibration error {score_text(scores['ece'])}",
            )
        ),
    }


def _matrix(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    rows = []
    for given, counts in enumerate(matrix):
        total = sum(counts)
        cells = []
        for predicted, count in enumerate(counts):
            share = count / total if total else 0.0
            right = given == predicted
            cells.append(
                {
                    "count": count,
                    "shade": f"{share**plots.SHADE_POWER:.2f}",
                    # On the darkest blue, dark letters lose their contrast.
                    "look": "zero"
                    if not count
                    else "right deep"
                    if right and share > 0.75
                    else "right"
                    if right
                    else "wrong",
                    "words": f"given {names[given]}, predicted {names[predicted]}: {score_text(share)} of {total:,}",
                }
            )
        rows.append({"name": names[given], "total": total, "cells": cells})
    return rows


def _confused(names: Sequence[str], matrix: Sequence[Sequence[int]], most: int = 12) -> list[dict[str, Any]]:
    """The commonest confusions, for a matrix whose cells carry no number."""
    counts = np.array(matrix)
    np.fill_diagonal(counts, 0)
    found = []
    for place in np.argsort(-counts, axis=None, kind="stable")[:most]:
        given, predicted = np.unravel_index(place, counts.shape)
        if counts[given, predicted]:
            count, total = int(counts[given, predicted]), sum(matrix[given])
            found.append({"given": names[given], "predicted": names[predicted], "count": count, "share": count / total})
    return found


def _heads(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per task and one for the joint classes, with each interval's place on one common scale."""
    attribution = report.get("attribution") or {}
    rows = [("joint", report["joint"], None, None)] + [
        (name, scores, (attribution.get("perfect") or {}).get(name), (attribution.get("lost") or {}).get(name))
        for name, scores in report["tasks"].items()
    ]
    lows = [value for _, scores, *_ in rows for value in (scores["macro_f1"], *(scores["macro_f1_ci"] or ())) if value]
    floor = min(0.9, int(min(lows, default=0.9) * 10) / 10)

    def percent(value: float) -> float:
        return round(100 * min(max(value - floor, 0) / (1 - floor), 1), 1)

    heads = []
    for name, scores, perfect, lost in rows:
        row = {
            "name": name,
            "scores": scores,
            "perfect": perfect,
            "lost": lost,
            "floor": floor,
            "dot": None,
            "bar": None,
        }
        if scores["macro_f1"] is not None:
            row["dot"] = percent(scores["macro_f1"])
        if _interval(scores["macro_f1_ci"]):
            low, high = map(percent, scores["macro_f1_ci"])
            row["bar"] = (low, round(high - low, 1))
        heads.append(row)
    return heads


def _attribution(report: Mapping[str, Any]) -> Markup | None:
    found, macro_f1 = report.get("attribution") or {}, report["joint"]["macro_f1"]
    lost = {name: (found.get("lost") or {}).get(name) for name in report["tasks"]}
    if macro_f1 is None or all(value is None for value in lost.values()):
        return None
    perfect = found.get("perfect") or {}
    gains = {name: None if perfect.get(name) is None else perfect[name] - macro_f1 for name in lost}
    words = "; ".join(f"{name} {score_text(value)}" for name, value in lost.items())
    return Markup(
        plots.attribution(
            lost,
            gains,
            absent=found.get("absent"),
            key="lost",
            label=f"Joint macro-F1 lost by each head: {words}",
        )
    )


def _learning(
    report: Mapping[str, Any], history: Sequence[Mapping[str, Any]], best_epoch: int | None
) -> dict[str, Any]:
    """The curves: scores by task, losses by head, which differ where one head covers several tasks."""

    def values(*path: str) -> tuple[float | None, ...]:
        return tuple(_find(row, path) for row in history)

    epochs = [row["epoch"] for row in history]
    tasks = list(report["tasks"])
    lines = [Line("joint", values("val", "joint", "macro_f1"), JOINT)]
    lines += [Line(name, values("val", "tasks", name, "macro_f1"), place) for place, name in enumerate(tasks)]
    scores = None
    if any(value is not None for line in lines for value in line.values):
        scores = Markup(
            plots.learning_curves(
                epochs,
                lines,
                ylabel="macro-F1 on validation",
                key="scores",
                label="Validation macro-F1 after each epoch, joint and per head",
                best_epoch=best_epoch,
            )
        )
    heads = dict.fromkeys(
        head for row in history for part in ("train", "val") for head in (row.get(part) or {}).get("tasks") or {}
    )
    losses: list[dict[str, Any]] = []
    for head in heads:
        train, val = values("train", "tasks", head, "loss"), values("val", "tasks", head, "loss")
        if any(value is not None for value in (*train, *val)):
            style = tasks.index(head) if head in tasks else len(tasks) + len(losses)
            plot = plots.learning_curves(
                epochs,
                [Line("train", train, style), Line("val", val, style, dashed=True)],
                ylabel="loss",
                key=f"loss-{len(losses)}",
                label=f"Training and validation loss of the head {head} after each epoch",
                best_epoch=best_epoch,
            )
            losses.append({"head": head, "plot": Markup(plot)})
    return {"rows": [_epoch(row) for row in history], "scores": scores, "losses": losses}


def _epoch(row: Mapping[str, Any]) -> dict[str, Any]:
    scores = [("train", "loss"), ("val", "loss"), ("val", "joint", "macro_f1"), ("val", "joint", "accuracy")]
    rate, speed, seconds = (_find(row, (key,)) for key in ("lr", "images_per_s", "seconds"))
    cells = ["–" if rate is None else f"{rate:.2e}", *(score_text(_find(row, path)) for path in scores)]
    cells += ["–" if value is None else f"{value:,.1f}" for value in (speed, seconds)]
    return {"epoch": row["epoch"], "best": bool(row.get("best")), "cells": cells}


def _find(row: Mapping[str, Any], path: Sequence[str]) -> float | None:
    found: Any = row
    for step in path:
        found = (found or {}).get(step)
    return found if found is not None and np.isfinite(found) else None


def _distributions(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A plot per task and one of the joint classes, each over all splits."""
    splits = report.get("class_distribution") or {}
    if not splits:
        return []
    found = []
    measured = [*report["tasks"].items(), ("joint", report["joint"])]
    for place, (name, scores) in enumerate(measured):
        last = place == len(measured) - 1
        plot = plots.distribution(
            [row["name"] for row in scores["classes"]],
            {split: counts["joint"] if last else counts["tasks"][name] for split, counts in splits.items()},
            key=f"distribution-{place}",
            label=f"{name}: share of each class in {', '.join(splits)}",
        )
        found.append({"name": name, "plot": Markup(plot), "long": len(scores["classes"]) > _LONG_CLASSES})
    return found


def _splits(splits: Mapping[str, Mapping[str, Any]]) -> str:
    sizes = (
        f"{name}: {_plural(split['num_images'], 'picture', 'pictures')} "
        f"of {_plural(split['num_groups'], 'group', 'groups')}"
        for name, split in splits.items()
    )
    return "; ".join(sizes) + "."


def _wrong_parts(mistake: Mistake, tasks: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
    """Both class names in parts, each with whether its task is wrong; one part where a name does not split by task."""
    sides = {"given": mistake.given.split("/"), "predicted": mistake.predicted.split("/")}
    if any(len(parts) != len(tasks) for parts in sides.values()):
        return {"given": [(mistake.given, False)], "predicted": [(mistake.predicted, False)]}
    wrong = [task in mistake.wrong_tasks for task in tasks]
    return {side: list(zip(parts, wrong, strict=True)) for side, parts in sides.items()}


def _facts(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Training facts in the order of the table above, then any that the table does not know."""
    found = []
    for key in [
        *(key for key in _TRAINING_FACTS if key in training),
        *(key for key in training if key not in _TRAINING_FACTS),
    ]:
        value = training[key]
        if key == "seconds" and value is not None:
            minutes, seconds = divmod(round(value), 60)
            text = f"{minutes:,} min {seconds} s" if minutes else f"{seconds} s"
        elif isinstance(value, int) and not isinstance(value, bool) and key != "seed":
            text = f"{value:,}"
        else:
            text = "–" if value is None else str(value)
        found.append((_TRAINING_FACTS.get(key, key.replace("_", " ").capitalize()), text))
    return found


def _shown(pixels: np.ndarray) -> dict[str, Any]:
    """The picture inside the page: its address, which holds its bytes, and its size in pixels."""
    assert pixels.ndim == 3, pixels.shape
    assert pixels.shape[2] == 3, pixels.shape
    assert pixels.dtype == np.uint8, pixels.dtype
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    source = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    return {"src": source, "width": pixels.shape[1], "height": pixels.shape[0]}
