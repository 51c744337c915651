"""The inference specification: all that a network needs around it to answer an image, and no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from multitask.data.crop import AnyCrop
from multitask.data.fit import FitName
from multitask.data.settings import Background, Side, ValueRange
from multitask.data.tiles import TileSettings, canvas_size
from multitask.errors import UserError
from multitask.evaluation.calibration import Calibration, sizes_of
from multitask.evaluation.decode import AnyDecodeRule, AnyPoolingRule
from multitask.evaluation.decode.base import check_widths
from multitask.evaluation.decode.fitted_rules import check_grouping
from multitask.evaluation.decode.temperature import Temperature
from multitask.inference.file_entry import read_entry
from multitask.labels import JOINT, LabelSpace, Task
from multitask.settings import Bool, Count, Float, PositiveFloat, PositiveInt, Settings

if TYPE_CHECKING:
    from multitask.data.images import Preprocessing


class TaskSpec(Settings):
    """A task's name and its labels' names, in the order of their indices."""

    name: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> TaskSpec:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"{self.name}: a class stands twice in {list(self.classes)}")
        return self


class GroupingSpec(Settings):
    """How groups are answered: what is pooled, and what stands in the place of the keys of ``InferenceSpec``."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """The tasks per group."""
    pooling: AnyPoolingRule
    rule: AnyDecodeRule
    temperatures: dict[str, Temperature]
    shifts: dict[str, tuple[Float, ...]]
    calibration: Calibration | None = None


class InferenceSpec(Settings):
    """How images become a network's input, and its outputs predictions.

    A run's is made of its config and its decode rules; an exported file holds its own.
    """

    version: Literal[1] = 1
    run: str
    """The run's name."""
    fingerprint: str
    """A digest of the run's config, weights and decode rules: equal for the same answers."""
    versions: dict[str, str]
    """Library -> its version, where the specification was made."""
    tasks: tuple[TaskSpec, ...]
    impossible: tuple[Count, ...]
    """The classes that cannot occur."""
    heads: tuple[TaskSpec, ...]
    """What the network's heads tell apart: the tasks, or the classes as one."""
    joint_term: Bool
    """Whether the network's output ``joint`` says more than its heads."""
    image_size: tuple[Side, Side]
    """Height and width of the network's input, in pixels."""
    crop: AnyCrop
    fit: FitName
    background: Background
    value_range: ValueRange | None
    mean: tuple[Float, Float, Float]
    """Of each channel, of pixels from 0 to 1."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    rule: AnyDecodeRule
    """The decode rule, fitted."""
    temperatures: dict[str, Temperature]
    """Per head, and for ``joint``, as of ``fit_temperature``."""
    shifts: dict[str, tuple[Float, ...]]
    """Likewise, as of ``Priors.shifts``."""
    calibration: Calibration | None = None
    """What prediction sets and abstaining are calibrated by; None where fewer than two groups validated."""
    flip: Bool = True
    """Whether left and right may be swapped, as the run's augmentation may."""
    batch_size: PositiveInt
    """How many images are computed at a time where nobody says so."""
    grouping: GroupingSpec | None = None
    """How groups are answered; None where no task is per group."""
    tiles: Annotated[tuple[TileSettings, ...] | None, Field(exclude_if=lambda tiles: tiles is None)] = None
    """Of an ensemble whose members see an image in different sizes or crops: each of these, side by side in an input of
    ``image_size``; None: there is one, as the keys above say."""

    @cached_property
    def space(self) -> LabelSpace:
        """The label space of the predictions."""
        return _space(self.tasks, self.impossible)

    @cached_property
    def learned(self) -> LabelSpace:
        """The label space of the heads."""
        return _space(self.heads, self.impossible)

    def for_groups(self) -> InferenceSpec:
        """The specification by which pooled outputs become predictions.

        Raises:
            UserError: no task is per group.
        """
        grouping = self.grouping
        if grouping is None:
            raise UserError(
                f"groups: would be ignored: {self.run} answers no task for groups; labels.tasks.TASK.per_group says "
                "which are a group's, and `multitask evaluate` fits how"
            )
        changes = ("rule", "temperatures", "shifts", "calibration")
        return self.model_copy(update={name: getattr(grouping, name) for name in changes})

    def preprocessing(self) -> Preprocessing:
        """How an image becomes pixels.

        Raises:
            UserError: the crop needs a model that cannot be used.
        """
        from multitask.data.colours import Decoding
        from multitask.data.images import Preprocessing
        from multitask.data.tiled_images import TiledPreprocessing

        if self.tiles is not None:
            return TiledPreprocessing(self.tiles)
        decoding = Decoding(self.background, self.value_range)
        return Preprocessing(self.image_size, self.crop, self.mean, self.std, fit=self.fit, decoding=decoding)

    def to_json(self) -> str:
        """The specification as a line of JSON."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> InferenceSpec:
        """The specification in a text of ``to_json``.

        Args:
            text: it.
            where: the file that holds it, for errors.

        Raises:
            UserError: it is damaged, of another version, or contradicts itself.
        """
        return read_entry(cls, text, where, "specification", cls._check_whole)

    def _check_whole(self) -> None:
        if self.space.num_classes != self.learned.num_classes:
            raise ValueError("heads: have other classes than tasks")
        if self.tiles is not None and (len(self.tiles) < 2 or canvas_size(self.tiles) != self.image_size):
            raise ValueError("tiles: do not make up the input")
        self.rule.check(self.learned)
        _check_temperatures("temperatures", self.temperatures, self.learned)
        check_widths("shifts", self.shifts, self.learned)
        if self.calibration is not None:
            self.calibration.check(sizes_of(self.space))
        if (grouping := self.grouping) is not None:
            check_grouping(grouping.tasks, grouping.pooling, self.space, self.learned)
            grouping.rule.check(self.learned)
            _check_temperatures("grouping.temperatures", grouping.temperatures, self.learned)
            check_widths("grouping.shifts", grouping.shifts, self.learned)
            if grouping.calibration is not None:
                grouping.calibration.check(sizes_of(self.space))


def _check_temperatures(what: str, found: Mapping[str, float], learned: LabelSpace) -> None:
    """Refuses temperatures, where there are any, of other heads than there are."""
    heads = {*learned.task_names}
    if found and {*found} - {JOINT} != heads:
        raise ValueError(f"{what}: must be of {', '.join(learned.task_names)}, found {[*found]}")


def task_specs(space: LabelSpace) -> tuple[TaskSpec, ...]:
    """The tasks of a label space, to be kept."""
    return tuple(TaskSpec(name=task.name, classes=task.classes) for task in space.tasks)


def _space(tasks: Sequence[TaskSpec], impossible: Sequence[int]) -> LabelSpace:
    made = [Task(task.name, task.classes) for task in tasks]
    labels = LabelSpace(made).decode(np.array(impossible, dtype=np.int64))
    return LabelSpace(
        made, [{task.name: task.classes[label] for task, label in zip(made, row, strict=True)} for row in labels]
    )
