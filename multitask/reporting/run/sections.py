"""The parts of a run's page that only some runs have: their folds, and classes that were never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from multitask.evaluation.networks_schema import FoldScores
from multitask.evaluation.scores import ClassScores, UnseenScores
from multitask.progress import EpochRecord
from multitask.reporting.run import curves
from multitask.reporting.run.curves import Line
from multitask.reporting.text import count_text, interval_text, score_text
from multitask.utils.spelling import plural


@dataclass(frozen=True)
class MeanScore:
    """Macro-F1 over some of the classes, whose ``name`` says which; ``interval`` is empty where there is none."""

    name: str
    score: float | None
    interval: str


@dataclass(frozen=True)
class UnseenView:
    """Classes that were never trained on: a paragraph, both means, a row for each class."""

    words: str
    scores: tuple[MeanScore, ...]
    classes: tuple[ClassScores, ...]


@dataclass(frozen=True)
class FoldRow:
    """A fold's row: ``counts`` of groups and images, ``scores`` joint and by task, the epoch kept of how many."""

    fold: int
    counts: tuple[str, ...]
    scores: tuple[str, ...]
    epochs: str


@dataclass(frozen=True)
class FoldsView:
    """The folds, and the scores of each by epoch where these are known."""

    rows: tuple[FoldRow, ...]
    plot: Markup | None


def unseen_scores(found: UnseenScores | None) -> UnseenView | None:
    """How the classes that were held out of training are answered; None where none was."""
    if not found:
        return None
    num = len(found.classes)
    images = f"{plural(found.num_images, 'image', 'images')} of {plural(found.num_groups, 'group', 'groups')}"
    words = f"{plural(num, 'class', 'classes')} had no image to train on; here {images} belong to "
    words += f"{'it' if num == 1 else 'them'}. "
    if found.macro_f1 is None:
        words += "So there is no score of what was never trained on."
    else:
        words += f"A network that learns only whole classes cannot answer {'it' if num == 1 else 'them'}; "
        words += "one that learns the factors may."
    scores = (
        MeanScore("never trained on", found.macro_f1, interval_text(found.macro_f1_ci)),
        MeanScore("trained on", found.seen_macro_f1, interval_text(found.seen_macro_f1_ci)),
    )
    return UnseenView(words, scores, found.classes)


def fold_scores(rows: Sequence[FoldScores] | None, histories: Sequence[Sequence[EpochRecord]]) -> FoldsView | None:
    """Each fold's scores on its own groups, and its training; None where there are no folds."""
    if not rows:
        return None
    num_epochs = max(map(len, histories), default=0)
    lines = []
    for place, history in enumerate(histories):
        values = [None if row.val is None else row.val.joint_macro_f1 for row in history]
        lines.append(Line(f"fold {place}", (*values, *[None] * (num_epochs - len(values))), place))
    plot = None
    if any(value is not None for line in lines for value in line.values):
        plot = Markup(
            curves.learning_curves(
                range(1, num_epochs + 1),
                lines,
                ylabel="joint macro-F1 on validation",
                key="folds",
                label="Joint macro-F1 of each fold after each epoch",
            )
        )
    return FoldsView(tuple(map(_fold_row, rows)), plot)


def _fold_row(row: FoldScores) -> FoldRow:
    return FoldRow(
        fold=row.fold,
        counts=(count_text(row.num_groups), count_text(row.num_images)),
        scores=tuple(score_text(value) for value in (row.macro_f1, *row.tasks.values())),
        epochs=f"{count_text(row.best_epoch)} of {count_text(row.num_epochs)}",
    )
