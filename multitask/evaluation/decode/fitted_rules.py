"""The fitted decode rules of a run, as ``decode.json`` keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from multitask.errors import UserError
from multitask.evaluation.calibration import Calibration
from multitask.evaluation.decode.base import AnyDecodeRule, DecodeRule, check_widths
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import AnyPoolingRule, PoolingRule
from multitask.evaluation.decode.temperature import Temperature
from multitask.labels import JOINT, LabelSpace
from multitask.settings import Count, Float, Settings, validate
from multitask.utils.files import to_json


class RuleSet(Settings):
    """Decode rules that were fitted on the same outputs, and the one that is used.

    Attributes:
        used: the rule that decodes.
        rules: every rule's parameters, fitted on all groups of ``split``.
        temperatures: the heads', and the joint ones where a joint term is learned.
        shifts: of the prior in the outputs to that of the training images, by head or for ``joint``, as of
            ``Priors.shifts``; with the temperatures they make the outputs calibrated probabilities.

    >>> from multitask.evaluation.decode.plain import Joint
    >>> from multitask.labels import Task
    >>> kept = RuleSet(used="joint", rules={"joint": Joint()}, temperatures={"colour": 1.5})
    >>> kept.check(LabelSpace([Task("colour", ("red", "blue"))]))
    >>> kept.rule()
    Joint(name='joint')
    """

    used: str
    rules: dict[str, AnyDecodeRule]
    temperatures: dict[str, Temperature]
    shifts: dict[str, tuple[Float, ...]] = {}

    def rule(self) -> DecodeRule:
        """The rule that decodes."""
        found: DecodeRule = self.rules[self.used]
        return found

    def check(self, space: LabelSpace) -> None:
        """Refuses rules of another label space.

        Args:
            space: that of the run's heads.

        Raises:
            ValueError: there is no rule of the name in ``used``, or a parameter is of another label space.
        """
        if self.used not in self.rules:
            raise ValueError(f"used: there is no rule {self.used!r} in it")
        check_widths("shifts", self.shifts, space)
        for name, rule in self.rules.items():
            try:
                rule.check(space)
            except UserError as error:
                raise UserError(f"rules.{name}.{error}") from None


class GroupedRules(RuleSet):
    """The rules for groups: the pooling of their images' outputs, and the decode rules that were fitted after it.

    Attributes:
        tasks: those per group.
        pooling: of their evidence.
        sentence: why this one.
        calibration: as of ``FittedRules``, of answers to groups.

    >>> from multitask.evaluation.decode.plain import Joint
    >>> from multitask.evaluation.decode.pooling import MeanPooling
    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"))])
    >>> fitted = dict(used="joint", rules={"joint": Joint()}, temperatures={}, sentence="")
    >>> GroupedRules(tasks=("gender",), pooling=MeanPooling(), **fitted).check_tasks(space, space)
    >>> GroupedRules(tasks=("age",), pooling=MeanPooling(), **fitted).check_tasks(space, space)
    Traceback (most recent call last):
    multitask.errors.UserError: tasks: there is no task 'age'
    """

    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    pooling: AnyPoolingRule
    sentence: str
    calibration: Calibration | None = None

    def check_tasks(self, space: LabelSpace, learned: LabelSpace) -> None:
        """Refuses another label space, as of ``check``.

        Args:
            space: that of the tasks.
            learned: that of the heads.
        """
        check_grouping(self.tasks, self.pooling, space, learned)
        self.check(learned)
        check_calibration(self.calibration, learned)


def check_calibration(calibration: Calibration | None, space: LabelSpace) -> None:
    """Refuses the calibration of another label space, if there is one.

    Raises:
        UserError: it is of another one.

    >>> from multitask.labels import Task
    >>> data = dict(groups="0 1", labels={"joint": "0 3"}, probs={"joint": ".9 .8"}, confidences=".9 .8", right="1 1")
    >>> check_calibration(Calibration(**data), LabelSpace([Task("colour", ("red", "blue"))]))
    Traceback (most recent call last):
    multitask.errors.UserError: calibration.labels.joint: must be within -1 and 1
    """
    if calibration is not None:
        try:
            calibration.check({JOINT: space.num_classes})  # the heads need not be the tasks
        except UserError as error:
            raise UserError(f"calibration.{error}") from None


def check_grouping(tasks: Sequence[str], pooling: PoolingRule, space: LabelSpace, learned: LabelSpace) -> None:
    """Refuses tasks, and a pooling of theirs, of another label space.

    Raises:
        UserError: there is no such task, or a parameter is of another label space.

    >>> from multitask.evaluation.decode.pooling import LogPooling
    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("gender", ("male", "female"))])
    >>> fitted = {"temperatures": {"gender": 1.0}, "correlations": {"gender": 0.5}}
    >>> pooling = LogPooling(**fitted, log_priors={"gender": (-0.7, -0.7, -5.0)})
    >>> check_grouping(("gender",), pooling, space, space)
    Traceback (most recent call last):
    multitask.errors.UserError: pooling.log_priors.gender: must be 2 numbers, found 3
    """
    for name in tasks:
        if name not in space.task_names:
            raise UserError(f"tasks: there is no task {name!r}")
    pooling.check(GroupTasks(space, tuple(tasks)), learned)


class FittedRules(RuleSet):
    """The fitted decode rules of a run, in ``decode.json``.

    Attributes:
        picked: the rule that ``auto`` picks; None where nothing could be compared.
        sentence: why.
        note: what else should be known; empty if nothing.
        num_folds: of the cross-fitting; 0: there was none.
        num_groups: on which the rules were fitted.
        num_images: of these groups.
        calibration: of prediction sets and of abstaining; None where fewer than two groups validated, and of runs from
            before it was kept.
        grouped: how groups are answered; None where no task is per group, and in files from before there was this.

    >>> from tempfile import TemporaryDirectory
    >>> from multitask.evaluation.decode.plain import Joint
    >>> from multitask.labels import Task
    >>> made = dict(picked=None, sentence="", note="", num_folds=0, num_groups=2, num_images=14)
    >>> rules = {"joint": Joint(), "independent": {"name": "independent"}}
    >>> kept = FittedRules(used="joint", rules=rules, temperatures={"colour": 1.5}, **made)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "decode.json")
    ...     _ = path.write_text(kept.to_json())
    ...     FittedRules.read(path, LabelSpace([Task("colour", ("red", "blue"))])).rule()
    Joint(name='joint')
    """

    picked: str | None
    sentence: str
    note: str
    num_folds: Count
    num_groups: Count
    num_images: Count
    calibration: Calibration | None = None
    grouped: GroupedRules | None = None

    def to_json(self) -> str:
        """The file's text."""
        return to_json(self.model_dump(mode="json", exclude={"grouped"} if self.grouped is None else None))

    @classmethod
    def read(cls, path: Path, space: LabelSpace, tasks: LabelSpace | None = None) -> FittedRules:
        """The rules in a file of ``to_json``.

        Args:
            path: the file, which exists.
            space: the label space of the run's heads.
            tasks: that of its tasks; None: the same.

        Raises:
            UserError: it cannot be read, is damaged, or belongs to another label space.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("must hold keys and values")
            kept = validate(cls, data)
            kept.check(space)
            check_calibration(kept.calibration, space)
            if kept.grouped is not None:
                kept.grouped.check_tasks(tasks or space, space)
            if "independent" not in kept.rules:
                raise ValueError("rules: there is no rule 'independent' in it, which the others are compared with")
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: is damaged: {error}") from None
        return kept
