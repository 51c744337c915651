"""Final: the config that won, trained on all groups, decoded as the folds were: one network for use."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.reporting.study.text import time_text
from multitask.utils.spelling import plural

if TYPE_CHECKING:
    from multitask.config import Config
    from multitask.recipe.lab import Lab


class FinalStageSettings(StageSettings):
    """A run on all groups, as of ``multitask final``: a network in place of one for each fold."""

    name: Literal["final"] = "final"
    title: ClassVar[str] = "Final"
    judged: ClassVar[bool] = False
    changes_config: ClassVar[bool] = False
    requires: ClassVar[str] = "folds"

    def reserve_s(self, lab: Lab) -> float:
        """All epochs of the config, but no more than a quarter of the budget."""
        one = lab.config.with_changes({"data.folds": None, "data.fold": 0})
        return min(lab.costs.seconds(one), lab.clock.budget_s / 4)

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """As many epochs as the folds kept: with fewer, what was fitted on them would not fit."""
        if lab.in_folds is None:
            raise CannotHoldError("there is no run in folds, which say how long to train and how to decode")
        config = _config(lab)
        seconds = lab.costs.seconds(config)
        if seconds > left_s:
            raise CannotHoldError(
                f"its {plural(config.training.epochs, 'epoch takes', 'epochs take')} about {time_text(seconds)}"
            )
        return StagePlan(seconds, config.training.epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The run on all groups."""
        from multitask.recipe.for_use import run_on_all

        run_on_all(lab, lab.folder.path / self.name, _config(lab), lab.shown(self.name, 1, plan.epochs))
        note = f"{plural(plan.epochs, 'epoch', 'epochs')}, as the folds kept in the median. It has no score of its own."
        return Proposal({}, (), note, files={"run": self.name})


def _config(lab: Lab) -> Config:
    from multitask.runs.config import read_run
    from multitask.runs.final import final_config

    assert lab.in_folds is not None, "as was planned"
    return final_config(read_run(lab.in_folds.path, allow_extensions=True))  # which the recipe was allowed before
