"""The scores of one set of classes, the joint ones or a task's, as a page shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup

from multitask.evaluation.scores import ClassScores, Confusion, LabellingScores, RegressionError, SparseConfusion
from multitask.reporting.run import plots
from multitask.reporting.run.class_rows import listed_in_words, worst_classes
from multitask.reporting.text import amount_text, error_text, interval_text, score_text
from multitask.utils.spelling import plural

LISTED_CLASSES = 100  # of more classes than MATRIX_CLASSES so many are listed, the worst of those that occur
NUMBERED_CLASSES = 60  # a matrix beyond this many classes is drawn without numbers
LONG_CLASSES = 24  # a list beyond this many classes scrolls by itself
_LEVEL_CLASSES = 4  # a matrix beyond this many classes has its column names upright
_STACKED_CLASSES = 10  # a matrix beyond this many classes takes the page's whole width
_NAMED_ABSENT = 12
_DEEP_SHARE = 0.75  # on a blue darker than this share's, dark letters lose their contrast


Layout = Literal["row", "stacked", "whole"]
"""A matrix's place: in a row with table and diagram, stacked under the table, or below both."""


@dataclass(frozen=True)
class MatrixCell:
    """A cell of a confusion matrix.

    Attributes:
        count: of images.
        shade: the colour's opacity, as CSS has it.
        look: the names of its CSS classes.
        words: what is told of it on hovering.
    """

    count: int
    shade: str
    look: str
    words: str


@dataclass(frozen=True)
class MatrixRow:
    """A given class, how often it was predicted as each class, and how many images it has."""

    name: str
    total: int
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes taken for each other; ``share`` is of the given one's images."""

    given: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassScoresView:
    """The section of the joint classes, or of one task's.

    Attributes:
        name: the task, or ``joint``.
        anchor: the section's id.
        scores: its part of the report.
        names: of all classes.
        interval: macro-F1's, empty where there is none.
        accuracy_interval: likewise.
        words: the scores in a sentence.
        absent: the sentence on classes without an image, or empty.
        layout: where the matrix stands.
        upright: the matrix's column names are.
        long: the table scrolls by itself.
        large: the matrix has no numbers.
        rows: of the table.
        listed: which classes those are, where they are not all.
        matrix: with numbers; empty where it is large or kept as its entries.
        image: of a large one.
        confused: the commonest confusions of a large one.
        reliability: the diagram.
    """

    name: str
    anchor: str
    scores: LabellingScores
    names: tuple[str, ...]
    interval: str
    accuracy_interval: str
    words: str
    absent: str
    layout: Layout
    upright: bool
    long: bool
    large: bool
    rows: Sequence[ClassScores]
    listed: str
    matrix: tuple[MatrixRow, ...]
    image: Markup | None
    confused: tuple[ConfusedPair, ...]
    reliability: Markup


def class_scores(name: str, anchor: str, scores: LabellingScores) -> ClassScoresView:
    """The scores of the joint classes, or of one task's, as the page shows them.

    Args:
        name: the task, or ``joint``.
        anchor: its section's id.
        scores: its part of the report.
    """
    classes = scores.classes
    full = None if isinstance(scores.confusion, SparseConfusion) else scores.confusion
    large = len(classes) > NUMBERED_CLASSES
    names = tuple(row.name for row in classes)
    return ClassScoresView(
        name=name,
        anchor=anchor,
        scores=scores,
        names=names,
        interval=interval_text(scores.macro_f1_ci),
        accuracy_interval=interval_text(scores.accuracy_ci),
        words=_scores_in_words(scores),
        absent=absent_in_words(scores.absent_classes, scores.ceiling),
        layout=_layout(len(classes)),
        upright=len(classes) > _LEVEL_CLASSES,
        long=len(classes) > LONG_CLASSES,
        large=large,
        rows=worst_classes(classes, LISTED_CLASSES) if full is None else classes,
        listed=listed_in_words(classes, LISTED_CLASSES) if full is None else "",
        matrix=() if large or full is None else _matrix(names, full),
        image=_image(name, anchor, full) if large and full is not None else None,
        confused=_confused(names, scores.confusion) if large else (),
        reliability=_reliability(name, anchor, scores),
    )


def absent_in_words(names: Sequence[str], ceiling: float | None = None) -> str:
    """The classes that no image of the split has, in words; empty where there are none.

    Args:
        names: theirs.
        ceiling: the most that macro-F1 can be without them; None: it is not said.
    """
    if not names:
        return ""
    listed = ", ".join(names[:_NAMED_ABSENT])
    more = f" and {len(names) - _NAMED_ABSENT:,} more" if len(names) > _NAMED_ABSENT else ""
    most = "" if ceiling is None else f" Macro-F1 is at most {score_text(ceiling)} here."
    if len(names) == 1:
        return f"One declared class has no image in this split and counts as F1 0: {listed}.{most}"
    return f"{len(names):,} declared classes have no image in this split and count as F1 0: {listed}{more}.{most}"


def _scores_in_words(scores: LabellingScores) -> str:
    words = f"{plural(len(scores.classes), 'class', 'classes')}, {plural(scores.num_images, 'image', 'images')}"
    for name, value, value_ci in (
        ("accuracy", scores.accuracy, scores.accuracy_ci),
        ("macro-F1", scores.macro_f1, scores.macro_f1_ci),
    ):
        interval = interval_text(value_ci)
        words += f"; {name} {score_text(value)}" + (f" (95% {interval})" if interval else "")
    return words + "." + _number_in_words(scores.number)


def _number_in_words(number: RegressionError | None) -> str:
    if number is None:
        return ""
    bias = number.bias
    side = f"{amount_text(abs(bias))} too {'high' if bias > 0 else 'low'} in the mean" if bias else "right in the mean"
    images = plural(number.num_images, "image", "images")
    return (
        f" The number that the answer amounts to (each class’s probability times its mean number among the training "
        f"images) is {error_text(number)} off, and {side}, on the {images} whose number is known."
    )


def _layout(num_classes: int) -> Layout:
    if num_classes <= _LEVEL_CLASSES:
        return "row"
    return "stacked" if num_classes <= _STACKED_CLASSES else "whole"


def _image(name: str, anchor: str, matrix: Sequence[Sequence[int]]) -> Markup:
    words = f"{name}: confusion matrix of {len(matrix)} classes, given by predicted"
    return Markup(plots.confusion(matrix, key=f"confusion-{anchor}", label=words))


def _reliability(name: str, anchor: str, scores: LabellingScores) -> Markup:
    words = f"{name}: accuracy against confidence; expected calibration error {score_text(scores.ece)}"
    return Markup(plots.reliability(scores.reliability, key=f"reliability-{anchor}", label=words))


def _matrix(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> tuple[MatrixRow, ...]:
    rows = []
    for given, counts in enumerate(matrix):
        total = sum(counts)
        cells = []
        for predicted, count in enumerate(counts):
            share = count / total if total else 0.0
            look = "right" if given == predicted else "wrong"
            if given == predicted and share > _DEEP_SHARE:
                look = "right deep"
            words = f"given {names[given]}, predicted {names[predicted]}: {score_text(share)} of {total:,}"
            cells.append(MatrixCell(count, f"{share**plots.SHADE_POWER:.2f}", look, words))
        rows.append(MatrixRow(names[given], total, tuple(cells)))
    return tuple(rows)


def _confused(names: Sequence[str], matrix: Confusion, most: int = 12) -> tuple[ConfusedPair, ...]:
    """The commonest confusions, for a matrix whose cells carry no number, written whole or as its entries."""
    if isinstance(matrix, SparseConfusion):
        entries = list(matrix.entries)
    else:
        counts = np.array(matrix)
        entries = [(int(row), int(column), int(counts[row, column])) for row, column in np.argwhere(counts)]
    totals = Counter[int]()
    for given, _, count in entries:
        totals[given] += count
    wrong = sorted((entry for entry in entries if entry[0] != entry[1]), key=lambda entry: -entry[2])
    return tuple(
        ConfusedPair(names[given], names[predicted], count, count / totals[given])
        for given, predicted, count in wrong[:most]
    )
