"""Learning curves on a run's page: scores and losses by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from multitask.evaluation.report_schema import TrainingFacts
from multitask.labels import JOINT as JOINT_LOSS
from multitask.progress import EpochRecord, kept_epoch
from multitask.reporting.run import curves
from multitask.reporting.run.curves import JOINT, Line
from multitask.reporting.text import score_text
from multitask.reporting.views import PlotView
from multitask.utils.records import value_at

History = Sequence[EpochRecord]


@dataclass(frozen=True)
class EpochRow:
    """A row of the table: the epoch, whether it is the best of all, and its cells."""

    epoch: int
    best: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class LearningView:
    """The table of epochs, the plot of scores, those of losses that have a value, and what the losses are.

    ``joint`` is whether the joint score is known where any is.
    """

    columns: tuple[str, ...]
    rows: tuple[EpochRow, ...]
    scores: Markup | None
    losses: tuple[PlotView, ...]
    note: str
    joint: bool


def learning_view(tasks: Sequence[str], history: History, best_epoch: int | None) -> LearningView:
    """The curves and the table: scores by task, losses by head; the two differ where one head covers several tasks.

    The losses are negative log-likelihoods, in training as in validation. Of a run from before these were recorded in
    training, the losses that it descended stand in their place, and are called so.

    Args:
        tasks: of the report.
        history: the rows of RUN/metrics.jsonl.
        best_epoch: of all; None: unknown.
    """
    styles = {name: place for place, name in enumerate(tasks)}
    scores = [Line("joint", _values(history, "val", "joint", "macro_f1"), JOINT)]
    scores += [Line(name, _values(history, "val", "tasks", name, "macro_f1"), place) for name, place in styles.items()]
    compares = _has_likelihoods(history)
    return LearningView(
        columns=_columns(compares),
        rows=tuple(_epoch(row, best_epoch, compares) for row in history),
        scores=_draw(
            history, scores, best_epoch, "scores", "macro-F1 on validation", "Validation macro-F1, joint and per task,"
        ),
        losses=tuple(_losses(styles, history, best_epoch, compares)),
        note=_note(history, compares),
        joint=_known(scores[0]) or not any(map(_known, scores)),
    )


def _known(line: Line) -> bool:
    return any(value is not None for value in line.values)


def best_epoch_of(training: TrainingFacts, history: History) -> int | None:
    """The epoch whose weights were kept; a row's own ``best`` only says that it was the best so far."""
    return training.best_epoch or kept_epoch(history)


def _has_likelihoods(history: History) -> bool:
    trained = [row.train for row in history if row.train is not None]
    likelihoods = [value for train in trained for value in (train.nll, *(h.nll for h in (train.tasks or {}).values()))]
    return any(value is not None for value in likelihoods)


def _losses(styles: Mapping[str, int], history: History, best_epoch: int | None, compares: bool) -> Iterator[PlotView]:
    heads = dict.fromkeys(head for row in history for head in (row.train and row.train.tasks) or {})
    ylabel = "negative log-likelihood" if compares else "loss"
    for number, head in enumerate(heads):
        # A single head over all classes is no task: what it learns is the class, whose loss is the whole loss.
        of_class = head == JOINT_LOSS or (len(heads) == 1 and head not in styles)
        path = ("val", "loss") if of_class else ("val", "tasks", head, "loss")
        style = JOINT if head == JOINT_LOSS else styles.get(head, len(styles) + number)
        own: tuple[str, ...] = ("train", "tasks", head, "loss")
        if compares:
            own = ("train", "nll") if head == JOINT_LOSS else ("train", "tasks", head, "nll")
        lines = [
            Line("train", _values(history, *own), style, "solid"),
            Line("val", _values(history, *path), style, "dashed"),
        ]
        words = "Train solid, validation dashed with open marks."
        label = f"Training and validation loss of the head {head}"
        plot = _draw(history, lines, best_epoch, f"loss-{number}", ylabel, label)
        if plot is not None:
            yield PlotView(f"Loss of {head}", plot, words)
    lines = [
        Line(name, _values(history, "val", "tasks", name, "loss"), place)
        for name, place in styles.items()
        if name not in heads
    ]
    words = "On validation, from the one head’s answer."
    plot = _draw(history, lines, best_epoch, "loss-tasks", ylabel, "Validation loss of each task")
    if plot is not None:
        yield PlotView("Loss by task", plot, words)


def _note(history: History, compares: bool) -> str:
    """The definition of the losses, and why those of training and validation differ even so."""
    if not compares:
        return (
            "This run recorded no likelihood in training: “train” is the loss as configured (with its class weights, "
            "smoothing and the like), “val” the plain negative log-likelihood. Compare their shapes, not their heights."
        )
    words = (
        "Both losses are the mean negative log-likelihood of the label over the images that have one; the "
        "table’s “objective” is the loss as configured. Train is taken as the epoch goes on, from augmented images "
        "and with what is on in training alone, as dropout; validation after it, from images as they are and by the "
        "averaged weights, where there are any. So either may be the lower."
    )
    mixed = max((row.train and row.train.mixed) or 0.0 for row in history)
    if mixed:
        words += (
            f" Up to {mixed:.0%} of an epoch’s batches were mixed: a mixed image counts for both of its labels by "
            "their shares, which keeps train above 0."
        )
    return words


def _columns(compares: bool) -> tuple[str, ...]:
    own = ("objective", "train loss") if compares else ("train loss as configured",)
    return (*own, "val loss", "macro-F1", "accuracy", "learning rate", "images/s", "seconds")


def _epoch(row: EpochRecord, best_epoch: int | None, compares: bool) -> EpochRow:
    own = [("train", "loss"), ("train", "nll")] if compares else [("train", "loss")]
    scores = [*own, ("val", "loss"), ("val", "joint", "macro_f1"), ("val", "joint", "accuracy")]
    rate, speed, seconds = (_find(row, (key,)) for key in ("lr", "images_per_s", "seconds"))
    cells = [*(score_text(_find(row, path)) for path in scores), "–" if rate is None else f"{rate:.2e}"]
    cells += ["–" if value is None else f"{value:,.1f}" for value in (speed, seconds)]
    return EpochRow(row.epoch, row.epoch == best_epoch, tuple(cells))


def _draw(
    history: History, lines: Sequence[Line], best_epoch: int | None, key: str, ylabel: str, label: str
) -> Markup | None:
    if all(value is None for line in lines for value in line.values):
        return None
    return Markup(
        curves.learning_curves(
            [row.epoch for row in history],
            lines,
            ylabel=ylabel,
            key=key,
            label=f"{label} after each epoch",
            best_epoch=best_epoch,
        )
    )


def _values(history: History, *path: str) -> tuple[float | None, ...]:
    return tuple(_find(row, path) for row in history)


def _find(row: EpochRecord, path: Sequence[str]) -> float | None:
    try:
        found: float | None = value_at(row, ".".join(path))
    except LookupError:
        return None
    return found if found is not None and np.isfinite(found) else None
