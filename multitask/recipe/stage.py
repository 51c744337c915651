"""The stage of a recipe: it plans what it costs, then proposes another config, or leaves files of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from multitask.config import Config
from multitask.settings import Changes, Settings, Table
from multitask.utils.records import ONLY_IF_KNOWN, Count, Number

if TYPE_CHECKING:
    from multitask.evaluation.predictions import Predictions
    from multitask.recipe.lab import Lab
    from multitask.reporting.recipe.report_schema import Tried


def of_length(config: Config, epochs: int) -> Config:
    """A config with so many epochs, a warm-up and a mean of weights cut where they would be too long."""
    return config.with_changes(config.training.changes_to_length(epochs))


class CannotHoldError(Exception):
    """What is left of the budget does not hold a stage; the message says what it would take."""


@dataclass(frozen=True)
class StagePlan:
    """``plan.json`` of a stage: what it was allowed before it began, so that it goes on with the same.

    Attributes:
        seconds: that it is reckoned to take.
        epochs: of each of its runs.
        trials: at most so many, of a stage that searches.
        others_s: of the budget, what the stages before it took and those after it are to have; it may take the rest,
            all launches together, so that with a larger budget it may take more. The recipe fills it in.
    """

    seconds: Number
    epochs: Count
    trials: Count | None = field(default=None, metadata=ONLY_IF_KNOWN)
    others_s: Number = 0.0


@dataclass(frozen=True)
class Proposal:
    """What a stage found.

    Attributes:
        changes: of the config as it stands; empty: it found nothing to change.
        tried: what it tried on the groups that pick.
        note: a sentence on it, for the page.
        runs: configs of the judged runs, where the changed config alone does not say them; None: it does.
        answers: of the judged groups, a pass each, where they are not those of runs; None: they are.
        files: what it left for use: a word -> the path within the recipe's folder.
        views: rows of ``evaluation.views.VIEWS``, that images are answered by beside as they are.
    """

    changes: Changes
    tried: Sequence[Tried] = ()
    note: str = ""
    runs: Sequence[Config] | None = None
    answers: Sequence[Predictions] | None = None
    files: dict[str, str] = field(default_factory=dict)
    views: tuple[str, ...] = ()


class StageSettings(Settings):
    """A stage and its settings.

    What it picks, it picks by the groups that validate. Whether that is kept, the groups decide that judge: they
    train and are answered in folds, and no score on them picks anything else.
    """

    name: str
    title: ClassVar[str]
    """For the page."""
    judged: ClassVar[bool] = True
    """Whether what it proposes is kept only where the judges find a gain beyond noise."""
    changes_config: ClassVar[bool] = True
    """Whether what it proposes is another config; such stages stand before all others."""
    requires: ClassVar[str] = ""
    """The stage that must stand before it, if any."""
    trains: ClassVar[bool] = True
    """Whether what it proposes is judged by networks that are trained for it; such stages stand before all that have
    the networks answer otherwise."""
    ends_judging: ClassVar[bool] = False
    """Whether no judged stage may stand after it, since what it leaves cannot be bettered by another config."""
    asks_networks: ClassVar[bool] = False
    """Whether it has the networks of judged runs answer more, so that they are kept."""
    least_seeds: ClassVar[int] = 1
    """That the judges must have."""
    in_folds: ClassVar[bool] = False
    """Whether the run that it leaves for use is one in folds, which later stages go on with."""

    def check(self, base: Config) -> None:
        """Refuses settings that do not go with the base, before anything is read.

        Raises:
            UserError: they do not; the line begins with the key within the stage.
        """

    def check_files(self, base: Config) -> None:
        """Refuses files that it needs and that cannot be read, or do not hold enough, before anything is written.

        Raises:
            UserError: they are not; the line begins with the key within the stage.
        """

    def reserve_s(self, lab: Lab) -> float:
        """The seconds that stages before this one leave for it; 0: it takes what is left."""
        return 0.0

    @abstractmethod
    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """What the stage does in the seconds that it may be reckoned to take.

        Raises:
            CannotHoldError: they do not hold one epoch of its runs.
        """

    @abstractmethod
    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """Does it, or what is left of it where an earlier launch was stopped. The same plan gives the same proposal.

        Raises:
            UserError: something is not as it must be.
            BudgetSpentError: there is no time left.
        """

    def leave(self, lab: Lab, plan: StagePlan) -> tuple[dict[str, str], str]:
        """Makes what a proposal that was kept leaves for use, or what is left of it.

        Returns:
            As ``Proposal.files``, and a sentence on them.

        Raises:
            UserError: something is not as it must be.
            BudgetSpentError: there is no time left.
        """
        return {}, ""


STAGES: Table[StageSettings] = Table("stage", StageSettings, default="baseline")
"""The table of stages; its rows stand in the package's ``__init__``."""

AnyStage = Annotated[StageSettings, STAGES]
