"""Final: the config that won, trained on all groups, decoded as the folds were: one network for use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings

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
        return min(lab.seconds(one), lab.clock.budget_s / 4)

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """As many epochs as the folds kept: with fewer, what was fitted on them would not fit."""
        if not _report(lab).is_file():
            raise CannotHoldError("there is no run in folds, which say how long to train and how to decode")
        config = _config(lab)
        seconds = lab.seconds(config)
        if seconds > left_s:
            raise CannotHoldError(f"its {config.training.epochs} epochs take about {seconds:.3g} s")
        return StagePlan(seconds, left_s, config.training.epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The run on all groups."""
        from multitask.recipe.fold_progress import FoldProgress
        from multitask.runs.config import TrainedRun
        from multitask.runs.page import write_page
        from multitask.runs.run import run

        config = _config(lab)
        shown = FoldProgress(lab.progress, f"{lab.settings.name}, {self.name}", lab.settings.metric, 1, config)
        shown.fold(0, 1, False)
        out = lab.folder.path / self.name
        result = run(config, out, resume=True, on_epoch=shown.epoch_done, progress=shown, reuse=lab.folder.reuse)
        write_page(TrainedRun(result.folder, config), "val")
        note = f"{plan.epochs} epochs, as the folds kept in the median. It has no score of its own."
        return Proposal({}, (), note, files={"run": self.name})


def _report(lab: Lab) -> Path:
    return lab.folder.path / FinalStageSettings.requires / "report.json"


def _config(lab: Lab) -> Config:
    from multitask.runs.config import read_run
    from multitask.runs.final import final_config

    return final_config(read_run(_report(lab).parent, allow_extensions=True))  # which the recipe was allowed before
