"""The fitted decode rules of a run, as ``decode.json`` keeps them."""

from __future__ import annotations

import json
from pathlib import Path

from multitask.errors import UserError
from multitask.evaluation.calibration import Calibration
from multitask.evaluation.decode.base import AnyDecodeRule, DecodeRule, check_widths
from multitask.evaluation.decode.temperature import Temperature
from multitask.labels import JOINT, LabelSpace
from multitask.settings import Count, Float, Settings, validate
from multitask.utils.files import to_json


class FittedRules(Settings):
    """The fitted decode rules of a run, in ``decode.json``.

    Attributes:
        used: the rule that decodes.
        rules: every rule's parameters, fitted on all groups of ``split``.
        temperatures: the heads', and the joint ones where a joint term is learned.
        shifts: of the prior in the outputs to that of the training images, by head or for ``joint``, as of
            ``Priors.shifts``; with the temperatures they make the outputs calibrated probabilities.
        picked: the rule that ``auto`` picks; None where nothing could be compared.
        sentence: why.
        note: what else should be known; empty if nothing.
        num_folds: of the cross-fitting; 0: there was none.
        num_groups: on which the rules were fitted.
        num_images: of these groups.
        calibration: of prediction sets and of abstaining; None where fewer than two groups validated, and of runs from
            before it was kept.

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

    used: str
    rules: dict[str, AnyDecodeRule]
    temperatures: dict[str, Temperature]
    shifts: dict[str, tuple[Float, ...]] = {}
    picked: str | None
    sentence: str
    note: str
    num_folds: Count
    num_groups: Count
    num_images: Count
    calibration: Calibration | None = None

    def rule(self) -> DecodeRule:
        """The rule that decodes."""
        found: DecodeRule = self.rules[self.used]
        return found

    def to_json(self) -> str:
        """The file's text."""
        return to_json(self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path, space: LabelSpace) -> FittedRules:
        """The rules in a file of ``to_json``.

        Args:
            path: the file, which exists.
            space: the label space of the run's heads.

        Raises:
            UserError: it cannot be read, is damaged, or belongs to another label space.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("must hold keys and values")
            kept = validate(cls, data)
            if kept.used not in kept.rules:
                raise ValueError(f"used: there is no rule {kept.used!r} in it")
            check_widths("shifts", kept.shifts, space)
            if kept.calibration is not None:
                try:
                    kept.calibration.check({JOINT: space.num_classes})  # the heads need not be the tasks
                except UserError as error:
                    raise UserError(f"calibration.{error}") from None
            for name, rule in kept.rules.items():
                try:
                    rule.check(space)
                except UserError as error:
                    raise UserError(f"rules.{name}.{error}") from None
            if "independent" not in kept.rules:
                raise ValueError("rules: there is no rule 'independent' in it, which the others are compared with")
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: is damaged: {error}") from None
        return kept
