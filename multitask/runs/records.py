"""What the files of a run hold, checked when they are read: a damaged one is named with the key that is wrong.

Only what is read back stands here; other keys are let through, so that files of other versions can be read as far as
they are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from multitask.errors import UserError
from multitask.utils.records import Count, Gap, Moment, Number, Score, excerpt

Interval = Annotated[list[Score], Field(min_length=2, max_length=2)]
GapInterval = Annotated[list[Gap], Field(min_length=2, max_length=2)]


class Record(BaseModel):
    """A part of a file."""

    model_config = ConfigDict(extra="allow", strict=True)


class ClassRow(Record):
    """A class's scores."""

    name: str
    support: Count
    precision: Score
    recall: Score
    f1: Score


class Bin(Record):
    """A bin of a reliability table."""

    low: Score
    high: Score
    count: Count
    confidence: Score | None
    accuracy: Score | None


class SparseMatrix(Record):
    """A confusion matrix of many classes."""

    num_classes: Count
    entries: list[Annotated[list[Count], Field(min_length=3, max_length=3)]]


class NumberError(Record):
    """How far off the number behind a label is."""

    num_images: Count
    mae: Number
    mae_ci: Annotated[list[Number], Field(min_length=2, max_length=2)]
    bias: Number


class Figures(Record):
    """All that a report says of one labelling."""

    num_images: Count
    num_groups: Count
    accuracy: Score | None
    accuracy_ci: Interval | None
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    ece: Score | None
    absent_classes: list[str]
    classes: Annotated[list[ClassRow], Field(min_length=1)]
    confusion: list[list[Count]] | SparseMatrix
    reliability: list[Bin]
    number: NumberError | None = None

    @model_validator(mode="after")
    def _check(self) -> Figures:
        size, matrix = len(self.classes), self.confusion
        if isinstance(matrix, SparseMatrix):
            fits = matrix.num_classes == size and all(max(entry[:2]) < size for entry in matrix.entries)
        else:
            fits = len(matrix) == size and all(len(row) == size for row in matrix)
        if not fits:
            raise ValueError(f"confusion does not fit the {size} classes")
        return self


class Attribution(Record):
    """What each head costs."""

    perfect: dict[str, Score | None]
    lost: dict[str, Gap | None] | None
    absent: Gap | None


class RuleRow(Record):
    """A decode rule's score."""

    name: str
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    difference: Gap | None
    difference_ci: GapInterval | None
    in_sample: Score | None


class FittedOn(Record):
    """On whom rules were fitted."""

    num_groups: Count
    num_images: Count


class Rules(Record):
    """The decode rules side by side."""

    used: str
    picked: str | None
    sentence: str
    note: str
    cross_fitted: bool
    num_folds: Count
    fitted_on: FittedOn
    temperatures: dict[str, Number]
    rules: list[RuleRow]


class JointTerm(Record):
    """What a joint term buys."""

    heads_only: Score | None
    with_term: Score | None
    sentence: str


class Unseen(Record):
    """How classes that were held out of training are answered."""

    num_images: Count
    num_groups: Count
    classes: Annotated[list[ClassRow], Field(min_length=1)]
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    seen_macro_f1: Score | None
    seen_macro_f1_ci: Interval | None


class FoldRow(Record):
    """A fold's scores."""

    fold: Count
    num_groups: Count
    num_images: Count
    macro_f1: Score | None
    tasks: dict[str, Score | None]
    best_epoch: Count | None
    num_epochs: Count


class Distribution(Record):
    """How often each class occurs in a split."""

    num_images: Count
    num_groups: Count
    joint: list[Count]
    tasks: dict[str, list[Count]]


class Crop(Record):
    """How many pictures had a box of their own."""

    name: str
    found: Count
    fallback: Count


class Decode(Record):
    """The decode rule."""

    name: str


class Training(Record):
    """What is said of the training."""

    best_epoch: Count | None
    num_epochs: Count
    seconds: Number
    num_parameters: Count | None = None
    backbone: str | None = None
    device: str | None = None


class Report(Record):
    """``report.json``."""

    run: str
    split: str
    created: Moment
    num_images: Count
    num_groups: Count
    decode: Decode
    joint: Figures
    tasks: Annotated[dict[str, Figures], Field(min_length=1)]
    attribution: Attribution
    decode_rules: Rules | None = None
    joint_term: JointTerm | None = None
    unseen: Unseen | None = None
    folds: list[FoldRow] | None = None
    class_distribution: dict[str, Distribution] | None = None
    training: Training
    crop: Crop | None = None

    @model_validator(mode="after")
    def _check(self) -> Report:
        sizes = {name: len(figures.classes) for name, figures in self.tasks.items()}
        for split, counts in (self.class_distribution or {}).items():
            found = {name: len(row) for name, row in counts.tasks.items()}
            if found != sizes or len(counts.joint) != len(self.joint.classes):
                raise ValueError(f"class_distribution.{split} does not fit the classes")
        for row in self.folds or ():
            if row.tasks.keys() != sizes.keys():
                raise ValueError(f"folds: fold {row.fold} has other tasks")
        return self


class JointScores(Record):
    """What a list of runs says of the classes."""

    macro_f1: Score | None
    macro_f1_ci: Interval | None = None


class TaskScore(Record):
    """What a list of runs says of a task."""

    macro_f1: Score | None


class Overview(Record):
    """As much of ``report.json`` as a list of runs shows."""

    joint: JointScores
    tasks: dict[str, TaskScore]


class EpochScores(Record):
    """The scores of an epoch."""

    loss: Number | None = None
    nll: Number | None = None
    macro_f1: Score | None = None
    accuracy: Score | None = None


class ConflictSteps(Record):
    """Over how many steps two tasks' gradients were compared, and how far the steps differ."""

    num: Count
    sd: Number | None


class TrainScores(Record):
    """What an epoch's training gave."""

    loss: Number | None = None
    tasks: dict[str, EpochScores] | None = None
    weights: dict[str, Number | None] | None = None
    conflict: dict[str, dict[str, Number | None]] | None = None
    conflict_steps: dict[str, dict[str, ConflictSteps]] | None = None
    mixed: Number | None = None
    nll: Number | None = None


class ValScores(Record):
    """What an epoch's validation gave."""

    loss: Number | None = None
    joint: EpochScores | None = None
    tasks: dict[str, EpochScores] | None = None


class Epoch(Record):
    """A row of ``metrics.jsonl``."""

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    best: bool
    seconds: Number | None = None
    lr: Number | None = None
    images_per_s: Number | None = None
    train: TrainScores | None = None
    val: ValScores | None = None


class Environment(Record):
    """``environment.json``, as far as it is read back."""

    created: str | None = None
    device: str | None = None
    num_parameters: Count | None = None
    num_folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    frozen_backbone: str | None = None


class Begun(Record):
    """What a report takes from ``environment.json``."""

    created: Moment


class Data(Record):
    """``data.json``, as far as it is read back."""

    fingerprint: str | None = None
    centres: dict[str, list[Number]] | None = None
    crop: Crop | None = None


class Diverged(Record):
    """``diverged.json`` of a bake-off's run."""

    message: str


class Peak(Record):
    """``peak.json`` of a bake-off's run."""

    bytes: Count


class Costs(RootModel[dict[str, dict[str, Any]]]):
    """``costs.json`` of a bake-off: by kind, by what is trained."""

    model_config = ConfigDict(strict=True)


def check(model: type[BaseModel], data: Mapping[str, Any], path: Path) -> None:
    """Checks what a file holds.

    Raises:
        UserError: something is missing or is of another kind; it names the file, the key and what was found.
    """
    try:
        model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        # Pydantic's steps into the members of a union are no keys.
        steps = [str(step) for step in first["loc"] if not str(step).startswith(("list[", "SparseMatrix"))]
        message = first["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        found = "" if first["type"] in ("missing", "value_error") else f", found {excerpt(first['input'])}"
        where = f"{'.'.join(steps)}: " if steps else ""
        raise UserError(f"{path}: is damaged: {where}{message}{found}") from None


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """What cannot be done with what a file holds is the file's fault.

    For files that are whole pages of figures, whose every key is only looked at where it is shown.

    Raises:
        UserError: a key is missing, or what stands there is of another kind.
    """
    from jinja2 import UndefinedError

    try:
        yield
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{path}: is damaged: there is no {error}") from None
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        StopIteration,
        TypeError,
        UndefinedError,
        ValueError,
    ) as error:
        raise UserError(f"{path}: is damaged: {error}") from None
